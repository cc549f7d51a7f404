"""1,797 handwritten digits of 8x8 pixels that come with scikit-learn: no download, for tests and first steps.

Alpaydin and Kaynak, "Optical Recognition of Handwritten Digits", UCI, 1998 (its test part).
"""

import io
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from dnas.data import HELD_OUT, Dataset, Location, held_out_note, tailored
from dnas.data._archives import inflated
from dnas.data._arrays import hold_out
from dnas.data._files import reading
from dnas.errors import UserError
from dnas.ranges import Limit, Seed, Size

MOST_BYTES = 1_000_000  # it has 264,712


def dataset(*, size: Size = 0, limit: Limit = 0, seed: Seed = 0) -> Dataset:
    """Holds out a stratified 20 % as the test split, drawn with `seed`."""
    pixels, y = _read()
    x = np.round(pixels.reshape(-1, 8, 8, 1) * (255 / 16)).astype(np.uint8)
    train, test = hold_out(y, HELD_OUT, seed)
    classes = tuple(str(digit) for digit in range(10))
    whole = Dataset("digits", x[train], y[train], x[test], y[test], classes, held_out_note(seed), mirrors=False)
    return tailored(whole, size=size, limit=limit)


def locate() -> Location:
    return Location((), "embedded", "It comes with scikit-learn.", "CC BY 4.0, UCI Machine Learning Repository")


def _read() -> tuple[np.ndarray, np.ndarray]:
    """Pixels 0..16 [N, 64] and labels [N], from scikit-learn's file: importing all of it takes a second."""
    package = find_spec("sklearn")
    if package is None or not package.submodule_search_locations:
        raise UserError("The data set 'digits' comes with scikit-learn, which is not installed: pip install dnas.")
    path = Path(package.submodule_search_locations[0], "datasets", "data", "digits.csv.gz")
    with reading(path, "install scikit-learn again"):
        table = np.loadtxt(io.BytesIO(inflated(path, MOST_BYTES)), np.int32, delimiter=",")
    return table[:, :-1], table[:, -1]
