"""Columns of numbers as people write them, 1,234.50 or 12 % say: they are read as categories."""

from collections.abc import Iterator

from dnas.automl.checks._columns import are_written_numbers, present
from dnas.automl.checks._groups import short
from dnas.automl.checks.protocol import Columns, Evidence, Finding
from dnas.data.table import number


def check(data: Evidence) -> Iterator[Finding]:
    if not isinstance(data.content, Columns):
        return
    for name, values in data.content.items("category"):
        texts = present(values).tolist()
        if are_written_numbers(texts):
            first = next(text for text in texts if number(text) is None)
            sentence = (
                f"The column '{name}' has numbers that are written as '{short(first)}': write them with digits and a "
                "point alone."
            )
            yield Finding("written_numbers", "warning", name, sentence, "read as categories")
