"""The same example with different labels: one of them is wrong, or the input does not say."""

from collections.abc import Iterator

import numpy as np

from dnas.automl.checks._groups import groups, of_all, short
from dnas.automl.checks.protocol import Evidence, Finding, Severity

SHOWN = 4  # pairs
MANY = 0.01  # of all examples


def check(data: Evidence) -> Iterator[Finding]:
    if not data.classes:
        return
    found = []
    for group in groups(data.digests):
        told = group[~np.isnan(data.y[group])]
        if len(np.unique(data.y[told])) > 1:
            found.append((told, told[data.y[told] != data.y[told[0]]][0]))
    if found:
        told, other = found[0]
        count = sum(len(group) for group, _ in found)
        first, second = (short(data.classes[int(data.y[i])]) for i in (told[0], other))
        sentence = (
            f"{of_all(data, count)} the same as others of another "
            f"class, as {data.places[told[0]]} ('{first}') and {data.places[other]} ('{second}')."
        )
        pairs = tuple(int(i) for group, other in found[:SHOWN] for i in (group[0], other))
        severity: Severity = "warning" if count > MANY * len(data) else "note"
        yield Finding("conflicting_labels", severity, "labels", sentence, examples=pairs)
