"""Columns that have the same values as another one."""

from collections.abc import Iterator

from dnas.automl.checks.protocol import Columns, Evidence, Finding


def check(data: Evidence) -> Iterator[Finding]:
    if not isinstance(data.content, Columns):
        return
    first: dict[bytes | tuple, str] = {}
    for name, values in data.content.items():
        key = values.tobytes() if values.dtype == float else tuple(values)
        if key in first and len(set(values.tolist())) > 1:
            sentence = f"The column '{name}' has the values of '{first[key]}' in all {len(data):,} rows."
            yield Finding("same_columns", "note", name, sentence, "left out", (name,))
        first.setdefault(key, name)
