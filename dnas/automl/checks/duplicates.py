"""The same example more than once: within a part it counts double, between parts the test is no test."""

from collections.abc import Iterator

import numpy as np

from dnas.automl.checks._groups import groups, of_all, share
from dnas.automl.checks.protocol import TEST, Columns, Evidence, Finding, Severity

SHOWN = 4  # pairs
MANY = 0.005  # of the test part


def check(data: Evidence) -> Iterator[Finding]:
    alike = groups(data.digests)
    within = sum(len(group) - 1 for group in alike)
    tests = [group[data.parts[group] == TEST] for group in alike]
    both = [(test, group) for test, group in zip(tests, alike, strict=True) if 0 < len(test) < len(group)]
    known = sum(len(test) for test, _ in both)
    same = "the same as another row" if isinstance(data.content, Columns) else "copies of another one"
    if known:
        pairs = [int(i) for test, group in both for i in (group[data.parts[group] != TEST][0], test[0])]
        count = int((data.parts == TEST).sum())
        sentence = (
            f"{known:,} of {count:,} test {data.what} ({share(known, count)}) are among those to learn from too, as "
            f"{data.places[pairs[1]]} and {data.places[pairs[0]]}: what is measured on them is too good."
        )
        severity: Severity = "warning" if known > MANY * count else "note"
        yield Finding("duplicates", severity, "train and test", sentence, examples=tuple(pairs[: 2 * SHOWN]))
    if within > known or (within and not known):
        first = alike[0]
        sentence = f"{of_all(data, within)} {same}, as {data.places[first[0]]} and {data.places[first[1]]}."
        pairs = [int(i) for group in alike[:SHOWN] for i in np.sort(group)[:2]]
        yield Finding("duplicates", "note", "all parts", sentence, examples=tuple(pairs))
