"""Which column of a table is to be predicted, where nobody has said so."""

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

import numpy as np

from dnas.automl.checks._columns import are_dates, are_sentences, identifies
from dnas.automl.checks._groups import listed
from dnas.data._table_files import Cells
from dnas.data.table import number
from dnas.errors import UserError, unknown

NAMES = ("target", "label", "class", "y")  # of columns that are there to be predicted, whatever the case
OF_TEXTS = (*NAMES, "category", "sentiment", "labels", "topic", "intent")
MOST_CLASSES = 0.5  # of the rows: with more, a column is no class


def of_table(file: Path, cells: Cells, target: str | None) -> tuple[str, str]:
    """The target, and why. Errors: `UserError` where there is no such column, or none is likely."""
    if target is not None:
        return _given(file, cells.columns, target)
    if found := _by_name(file, cells.columns, NAMES):
        return found
    name = list(cells.columns)[-1]
    if why := _unlikely(cells.columns[name]):
        raise _untold(file, cells.columns, f"the last, '{name}', {why}")
    return name, f"The target is '{name}', the last column; --target takes another."


def of_texts(file: Path, columns: Mapping[str, Sequence[str]], target: str | None) -> tuple[str, str]:
    """The same of a table of texts, without the column of texts."""
    if target is not None:
        return _given(file, columns, target)
    if found := _by_name(file, columns, OF_TEXTS):
        return found
    likely = [name for name, texts in columns.items() if 2 <= len({*texts}) <= max(2, MOST_CLASSES * len(texts))]
    if not likely:
        raise _untold(file, columns, "none has a few different values")
    return likely[-1], f"The target is '{likely[-1]}', the last column with a few different values."


def _given(file: Path, columns: Collection[str], target: str) -> tuple[str, str]:
    if target not in columns:
        raise unknown(f"column of {file}:", target, columns)
    return target, f"The target is '{target}', as was said."


def _by_name(file: Path, columns: Collection[str], names: Sequence[str]) -> tuple[str, str] | None:
    found = [name for name in columns if name.casefold() in names]
    if len(found) > 1:
        raise _untold(file, columns, f"both '{found[0]}' and '{found[1]}' could be it")
    return (found[0], f"The target is '{found[0]}', by its name.") if found else None


def _unlikely(texts: Sequence[str]) -> str:
    """Why a column is hardly one to predict; empty if it may be."""
    there = [text for text in texts if text]
    if not there:
        return "has no value"
    if len({*there}) == 1:
        return f"is '{there[0][:40]}' in all rows"
    if are_dates(there):
        return "has dates"
    if are_sentences(there):
        return "has sentences"
    numbers = [number(text) for text in texts]
    values = np.array(texts, object) if None in numbers else np.array(numbers, float)
    return "is another in every row, as if it numbered them" if identifies(values) else ""


def _untold(file: Path, columns: Collection[str], why: str) -> UserError:
    return UserError(
        f"Nobody can tell which column of {file} is to be predicted, as {why}: say --target COLUMN, of "
        f"{listed(columns, 12)}."
    )
