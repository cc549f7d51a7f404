"""Classes of very different sizes: always saying the largest one looks good."""

from collections.abc import Iterator

from dnas.automl.checks._groups import share, short
from dnas.automl.checks.protocol import Evidence, Finding, Severity

UNEQUAL, VERY_UNEQUAL = 3, 10  # times that the largest class is the smallest


def check(data: Evidence) -> Iterator[Finding]:
    counts = data.counts()
    if len(data.classes) < 2 or not counts.min():
        return
    most, least = int(counts.argmax()), int(counts.argmin())
    times = counts[most] / counts[least]
    if times >= UNEQUAL:
        severity: Severity = "warning" if times >= VERY_UNEQUAL else "note"
        sentence = (
            f"'{short(data.classes[most])}' has {times:,.0f} times as many {data.what} as "
            f"'{short(data.classes[least])}', {counts[most]:,} and {counts[least]:,}: who always says the first is "
            f"right in {share(counts[most], counts.sum())}."
        )
        yield Finding("imbalance", severity, "classes", sentence)
