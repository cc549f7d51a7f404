"""What somebody's data are, by what is in them: which data set reads them, with which settings, and why."""

import os
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from dnas import find
from dnas.automl import targets
from dnas.automl.checks._columns import are_sentences
from dnas.automl.checks._groups import listed
from dnas.data import _images, _sounds, text_folder, text_table
from dnas.data._files import reading, users_path
from dnas.data._table_files import Cells, read
from dnas.errors import UserError, nearest

OWN = ("table", "text_table", "image_folder", "audio_folder")  # data sets of a user's files
TABLES = (".csv", ".tsv", ".tab", ".parquet")
FOLDERS = {  # what a folder is read as: how such files end, what they are called
    "image_folder": (_images.SUFFIXES, "images"),
    "audio_folder": (_sounds.SUFFIXES, "recordings"),
    "text_table": ({".txt"}, "texts"),
}
MOST_FILES, SAMPLE = 20_000, 1_000  # that are counted; rows that are looked at
FEW_FEATURES = 2  # beside a column of sentences, with which a table is still one of texts
NOT_READ = {
    ".zip": "an archive: unpack it",
    ".gz": "a packed file: unpack it",
    ".tar": "an archive: unpack it",
    ".xlsx": "a spreadsheet: save it as CSV",
    ".xls": "a spreadsheet: save it as CSV",
    ".ods": "a spreadsheet: save it as CSV",
    ".pdf": "a document: give a table of its texts as CSV",
    ".pkl": "a pickle, which is never read: save it as CSV",
    ".pickle": "a pickle, which is never read: save it as CSV",
}
KINDS = (
    "give a folder with one folder of images, recordings or texts per class, a CSV, TSV, parquet or JSON lines file, "
    "or a data set's name"
)


class Guess(NamedTuple):
    """The data set `name` with these settings, and why. cells: of a table, where they had to be read to say so."""

    name: str
    settings: dict[str, str]
    how: tuple[str, ...]
    cells: Cells | None = None


def guess(data: str, target: str | None = None) -> Guess:
    """data: what a user typed. target: the column to predict.

    Errors: `UserError` for what is not there or nothing that is read, and where the target cannot be told.
    """
    if not data.strip():
        raise UserError(f"The data are not named: {KINDS}.")
    path, name = users_path(data), data.partition(":")[0].strip()
    if find.exists("data set", name):  # a file of the same name is ./name
        _, settings = find.checked("data set", data)
        return _of_choice(name, {key: str(value) for key, value in settings.items()}, target)
    if os.path.isdir(path):
        found = _of_folder(path)
        if target is not None:
            raise UserError(f"{path} is a folder, whose folders are the classes: leave out --target.")
        return found
    if os.path.exists(path):
        return _of_file(path, target)
    near = nearest(data, find.described("data set"))[:2]
    hint = f" (there is {' and '.join(near)})" if near else ""
    raise UserError(f"There is no file, folder or data set '{data}'{hint}: {KINDS}.")


def _of_choice(name: str, settings: dict[str, str], target: str | None) -> Guess:
    """A data set by name; of a user's own files what is missing is guessed."""
    how = (f"'{name}' is a data set of that name.",)
    if name in ("table", "text_table") and "path" in settings and not os.path.isdir(users_path(settings["path"])):
        wanted = "target" if name == "table" else "label"
        if target is not None and settings.get(wanted, target) != target:
            raise UserError(f"The target is '{settings[wanted]}' in the choice, and '{target}' as --target: give one.")
        if name == "table":
            return _of_table(users_path(settings["path"]), settings, target or settings.get("target"), how)
        return Guess(name, settings | ({"label": target} if target else {}), how)
    if target is not None:
        raise UserError(f"The data set '{name}' knows its target, so leave out --target.")
    return Guess(name, settings, how)


def _of_folder(path: Path) -> Guess:
    counts, tables = Counter[str](), list[Path]()
    for file in islice(_files(path), MOST_FILES):
        suffix = file.suffix.lower()
        kind = next((name for name, (suffixes, _) in FOLDERS.items() if suffix in suffixes), suffix or "no ending")
        counts[kind] += 1
        tables += [file] * (suffix in (*TABLES, *text_table.JSON_LINES))
    kinds = {name: counts[name] for name in FOLDERS if counts[name]}
    if {file.name for file in _files(path, deep=False)} >= {f"{part}.txt" for part in text_folder.PARTS}:
        raise UserError(
            f"{path} has train.txt, valid.txt and test.txt, a text for a language model, which is not looked at: "
            f"{KINDS}."
        )
    if not kinds or (tables and len(tables) >= max(kinds.values())):
        raise _nothing(path, counts, tables)
    name = max(kinds, key=lambda kind: kinds[kind])
    what, others = FOLDERS[name][1], sum(counts.values()) - kinds[name]
    beside = f" (and {others:,} other files)" if others else ""
    return Guess(name, {"path": str(path)}, (f"{path} is a folder with {kinds[name]:,} {what}{beside}.",))


