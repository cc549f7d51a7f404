"""1,797 handwritten digits of 8x8 pixels that come with scikit-learn: no download, for tests and first steps.

Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998 (its test part).
"""

import numpy as np

from dnas.data import HELD_OUT, Dataset, Location, held_out_note, tailored
from dnas.data._arrays import hold_out


def dataset(*, size: int = 0, limit: int = 0, seed: int = 0) -> Dataset:
    """Holds out a stratified 20 % as the test split, drawn with `seed`."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    x = np.round(bunch.images[..., None] * (255 / 16)).astype(np.uint8)
    y = bunch.target.astype(np.int32)
    train, test = hold_out(y, HELD_OUT, seed)
    classes = tuple(str(digit) for digit in range(10))
    whole = Dataset("digits", x[train], y[train], x[test], y[test], classes, held_out_note(seed))
    return tailored(whole, size=size, limit=limit)


def locate() -> Location:
    return Location((), "embedded", "It comes with scikit-learn.")
