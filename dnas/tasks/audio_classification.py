"""Classes of recordings: waveforms lie on the device, and become log-mel spectra or MFCC inside the jitted step.

Networks read these as images of one channel, [frames, mels, 1], normalised by mean and standard deviation of every mel
bin of the train part; so every cell and chain of images is one of sounds. Networks of sequences read them frame by
frame, as far as a recording goes: what fills it up is padding to them, and counts in no mean. Spectra are made anew
for every batch and are not kept: those of 3,000 recordings of one second take 0.4 s of one core, little beside an epoch
of any network, and what is shifted or made louder has others each time.

Axis letters: N recordings, B batch, S samples, T frames, M bins.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import Annotated, Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np

from dnas import keys
from dnas.config import AugmentConfig, Config
from dnas.data import joined_notes
from dnas.data._arrays import stratified_order, validation_count
from dnas.data._audio import Recordings, padded
from dnas.data._sounds import as_int16
from dnas.errors import UserError
from dnas.ranges import Range, Whole
from dnas.tasks.binding import OF_IMAGES, refuse_idle
from dnas.tasks.classification import ClassesOfParts, Classification, told
from dnas.tasks.rows import padded_rows, random_order
from dnas.tasks.spectra import (
    Changes,
    FrontEnd,
    Waveforms,
    as_floats,
    changed,
    filters,
    frames_of,
    masked,
    normalised,
    spectra,
)
from dnas.tasks.tabular import check
from dnas.tasks.task import EVALUATION_BATCH, VALIDATES, Binding, Shape, Sums, pure_part
from dnas.types import Batch, Frames, Tree

Milliseconds = Annotated[float, Range(0.1, 1000)]


@dataclass(frozen=True, eq=False, kw_only=True)
class SoundSteps(Classification):
    """What traced functions hold. dtype: of the normalised spectra. changes: of training examples. takes: what spectra
    are read as, "images" or "frames"."""

    front: FrontEnd
    dtype: str
    changes: Changes = Changes()
    takes: str = "images"

    def order(self, key: jax.Array, arrays: Tree, needed: int) -> jax.Array:
        return random_order(key, len(arrays[1]), needed)

    def batch(self, arrays: Tree, order: jax.Array, number: jax.Array, size: int, key: jax.Array) -> Batch:
        (x, lengths), y, moments = arrays
        rows = jax.lax.dynamic_slice_in_dim(order, number * size, size)
        sounds = changed(keys.stream(key, "sound"), Waveforms(as_floats(x[rows]), lengths[rows]), self.changes)
        spectrum, frames = self._heard(sounds, moments)
        return Batch(self._read(masked(keys.stream(key, "masks"), spectrum, frames, self.changes), frames), y[rows])

    def evaluation_batch(self, row: Tree, constants: Tree) -> Batch:
        (x, lengths), y, counted = row
        return Batch(self._read(*self._heard(Waveforms(as_floats(x), lengths), constants)), y, counted)

    def _heard(self, sounds: Waveforms, moments: Tree) -> tuple[jax.Array, jax.Array]:
        """Normalised spectra [B, T, M], and how many frames of each are read [B]."""
        mean, std = moments
        found = normalised(spectra(self.front, sounds.samples), mean, std, self.dtype)
        whole = jnp.full(found.shape[0], found.shape[1])
        return found, frames_of(self.front, sounds.lengths) if self.takes == "frames" else whole

    def _read(self, spectrum: jax.Array, frames: jax.Array) -> Any:
        """What networks get of these."""
        return Frames(spectrum, frames) if self.takes == "frames" else spectrum[..., None]


@dataclass(frozen=True, eq=False, kw_only=True)
class SoundClasses(SoundSteps, ClassesOfParts):
    """`task.Task` of recordings. parts: waveforms of int16 [N, S] and classes [N] of "train", of "valid" in a search
    and where some of it validates, and of "test" after a search. cut: a note on recordings that are longer than S."""

    recordings: Recordings
    stage: str = "search"
    cut: str = ""
    name: ClassVar[str] = "audio_classification"

    @property
    def pure(self) -> Any:
        return pure_part(self, SoundSteps)

    @property
    def length(self) -> int:
        """S."""
        return self.parts["train"][0].samples.shape[1]

    @cached_property
    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Mean and std float32 [M] of the train part, of the frames that are read."""
        return moments_of(self.front, self.parts["train"][0], padding=self.takes == "images")

    @property
    def shape(self) -> Shape:
        *sequence, one = self.front.shape(self.length)
        return Shape(len(self.recordings.classes), (*sequence, *(one,) * (self.takes == "images")))

    def framed(self) -> "SoundClasses":
        """The same for networks that read spectra frame by frame."""
        if self.dtype == "bfloat16":
            raise UserError(
                f"Networks that read the spectra of task '{self.name}' frame by frame compute in the type of the "
                "weights: set dtype to 'float32'."
            )
        return replace(self, takes="frames", auxiliary=0.0)

    @property
    def note(self) -> str:
        return joined_notes(self.recordings.note, self.cut)

    @property
    def sizes(self) -> str:
        name, counts = self.recordings.name, self.counts
        if "valid" not in counts:
            return f"{name} ({counts['train']} recordings)"
        return f"{name}: {counts['train']} recordings for the weights, {counts['valid']} {VALIDATES[self.stage]}"

    def described(self) -> dict[str, Any]:
        about = {"name": self.recordings.name, "note": self.note, "classes": list(self.recordings.classes)}
        mean, std = self.moments
        sound = {"sound": self.front._asdict() | {"samples": self.length}, "mean": mean.tolist(), "std": std.tolist()}
        return about | self.counts | {"crc32": self.checksum} | sound

    def arrays(self, part: str) -> Tree:
        return *self.parts[part], self.moments

    @property
    def constants(self) -> Tree:
        return self.moments

    @property
    def class_names(self) -> tuple[str, ...]:
        return self.recordings.classes

    def inputs(self, given: object) -> Waveforms:
        """int16 [B, S] and lengths of waveforms, a list of arrays of any lengths or an array [B, samples], int16 or
        floats from -1 to 1, at the sample rate of the recordings; what is longer than S is cut.

        Errors: `UserError` for anything else, and for a waveform without samples.
        """
        return waveforms(waveforms_of(given), self.length)

    def seen(self, part: str, place: int, x: Waveforms) -> dict[str, np.ndarray]:
        return {"sound": x.samples[: int(x.lengths)]}

    def measures(self, sums: Sums) -> dict[str, float]:
        return told(super().measures(sums), len(self.class_names))


