"""Your own images, one folder per class, as in `image_folder:path=flowers,size=32`.

`path/train/<class>/*` with `path/test/<class>/*` (or `path/val/<class>/*`) where they exist; else
`path/<class>/*`, of which a seeded stratified 20 % is the test split. Hidden files are skipped; any other
must be an image.
"""

from pathlib import Path

import numpy as np

from dnas.data import (
    HELD_OUT,
    Dataset,
    Location,
    check_size_and_limit,
    held_out_note,
    joined_notes,
    limited,
)
from dnas.data._arrays import hold_out
from dnas.data._files import progress, reading
from dnas.errors import UserError
from dnas.ranges import Limit, Seed, Size


def dataset(*, path: str = "", size: Size = 32, limit: Limit = 0, seed: Seed = 0) -> Dataset:
    """RGB images, the centre square resized to size x size; only those within `limit` are read."""
    if not path:
        raise UserError(f"The data set 'image_folder' needs the path of a folder: {_HOW}")
    check_size_and_limit("image_folder", size, limit)
    if size == 0:
        raise UserError("The setting 'size' of data set 'image_folder' must be at least 1: all images get that size.")
    root = Path(str(path)).expanduser()  # str: a name like 2024 arrives as a number
    train_root = root / "train" if (root / "train").is_dir() else root
    test_root = next((root / part for part in ("test", "val") if (root / part).is_dir()), None)
    if train_root == root:
        test_root = None
    classes = _classes(train_root)
    train_files, train_y = _list(train_root, classes)
    note = ""
    if test_root:
        if unknown := set(_classes(test_root)) - set(classes):
            raise UserError(f"{test_root} has the class '{min(unknown)}', which {train_root} has not.")
        test_files, test_y = _list(test_root, classes)
    else:
        train, test = hold_out(train_y, HELD_OUT, seed)
        test_files, test_y = [train_files[i] for i in test], train_y[test]
        train_files, train_y = [train_files[i] for i in train], train_y[train]
        note = held_out_note(seed)
    train, test, limit_note = limited(train_y, test_y, limit)
    return Dataset(
        root.resolve().name,
        _read([train_files[i] for i in train], size),
        train_y[train],
        _read([test_files[i] for i in test], size),
        test_y[test],
        classes,
        joined_notes(note, limit_note),
    )


def locate() -> Location:
    return Location((), None, _HOW[0].upper() + _HOW[1:])


_HOW = "write image_folder:path=FOLDER, where FOLDER (or FOLDER/train and FOLDER/test) has one folder per class."


def _visible(folder: Path) -> list[Path]:
    with reading(folder, "give a folder that has one folder of images per class"):
        return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))


def _classes(root: Path) -> tuple[str, ...]:
    classes = tuple(entry.name for entry in _visible(root) if entry.is_dir())
    if len(classes) < 2:
        raise UserError(f"{root} has {len(classes)} class folder(s): at least 2 are needed, one per class.")
    return classes


def _list(root: Path, classes: tuple[str, ...]) -> tuple[list[Path], np.ndarray]:
    """The image files below a folder and their labels int32 [N], class by class."""
    by_class = [_visible(root / name) if (root / name).is_dir() else [] for name in classes]
    for name, files in zip(classes, by_class, strict=True):
        if not files and (root / name).is_dir():
            raise UserError(f"{root / name} has no image: fill the folder or remove it.")
    labels = np.repeat(np.arange(len(classes), dtype=np.int32), [len(files) for files in by_class])
    return [file for files in by_class for file in files], labels


def _read(files: list[Path], size: int) -> np.ndarray:
    from PIL import Image, ImageOps

    images = np.empty((len(files), size, size, 3), np.uint8)
    for i, file in enumerate(progress(files, f"Reading {len(files):,} images")):
        try:
            with reading(file, "replace or remove this image"), Image.open(file) as image:
                image.draft("RGB", (2 * size, 2 * size))  # a large JPEG is decoded at a fraction of its size
                if image.mode.startswith(("I", "F")):  # Pillow would clip these to 255
                    raise ValueError(f"mode {image.mode}, more than 8 bits per channel")
                images[i] = np.asarray(ImageOps.fit(image.convert("RGB"), (size, size), Image.Resampling.BOX))
        except Image.DecompressionBombError as error:
            raise UserError(f"{file} is too large an image to be safe: replace or remove this image.") from error
    return images
