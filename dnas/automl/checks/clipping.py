"""Recordings that were louder than full scale: their peaks are cut off."""

from collections.abc import Iterator

import numpy as np

from dnas.automl.checks._groups import of_all, share
from dnas.automl.checks.protocol import Evidence, Finding, Sounds

CLIPPED = 0.002  # of the samples at full scale


def check(data: Evidence) -> Iterator[Finding]:
    if not isinstance(data.content, Sounds):
        return
    loud = np.flatnonzero(data.content.clipped > CLIPPED)
    if len(loud):
        worst = int(data.content.clipped.argmax())
        sentence = (
            f"{of_all(data, len(loud))} clipped, most of all "
            f"{data.places[worst]} in {share(data.content.clipped[worst], 1)} of its samples."
        )
        yield Finding("clipping", "note", "loudness", sentence, examples=(worst, *map(int, loud[loud != worst][:3])))
