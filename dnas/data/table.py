"""Your own rows from a CSV, TSV or parquet file, as in `table:path=houses.csv,target=price`.

A column whose cells are all numbers is one of numbers, any other is one of categories; an empty cell, NA, NaN, null and
? are missing values.
"""

import math
from collections import Counter
from collections.abc import Collection
from pathlib import Path

import numpy as np

from dnas.data import Location, joined_notes, named
from dnas.data._files import users_path
from dnas.data._table_files import Cells, read
from dnas.data._tables import Column, Table, Values, held_out, tailored
from dnas.errors import UserError, unknown
from dnas.ranges import Limit, Seed

TASKS = ("auto", "classification", "regression")
MOST_CODES = 20  # different whole numbers that "auto" takes for classes


def dataset(
    *,
    path: str = "",
    target: str = "",
    task: str = "auto",
    categories: str = "",
    numbers: str = "",
    without: str = "",
    test: str = "",
    limit: Limit = 0,
    seed: Seed = 0,
) -> Table:
    """target: the column to predict. task: "classification", "regression", or "auto": regression where the target is a
    number with decimals, or with more than 20 different values. categories: names `a+b` of columns whose numbers are
    codes. numbers: of those whose cells that are no numbers are missing values. without: of those to leave out. test: a
    file with the same columns; without it a seeded 20 % is the test part, stratified by class. A column without a name
    or without any value is left out, as the note says.

    Errors: `UserError` for files, columns and targets of which no task can be made.
    """
    if not path or not target:
        missing = "path of a file" if not path else "name of the column to predict"
        raise UserError(f"The data set 'table' needs the {missing}: {_HOW}")
    if task not in TASKS:
        raise unknown("task of data set 'table':", task, TASKS)
    file = users_path(path)
    cells = read(file)
    if target not in cells.columns:
        raise unknown(f"column of {file}:", target, cells.columns)
    coded, sure, unwanted = (names_in(text, cells.columns, file) for text in (categories, numbers, without))
    if target in unwanted:
        raise UserError(f"The column '{target}' of {file} is the target, so it cannot be left out: choose another.")
    if both := [name for name in coded if name in sure]:
        raise UserError(f"The column '{both[0]}' of {file} cannot be one of numbers and one of categories: choose.")
    cells = only_numbers(cells, sure)
    columns, empty = columns_of(cells, [target, *unwanted], coded)
    classes = classes_of(cells.columns[target], task)
    _check_classes(cells.columns[target], classes, target, file)
    values, y = values_of(cells, columns, file), target_of(cells.columns[target], classes, target, file)
    left_out = named("left out", [*(["columns without a name"] if cells.unnamed else []), *unwanted, *empty])
    note = joined_notes(f"'{target}' is read as {'a class' if classes else 'a number'}" * (task == "auto"), left_out)
    if not test:
        whole = Table(file.stem, columns, values, y, values, y, target, classes, note)
        return tailored(held_out(whole, seed), limit)
    other = users_path(test)
    test_cells = only_numbers(read(other), sure)
    for name in [target, *(column.name for column in columns)]:
        if name not in test_cells.columns:
            raise UserError(
                f"{other} has no column '{name}', which {file} has: give a test file with the same columns."
            )
    parts = values_of(test_cells, columns, other), target_of(test_cells.columns[target], classes, target, other)
    return tailored(Table(file.stem, columns, values, y, *parts, target, classes, note), limit)


def locate() -> Location:
    return Location((), None, _HOW[0].upper() + _HOW[1:])


def number(text: str) -> float | None:
    """What a cell says, NaN where it is missing; None for what is no number."""
    if not text:
        return math.nan
    try:
        return float(text) if "_" not in text else None
    except ValueError:
        return None


def names_in(written: str, known: Collection[str], file: Path) -> list[str]:
    """The columns of `a+b`; their names may have a plus themselves. Errors: `UserError` for one that is not there."""
    names, parts = [], [part for part in map(str.strip, written.split("+")) if part]
    while parts:
        joined = ("+".join(parts[:end]) for end in range(len(parts), 0, -1))
        name = next((name for name in joined if name in known), parts[0])
        if name not in known:
            raise unknown(f"column of {file}:", name, known)
        names.append(name)
        parts = parts[name.count("+") + 1 :]
    return names


