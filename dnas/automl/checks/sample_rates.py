"""Recordings of several sample rates."""

from collections import Counter
from collections.abc import Iterator

import numpy as np

from dnas.automl.checks.protocol import Evidence, Finding, Sounds


def check(data: Evidence) -> Iterator[Finding]:
    if not isinstance(data.content, Sounds):
        return
    counts, rate = Counter(data.content.rates.astype(int).tolist()), data.sizes["sample_rate"]
    action = f"resampled to {rate:,} Hz"
    if len(counts) > 1:
        found = ", ".join(f"{one:,} Hz ({count:,})" for one, count in counts.most_common(4))
        yield Finding("sample_rates", "note", "rates", f"The recordings have several sample rates: {found}.", action)
        own = {tuple(np.unique(data.content.rates[data.y == number])) for number in range(len(data.classes))}
        if len(own) > 1 and all(len(rates) == 1 for rates in own):
            sentence = "Each class has one sample rate, not all the same: a network may tell them apart by that alone."
            yield Finding("sample_rates", "warning", "classes", sentence)
    elif rate not in counts:
        sentence = f"All recordings have {next(iter(counts)):,} samples a second."
        yield Finding("sample_rates", "note", "rates", sentence, action)
