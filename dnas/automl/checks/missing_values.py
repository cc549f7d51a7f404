"""Cells of columns that have no value."""

from collections.abc import Iterator

from dnas.automl.checks._columns import missing
from dnas.automl.checks._groups import counted, listed, share
from dnas.automl.checks.protocol import Columns, Evidence, Finding, Severity

MOST, HALF = 0.9, 0.5  # shares of a column that are missing
FILLED = "numbers become the median, with a column that says where they were missing; of categories it is one more"


def check(data: Evidence) -> Iterator[Finding]:
    if not isinstance(data.content, Columns):
        return
    counts = {name: int(missing(values).sum()) for name, values in data.content.items()}
    some = {name: count for name, count in counts.items() if count}
    for name, count in some.items():
        if count > MOST * len(data):
            sentence = f"The column '{name}' has a value in {len(data) - count:,} of {len(data):,} rows alone."
            yield Finding("missing_values", "warning", name, sentence, "left out", (name,))
    kept = {name: count for name, count in some.items() if count <= MOST * len(data)}
    if kept:
        worst = max(kept, key=lambda name: kept[name])
        severity: Severity = "warning" if kept[worst] > HALF * len(data) else "note"
        sentence = (
            f"{counted(len(kept), 'column has', 'columns have')} missing values, most of all '{worst}' in "
            f"{kept[worst]:,} of {len(data):,} rows ({share(kept[worst], len(data))})."
        )
        yield Finding(
            "missing_values", severity, worst if len(kept) == 1 else counted(len(kept), "column"), sentence, FILLED
        )
    if data.content.empty:
        sentence = f"No row has a value in {listed(data.content.empty)}."
        yield Finding("missing_values", "note", data.content.empty[0], sentence, "left out")
