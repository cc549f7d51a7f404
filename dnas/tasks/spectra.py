"""Waveforms as spectra that networks read as images of one channel, or frame by frame, computed inside the jitted step.

    P = |rfft(hann * frame)|^2        log-mel = log(P F + 1e-6)        MFCC = DCT-II(log-mel), orthonormal

F: triangles with a peak of 1, equally spaced on the mel scale, 2595 log10(1 + f / 700), from 0 Hz to half the sample
rate (Davis and Mermelstein, IEEE TASSP 28(4), 1980; the scale as in HTK). What changes training examples: a shift in
time and a gain of the waveform, and masks of SpecAugment (Park et al. 2019, arXiv:1904.08779).

Pure functions for inside jit. Axis letters: B batch, S samples, T frames, K frequencies, M mels or coefficients.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dnas import keys
from dnas.data._sounds import FULL

LEAST = 1e-6  # added to the power, so that silence has a logarithm


class FrontEnd(NamedTuple):
    """window, hop: in samples. mfcc: how many cepstral coefficients are read; 0: the log-mel spectrum itself."""

    sample_rate: int
    window: int
    hop: int
    mels: int
    mfcc: int

    @property
    def points(self) -> int:
        """Of the Fourier transform: the next power of 2."""
        return 1 << (self.window - 1).bit_length()

    def shape(self, samples: int) -> tuple[int, int, int]:
        """[T, M, 1] of a waveform of so many samples, at least a window."""
        return 1 + (samples - self.window) // self.hop, self.mfcc or self.mels, 1


class Waveforms(NamedTuple):
    """samples [N, S], zeros behind their lengths int32 [N]."""

    samples: Any
    lengths: Any


class Changes(NamedTuple):
    """Of training examples, the most that may be drawn. shift: in samples. gain: in decibels. frames, mels: of a mask.
    0: none."""

    shift: int = 0
    gain: float = 0.0
    frames: int = 0
    mels: int = 0


def filters(front: FrontEnd) -> np.ndarray:
    """F, float64 [K, M]."""
    edges = np.linspace(0, _mel(front.sample_rate / 2), front.mels + 2)
    low, peak, high = (700 * (10 ** (edges[i : i + front.mels] / 2595) - 1) for i in range(3))
    hertz = np.arange(front.points // 2 + 1)[:, None] * front.sample_rate / front.points
    rising, falling = (hertz - low) / (peak - low), (high - hertz) / (high - peak)
    return np.maximum(0, np.minimum(rising, falling))


def cepstra(front: FrontEnd) -> np.ndarray:
    """DCT-II, float64 [mels, mfcc]."""
    place, number = (np.arange(front.mels) + 0.5)[:, None], np.arange(front.mfcc)
    table = np.sqrt(2 / front.mels) * np.cos(np.pi / front.mels * place * number)
    table[:, 0] /= np.sqrt(2)
    return table


def spectra(front: FrontEnd, sound: jax.Array) -> jax.Array:
    """Waveforms of floats [B, S] -> [B, T, M]."""
    frames, _, _ = front.shape(sound.shape[1])
    index = np.arange(frames)[:, None] * front.hop + np.arange(front.window)
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(front.window) / front.window)
    shown = sound[:, index] * jnp.asarray(hann, sound.dtype)[None, None]
    waves = jnp.fft.rfft(shown, front.points)
    power = waves.real**2 + waves.imag**2
    log_mel = jnp.log(_product(power, filters(front)) + LEAST)
    return _product(log_mel, cepstra(front)) if front.mfcc else log_mel


def frames_of(front: FrontEnd, lengths: jax.Array) -> jax.Array:
    """How many frames of waveforms of so many samples [B] hold no padding, at least one."""
    return 1 + jnp.maximum(lengths - front.window, 0) // front.hop


def as_floats(x: jax.Array) -> jax.Array:
    """int16 -> floats in [-1, 1)."""
    return x.astype(jnp.result_type(float)) / FULL


def normalised(spectrum: jax.Array, mean: jax.Array, std: jax.Array, dtype: str) -> jax.Array:
    """[B, T, M] of zero mean and unit variance in what is trained on; only then of few bits."""
    kind = spectrum.dtype
    return ((spectrum - mean.astype(kind)[None, None]) / std.astype(kind)[None, None]).astype(dtype)


def changed(key: jax.Array, given: Waveforms, changes: Changes) -> Waveforms:
    """Waveforms of floats shifted in time, with zeros where nothing was, and made louder or softer."""
    sound, lengths = given
    if changes.shift:
        moved = jax.random.randint(keys.stream(key, "shift"), (len(sound), 1), -changes.shift, changes.shift + 1)
        source = jnp.arange(sound.shape[1])[None] - moved
        inside = (source >= 0) & (source < sound.shape[1])
        sound = jnp.where(inside, jnp.take_along_axis(sound, source, 1, mode="clip"), 0)
        lengths = jnp.clip(lengths + moved[:, 0], 1, sound.shape[1])
    if changes.gain:
        drawn = jax.random.uniform(keys.stream(key, "gain"), (len(sound), 1), sound.dtype, -1, 1)
        sound = sound * 10 ** (drawn * (changes.gain / 20))
    return Waveforms(sound, lengths)


def masked(key: jax.Array, x: jax.Array, frames: jax.Array, changes: Changes) -> jax.Array:
    """Normalised spectra [B, T, M] with a stripe in time and one in frequency of zeros, which is the mean. frames: how
    many of each the first is drawn among [B]."""
    bins = jnp.full(len(x), x.shape[2])
    for name, axis, most, counts in (
        ("time mask", 1, changes.frames, frames),
        ("frequency mask", 2, changes.mels, bins),
    ):
        if most:
            hidden = _stripe(keys.stream(key, name), counts[:, None], x.shape[axis], most)
            x = jnp.where(jnp.expand_dims(hidden, 3 - axis), 0, x)
    return x


def _stripe(key: jax.Array, counts: jax.Array, length: int, most: int) -> jax.Array:
    """bool [B, length]: a stripe of 0 to `most` places in each row, anywhere in the first so many [B, 1], of which one
    is left."""
    width_key, start_key = jax.random.split(key)
    width = jnp.minimum(jax.random.randint(width_key, counts.shape, 0, most + 1), counts - 1)
    start = jax.random.randint(start_key, counts.shape, 0, counts - width + 1)
    place = jnp.arange(length)[None]
    return (place >= start) & (place < start + width)


def _product(x: jax.Array, matrix: np.ndarray) -> jax.Array:
    """In full precision, which accelerators would leave out."""
    return jnp.matmul(x, jnp.asarray(matrix, x.dtype), precision="highest")


def _mel(hertz: float) -> float:
    return 2595 * np.log10(1 + hertz / 700)
