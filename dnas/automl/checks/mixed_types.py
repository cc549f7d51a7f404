"""Columns that are numbers but for a few texts: they are read as categories."""

from collections import Counter
from collections.abc import Iterator

from dnas.automl.checks._columns import present
from dnas.automl.checks._groups import listed
from dnas.automl.checks.protocol import Columns, Evidence, Finding
from dnas.data.table import number

MOSTLY = 0.5  # of the cells are numbers
DIFFERENT = 5  # numbers: fewer may be codes


def check(data: Evidence) -> Iterator[Finding]:
    if not isinstance(data.content, Columns):
        return
    for name, values in data.content.items("category"):
        texts = present(values).tolist()
        others = Counter(text for text in texts if number(text) is None)
        count = sum(others.values())
        if 0 < count < (1 - MOSTLY) * len(texts) and len(set(texts)) - len(others) >= DIFFERENT:
            first = listed(text for text, _ in others.most_common(3))
            sentence = (
                f"The column '{name}' has numbers in {len(texts) - count:,} rows and texts in {count:,}, as {first}: "
                "correct these cells or empty them."
            )
            yield Finding("mixed_types", "warning", name, sentence, "read as categories")
