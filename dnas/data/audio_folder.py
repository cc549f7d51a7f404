"""Your own recordings, one folder of wav or flac files per class, as in `audio_folder:path=words,sample_rate=16000`.

`path/<class>/*.wav`, or `path/train/<class>/*.wav` beside `path/test/<class>/*.wav`; without a test part it is a seeded
20 %, stratified by class, or where there is a `testing_list.txt`, as Speech Commands has it, the files that it names.
Folders whose names begin with a sign, as `_background_noise_`, are no classes. Any sample rate, mono or not.
"""

import os
from functools import partial
from pathlib import Path
from typing import Annotated

from dnas.data import Location, joined_notes, named
from dnas.data._audio import Recordings, Row, of_rows
from dnas.data._class_folders import (
    TEST,
    TRAIN,
    VALID,
    check_classes,
    files_of_class,
    folders,
    no_classes,
    parts_with_classes,
    passed_over,
)
from dnas.data._files import decoded, reading, users_path
from dnas.data._sounds import RATES, SUFFIXES, read_file
from dnas.errors import UserError
from dnas.paths import content_of
from dnas.ranges import Limit, Range, Seed

OF = "recordings"  # what a class folder is one of
LIST, MOST_BYTES = "testing_list.txt", 2**26


def dataset(
    *,
    path: str = "",
    sample_rate: Annotated[int, Range(*RATES)] = 16_000,
    without_damaged: bool = False,
    limit: Limit = 0,
    seed: Seed = 0,
) -> Recordings:
    """sample_rate: in Hz; recordings of other rates are resampled. Only those within `limit` are read.
    without_damaged: leave out those that cannot be read, which are refused otherwise.

    Errors: `UserError` for a folder without recordings of two classes, and for a recording that cannot be read.
    """
    if not path:
        raise UserError(f"The data set 'audio_folder' needs the path of a folder: {_HOW}")
    root = users_path(path)
    rows, note = rows_in(root, sample_rate)
    name = root.resolve().name
    return of_rows(name, rows, sample_rate, limit=limit, seed=seed, note=note, without_damaged=without_damaged)


def locate() -> Location:
    return Location((), None, _HOW[0].upper() + _HOW[1:])


def rows_in(root: Path, sample_rate: int) -> tuple[dict[str, list[Row]], str]:
    """The recordings of each part of a folder, none of which is read yet, and a note on what was left out."""
    parts, left_out = parts_with_classes(root, OF), list[str]()
    train = parts.get(TRAIN, root)
    if VALID in parts:
        left_out.append(f"'{parts[VALID].name}' (a validation part is taken from the train part)")
    none = no_classes(root, OF)
    left_out += [f"'{folder.name}' ({reason})" for folder, reason in none.items()]
    others = [*none, *(folder for role, folder in parts.items() if role != TRAIN)]
    found = {"train": _of_classes(train, sample_rate, others, left_out)}
    if TEST in parts:
        found["test"] = _of_classes(parts[TEST], sample_rate, [], left_out)
    elif os.path.exists(train / LIST):
        listed = _listed(train / LIST)
        for part, inside_it in (("test", True), ("train", False)):
            found[part] = [r for r in found["train"] if (_name(r.place) in listed) == inside_it]
        if not found["test"]:
            raise UserError(f"{train / LIST} names no recording that is there: correct or remove it.")
    return found, joined_notes(named("left out", left_out))


def _of_classes(root: Path, sample_rate: int, others: list[Path], left_out: list[str]) -> list[Row]:
    inside = [folder for folder in folders(root, OF) if folder not in others]
    classes = [folder for folder in inside if folder.name[0].isalnum()]
    left_out += [f"'{folder.name}'" for folder in inside if folder not in classes]
    left_out += [f"'{folder.name}' ({reason})" for folder, reason in passed_over(root, OF)]
    check_classes(root, classes)
    return [
        Row(partial(read_file, file, sample_rate), folder.name, str(file))
        for folder in classes
        for file in files_of_class(folder, SUFFIXES, OF, "recording, a wav or flac file")
    ]


def _listed(path: Path) -> set[str]:
    """The recordings that a file names, one a line, as class/file."""
    with reading(path, "remove it, or give one in which every line is class/file"):
        content = content_of(path, MOST_BYTES)
    return {line.strip() for line in decoded(content, str(path), "save it in UTF-8").splitlines()}


def _name(place: str) -> str:
    return "/".join(Path(place).parts[-2:])


_HOW = "write audio_folder:path=FOLDER, where FOLDER (or FOLDER/train and FOLDER/test) has one folder per class."
