"""Rows whose target is missing."""

from collections.abc import Iterator

import numpy as np

from dnas.automl.checks._groups import share
from dnas.automl.checks.protocol import Columns, Evidence, Finding


def check(data: Evidence) -> Iterator[Finding]:
    if not isinstance(data.content, Columns):
        return
    count = int(np.isnan(data.y).sum())
    if 0 < count < len(data):
        target = data.content.target
        sentence = f"The target '{target}' is missing in {count:,} of {len(data):,} rows ({share(count, len(data))})."
        yield Finding("missing_target", "warning", target, sentence, "these rows are neither learnt nor measured")