def task(
    *,
    window: Milliseconds = 25.0,
    hop: Milliseconds = 10.0,
    mels: Annotated[int, Range(2, 512)] = 40,
    mfcc: Annotated[int, Range(0, 512)] = 0,
    seconds: Annotated[float, Range(0.01, 600)] = 1.0,
    shift: Annotated[float, Range(0, 10_000)] = 0.0,
    gain: Annotated[float, Range(0, 60)] = 0.0,
    time_mask: Whole = 0,
    mel_mask: Whole = 0,
) -> Binding:
    """window, hop: milliseconds of a frame, and between two. mels: bins of the spectrum; mfcc: cepstral coefficients
    that are read instead, 0 for none. seconds: that are heard of a recording; a shorter one is filled up with zeros.
    Of training examples, by chance: shift: milliseconds, earlier or later, at most; gain: decibels, likewise;
    time_mask, mel_mask: frames and bins that are hidden, at most."""

    def bind(dataset: Any, plan: Any, config: Config, stage: str) -> tuple[SoundClasses, Any]:
        if not isinstance(dataset, Recordings):
            raise UserError(
                f"The task '{SoundClasses.name}' needs recordings with a class each, such as 'spoken_digits' or "
                f"'audio_folder:path=FOLDER', not '{dataset.name}'."
            )
        refuse_idle(config, stage, OF_IMAGES, "images only, while these are spectra of sounds")
        per_second, samples = dataset.sample_rate, round(seconds * dataset.sample_rate)
        in_window, in_hop = (max(1, round(length / 1000 * per_second)) for length in (window, hop))
        front = FrontEnd(per_second, in_window, in_hop, mels, mfcc)
        _check_front(front, samples, seconds)
        changes = Changes(round(shift / 1000 * per_second), gain, time_mask, mel_mask)
        _check_changes(changes, front, samples)
        rows = _rows_of(dataset, plan, config, stage)
        check(plan, dataset.name, {part: len(y) for part, (_, _, y) in rows.items()}, "recordings")
        parts = {
            part: (Waveforms(padded(x, samples), np.minimum(lengths, samples)), y)
            for part, (x, lengths, y) in rows.items()
        }
        found = SoundClasses(
            recordings=dataset,
            parts=parts,
            stage=stage,
            cut=joined_notes(*(cut_note(lengths, samples, per_second, part) for part, (_, lengths, _) in rows.items())),
            front=front,
            dtype=config.dtype,
            changes=changes,
            smoothing=0.0 if stage == "search" else plan.label_smoothing,
            auxiliary=0.0 if stage == "search" else plan.auxiliary,
        )
        return found, replace(plan, augment=AugmentConfig(pad=0, flip=False, cutout=0))  # which is for images

    return bind