def _nothing(path: Path, counts: Counter[str], tables: list[Path]) -> UserError:
    if not counts:
        return UserError(f"{path} has no file: {KINDS}.")
    if tables:
        return UserError(f"{path} is a folder with {len(tables):,} table(s): give one of them, {tables[0]} say.")
    found = ", ".join(f"{count:,} {kind}" for kind, count in counts.most_common(4))
    return UserError(f"{path} has nothing that is looked at, only files that end in {found}: {KINDS}.")


def _files(folder: Path, deep: bool = True) -> Iterator[Path]:
    """The files in it and below, hidden ones left out, in a fixed order."""
    with reading(folder, KINDS):
        os.listdir(folder)  # `walk` passes over what it cannot read
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if deep and not name.startswith("."))
        yield from (Path(place, name) for name in sorted(names) if not name.startswith("."))


def _of_file(path: Path, target: str | None) -> Guess:
    suffix = path.suffix.lower()
    if suffix in NOT_READ:
        raise UserError(f"{path} is {NOT_READ[suffix]}.")
    for name, (suffixes, what) in FOLDERS.items():
        if suffix in suffixes and name != "text_table":
            raise UserError(f"{path} is one file: give a folder with one folder of {what} per class.")
    if suffix == ".npz":
        return Guess("npz", {"path": str(path)}, (f"{path} is a file of arrays.",))
    if suffix in text_table.JSON_LINES:
        return _of_texts(path, _sample(path), target, ())
    if suffix == ".tsv" and (sample := _sample(path)) and _text_columns(sample, target):
        return _of_texts(path, sample, target, ())
    return _of_table(path, {"path": str(path)}, target, (), texts_too=suffix != ".parquet")


def _of_table(
    path: Path, settings: dict[str, str], target: str | None, how: tuple[str, ...], texts_too: bool = False
) -> Guess:
    cells = read(path)
    sample = {name: texts[:SAMPLE] for name, texts in cells.columns.items()}
    if texts_too and _text_columns(sample, target):
        return _of_texts(path, sample, target, how)
    name, why = targets.of_table(path, cells, target)
    rows = len(next(iter(cells.columns.values())))
    told = how or (f"{path} is a table of {rows:,} rows and {len(cells.columns) + cells.unnamed:,} columns.",)
    return Guess("table", settings | {"target": name}, (*told, why), cells)


def _text_columns(sample: dict[str, list[str]], target: str | None) -> list[str]:
    """The columns of sentences of a table that is one of texts: it has few others beside its target."""
    found = [name for name, texts in sample.items() if name != target and are_sentences([t for t in texts if t])]
    return found if found and len(sample) - len(found) - 1 <= FEW_FEATURES else []


def _of_texts(path: Path, sample: dict[str, list[str]], target: str | None, how: tuple[str, ...]) -> Guess:
    texts = _text_columns(sample, target) or [
        name for name, values in sample.items() if name != target and are_sentences([t for t in values if t])
    ]
    if not texts:
        raise UserError(f"{path} has no column of sentences, only {listed(sample)}: give texts, or a table as CSV.")
    text = max(texts, key=lambda name: sum(map(len, sample[name])))
    label, why = targets.of_texts(path, {name: values for name, values in sample.items() if name != text}, target)
    others = [name for name in sample if name not in (text, label)]
    unread = f" Not read: {listed(others)}." if others else ""
    settings = {"path": str(path), "text": text, "label": label}
    return Guess("text_table", settings, (*how, f"{path} has sentences in its column '{text}'.{unread}", why))


def _sample(path: Path) -> dict[str, list[str]]:
    """The first rows of a file of texts, as columns."""
    columns: dict[str, list[str]] = {}
    for _, row in islice(text_table.objects_of(path), SAMPLE):
        for name, value in row.items():
            columns.setdefault(name, []).append(value.strip())
    if not columns:
        raise UserError(f"{path} has no rows: {KINDS}.")
    return columns
