"""Recordings with a class each: waveforms of one channel, filled up with zeros, and how long they are.

Axis letters: N recordings, S samples of the longest.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

import numpy as np

from dnas.data import HELD_OUT, check_size_and_limit, held_out_note, joined_notes, limited, named
from dnas.data._arrays import hold_out
from dnas.data._files import check_memory, progress
from dnas.errors import UserError


class Sounds(NamedTuple):
    """Waveforms x int16 [N, S], zeros behind their lengths int32 [N], and their classes y int32 [N]."""

    x: np.ndarray
    lengths: np.ndarray
    y: np.ndarray


@dataclass(frozen=True, eq=False)
class Recordings:
    """Recordings with a class each. sample_rate: samples a second, Hz. The note says what a reader of a result must
    know."""

    name: str
    train: Sounds
    test: Sounds
    sample_rate: int
    classes: tuple[str, ...]
    note: str = ""
    task: ClassVar[str] = "audio_classification"

    def __post_init__(self) -> None:
        if len(self.classes) < 2:
            raise UserError(f"The data set '{self.name}' has {len(self.classes)} class(es): at least 2 are needed.")
        for part in ("train", "test"):
            x, lengths, y = (getattr(getattr(self, part), name) for name in ("x", "lengths", "y"))
            what = f"The {part} part of '{self.name}'"
            if x.ndim != 2 or x.dtype != np.int16 or 0 in x.shape:
                raise UserError(f"{what} must be int16 [N, S], none empty, not {x.dtype} {list(x.shape)}.")
            for name, numbers in (("lengths", lengths), ("labels", y)):
                if numbers.dtype != np.int32 or numbers.shape != x.shape[:1]:
                    raise UserError(f"{what} is {len(x)} recordings, but has {len(numbers)} {name} ({numbers.dtype}).")
            if lengths.min() < 1 or lengths.max() > x.shape[1]:
                raise UserError(f"{what} has lengths from {lengths.min()} to {lengths.max()}, expected 1 to S.")
            if not 0 <= y.min() <= y.max() < len(self.classes):
                raise UserError(f"{what} has labels that are none of its {len(self.classes)} classes.")

    @property
    def train_y(self) -> np.ndarray:
        """Classes of the train part."""
        return self.train.y

    @property
    def test_y(self) -> np.ndarray:
        """Classes of the test part."""
        return self.test.y


class Row(NamedTuple):
    """A recording that is still to be read, and the name of its class. read: -> its samples, int16 [S], and remarks.
    place: where it is from."""

    read: Callable[[], tuple[np.ndarray, set[str]]]
    label: str
    place: str


def of_rows(
    name: str,
    rows: Mapping[str, Sequence[Row]],
    sample_rate: int,
    *,
    limit: int = 0,
    seed: int = 0,
    note: str = "",
    without_damaged: bool = False,
) -> Recordings:
    """The data set of the rows of each part: without "test" a seeded 20 % of the train rows, stratified by class.

    limit: that many train recordings, in proportion to the classes, and a fifth as many test ones; 0: all. Only these
    are read. without_damaged: leave out what cannot be read. Errors: `UserError` for a class that has one recording, or
    that none of the train part is of.
    """
    chosen = parted(name, rows, limit=limit, seed=seed)
    x, lengths, sound, remarks = _read(name, [*chosen.train, *chosen.test], without_damaged)
    train, test = np.split(sound, [len(chosen.train)])
    count = train.sum()
    return Recordings(
        name,
        Sounds(x[:count], lengths[:count], chosen.train_y[train]),
        Sounds(x[count:], lengths[count:], chosen.test_y[test]),
        sample_rate,
        chosen.classes,
        joined_notes(note, *chosen.notes, *remarks),
    )


class Parts(NamedTuple):
    """The rows of the parts, their classes int32 [N], and notes."""

    train: list[Row]
    train_y: np.ndarray
    test: list[Row]
    test_y: np.ndarray
    classes: tuple[str, ...]
    notes: list[str]


def parted(name: str, rows: Mapping[str, Sequence[Row]], *, limit: int = 0, seed: int = 0) -> Parts:
    """The rows that are to be read, see `of_rows`."""
    check_size_and_limit(name, 0, limit)
    classes = _classes(name, rows["train"])
    known = {label: number for number, label in enumerate(classes)}
    for row in rows.get("test", ()):
        if row.label not in known:
            raise UserError(f"{row.place} is of the class '{row.label}', which no train recording is of: leave it out.")
    train, test = list(rows["train"]), list(rows.get("test", ()))
    notes = []
    if not test:
        kept, held = hold_out(np.array([known[row.label] for row in train], np.int32), HELD_OUT, seed)
        train, test = [train[i] for i in np.sort(kept)], [train[i] for i in np.sort(held)]
        notes.append(held_out_note(seed))
    train_y, test_y = (np.array([known[row.label] for row in part], np.int32) for part in (train, test))
    train_rows, test_rows, limit_note = limited(train_y, test_y, limit, "recordings")
    return Parts(
        [train[i] for i in train_rows],
        train_y[train_rows],
        [test[i] for i in test_rows],
        test_y[test_rows],
        classes,
        [*notes, limit_note],
    )


def padded(sounds: Iterable[np.ndarray], length: int) -> np.ndarray:
    """Waveforms [S] of any lengths as int16 [N, `length`]: what is longer is cut, what is shorter filled up with
    zeros."""
    sounds = list(sounds)
    x = np.zeros((len(sounds), length), np.int16)
    for row, sound in zip(x, sounds, strict=True):
        row[: len(sound)] = sound[:length]
    return x


def _classes(name: str, rows: Sequence[Row]) -> tuple[str, ...]:
    counts = Counter(row.label for row in rows)
    if len(counts) < 2:
        raise UserError(f"'{name}' has recordings of {len(counts)} class(es): at least 2 are needed.")
    for row in rows:
        if counts[row.label] == 1:
            raise UserError(
                f"The class '{row.label}' has one recording, {row.place}: a class needs at least 2, so give it more or "
                "leave it out."
            )
    return tuple(sorted(counts))


def _read(
    name: str, rows: Sequence[Row], without_damaged: bool
) -> tuple[np.ndarray, np.ndarray, np.ndarray, list[str]]:
    """Waveforms int16 [M, S] and lengths int32 [M] of the rows that are sound, which these are, bool [N], and notes on
    what the recordings were."""
    sounds, remarks, size, longest, damaged = list[np.ndarray](), Counter[str](), 0, 0, list[str]()
    for row in progress(rows, f"Reading {len(rows):,} recordings"):
        try:
            sound, found = row.read()
        except UserError:
            if not without_damaged:
                raise
            damaged.append(row.place)
            continue
        sounds.append(sound)
        remarks.update(found)
        size, longest = size + sound.nbytes, max(longest, len(sound))
        padded_size = len(rows) * longest * sound.itemsize
        check_memory(size + padded_size, f"The recordings of '{name}'", "choose a limit, or shorter ones")
    lengths, left_out = np.array(list(map(len, sounds)), np.int32), {*damaged}
    notes = [f"{remark}: {count:,}" for remark, count in sorted(remarks.items())]
    sound_rows = np.array([row.place not in left_out for row in rows], bool)
    return padded(sounds, longest), lengths, sound_rows, [*notes, named("left out, damaged", damaged)]
