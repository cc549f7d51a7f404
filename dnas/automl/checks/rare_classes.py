"""Classes with few examples: they are hardly learnt, and their measures are chance."""

from collections.abc import Iterator

import numpy as np

from dnas.automl.checks._groups import counted, listed
from dnas.automl.checks.protocol import TEST, TRAIN, Evidence, Finding

NEEDED = 2  # one to learn from, one to be tested with
FEW = 10


def check(data: Evidence) -> Iterator[Finding]:
    if not data.classes:
        return
    counts = data.counts()
    names = np.array(data.classes, object)
    single = names[(counts > 0) & (counts < NEEDED)]
    if len(single):
        sentence = (
            f"{counted(len(single), 'class has', 'classes have')} a single one of the {data.what}, as "
            f"{listed(single)}: at least {NEEDED} are needed, so remove them or put them together."
        )
        yield Finding("rare_classes", "fatal", "classes", sentence)
    few = (counts >= NEEDED) & (counts < FEW)
    if few.any():
        which = listed(f"{name}: {count}" for name, count in zip(names[few], counts[few], strict=True))
        sentence = f"{counted(few.sum(), 'class has', 'classes have')} fewer than {FEW} {data.what}: {which}."
        yield Finding("rare_classes", "warning", "classes", sentence)
    for part, what in ((TRAIN, "to learn from"), (TEST, "to be tested with")):
        lacking = names[(data.counts(part) == 0) & (counts >= NEEDED)]
        if len(lacking):
            sentence = f"{counted(len(lacking), 'class has', 'classes have')} no {data.what} {what}: {listed(lacking)}."
            yield Finding("rare_classes", "warning", ("train", "valid", "test")[part], sentence)
