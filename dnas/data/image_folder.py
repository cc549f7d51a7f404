"""Your own images, one folder per class, as in `image_folder:path=flowers,size=32`.

`path/train/<class>/*` or `path/<class>/*`, and where they exist `path/test/<class>/*` or else `path/val/<class>/*` as
the test split; without them it is a seeded stratified 20 %. A name counts whatever its case, its numbers and words like
images or set, as in `Test Set`, `val_images`, `test1` (`folder_role`). Hidden files are skipped; the note says what
else was left out, and what was done to images.
"""

import os
import re
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
from dnas.data._files import check_memory, progress, reading, users_path
from dnas.data._images import SUFFIXES, read_square
from dnas.errors import UserError
from dnas.ranges import Limit, Seed, Size

TRAIN, TEST, VALID, NO_CLASS = "train", "test", "validation", "no class"
ROLES = {
    **dict.fromkeys(("train", "training"), TRAIN),
    **dict.fromkeys(("test", "tests", "testing", "holdout", "heldout"), TEST),
    **dict.fromkeys(("val", "valid", "validation", "validate", "dev", "eval", "evaluation"), VALID),
    **dict.fromkeys(("unlabelled", "unlabeled", "nolabel", "nolabels", "sample", "samples", "submission"), NO_CLASS),
    **dict.fromkeys(("predict", "prediction", "predictions", "pred", "preds", "inference"), NO_CLASS),
}
OF_ANY = (  # words that say nothing of a folder of images
    *("images", "image", "imgs", "img", "pictures", "pics", "photos", "files"),
    *("folder", "dataset", "data", "set", "split"),
)
SYSTEM_PREFIXES = ("__", "@", "$", "#")  # __MACOSX, @eaDir, $RECYCLE.BIN, #recycle
SYSTEM = ("lost+found", "system volume information", "recycler", "cvs")


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


def folder_role(name: str) -> str | None:
    """What a folder beside class folders is by its name: TRAIN, TEST, VALID or NO_CLASS; None for a class.

    Case, numbers, blanks and signs do not count, nor words that any folder of images may have in its name: `Test Set`,
    `testset`, `images_test` and `test_1` are `test`. All the words must say it: `test tube` is a class.
    """
    words = re.findall(r"[^\W\d_]+", name.casefold())
    ends = "|".join(OF_ANY)
    words = [word for word in (re.sub(rf"(?:{ends})+$", "", word) for word in words) if word]
    roles = {ROLES.get(word) for word in words}
    if NO_CLASS in roles and None not in roles:  # as in `unlabelled test images`
        return NO_CLASS
    return ROLES.get("".join(words))


def is_of_system(name: str) -> bool:
    """Whether an operating system or a file server makes folders of this name by itself."""
    return name.casefold() in SYSTEM or any(re.match(re.escape(sign) + r"[^\W\d]", name) for sign in SYSTEM_PREFIXES)


def parts_of(root: Path) -> _Found:
    """The folders of the train and the test part, and the classes. Errors: `UserError` where there are no classes."""
    folders = _folders(root)
    roles = {folder: folder_role(folder.name) for folder in folders}
    by_role = {role: [f for f in folders if roles[f] == role] for role in (TRAIN, TEST, VALID)}
    train = _only(root, [f for f in by_role[TRAIN] if _folders(f)])
    flat = [f for f in folders if roles[f] in (None, TRAIN)]  # without class folders a class too, of images of trains
    if not train and flat and flat == by_role[TRAIN]:
        raise UserError(f"{flat[0]} has no class folder: put its images into one folder per class.")
    classes = _folders(train) if train else flat
    parts = [_only(root, [f for f in by_role[role] if _is_labelled(f)]) for role in (TEST, VALID)]
    labelled = [part for part in parts if part]
    split = labelled[0] if labelled else None
    why = {f: " (it has no class folders)" for role in (TEST, VALID) for f in by_role[role]}
    why |= {f: " (by its name it is no class)" for f in folders if roles[f] == NO_CLASS}
    why |= {f: " (validation images are taken from the train images)" for f in labelled[1:]}
    used = [train, split] if train else [*classes, split]
    left_out = [f"{f.name!r}{why.get(f, '')}" for f in folders if f not in used]
    roots = list(dict.fromkeys(part for part in (root, train, split) if part))
    left_out += [f"{str(f.relative_to(root))!r} ({reason})" for part in roots for f, reason in _passed_over(part)]
    if len(classes) < 2:
        but = f" ({named('left out', left_out)})" if left_out else ""
        raise UserError(
            f"{train or root} has {len(classes)} class folder(s){but}: at least 2 are needed, one per class."
        )
    if split and (unknown := {f.name for f in _folders(split)} - {f.name for f in classes}):
        raise UserError(f"{split} has the class '{min(unknown)}', which {train or root} has not.")
    notes = [f"{split.name!r} is the test split"] if split and roles[split] == VALID else []
    notes += [named("folders left out", left_out, most=20)]
    unclassed = [entry for part in roots for entry in _visible(part) if not os.path.isdir(entry)]
    others = {NO_IMAGES: [], NESTED: [], UNCLASSED: unclassed}
    return _Found(train or root, split, tuple(f.name for f in classes), notes, others)


def _entries(folder: Path) -> list[Path]:
    with reading(folder, "give a folder that has one folder of images per class"):
        return sorted(folder.iterdir())


def _visible(folder: Path) -> list[Path]:
    return [entry for entry in _entries(folder) if not entry.name.startswith(".")]


def _folders(folder: Path) -> list[Path]:
    """The folders in it that may be splits or classes."""
    return [entry for entry in _visible(folder) if os.path.isdir(entry) and not is_of_system(entry.name)]


def _passed_over(folder: Path) -> list[tuple[Path, str]]:
    """The other folders in it, and why they are none."""
    why = {
        entry: "hidden" if entry.name.startswith(".") else "a folder of the system" if is_of_system(entry.name) else ""
        for entry in _entries(folder)
    }
    return [(entry, reason) for entry, reason in why.items() if reason and os.path.isdir(entry)]


def _only(root: Path, parts: list[Path]) -> Path | None:
    """The one folder of a role. Errors: `UserError` if there are several."""
    if len(parts) > 1:
        both = " and ".join(f"'{part.name}'" for part in parts[:2])
        raise UserError(f"{root} has both {both}, where one folder is expected: rename or remove the other.")
    return parts[0] if parts else None


def _is_labelled(part: Path) -> bool:
    """Whether a split has class folders. Errors: `UserError` if it has nothing at all."""
    if not _visible(part):
        raise UserError(f"{part} is empty: fill it with one folder of images per class, or remove it.")
    return bool(_folders(part))


def files_of(root: Path, classes: tuple[str, ...], others: dict[str, list[Path]]) -> tuple[list[Path], np.ndarray]:
    """The image files below a folder and their labels int32 [N], class by class; adds to the others."""
    files, counts = list[Path](), []
    for folder in (root / name for name in classes):
        inside = _visible(folder) if os.path.isdir(folder) else []
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
