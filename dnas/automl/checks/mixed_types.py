"""Columns that are numbers but for a few texts: they are read as categories."""

from collections import Counter
from collections.abc import Iterator

from dnas.automl.checks._columns import are_mixed, present
from dnas.automl.checks._groups import counted, listed
from dnas.automl.checks.protocol import Columns, Evidence, Finding
from dnas.data.table import number

NEARLY = 0.9  # of the cells are numbers
DIFFERENT = 5  # numbers: fewer may be codes


def check(data: Evidence) -> Iterator[Finding]:
    if not isinstance(data.content, Columns):
        return
    for name, values in data.content.items("category"):
        texts = present(values).tolist()
        if not are_mixed(texts):
            continue
        others = Counter(text for text in texts if number(text) is None)
        count = sum(others.values())
        if len({*texts}) - len(others) < DIFFERENT:
            continue
        sentence = (
            f"The column '{name}' has {counted(count, 'text')} among {len(texts) - count:,} numbers, as "
            f"{listed(text for text, _ in others.most_common(3))}: correct or empty these cells."
        )
        nearly = count < (1 - NEARLY) * len(texts)
        action = "read as numbers, these cells as missing" if nearly else "read as categories"
        yield Finding("mixed_types", "warning", name, sentence, action, numbers=(name,) * nearly)
