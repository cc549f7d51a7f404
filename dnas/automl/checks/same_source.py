"""Rows of one person, machine or place in the train and the test part: the test asks for what was seen."""

import re
from collections.abc import Iterator

import numpy as np

from dnas.automl.checks._columns import identifies, present
from dnas.automl.checks.protocol import TEST, Columns, Evidence, Finding

SOURCES = (
    *("patient", "subject", "person", "speaker", "user", "customer", "client", "participant", "author", "writer"),
    *("device", "machine", "sensor", "site", "hospital", "household", "session", "group"),
)


def check(data: Evidence) -> Iterator[Finding]:
    if not isinstance(data.content, Columns):
        return
    for name, values in data.content.items():
        words = re.findall(r"[a-z]+", re.sub(r"(?<=[a-z])(?=[A-Z])", " ", name).lower())
        if not {*words} & {*SOURCES} or identifies(values):
            continue
        trained, tested = ({*present(values[(data.parts == TEST) == is_test]).tolist()} for is_test in (False, True))
        both = trained & tested
        different = len(np.unique(present(values).astype(str)))
        if both and different > 2:
            sentence = (
                f"The column '{name}' looks like who or what a row is from, and {len(both):,} of its {different:,} "
                "values are in the train and the test part: to predict new ones, give a test file of others."
            )
            yield Finding("same_source", "warning", name, sentence)
