"""Data sets by name, as uint8 arrays: `load("fashion_mnist:limit=5000")`, then `split` for a run.

One data set per file, found by its file name: it has `dataset(*, ...) -> Dataset`, `locate() -> Location`.
Axis letters: N images, H W C.
"""

import zlib
from collections.abc import Sequence
from dataclasses import dataclass, is_dataclass, replace
from numbers import Integral, Real
from typing import Any, ClassVar

import numpy as np

from dnas import modules_of
from dnas.data._arrays import as_images, as_labels, hold_out, resized, stratified_order, validation_count
from dnas.data._files import Location, check_memory, data_dir
from dnas.data._texts import Text
from dnas.errors import UserError
from dnas.find import resolve

__all__ = [
    "Dataset",
    "Location",
    "Splits",
    "Text",
    "data_dir",
    "from_arrays",
    "load",
    "portioned",
    "split",
    "tailored",
]

__getattr__ = modules_of(__name__)

ARRAYS = "arrays"  # what a config calls data that were given as arrays

HELD_OUT = 0.2  # the portion that becomes the test split where none is given
LIMIT_SEED = 0  # `limit` always takes the same images, whatever the seed of the run


@dataclass(frozen=True, eq=False)
class Dataset:
    """Images uint8 [N, H, W, C] and labels int32 [N]. The note says what a reader of a result must know.

    mirrors: whether a mirrored image is one of the same class, as it is not for letters and digits.
    """

    name: str
    train_x: np.ndarray
    train_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray
    classes: tuple[str, ...]
    note: str = ""
    mirrors: bool = True
    task: ClassVar[str] = "images"

    def __post_init__(self) -> None:
        if len(self.classes) < 2:
            raise UserError(f"The data set '{self.name}' has {len(self.classes)} class(es): at least 2 are needed.")
        for part, x, y in (("train", self.train_x, self.train_y), ("test", self.test_x, self.test_y)):
            what = f"The {part} images of data set '{self.name}'"
            if x.ndim != 4 or x.dtype != np.uint8 or 0 in x.shape:
                raise UserError(f"{what} must be uint8 [N, H, W, C], none empty, not {x.dtype} {list(x.shape)}.")
            if y.dtype != np.int32 or y.shape != x.shape[:1]:
                raise UserError(f"{what} are {len(x)}, but their labels are {y.dtype} {list(y.shape)}, not int32.")
            if y.min() < 0 or y.max() >= len(self.classes):
                raise UserError(
                    f"{what} have labels from {y.min()} to {y.max()}, "
                    f"but {len(self.classes)} classes allow 0 to {len(self.classes) - 1}."
                )
        if self.train_x.shape[1:] != self.test_x.shape[1:]:
            raise UserError(
                f"The data set '{self.name}' has train images of shape {list(self.train_x.shape[1:])}, "
                f"but test images of shape {list(self.test_x.shape[1:])}."
            )

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of an image, [H, W, C]."""
        _, height, width, channels = self.train_x.shape
        return height, width, channels


@dataclass(frozen=True, eq=False)
class Splits:
    """What a search or a training uses. mean, std: float32 [C] in 0..255 units, of the train split alone."""

    train_x: np.ndarray
    train_y: np.ndarray
    valid_x: np.ndarray
    valid_y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray
    mean: np.ndarray
    std: np.ndarray
    classes: tuple[str, ...]
    note: str
    name: str
    mirrors: bool = True

    @property
    def shape(self) -> tuple[int, int, int]:
        """Of an image, [H, W, C]."""
        _, height, width, channels = self.train_x.shape
        return height, width, channels

    def count(self, part: str) -> int:
        """How many images a part has."""
        return len(getattr(self, f"{part}_y"))

    def described(self) -> dict[str, Any]:
        """What identifies the data of a run, for its record: name, sizes, a checksum of the train part; and what its
        images must look like to whoever uses the network: their shape, how they are normalised, what their classes are
        called."""
        checksum = zlib.crc32(self.train_y.tobytes(), zlib.crc32(self.train_x.tobytes()))
        return record_of(self, checksum)


def record_of(splits: Any, checksum: int) -> dict[str, Any]:
    """What `Splits.described` says, of images in memory or in files."""
    sizes = {part: splits.count(part) for part in ("train", "valid", "test")}
    looks = {"image": splits.shape, "mean": splits.mean, "std": splits.std, "classes": splits.classes}
    return {"name": splits.name, "note": splits.note} | sizes | {"crc32": checksum} | looks


def load(choice: Any) -> Any:
    """A data set: itself, by name, as `name:key=value`, or from arrays `(x, y)` or `(x, y, test_x, test_y)`.

    Errors: `UserError` for an unknown name or setting, a missing or broken file, or unfit arrays.
    """
    if is_dataclass(choice):  # a data set of any task
        return choice
    if isinstance(choice, str):
        if choice == ARRAYS:
            raise UserError("This run was given its data as arrays, from Python: go on there, with data=(x, y).")
        return resolve("data set", choice)
    if isinstance(choice, (tuple, list)) and len(choice) in (2, 4):
        return from_arrays(ARRAYS, *choice)
    raise UserError("Data is a name, as in 'fashion_mnist:limit=5000', or arrays (x, y) or (x, y, test_x, test_y).")


def split(dataset: Dataset, valid_portion: float, seed: int, shuffle: bool = True) -> Splits:
    """Takes `valid_portion` of the train images as the validation split; 0 leaves that split empty.

    Without shuffle the first part is train and the rest valid, as DARTS' `train_search.py` does. The note names classes
    that are left without a train image, whatever took it: a limit, or the split.
    Errors: `UserError` as of `portioned`.
    """
    if not isinstance(dataset, Dataset):
        raise UserError(f"Split is a data set, not a {type(dataset).__name__}: make one with dnas.data.load.")
    train, valid = portioned(dataset.name, len(dataset.train_x), valid_portion, seed, shuffle)
    train_x, train_y = dataset.train_x[train], dataset.train_y[train]
    mean, std = _mean_and_std(train_x)
    return Splits(
        train_x=train_x,
        train_y=train_y,
        valid_x=dataset.train_x[valid],
        valid_y=dataset.train_y[valid],
        test_x=dataset.test_x,
        test_y=dataset.test_y,
        mean=mean,
        std=std,
        classes=dataset.classes,
        note=joined_notes(dataset.note, untrained(dataset.classes, train_y, dataset.test_y)),
        name=dataset.name,
        mirrors=dataset.mirrors,
    )


def portioned(
    name: str, count: int, valid_portion: float, seed: int, shuffle: bool = True
) -> tuple[np.ndarray, np.ndarray]:
    """Which of `count` images train and which validate, see `split`; name: of the data set.

    Errors: `UserError` for a portion outside [0, 1) or one that leaves a split empty, and for a seed below 0.
    """
    if not isinstance(valid_portion, Real) or not 0 <= valid_portion < 1:
        raise UserError(f"The portion of the train set for validation must be in [0, 1), not {valid_portion!r}.")
    if not isinstance(seed, Integral) or seed < 0:
        raise UserError(f"The seed of a split must be a whole number of at least 0, not {seed!r}.")
    valid_count = validation_count(count, valid_portion)
    train_count = count - valid_count
    if train_count == 0 or (valid_portion > 0 and valid_count == 0):
        empty = "train" if train_count == 0 else "validation"
        raise UserError(
            f"A validation portion of {valid_portion} leaves the {empty} split empty: "
            f"'{name}' has {count} train images."
        )
    order = np.random.default_rng(seed).permutation(count) if shuffle else np.arange(count)
    return order[:train_count], order[train_count:]


def from_arrays(
    name: str, x: object, y: object, test_x: object = None, test_y: object = None, *, seed: int = 0
) -> Dataset:
    """Any pair of arrays as a data set; without test arrays, a seeded 20 % is the test split.

    Images: uint8 or floats in [0, 1], [N, H, W] or [N, H, W, C]. Labels: 0, 1, ... without a gap.
    """
    images, labels = as_images(x, f"The images of '{name}'"), as_labels(y, f"The labels of '{name}'")
    if len(images) != len(labels):
        raise UserError(f"'{name}' has {len(images)} images, but {len(labels)} labels.")
    if (test_x is None) != (test_y is None):
        raise UserError(f"'{name}' has test {'labels' if test_x is None else 'images'} only: give both or neither.")
    _check_numbering(name, labels)
    if test_x is None:
        if len(images) < 2:
            raise UserError(f"'{name}' has {len(images)} image(s): too few to hold out a test split.")
        train, test = hold_out(labels, HELD_OUT, seed)
        parts = images[train], labels[train], images[test], labels[test]
        note = held_out_note(seed)
    else:
        test_labels = as_labels(test_y, f"The test labels of '{name}'")
        parts = images, labels, as_images(test_x, f"The test images of '{name}'"), test_labels
        note = ""
    classes = tuple(str(label) for label in range(labels.max(initial=-1) + 1))
    return Dataset(name, *parts, classes, note)


def tailored(dataset: Dataset, *, size: int = 0, limit: int = 0) -> Dataset:
    """The settings that all data sets share; both are written into the note, so that no result hides them.

    size: images are cropped to the centre square and resized to size x size by area (0: as they are).
    limit: that many train images, the first of a seeded shuffle of which every prefix has the classes in
    proportion, and a fifth as many test images (0: all, in their own order).
    """
    check_size_and_limit(dataset.name, size, limit)
    train, test, limit_note = limited(dataset.train_y, dataset.test_y, limit)
    if limit_note:
        dataset = replace(
            dataset,
            train_x=dataset.train_x[train],
            train_y=dataset.train_y[train],
            test_x=dataset.test_x[test],
            test_y=dataset.test_y[test],
        )
    size_note = ""
    height, width = dataset.train_x.shape[1:3]
    if size and (height, width) != (size, size):
        size_note = f"resized from {height}x{width} to {size}x{size}"
        pixels = (len(dataset.train_x) + len(dataset.test_x)) * size * size
        what = f"The images of '{dataset.name}' at size={size}"
        check_memory(pixels * dataset.train_x.shape[3], what, "choose a smaller size, or a limit")
        dataset = replace(dataset, train_x=resized(dataset.train_x, size), test_x=resized(dataset.test_x, size))
    return replace(dataset, note=joined_notes(dataset.note, limit_note, size_note))


def limited(
    train_y: np.ndarray, test_y: np.ndarray, limit: int, what: str = "images"
) -> tuple[np.ndarray, np.ndarray, str]:
    """Indices of the train and test images, or whatever there are, that a limit keeps, and the note that says so."""
    if not 0 < limit < len(train_y):
        return np.arange(len(train_y)), np.arange(len(test_y)), ""
    train = stratified_order(train_y, LIMIT_SEED)[:limit]
    test = stratified_order(test_y, LIMIT_SEED)[: max(1, limit // 5)]
    kept = f"{len(train):,} of {len(train_y):,} train and {len(test):,} of {len(test_y):,} test {what}"
    return train, test, f"only {kept}"


def check_size_and_limit(name: str, size: int, limit: int) -> None:
    """Errors: `UserError` for a negative size or limit."""
    for key, value in (("size", size), ("limit", limit)):
        if value < 0:
            raise UserError(f"The setting '{key}' of data set '{name}' must be 0 or more, not {value}.")


def held_out_note(seed: int) -> str:
    """The note of a data set whose test split is ours."""
    return f"no official test split: {HELD_OUT:.0%} held out with seed {seed}"


def joined_notes(*notes: str) -> str:
    return "; ".join(note for note in notes if note)


def named(what: str, names: Sequence[str], most: int = 5) -> str:
    """A note that names the first of many: "left out: a, b and 7 more"; none without names."""
    more = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{what}: {', '.join(names[:most])}{more}" if names else ""


def untrained(classes: Sequence[str], train_y: np.ndarray, test_y: np.ndarray) -> str:
    """A note on the classes that no train image is of, and on how many test images are of them."""
    lacking = np.bincount(train_y, minlength=len(classes)) == 0
    names = [classes[int(i)] for i in np.flatnonzero(lacking)]
    tested = f", and {lacking[test_y].sum():,} of {len(test_y):,} test images are of them"
    return named("classes without a train image", [f"'{name}'" for name in names]) + (tested if names else "")


def _check_numbering(name: str, labels: np.ndarray) -> None:
    present = np.unique(labels)
    if len(present) and present[-1] != len(present) - 1:
        gap = int(np.flatnonzero(present != np.arange(len(present)))[0])
        raise UserError(
            f"The labels of '{name}' run to {present[-1]}, but class {gap} has no image: "
            "number the classes 0, 1, 2, ... without a gap."
        )


def _mean_and_std(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Exact, by a histogram per channel: no float copy of the images. A constant channel gets a std of 1."""
    values = np.arange(256)
    counts = np.stack([np.bincount(images[..., c].ravel(), minlength=256) for c in range(images.shape[-1])])
    mean = counts @ values / counts.sum(axis=1)
    variance = (counts * (values[None] - mean[:, None]) ** 2).sum(axis=1) / counts.sum(axis=1)
    std = np.sqrt(np.where(variance > 0, variance, 1))
    return mean.astype(np.float32), std.astype(np.float32)
