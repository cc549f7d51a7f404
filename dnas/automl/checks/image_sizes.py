"""Images of unequal sizes, or much larger or smaller than what a network reads."""

from collections.abc import Iterator

import numpy as np

from dnas.automl.checks._groups import of_all
from dnas.automl.checks.protocol import Evidence, Finding, Images

LONG = 1.5  # of the longer side to the shorter, of which a centre square leaves out much


def check(data: Evidence) -> Iterator[Finding]:
    if not isinstance(data.content, Images):
        return
    heights, widths, size = data.content.heights, data.content.widths, data.sizes["height"]
    if len(np.unique(np.stack([heights, widths]), axis=1).T) > 1:
        areas = heights * widths
        small, large = int(areas.argmin()), int(areas.argmax())
        sentence = (
            f"The images are of unequal sizes, from {widths[small]}x{heights[small]} ({data.places[small]}) to "
            f"{widths[large]}x{heights[large]} pixels ({data.places[large]})."
        )
        action = f"each centre square becomes {size}x{size}"
        yield Finding("image_sizes", "note", "sizes", sentence, action, examples=(small, large))
    elif heights[0] > size:
        sentence = f"All images have {widths[0]}x{heights[0]} pixels."
        yield Finding("image_sizes", "note", "sizes", sentence, f"each centre square becomes {size}x{size}")
    long = np.flatnonzero(np.maximum(heights, widths) > LONG * np.minimum(heights, widths))
    if len(long):
        sentence = f"{of_all(data, len(long))} far from square, as {data.places[long[0]]}."
        yield Finding("image_sizes", "note", "sizes", sentence, "only the centre square is seen", examples=_some(long))
    less = np.flatnonzero(np.minimum(heights, widths) < size)
    if len(less):
        sentence = f"{of_all(data, len(less))} smaller than {size}x{size}, as {data.places[less[0]]}."
        yield Finding("image_sizes", "note", "sizes", sentence, "enlarged", examples=_some(less))


def _some(places: np.ndarray) -> tuple[int, ...]:
    return tuple(int(i) for i in places[:4])
