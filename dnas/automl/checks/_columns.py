"""What columns of a table are by their values."""

import re
from collections.abc import Sequence

import numpy as np

from dnas.data.table import number

FEWEST = 20  # rows of which all values differ, before one says that a column identifies them
WORDS, LETTERS, DIFFERENT = 4, 0.6, 0.5  # of texts: words each, share of letters, share that is there once
WRITTEN = re.compile(  # 1,5 and 1,234.50, $3 and 12 %
    r"[$\N{EURO SIGN}\N{POUND SIGN}]? ?[-+]?(\d+|\d{1,3}([ ',.]\d{3})+)([.,]\d+)? ?[%$\N{EURO SIGN}\N{POUND SIGN}]?"
)
DATE = re.compile(
    r"\d{4}[-/.]\d{1,2}[-/.]\d{1,2}([T ]\d{1,2}:\d{2}.*)?"  # 2024-03-31, with a time or not
    r"|\d{1,2}[-/.]\d{1,2}[-/.]\d{2,4}([T ]\d{1,2}:\d{2}.*)?"  # 31.03.2024, 3/31/24
    r"|\d{1,2}:\d{2}(:\d{2})?"  # 12:30
    r"|\d{1,2}\.? ?[A-Za-z]{3,9}\.?,? ?\d{2,4}|[A-Za-z]{3,9}\.? \d{1,2},? \d{4}"  # 31 March 2024, Mar 31, 2024
)


def present(values: np.ndarray) -> np.ndarray:
    """The values of a column that are there."""
    return values[~missing(values)]


def missing(values: np.ndarray) -> np.ndarray:
    """bool [N]"""
    return np.isnan(values) if values.dtype == float else values == ""


def as_numbers(values: np.ndarray) -> np.ndarray:
    """A column of texts as float64 [N]: NaN where a text is no number."""
    found = (number(text) for text in values)
    return np.array([np.nan if value is None else value for value in found], float)


def identifies(values: np.ndarray) -> bool:
    """Whether a column only says which row is which: texts, or whole numbers that count up, that differ in all rows."""
    there = present(values)
    if len(there) < max(FEWEST, 0.99 * len(values)):
        return False
    different = len(set(there.tolist()))
    if there.dtype == float:
        counts = bool((there == np.rint(there)).all()) and different == len(there)
        return counts and np.ptp(there) < 2 * len(there) and bool((np.diff(np.sort(there)) >= 1).all())
    if different < 0.99 * len(there):
        return False
    return not are_mixed(there.tolist()) and not are_written_numbers(there.tolist())


def are_mixed(texts: Sequence[str]) -> bool:
    """Whether most of these are numbers, but not all."""
    return 0.5 * len(texts) < sum(number(text) is not None for text in texts) < len(texts)


def are_written_numbers(texts: Sequence[str]) -> bool:
    """Whether nearly all of these are numbers as people write them, and most not as a program reads them."""
    written = sum(bool(WRITTEN.fullmatch(text)) for text in texts)
    return written > 0.95 * len(texts) and sum(number(text) is None for text in texts) > 0.5 * len(texts)


def are_dates(texts: Sequence[str]) -> bool:
    """Whether nearly all of these are dates or times by how they are written."""
    return len(texts) > 0 and sum(bool(DATE.fullmatch(text)) for text in texts) > 0.95 * len(texts)


def are_sentences(texts: Sequence[str]) -> bool:
    """Whether these are texts to read rather than categories: several words each, and most of them different."""
    if not texts:
        return False
    words = sum(len(text.split()) for text in texts) / len(texts)
    letters = sum(sum(map(str.isalpha, text)) for text in texts) / max(1, sum(len(t.replace(" ", "")) for t in texts))
    return words >= WORDS and letters >= LETTERS and len(set(texts)) >= DIFFERENT * len(texts)
