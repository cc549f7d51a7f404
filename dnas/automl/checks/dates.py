"""Columns of dates or times: as categories they never come again."""

from collections.abc import Iterator

from dnas.automl.checks._columns import are_dates, present
from dnas.automl.checks._groups import short
from dnas.automl.checks.protocol import Columns, Evidence, Finding


def check(data: Evidence) -> Iterator[Finding]:
    if not isinstance(data.content, Columns):
        return
    for name, values in data.content.items("category"):
        texts = present(values).tolist()
        if are_dates(texts):
            sentence = (
                f"The column '{name}' has {len(set(texts)):,} different dates or times, as '{short(texts[0])}', "
                "which are not read: give what matters of them as numbers, the month or the age say."
            )
            yield Finding("dates", "warning", name, sentence, "left out", (name,))
