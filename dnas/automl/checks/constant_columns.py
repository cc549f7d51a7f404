"""Columns with one value everywhere: they say nothing."""

from collections.abc import Iterator

from dnas.automl.checks._columns import missing, present
from dnas.automl.checks._groups import short
from dnas.automl.checks.protocol import Columns, Evidence, Finding


def check(data: Evidence) -> Iterator[Finding]:
    if not isinstance(data.content, Columns):
        return
    for name, values in data.content.items():
        if len(set(present(values).tolist())) == 1 and not missing(values).any():
            value = short(f"{values[0]:g}" if values.dtype == float else values[0])
            sentence = f"The column '{name}' is '{value}' in all {len(data):,} rows."
            yield Finding("constant_columns", "note", name, sentence, "left out", (name,))
