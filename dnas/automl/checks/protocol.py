"""What checks see of data, and what they say.

Axis letters: N examples, of all parts together.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from dnas.data._tables import Column

Severity = Literal["note", "warning", "fatal"]
PARTS = ("train", "valid", "test")  # `Evidence.parts` are places in it
TRAIN, VALID, TEST = range(3)


@dataclass(frozen=True)
class Finding:
    """Something that is to be known of the data. kind: the check. where: a column, a class, a file, a part. action:
    what `dnas auto` does about it, "": nothing. "fatal": nothing can be learnt of such data before it is mended.

    without, numbers: columns that are to be left out, or read as numbers, for it. examples: places in `Evidence` that
    show it.
    """

    kind: str
    severity: Severity
    where: str
    sentence: str
    action: str = ""
    without: tuple[str, ...] = ()
    numbers: tuple[str, ...] = ()
    examples: tuple[int, ...] = ()


@dataclass(frozen=True, eq=False)
class Images:
    """heights, widths: int [N], as in the files. colourful: bool [N], not grey all over. flat: bool [N], one colour
    all over. small: uint8 [N, 16, 16], grey. picture: a place -> its image, uint8 [H, W, C]."""

    heights: np.ndarray
    widths: np.ndarray
    colourful: np.ndarray
    flat: np.ndarray
    small: np.ndarray
    picture: Callable[[int], np.ndarray]


@dataclass(frozen=True, eq=False)
class Columns:
    """Columns but the target by name, float64 [N] with NaN or texts with "", as `_tables` has them; those without any
    value are `empty`. target: its name; target_texts: its N cells as they were written, where they were."""

    columns: tuple[Column, ...]
    values: tuple[np.ndarray, ...]
    target: str
    target_texts: Sequence[str] = ()
    empty: tuple[str, ...] = ()
    unnamed: int = 0

    def items(self, kind: str = "") -> Iterator[tuple[str, np.ndarray]]:
        """Names and values of the columns of a kind, or of all."""
        for column, values in zip(self.columns, self.values, strict=True):
            if kind in ("", column.kind):
                yield column.name, values


@dataclass(frozen=True, eq=False)
class Texts:
    """N texts."""

    texts: Sequence[str]


@dataclass(frozen=True, eq=False)
class Sounds:
    """seconds, rates: float and int [N], of the files. peaks, levels: float [N], the largest and the root mean square
    of the samples, of which full scale is 1. clipped: float [N], the share of samples at full scale. wave: a place ->
    its samples, int16 [S]."""

    seconds: np.ndarray
    rates: np.ndarray
    peaks: np.ndarray
    levels: np.ndarray
    clipped: np.ndarray
    wave: Callable[[int], np.ndarray]


@dataclass(frozen=True, eq=False)
class Evidence:
    """All that checks see. what: what the examples are, "images" say. parts: int [N], places in PARTS. y: float64 [N],
    numbers of classes, or numbers where there are no `classes`; NaN where missing. digests: [N], equal where inputs
    are. places: where each is from. damaged: what could not be read, and why. notes: of whoever read them."""

    name: str
    task: str
    what: str
    parts: np.ndarray
    y: np.ndarray
    classes: tuple[str, ...]
    digests: np.ndarray
    places: Sequence[str]
    content: Images | Columns | Texts | Sounds
    sizes: dict[str, int] = field(default_factory=dict)
    damaged: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.y)

    def counts(self, part: int | None = None) -> np.ndarray:
        """int [classes], how many examples each class has, in a part or in all."""
        if not self.classes:
            return np.zeros(0, int)
        y = self.y if part is None else self.y[self.parts == part]
        return np.bincount(y[~np.isnan(y)].astype(int), minlength=len(self.classes))


Check = Callable[[Evidence], Iterator[Finding]]
