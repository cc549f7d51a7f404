"""One file of sound, wav or flac, as 16-bit samples of one channel at a wanted rate, and remarks on what was done.

Files are decoded by libsndfile (`soundfile`, an optional package), resampled by SciPy's polyphase filter. Axis letters:
S samples.
"""

import io
import math
from pathlib import Path
from typing import Any

import numpy as np

from dnas.data._files import check_memory, reading
from dnas.errors import UserError
from dnas.paths import content_of

REMEDY = "replace or remove this recording"
SUFFIXES = {".wav", ".wave", ".flac"}
FORMATS = ("WAV", "WAVEX", "RF64", "FLAC")
SIXTEEN_BITS = ("PCM_U8", "PCM_S8", "PCM_16", "ULAW", "ALAW")  # codes that need no more
FULL = 2**15  # of an int16, what 1.0 is of a float
RATES = (1_000, 400_000)  # Hz
MOST_SECONDS, MOST_BYTES = 600, 2**29  # of a file
UNKNOWN_SIZE = 2**32 - 1  # of a chunk, where the length was not known when it was written

MIXED = "recordings of several channels, mixed down to one"
REDUCED = "recordings of more than 16 bits, reduced to 16"
CLIPPED = "recordings louder than full scale, clipped"


def read_file(path: Path, sample_rate: int) -> tuple[np.ndarray, set[str]]:
    """The samples of a file, int16 [S], and remarks. Errors: `UserError` as `read`, and for a missing file."""
    return read(_content(path), str(path), sample_rate)


def as_they_are(path: Path) -> tuple[np.ndarray, int, set[str]]:
    """The samples of a file, float32 [S], at its own rate, that rate in Hz, and remarks. Errors: as `read_file`."""
    content = _content(path)
    with reading(path, REMEDY):
        return _decoded(content, str(path))


def read(content: bytes, where: str, sample_rate: int) -> tuple[np.ndarray, set[str]]:
    """The same of what is in a file; where: its name, for messages.

    Errors: `UserError` for what is no wav or flac file, or truncated, or has no samples, or more than ten minutes.
    """
    with reading(where, REMEDY):
        samples, rate, remarks = _decoded(content, where)
    if rate != sample_rate:
        remarks.add(f"recordings resampled from {rate:,} to {sample_rate:,} Hz")
        samples = resampled(samples, rate, sample_rate)
    if np.abs(samples).max() > 1:
        remarks.add(CLIPPED)
    return as_int16(samples), remarks


def as_int16(samples: np.ndarray) -> np.ndarray:
    """Floats from -1 to 1 as 16 bits, clipped; those that were 16 bits before are what they were."""
    return np.clip(np.round(samples * np.float32(FULL)), -FULL, FULL - 1).astype(np.int16)


def resampled(samples: np.ndarray, rate: int, wanted: int) -> np.ndarray:
    """float32 [S] at `rate` -> float32 [S wanted / rate, rounded up], low-pass filtered."""
    from scipy.signal import resample_poly  # it takes a while

    common = math.gcd(rate, wanted)
    return resample_poly(samples, wanted // common, rate // common).astype(np.float32)


def _content(path: Path) -> bytes:
    with reading(path, REMEDY):
        return content_of(path, MOST_BYTES)


def _decoded(content: bytes, where: str) -> tuple[np.ndarray, int, set[str]]:
    """float32 [S], the rate, and remarks. Errors: `UserError`; `ValueError` for what is damaged."""
    soundfile, remarks = _soundfile(), set[str]()
    if content[:4] == b"RIFF" and _cut_short(content):  # libsndfile reads what is left
        raise EOFError
    try:
        with soundfile.SoundFile(io.BytesIO(content)) as file:
            if file.format not in FORMATS:
                raise ValueError(f"it is {file.format}, no wav or flac file")
            rate, frames, channels, code = file.samplerate, file.frames, file.channels, file.subtype
            if not frames:
                raise UserError(f"{where} has no samples: {REMEDY}.")
            if not RATES[0] <= rate <= RATES[1]:
                raise UserError(f"{where} has {rate:,} samples a second, expected {RATES[0]:,} or more: {REMEDY}.")
            if frames > MOST_SECONDS * rate:
                raise UserError(f"{where} is longer than {MOST_SECONDS} seconds: cut it into shorter recordings.")
            check_memory(frames * channels * 4, f"The samples of {where}", "cut it into shorter recordings")
            samples = file.read(frames, dtype="float32", always_2d=True)
    except soundfile.LibsndfileError as error:  # whose text names a Python object
        raise ValueError(error.error_string) from None
    if len(samples) < frames:
        raise EOFError
    if not np.isfinite(samples).all():
        raise UserError(f"{where} has samples that are no finite numbers: {REMEDY}.")
    if channels > 1:
        remarks.add(MIXED)
    if code not in SIXTEEN_BITS:
        remarks.add(REDUCED)
    return samples.mean(1, dtype=np.float32), rate, remarks


def _cut_short(content: bytes) -> bool:
    """Whether a RIFF file promises more bytes of sound than it has."""
    place = 12
    while place + 8 <= len(content):
        size = int.from_bytes(content[place + 4 : place + 8], "little")
        if content[place : place + 4] == b"data":
            return size != UNKNOWN_SIZE and place + 8 + size > len(content)
        place += 8 + size + size % 2
    return False


def _soundfile() -> Any:
    try:
        import soundfile
    except (ImportError, OSError) as error:  # OSError: it is there without its library in C
        raise UserError("Files of sound are read by the package soundfile: pip install 'dnas[audio]'.") from error
    return soundfile
