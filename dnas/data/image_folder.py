"""Your own images, one folder per class, as in `image_folder:path=flowers,size=32`.

`path/train/<class>/*` or `path/<class>/*`, and where they exist `path/test/<class>/*` or else `path/val/<class>/*` as
the test split; without them it is a seeded stratified 20 %. A name counts whatever its case, its numbers and words like
images or set, as in `Test Set`, `val_images`, `test1` (`folder_role`). Hidden files are skipped; the note says what
else was left out, and what was done to images.
"""

import os
from collections import Counter
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dnas.data import (
    HELD_OUT,
    Dataset,
    Location,
    check_size_and_limit,
    held_out_note,
    joined_notes,
    limited,
    named,
)
from dnas.data._arrays import hold_out
from dnas.data._class_folders import (
    NO_CLASS,
    TEST,
    TRAIN,
    VALID,
    check_classes,
    folder_role,
    folders,
    only,
    passed_over,
    visible,
)
from dnas.data._files import check_memory, progress, users_path
from dnas.data._images import SUFFIXES, read_square
from dnas.errors import UserError
from dnas.ranges import Limit, Seed, Size


def dataset(
    *, path: str = "", size: Size = 32, without_damaged: bool = False, limit: Limit = 0, seed: Seed = 0
) -> Dataset:
    """RGB images, the centre square resized to size x size; only those within `limit` are read. without_damaged: leave
    out those that cannot be read, which are refused otherwise."""
    if not path:
        raise UserError(f"The data set 'image_folder' needs the path of a folder: {_HOW}")
    check_size_and_limit("image_folder", size, limit)
    if size == 0:
        raise UserError("The setting 'size' of data set 'image_folder' must be at least 1: all images get that size.")
    root = users_path(path)
    listed = files_in(root, limit=limit, seed=seed)
    images, sound, remarks = _read([*listed.train, *listed.test], size, without_damaged)
    train, test = np.split(sound, [len(listed.train)])
    return Dataset(
        root.resolve().name,
        images[: train.sum()],
        listed.train_y[train],
        images[train.sum() :],
        listed.test_y[test],
        listed.classes,
        joined_notes(*listed.notes, *remarks),
    )


def locate() -> Location:
    return Location((), None, _HOW[0].upper() + _HOW[1:])


_HOW = "write image_folder:path=FOLDER, where FOLDER (or FOLDER/train and FOLDER/test) has one folder per class."
NO_IMAGES, NESTED = "left out, no images by their names", "left out, folders inside a class"
UNCLASSED = "left out, files in no class"
OF = "images"  # what a class folder is one of


class _Found(NamedTuple):
    """The folders of the splits, notes on what else was found, and files by the reason why they are left out."""

    train: Path
    test: Path | None
    classes: tuple[str, ...]
    notes: list[str]
    others: dict[str, list[Path]]


class Files(NamedTuple):
    """The image files of the parts, their classes int32 [N], and notes on what was left out."""

    train: list[Path]
    train_y: np.ndarray
    test: list[Path]
    test_y: np.ndarray
    classes: tuple[str, ...]
    notes: list[str]


def files_in(root: Path, *, limit: int = 0, seed: int = 0) -> Files:
    """Which files of a folder are images of which part and class, within the limit; none is opened."""
    found = parts_of(root)
    train_files, train_y = files_of(found.train, found.classes, found.others)
    if found.test:
        test_files, test_y = files_of(found.test, found.classes, found.others)
        note = ""
    else:
        train, test = hold_out(train_y, HELD_OUT, seed)
        test_files, test_y = [train_files[i] for i in test], train_y[test]
        train_files, train_y = [train_files[i] for i in train], train_y[train]
        note = held_out_note(seed)
    train, test, limit_note = limited(train_y, test_y, limit)
    others = [
        named(what, [repr(str(file.relative_to(root))) for file in files]) for what, files in found.others.items()
    ]
    return Files(
        [train_files[i] for i in train],
        train_y[train],
        [test_files[i] for i in test],
        test_y[test],
        found.classes,
        [note, *found.notes, *others, limit_note],
    )


