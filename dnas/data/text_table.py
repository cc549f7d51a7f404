"""Your own texts with a class each: CSV, TSV or JSON lines, or a folder per class, as in `text_table:path=mails.csv`.

Of a table the first row names the columns; in a TSV quotes are letters as all others. JSON lines are an object each. A
folder is `path/<class>/*.txt`, or `path/train/<class>/*.txt` beside `path/test` and `path/valid`, where they exist: a
text each file.
"""

import csv
import io
import json
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from dnas.data import Location, joined_notes, named
from dnas.data._class_folders import (
    TEST,
    TRAIN,
    VALID,
    check_classes,
    files_of_class,
    folders,
    no_classes,
    parts_with_classes,
)
from dnas.data._files import check_memory, decoded, reading, users_path
from dnas.data._sentences import Row, Sentences, numbered_lines, of_rows
from dnas.data._table_files import delimiter_of
from dnas.errors import UserError, unknown
from dnas.paths import content_of
from dnas.ranges import Limit, Seed

JSON_LINES = (".jsonl", ".ndjson", ".json")
MOST_BYTES = 2**31  # of one file
TEXT_BYTES = 4  # of memory for one of a file, while it is read
OF = ".txt files"  # what a class folder is one of
ROLES = {TRAIN: "train", VALID: "valid", TEST: "test"}


def dataset(
    *,
    path: str = "",
    text: str = "text",
    label: str = "label",
    test: str = "",
    valid: str = "",
    without_empty: bool = False,
    limit: Limit = 0,
    seed: Seed = 0,
) -> Sentences:
    """text, label: the columns, or names in objects. test, valid: files of the same kind; without a test part a seeded
    20 % of the texts is one, stratified by class. Rows without anything are passed over. without_empty: leave out those
    without a text or a label, which are refused otherwise.

    Errors: `UserError` for files of which no such texts can be made; it names file and line.
    """
    if not path:
        raise UserError(f"The data set 'text_table' needs the path of a file or folder: {_HOW}")
    source = users_path(path)
    rows, empty = rows_in(source, text, label, test, valid)
    if empty and not without_empty:
        raise UserError(_is_empty(empty[0], text, label))
    found = of_rows(name_of(source), rows, limit=limit, seed=seed)
    none = no_classes(source, OF) if os.path.isdir(source) else {}
    left_out = named("left out", [f"'{folder.name}' ({reason})" for folder, reason in none.items()])
    empty_ones = named("left out, empty", [row.place for row in empty])
    return replace(found, note=joined_notes(left_out, empty_ones, found.note))


def rows_in(
    source: Path, text: str, label: str, test: str = "", valid: str = ""
) -> tuple[dict[str, list[Row]], list[Row]]:
    """The rows of each part of a file or a folder, with the settings of `dataset`, and those without a text or a
    label."""
    found = _parts(source, text, label, test, valid)
    empty = [row for rows in found.values() for row in rows if not (row.text and row.label)]
    whole = {part: [row for row in rows if row.text and row.label] for part, rows in found.items()}
    if empty and not whole["train"]:
        raise UserError(_is_empty(empty[0], text, label))
    return whole, empty


def name_of(source: Path) -> str:
    """What texts of a file or a folder are called."""
    return source.resolve().name if os.path.isdir(source) else source.stem


def _parts(source: Path, text: str, label: str, test: str, valid: str) -> dict[str, list[Row]]:
    if os.path.isdir(source):
        if test or valid:
            raise UserError(f"{source} is a folder, whose parts are folders in it: leave out 'test' and 'valid'.")
        return _of_folder(source)
    files = {"train": source} | {part: users_path(one) for part, one in {"valid": valid, "test": test}.items() if one}
    rows = {part: list(_of_file(file, text, label)) for part, file in files.items()}
    for part, file in files.items():
        if not rows[part]:
            raise UserError(f"{file} has no text: {_REMEDY}.")
    return rows


