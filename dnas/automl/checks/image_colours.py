"""Grey images among colourful ones, and images of one colour all over."""

from collections.abc import Iterator

import numpy as np

from dnas.automl.checks._groups import listed, of_all
from dnas.automl.checks.protocol import Evidence, Finding, Images

FEW, MOST = 0.02, 0.5  # shares of a class that is grey, where others are not


def check(data: Evidence) -> Iterator[Finding]:
    if not isinstance(data.content, Images):
        return
    grey, flat = ~data.content.colourful, data.content.flat
    if flat.any():
        places = np.flatnonzero(flat)
        sentence = f"{of_all(data, len(places))} of one colour all over, as {data.places[places[0]]}."
        yield Finding("image_colours", "warning", "empty images", sentence, examples=tuple(map(int, places[:4])))
    seen = np.flatnonzero(grey & ~flat)
    if not len(seen) or grey.all():
        return
    examples = tuple(map(int, seen[:4]))
    shares = [grey[data.y == number].mean() if (data.y == number).any() else 0 for number in range(len(data.classes))]
    telling = [name for name, one in zip(data.classes, shares, strict=True) if one > MOST]
    if telling and min(shares) < FEW:
        sentence = (
            f"Most images of {listed(telling)} are grey, and hardly any of some other class: a network may tell them "
            "apart by that alone."
        )
        yield Finding("image_colours", "warning", "classes", sentence, examples=examples)
    else:
        sentence = f"{of_all(data, len(seen))} grey, others in colour."
        yield Finding("image_colours", "note", "colours", sentence, examples=examples)
