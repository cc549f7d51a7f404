"""Numbers that stand for something else: -999 for "missing" say."""

from collections.abc import Iterator

import numpy as np

from dnas.automl.checks._columns import present
from dnas.automl.checks.protocol import Columns, Evidence, Finding

CODES = (-1.0, -9.0, -99.0, -999.0, -9999.0, 99.0, 999.0, 9999.0, 99999.0)
APART = 2.0  # times the range of all other values that a code lies away from them
FEWEST = 3  # rows


def check(data: Evidence) -> Iterator[Finding]:
    if not isinstance(data.content, Columns):
        return
    for name, values in data.content.items("number"):
        there = present(values)
        for code in CODES:
            others = there[there != code]
            count = len(there) - len(others)
            if count < FEWEST or len(others) < count:
                continue
            distance = others.min() - code if code < others.min() else code - others.max()
            if distance > APART * np.ptp(others) > 0:
                sentence = (
                    f"The column '{name}' is {code:g} in {count:,} rows, far from its other values from "
                    f"{others.min():g} to {others.max():g}: if it means that the value is missing, empty these cells."
                )
                yield Finding("odd_numbers", "warning", name, sentence)
