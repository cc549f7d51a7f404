"""Recordings as checks see them."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from dnas.automl.checks.protocol import TEST, TRAIN, Evidence, Sounds
from dnas.automl.gather._files import digest, numbered, readable
from dnas.data._audio import Recordings, parted
from dnas.data._files import users_path
from dnas.data._sounds import FULL, as_int16, as_they_are, read_file
from dnas.data.audio_folder import rows_in

USUAL_RATE = 16_000  # Hz, what speech is recorded at; more is only more work


class _Seen(NamedTuple):
    """Of one recording: its length [s], its rate [Hz], its digest, and of its samples the largest, the root mean square
    and the share at full scale."""

    seconds: float
    rate: int
    digest: int
    peak: float
    level: float
    clipped: float


def of_recordings(data: Recordings) -> Evidence:
    """The evidence of a data set in memory."""
    waves = [x[:length] for part in (data.train, data.test) for x, length in zip(part.x, part.lengths, strict=True)]
    counts = len(data.train_y), len(data.test_y)
    return Evidence(
        name=data.name,
        task=data.task,
        what="recordings",
        parts=np.repeat([TRAIN, TEST], counts),
        y=np.concatenate([data.train_y, data.test_y]).astype(float),
        classes=data.classes,
        places=numbered("recording", *counts),
        notes=(data.note,),
        **_heard([_seen(wave, data.sample_rate) for wave in waves], data.sample_rate, lambda i: waves[i]),
    )


def of_folder(path: str, sample_rate: int = 0, limit: int = 0, seed: int = 0) -> Evidence:
    """The evidence of a folder of recordings, with the settings of `audio_folder`. sample_rate: 0 for that of most of
    them, no more than 16,000 Hz, which the evidence says. Damaged ones are told apart."""
    root = users_path(path)
    rows, note = rows_in(root, USUAL_RATE)
    chosen = parted(root.resolve().name, rows, limit=limit, seed=seed)
    files = [Path(row.place) for row in (*chosen.train, *chosen.test)]
    good, heard, damaged = readable(files, _see, "recordings", root)
    commonest = Counter(one.rate for one in heard).most_common(1)[0][0]
    rate = sample_rate or min(USUAL_RATE, commonest)
    kept = [files[i] for i in good]
    return Evidence(
        name=root.resolve().name,
        task="audio_classification",
        what="recordings",
        parts=np.repeat([TRAIN, TEST], [len(chosen.train), len(chosen.test)])[good],
        y=np.concatenate([chosen.train_y, chosen.test_y])[good].astype(float),
        classes=chosen.classes,
        places=[str(file.relative_to(root)) for file in kept],
        damaged=damaged,
        notes=(note, *chosen.notes),
        **_heard(heard, rate, lambda i: read_file(kept[i], rate)[0]),
    )


def _see(file: Path) -> _Seen:
    samples, rate, _ = as_they_are(file)
    return _seen(as_int16(samples), rate)


def _seen(wave: np.ndarray, rate: int) -> _Seen:
    """wave: int16 [S]."""
    size = np.abs(wave.astype(np.int32))
    return _Seen(
        seconds=len(wave) / rate,
        rate=rate,
        digest=digest(wave.tobytes()),
        peak=float(size.max()) / FULL,
        level=float(np.sqrt(np.mean(np.square(size, dtype=float)))) / FULL,
        clipped=float(np.mean(size >= FULL - 2)),
    )


def _heard(heard: Sequence[_Seen], rate: int, wave: Callable[[int], np.ndarray]) -> dict:
    """What `Evidence` has of recordings; rate: at which networks will hear them, Hz."""
    seconds, rates, _, peaks, levels, clipped = (np.array(values) for values in zip(*heard, strict=True))
    return {
        "digests": np.array([one.digest for one in heard], np.uint64),
        "content": Sounds(seconds, rates, peaks, levels, clipped, wave),
        "sizes": {"sample_rate": rate, "samples": int(np.ceil(seconds.max() * rate))},
    }
