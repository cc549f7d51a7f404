"""Recordings and texts of very unequal lengths, and classes that can be told by length alone."""

from collections.abc import Iterator

import numpy as np

from dnas.automl.checks._groups import of_all
from dnas.automl.checks.protocol import Evidence, Finding, Severity, Sounds, Texts

UNEQUAL = 3.0  # times that the longest is the median
SHORT = 0.05  # s
LONG = 1_000  # words


def check(data: Evidence) -> Iterator[Finding]:
    match data.content:
        case Sounds() as sounds:
            lengths, unit, form = sounds.seconds, "s", "{:.2f}"
        case Texts() as texts:
            lengths, unit, form = np.array([len(text.split()) for text in texts.texts]), "words", "{:,.0f}"
        case _:
            return
    middle, most = float(np.median(lengths)), int(lengths.argmax())
    if lengths[most] > UNEQUAL * max(middle, 1e-9):
        longest, usual = (form.format(value) for value in (lengths[most], middle))
        sentence = (
            f"The {data.what} are of very unequal lengths: half have up to {usual} {unit}, and {data.places[most]} has "
            f"{longest}."
        )
        severity: Severity = "warning" if unit == "words" and lengths[most] > LONG else "note"
        yield Finding("lengths", severity, "lengths", sentence, examples=(most, int(lengths.argmin())))
    if unit == "s" and lengths.min() < SHORT:
        short = np.flatnonzero(lengths < SHORT)
        sentence = f"{of_all(data, len(short))} shorter than {SHORT} s, as {data.places[short[0]]}."
        yield Finding("lengths", "warning", "lengths", sentence, examples=tuple(map(int, short[:4])))