def moments_of(front: FrontEnd, given: Waveforms, padding: bool) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation of every bin, float32 [M], over all frames of waveforms of int16 [N, S], or those
    without padding only. What is constant has a standard deviation of 1."""
    make, counts = jax.jit(partial(_spectra_of, front)), np.asarray(frames_of(front, jnp.asarray(given.lengths)))
    rows, counted = padded_rows(len(counts), min(EVALUATION_BATCH, len(counts)))
    sums, count = np.zeros((2, front.mfcc or front.mels)), 0
    for row, known in zip(rows, counted, strict=True):
        whole = np.asarray(make(given.samples[row]), np.float64)
        inside = known[:, None] & (padding | (np.arange(whole.shape[1]) < counts[row][:, None]))
        found = whole[inside]
        sums += found.sum(0), (found**2).sum(0)
        count += len(found)
    mean, square = sums / count
    variance = square - mean**2
    return mean.astype(np.float32), np.sqrt(np.where(variance > 1e-6, variance, 1)).astype(np.float32)


def waveforms(sounds: Sequence[np.ndarray], length: int) -> Waveforms:
    """Waveforms [S] of any lengths as one array: what is longer is cut."""
    lengths = np.array([min(len(sound), length) for sound in sounds], np.int32)
    return Waveforms(padded(sounds, length), lengths)


def waveforms_of(given: object) -> list[np.ndarray]:
    """Waveforms as int16 [S] each. Errors: `UserError` for anything but arrays of samples."""
    if not isinstance(given, list | tuple | np.ndarray | jax.Array):
        raise UserError(f"Waveforms are a list of arrays, not of type {type(given).__name__}: write [samples].")
    found = []
    for number, one in enumerate(given, 1):
        try:
            samples = np.asarray(one)
        except (ValueError, TypeError):
            samples = np.zeros((), object)
        floats = np.issubdtype(samples.dtype, np.floating)
        if samples.ndim != 1 or not (floats or samples.dtype == np.int16):
            raise UserError(
                f"Waveform {number} is {samples.dtype} {list(samples.shape)}, expected samples [S] of one channel, "
                "int16 or floats from -1 to 1: convert it."
            )
        if not len(samples):
            raise UserError(f"Waveform {number} has no samples.")
        if floats and not np.abs(samples).max() <= 1:  # `not`: catches NaN
            raise UserError(f"Waveform {number} has floats beyond -1 to 1: divide it by its largest one.")
        found.append(as_int16(samples) if floats else samples)
    return found


def _spectra_of(front: FrontEnd, x: jax.Array) -> jax.Array:
    return spectra(front, as_floats(x))


def _rows_of(dataset: Recordings, plan: Any, config: Config, stage: str) -> dict[str, tuple]:
    """Waveforms, lengths and classes of the parts that a stage uses. A portion of the train part is split off for
    validation, stratified by class: in a search by the seed of the run, in a training, if wanted, the same for all."""
    found, y = {"train": tuple(dataset.train)}, dataset.train.y
    if stage == "search" or plan.valid_portion:
        count = validation_count(len(y), plan.valid_portion)
        order = stratified_order(y, config.seed if stage == "search" else 0)
        rows = {"train": np.sort(order[count:]), "valid": np.sort(order[:count])}
        found = {part: tuple(values[rows[part]] for values in dataset.train) for part in rows}
    return found if stage == "search" else found | {"test": tuple(dataset.test)}


def cut_note(lengths: Sequence[int] | np.ndarray, samples: int, sample_rate: int, part: str) -> str:
    """A note on recordings that are longer than so many samples."""
    count, heard = int((np.asarray(lengths) > samples).sum()), samples / sample_rate
    return f"of {count:,} of {len(lengths):,} {part} recordings only the first {heard:g} s are heard" if count else ""


def _check_front(front: FrontEnd, samples: int, seconds: float) -> None:
    """Errors: `UserError` for settings that make no spectrum."""
    what = f"of task '{SoundClasses.name}'"
    if front.window > samples:
        raise UserError(f"The window {what} is longer than the {seconds:g} s that are heard: choose a shorter one.")
    if front.hop > front.window:
        raise UserError(f"The hop {what} is longer than its window, so that samples are lost: choose a shorter one.")
    if front.mfcc > front.mels:
        raise UserError(
            f"The setting 'mfcc' {what} is {front.mfcc}, and {front.mels} mels have as many coefficients: choose "
            "fewer, or more mels."
        )
    if empty := int((filters(front).sum(0) == 0).sum()):
        raise UserError(
            f"The setting 'mels' {what} is {front.mels}, of which {empty} have no frequency of a window of "
            f"{front.window} samples: choose fewer mels, or a longer window."
        )


def _check_changes(changes: Changes, front: FrontEnd, samples: int) -> None:
    frames, bins, _ = front.shape(samples)
    limits = {
        "shift": (changes.shift, samples),
        "time_mask": (changes.frames, frames),
        "mel_mask": (changes.mels, bins),
    }
    for name, (most, whole) in limits.items():
        if most >= whole:
            raise UserError(
                f"The setting '{name}' of task '{SoundClasses.name}' leaves nothing of a recording: choose less."
            )