def only_numbers(cells: Cells, names: Collection[str]) -> Cells:
    """The cells, of which those of these columns are missing that are no numbers."""
    emptied = {
        name: [text if number(text) is not None else "" for text in cells.columns[name]]
        for name in names
        if name in cells.columns
    }
    return cells._replace(columns=cells.columns | emptied)


def columns_of(cells: Cells, without: Collection[str], coded: Collection[str]) -> tuple[tuple[Column, ...], list[str]]:
    """Of the features, and the names of those without any value. coded: those whose numbers are codes."""
    columns, empty = [], []
    for name, texts in cells.columns.items():
        if name in without:
            continue
        if not any(texts):
            empty.append(name)
            continue
        numbers = name not in coded and all(number(text) is not None for text in texts)
        columns.append(Column(name, "number" if numbers else "category"))
    return tuple(columns), empty


def values_of(cells: Cells, columns: tuple[Column, ...], file: Path) -> Values:
    """The cells of these columns as `Table` has them. Errors: `UserError` for a text in a column of numbers."""
    arrays = []
    for column in columns:
        texts = cells.columns[column.name]
        if column.kind == "category":
            arrays.append(np.array(texts, object))
        else:
            arrays.append(_numbers(texts, column.name, file))
    return tuple(arrays)


def _numbers(texts: list[str], name: str, file: Path) -> np.ndarray:
    found = [number(text) for text in texts]
    if None in found:
        text = texts[found.index(None)][:40]
        raise UserError(
            f"The column '{name}' of {file} has '{text}', expected a number: correct the cell, or empty it."
        )
    return np.array(found, np.float64)


def classes_of(texts: list[str], task: str = "auto") -> tuple[str, ...]:
    """The classes of a target, in the order of numbers or of texts; none for a regression."""
    labels = {text for text in map(_label, texts) if text}
    numbers = {label: number(label) for label in labels}
    are_numbers = all(value is not None for value in numbers.values())
    codes = len(labels) <= MOST_CODES and all(value is not None and value.is_integer() for value in numbers.values())
    if task == "regression" or (task == "auto" and are_numbers and not codes):
        return ()
    return tuple(sorted(labels, key=(lambda label: (numbers[label] or 0.0, label)) if are_numbers else None))


def _check_classes(texts: list[str], classes: tuple[str, ...], target: str, file: Path) -> None:
    """Errors: `UserError` for a target without a difference, or with a class of one row."""
    counts = Counter(text for text in map(_label, texts) if text)
    if len(counts) < 2:
        found = f"only '{next(iter(counts))[:40]}'" if counts else "no value"
        raise UserError(f"The target '{target}' of {file} has {found}: there is nothing to learn, choose another.")
    single = sorted(label for label, times in counts.items() if times == 1)
    if classes and single:
        raise UserError(
            f"The target '{target}' of {file} has {len(single)} class(es) with one row, as '{single[0][:40]}': a class "
            "needs at least 2, so remove them or choose task=regression."
        )


def _label(text: str) -> str:
    """A class as it is called: numbers that are equal are one class, however they are written."""
    value = number(text)
    return text if value is None or not text or not math.isfinite(value) else f"{value:.15g}"


def target_of(texts: list[str], classes: tuple[str, ...], target: str, file: Path) -> np.ndarray:
    """float64 [N]: numbers, or numbers of classes; NaN where missing."""
    if not classes:
        return _numbers(texts, target, file)
    index = {label: float(i) for i, label in enumerate(classes)} | {"": math.nan}
    labels = list(map(_label, texts))
    for label in labels:
        if label not in index:
            raise UserError(f"The target '{target}' of {file} has the class '{label[:40]}', which no train row has.")
    return np.array([index[label] for label in labels])


_HOW = (
    "write table:path=FILE,target=COLUMN, where FILE is a CSV, TSV or parquet file whose first row names its columns."
)