def parts_of(root: Path) -> _Found:
    """The folders of the train and the test part, and the classes. Errors: `UserError` where there are no classes."""
    inside = folders(root, OF)
    roles = {folder: folder_role(folder.name) for folder in inside}
    by_role = {role: [f for f in inside if roles[f] == role] for role in (TRAIN, TEST, VALID)}
    train = only(root, [f for f in by_role[TRAIN] if folders(f, OF)])
    flat = [f for f in inside if roles[f] in (None, TRAIN)]  # without class folders a class too, of images of trains
    if not train and flat and flat == by_role[TRAIN]:
        raise UserError(f"{flat[0]} has no class folder: put its images into one folder per class.")
    classes = folders(train, OF) if train else flat
    parts = [only(root, [f for f in by_role[role] if _is_labelled(f)]) for role in (TEST, VALID)]
    labelled = [part for part in parts if part]
    split = labelled[0] if labelled else None
    why = {f: " (it has no class folders)" for role in (TEST, VALID) for f in by_role[role]}
    why |= {f: " (by its name it is no class)" for f in inside if roles[f] == NO_CLASS}
    why |= {f: " (validation images are taken from the train images)" for f in labelled[1:]}
    used = [train, split] if train else [*classes, split]
    left_out = [f"{f.name!r}{why.get(f, '')}" for f in inside if f not in used]
    roots = list(dict.fromkeys(part for part in (root, train, split) if part))
    left_out += [f"{str(f.relative_to(root))!r} ({reason})" for part in roots for f, reason in passed_over(part, OF)]
    check_classes(train or root, classes, f" ({named('left out', left_out)})" if left_out else "")
    if split and (unknown := {f.name for f in folders(split, OF)} - {f.name for f in classes}):
        raise UserError(f"{split} has the class '{min(unknown)}', which {train or root} has not.")
    notes = [f"{split.name!r} is the test split"] if split and roles[split] == VALID else []
    notes += [named("folders left out", left_out, most=20)]
    unclassed = [entry for part in roots for entry in visible(part, OF) if not os.path.isdir(entry)]
    others = {NO_IMAGES: [], NESTED: [], UNCLASSED: unclassed}
    return _Found(train or root, split, tuple(f.name for f in classes), notes, others)


def _is_labelled(part: Path) -> bool:
    """Whether a split has class folders. Errors: `UserError` if it has nothing at all."""
    if not visible(part, OF):
        raise UserError(f"{part} is empty: fill it with one folder of images per class, or remove it.")
    return bool(folders(part, OF))


def files_of(root: Path, classes: tuple[str, ...], others: dict[str, list[Path]]) -> tuple[list[Path], np.ndarray]:
    """The image files below a folder and their labels int32 [N], class by class; adds to the others."""
    files, counts = list[Path](), []
    for folder in (root / name for name in classes):
        inside = visible(folder, OF) if os.path.isdir(folder) else []
        images = [entry for entry in inside if entry.suffix.lower() in SUFFIXES]
        for entry in inside:
            if entry.suffix.lower() not in SUFFIXES:
                others[NESTED if os.path.isdir(entry) else NO_IMAGES].append(entry)
        if not images and os.path.isdir(folder):
            but = f", but '{inside[0].name}'" if inside else ""
            raise UserError(f"{folder} has no image{but}: fill the folder or remove it.")
        files += images
        counts.append(len(images))
    return files, np.repeat(np.arange(len(classes), dtype=np.int32), counts)


def _read(files: list[Path], size: int, without_damaged: bool) -> tuple[np.ndarray, np.ndarray, list[str]]:
    """uint8 [M, size, size, 3] of the files that are sound, which these are, bool [N], and notes on what they were."""
    check_memory(
        len(files) * size * size * 3, f"{len(files):,} images of {size}x{size}", "choose a smaller size or limit"
    )
    images, remarks = np.empty((len(files), size, size, 3), np.uint8), Counter[str]()
    sound = np.ones(len(files), bool)
    for i, file in enumerate(progress(files, f"Reading {len(files):,} images")):
        try:
            images[i], found = read_square(file, size)
        except UserError:
            if not without_damaged:
                raise
            sound[i] = False
        else:
            remarks.update(found)
    damaged = named("left out, damaged", [repr(str(file)) for file, good in zip(files, sound, strict=True) if not good])
    kept = images if sound.all() else images[sound]
    return kept, sound, [*(f"{remark}: {count:,}" for remark, count in sorted(remarks.items())), damaged]
