"""Recordings in which there is nothing to hear."""

from collections.abc import Iterator

import numpy as np

from dnas.automl.checks._groups import of_all
from dnas.automl.checks.protocol import Evidence, Finding, Sounds

SILENT, QUIET = 1e-4, 3e-3  # of the root mean square of samples, of which full scale is 1: -80 dB, -50 dB
MANY = 0.1  # of all


def check(data: Evidence) -> Iterator[Finding]:
    if not isinstance(data.content, Sounds):
        return
    silent = np.flatnonzero(data.content.levels < SILENT)
    quiet = np.flatnonzero((data.content.levels >= SILENT) & (data.content.levels < QUIET))
    if len(silent):
        sentence = f"{of_all(data, len(silent))} silent, as {data.places[silent[0]]}."
        yield Finding("silence", "warning", "loudness", sentence, examples=tuple(map(int, silent[:4])))
    if len(quiet) > MANY * len(data):
        sentence = f"{of_all(data, len(quiet))} very quiet, as {data.places[quiet[0]]}."
        yield Finding("silence", "note", "loudness", sentence, examples=tuple(map(int, quiet[:4])))
