"""Rows of tables as checks see them."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from dnas.automl.checks._columns import identifies
from dnas.automl.checks.protocol import TEST, TRAIN, Columns, Evidence
from dnas.automl.gather._files import digests
from dnas.data import HELD_OUT, limited
from dnas.data._arrays import hold_out
from dnas.data._files import users_path
from dnas.data._table_files import Cells, read
from dnas.data._tables import Table, check_columns, check_numbers, strata
from dnas.data.table import TASKS, classes_of, columns_of, names_in, only_numbers, target_of, values_of
from dnas.errors import UserError, unknown


def of_table(data: Table) -> Evidence:
    """The evidence of a table in memory."""
    values = tuple(np.concatenate(both) for both in zip(data.train, data.test, strict=True))
    y = np.concatenate([data.train_y, data.test_y])
    return _evidence(
        data.name,
        Columns(data.columns, values, data.target),
        y,
        data.classes,
        np.repeat([TRAIN, TEST], [len(data.train_y), len(data.test_y)]),
        data.note,
    )


def of_file(
    path: str,
    target: str,
    task: str = "auto",
    categories: str = "",
    numbers: str = "",
    without: str = "",
    test: str = "",
    limit: int = 0,
    seed: int = 0,
    cells: Cells | None = None,
) -> Evidence:
    """The evidence of a file, with the settings of `table`; cells: what is in it, where it was read already.

    Errors: `UserError` as `table` has them, but for targets of which nothing can be learnt: these are found by checks.
    """
    if task not in TASKS:
        raise unknown("task of data set 'table':", task, TASKS)
    file = users_path(path)
    cells = cells or read(file)
    sure = names_in(numbers, cells.columns, file)
    cells = only_numbers(cells, sure)
    if target not in cells.columns:
        raise unknown(f"column of {file}:", target, cells.columns)
    coded, unwanted = (names_in(text, cells.columns, file) for text in (categories, without))
    columns, empty = columns_of(cells, [target, *unwanted], coded)
    texts = cells.columns[target]
    classes = classes_of(texts, task)
    values, y = values_of(cells, columns, file), target_of(texts, classes, target, file)
    check_columns(columns, values, len(y), f"all rows of {file}")
    if not classes:
        check_numbers(y[~np.isnan(y)], f"The target '{target}' of {file}")
    parts = np.full(len(y), TRAIN)
    if test:
        other = users_path(test)
        more = only_numbers(read(other), sure)
        _check_names(more, [target, *(column.name for column in columns)], other)
        tested = values_of(more, columns, other)
        values = tuple(np.concatenate(both) for both in zip(values, tested, strict=True))
        texts = [*texts, *more.columns[target]]
        y = np.concatenate([y, target_of(more.columns[target], classes, target, other)])
        parts = np.repeat([TRAIN, TEST], [len(parts), len(y) - len(parts)])
    else:
        parts[hold_out(strata(y, classes), HELD_OUT, seed)[1]] = TEST
    content = Columns(columns, values, target, texts, tuple(empty), cells.unnamed)
    chosen = _within(limit, parts, strata(y, classes))
    if len(chosen) < len(y):
        kept = tuple(column[chosen] for column in values)
        content = Columns(columns, kept, target, [texts[i] for i in chosen], tuple(empty), cells.unnamed)
    return _evidence(file.stem, content, y[chosen], classes, parts[chosen])


def _within(limit: int, parts: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """The places that a limit keeps."""
    train, test = np.flatnonzero(parts == TRAIN), np.flatnonzero(parts == TEST)
    kept_train, kept_test, _ = limited(groups[train], groups[test], limit)
    return np.sort(np.r_[train[kept_train], test[kept_test]])


def _check_names(cells: Cells, names: Sequence[str], file: Path) -> None:
    for name in names:
        if name not in cells.columns:
            raise UserError(f"{file} has no column '{name}': give a test file with the same columns.")


def _evidence(
    name: str, content: Columns, y: np.ndarray, classes: tuple[str, ...], parts: np.ndarray, note: str = ""
) -> Evidence:
    return Evidence(
        name=name,
        task="tabular",
        what="rows",
        parts=parts,
        y=y,
        classes=classes,
        digests=_alike(content, len(y)),
        places=[f"row {i:,}" for i in range(1, len(y) + 1)],
        content=content,
        sizes={"columns": len(content.columns)},
        notes=(note,),
    )


def _alike(content: Columns, count: int) -> np.ndarray:
    """[N], equal for rows that are the same but for columns that only say which row is which."""
    codes = [
        np.unique(values.astype(str) if values.dtype == object else values, return_inverse=True)[1]
        for values in content.values
        if not identifies(values)
    ]
    if not codes:
        return np.arange(count)
    return digests([row.tobytes() for row in np.stack(codes, 1).astype(np.int32)])
