"""Tables: rows of numbers and categories, some of them missing, with one column to predict.

Axis letters: N rows. A column of numbers is float64 [N], NaN where missing; one of categories is an object array [N] of
texts, "" where missing.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dnas.data import HELD_OUT, check_size_and_limit, held_out_note, joined_notes, limited
from dnas.data._arrays import hold_out
from dnas.errors import UserError

LARGEST = 1e30  # of a number; what is beyond it has no square in float32, and is a slip or a code for "missing"

Values = tuple[np.ndarray, ...]


@dataclass(frozen=True)
class Column:
    """What a row has beside its target."""

    name: str
    kind: Literal["number", "category"]


@dataclass(frozen=True, eq=False)
class Table:
    """Rows with a target. train, test: one array [N] a column. train_y, test_y: float64 [N], NaN where missing: the
    number of a class, or a number where there are no `classes`. target: the name of its column. The note says what a
    reader of a result must know."""

    name: str
    columns: tuple[Column, ...]
    train: Values
    train_y: np.ndarray
    test: Values
    test_y: np.ndarray
    target: str
    classes: tuple[str, ...] = ()
    note: str = ""
    task: str = "tabular"

    def __post_init__(self) -> None:
        if not self.columns:
            raise UserError(f"The table '{self.name}' has no column beside its target '{self.target}'.")
        for part, values, y in (("train", self.train, self.train_y), ("test", self.test, self.test_y)):
            where = f"the {part} part of table '{self.name}'"
            check_columns(self.columns, values, len(y), where)
            present = y[~np.isnan(y)]
            if not len(present):
                raise UserError(f"The target '{self.target}' has no value in {where}, {len(y):,} row(s): give more.")
            if self.classes and not (np.isin(present, np.arange(len(self.classes))).all()):
                raise UserError(f"The classes in {where} must be whole numbers from 0 to {len(self.classes) - 1}.")
            if not self.classes:
                check_numbers(present, f"The target '{self.target}' in {where}")
        if len(np.unique(self.train_y[~np.isnan(self.train_y)])) < 2:
            raise UserError(
                f"The target '{self.target}' is the same in all train rows of table '{self.name}': there is nothing to "
                "learn, choose another."
            )


def strata(y: np.ndarray, classes: Sequence[str]) -> np.ndarray:
    """int [N], what a split keeps in proportion: classes and missing targets; numbers are one stratum."""
    missing = np.isnan(y)
    return np.where(missing, len(classes), np.where(missing, 0, y) if classes else 0).astype(int)


def taken(values: Values, rows: np.ndarray) -> Values:
    """Some rows of every column."""
    return tuple(column[rows] for column in values)


def held_out(table: Table, seed: int) -> Table:
    """The table `Table`, whose train and test part are both all rows, with a seeded 20 % as its test part, stratified
    by class."""
    train, test = hold_out(strata(table.train_y, table.classes), HELD_OUT, seed)
    return _selected(table, train, test, held_out_note(seed))


def tailored(table: Table, limit: int) -> Table:
    """With that many train rows, the first of a seeded shuffle that keeps classes in proportion, and a fifth as many
    test rows; 0: all. The note says so."""
    check_size_and_limit(table.name, 0, limit)
    train_strata, test_strata = (strata(y, table.classes) for y in (table.train_y, table.test_y))
    train, test, note = limited(train_strata, test_strata, limit, "rows")
    return _selected(table, train, test, note)


def _selected(table: Table, train: np.ndarray, test: np.ndarray, note: str) -> Table:
    return Table(
        name=table.name,
        columns=table.columns,
        train=taken(table.train, train),
        train_y=table.train_y[train],
        test=taken(table.test, test),
        test_y=table.test_y[test],
        target=table.target,
        classes=table.classes,
        note=joined_notes(table.note, note),
    )


def check_columns(columns: Sequence[Column], values: Values, rows: int, where: str) -> None:
    """Errors: `UserError` for columns that are not as `Table` has them."""
    if len(values) != len(columns):
        raise UserError(f"There are {len(columns)} columns, but {len(values)} in {where}.")
    for column, array in zip(columns, values, strict=True):
        expected = np.dtype(np.float64 if column.kind == "number" else object)
        if array.shape != (rows,) or array.dtype != expected:
            found = f"{array.dtype} {list(array.shape)}"
            raise UserError(f"The column '{column.name}' in {where} is {found}, expected {expected} [{rows}].")
        if column.kind == "number":
            check_numbers(array[~np.isnan(array)], f"The column '{column.name}' in {where}")


def check_numbers(numbers: np.ndarray, what: str) -> None:
    """Errors: `UserError` for infinite numbers, and such as no network can read."""
    if len(large := numbers[np.abs(numbers) > LARGEST]):
        raise UserError(
            f"{what} has {large[0]:g}, expected numbers up to {LARGEST:g}: leave the cell empty, or scale it."
        )
