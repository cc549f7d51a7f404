"""A target that is the same everywhere."""

from collections.abc import Iterator

import numpy as np

from dnas.automl.checks.protocol import Evidence, Finding


def check(data: Evidence) -> Iterator[Finding]:
    there = np.unique(data.y[~np.isnan(data.y)])
    if len(there) == 1:
        name = f"'{data.classes[int(there[0])]}'" if data.classes else f"{there[0]:g}"
        sentence = f"All {len(data):,} {data.what} are {name}: there is nothing to tell apart, at least 2 are needed."
        yield Finding("one_class", "fatal", "classes" if data.classes else "target", sentence)
    if not len(there):
        yield Finding("one_class", "fatal", "target", "The target has no value: choose another column.")
