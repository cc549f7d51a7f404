"""Your own arrays from one .npz: `x`, `y` and optionally `x_test`, `y_test`, as in `npz:path=mine.npz`."""

from dataclasses import replace

from dnas.data import Dataset, Location, from_arrays, joined_notes, named, tailored
from dnas.data._archives import read_npz
from dnas.data._files import users_path
from dnas.errors import UserError
from dnas.ranges import Limit, Seed, Size


def dataset(*, path: str = "", size: Size = 0, limit: Limit = 0, seed: Seed = 0) -> Dataset:
    """x: uint8 or floats in [0, 1], [N, H, W] or [N, H, W, C]; y: 0, 1, ... Without x_test and y_test,
    a stratified 20 % drawn with `seed` is the test split."""
    if not path:
        raise UserError(f"The data set 'npz' needs the path of a file: {_HOW}")
    file = users_path(path)
    arrays, others = read_npz(file, ["x", "y"], ["x_test", "y_test"], remedy=_REMEDY)
    whole = from_arrays(str(file), arrays["x"], arrays["y"], arrays.get("x_test"), arrays.get("y_test"), seed=seed)
    whole = replace(whole, name=file.stem, note=joined_notes(whole.note, named("left out", others)))
    return tailored(whole, size=size, limit=limit)


def locate() -> Location:
    return Location((), None, _HOW[0].upper() + _HOW[1:])


_REMEDY = "give an .npz with x and y (and x_test, y_test), written by numpy.savez"
_HOW = "write npz:path=FILE, where FILE was written by numpy.savez(FILE, x=images, y=labels)."