def _is_empty(row: Row, text: str, label: str) -> str:
    if not row.place.startswith("line "):
        return f"{row.place} is empty: write a text into it, or remove it."
    return f"L{row.place[1:]} has an empty '{label if row.text else text}': fill it, or remove the line."


def locate() -> Location:
    return Location((), None, _HOW[0].upper() + _HOW[1:])


def objects_of(file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """The rows of a file with the numbers of their lines. Errors: `UserError` for what is no such file."""
    with reading(file, _REMEDY):
        content = content_of(file, MOST_BYTES)
    check_memory(len(content) * TEXT_BYTES, f"The texts of {file}", "give fewer")
    written = decoded(content, str(file), "save it in UTF-8")
    yield from (_json_lines if file.suffix.lower() in JSON_LINES else _table)(written, file)


def _of_file(file: Path, text: str, label: str) -> Iterator[Row]:
    for number, row in objects_of(file):
        for name in (text, label):
            if name not in row:
                raise unknown(f"column in line {number:,} of {file}:", name, row)
        yield Row(row[text].strip(), row[label].strip(), f"line {number:,} of {file}")


def _table(written: str, file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    tabs = file.suffix.lower() == ".tsv"
    found = csv.reader(
        io.StringIO(written, newline=""),
        delimiter="\t" if tabs else delimiter_of(written),
        quoting=csv.QUOTE_NONE if tabs else csv.QUOTE_MINIMAL,
    )
    names, start = None, 1
    with reading(file, _REMEDY):
        for cells in found:
            begin, start = start, found.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if names is None:
                names = [name.strip() for name in cells]
                if twice := [name for name in names if name and names.count(name) > 1]:
                    raise UserError(
                        f"{file} has several columns named '{twice[0]}': give every column a name of its own."
                    )
            elif len(cells) != len(names):
                raise UserError(
                    f"Line {begin:,} of {file} has {len(cells)} cells, but the first row names {len(names)} columns: "
                    "give every row as many, with quotes around cells that have the delimiter in them."
                )
            else:
                yield begin, dict(zip(names, cells, strict=True))


def _json_lines(written: str, file: Path) -> Iterator[tuple[int, dict[str, str]]]:
    for number, line in numbered_lines(written):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            row = None
        if not isinstance(row, dict):
            raise UserError(
                f"Line {number:,} of {file} is no JSON object: write one for each text, on a line of its own."
            )
        yield number, {name: "" if value is None else str(value) for name, value in row.items()}


def _of_folder(root: Path) -> dict[str, list[Row]]:
    """The rows of each part of a folder."""
    parts = {ROLES[role]: folder for role, folder in parts_with_classes(root, OF).items()}
    parts.setdefault("train", root)
    others = [*parts.values(), *no_classes(root, OF)]
    classes = [f.name for f in folders(parts["train"], OF) if f not in others]
    check_classes(parts["train"], classes)
    rows = {}
    for part, folder in parts.items():
        names = classes if part == "train" else [f.name for f in folders(folder, OF)]
        rows[part] = [row for name in names for row in _of_class(folder / name, name)]
    return rows


def _of_class(folder: Path, name: str) -> Iterator[Row]:
    for file in files_of_class(folder, (".txt",), OF, "text, a file whose name ends in .txt"):
        with reading(file, _REMEDY):
            content = content_of(file, MOST_BYTES)
        text = " ".join(decoded(content, str(file), "save it in UTF-8").split())
        yield Row(text, name, str(file))


_REMEDY = "give a CSV, TSV or JSON lines file, or a folder of one folder of .txt files per class"
_HOW = (
    "write text_table:path=FILE,text=COLUMN,label=COLUMN, where FILE is a CSV or TSV file whose first row names its "
    "columns, or JSON lines, or text_table:path=FOLDER, where FOLDER has one folder of .txt files per class."
)
