"""Where data files are looked for, and one sentence for each way in which a file can be missing or broken."""

import os
import pickle
import struct
import tarfile
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, TypeVar

import numpy as np

from dnas.errors import UserError

Item = TypeVar("Item")


@dataclass(frozen=True)
class Location:
    """Where a data set is looked for, where it is ("embedded": in a package), and how to get it."""

    searched: tuple[Path, ...]
    found: Path | Literal["embedded"] | None
    how_to_get: str

    def require(self, name: str, needed: str) -> Path:
        """The path found. Errors: `UserError`: which file, where it was looked for and how to get it."""
        if isinstance(self.found, Path):
            return self.found
        places = " or ".join(str(path) for path in self.searched)
        hint = self.how_to_get[0].lower() + self.how_to_get[1:]
        raise UserError(f"The data set '{name}' needs {needed}, not found at {places}: {hint}")


def data_dir() -> Path:
    """The folder of data files and decoded copies: `$DNAS_DATA_DIR`, else in the user's cache folder."""
    if chosen := os.environ.get("DNAS_DATA_DIR"):
        return Path(chosen).expanduser().absolute()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "dnas" / "data"


@contextmanager
def reading(what: Path | str, remedy: str) -> Iterator[None]:
    """Turns whatever a missing, corrupt or hostile file raises into one `UserError` that names it."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # gzip, tarfile and Pillow raise OSError for content, without an errno
            raise _corrupt(what, error, remedy) from error
        raise UserError(f"Cannot read {what} ({error.strerror}): {remedy}.") from error
    except _CONTENT_ERRORS as error:
        raise _corrupt(what, error, remedy) from error


def read_npz(path: Path, names: Sequence[str], optional: Sequence[str] = (), remedy: str = "") -> dict[str, np.ndarray]:
    """The named arrays of an .npz, read without pickle. Errors: `UserError`: a missing array, a bad file."""
    remedy = remedy or "give an .npz written by numpy.savez"
    with reading(path, remedy):
        opened = np.load(path, allow_pickle=False)
        if not isinstance(opened, np.lib.npyio.NpzFile):
            raise ValueError("a single .npy array")
        with opened as arrays:
            for name in names:
                if name not in arrays.files:
                    has = ", ".join(arrays.files) or "none"
                    raise UserError(f"{path} has no array '{name}' (it has: {has}): {remedy}.")
            return {name: arrays[name] for name in (*names, *optional) if name in arrays.files}


def write_atomically(path: Path, write: Callable[[IO[bytes]], None]) -> None:
    """The file is there whole or not at all: written under another name, then renamed. Errors: `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        with temporary.open("wb") as file:
            write(file)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def progress(items: Sequence[Item], description: str) -> Iterator[Item]:
    """The items, with a progress bar on stderr that disappears when done."""
    from rich.console import Console
    from rich.progress import track

    yield from track(items, description, console=Console(stderr=True), transient=True)


_CONTENT_ERRORS = (
    EOFError,
    zlib.error,
    struct.error,
    pickle.UnpicklingError,
    tarfile.TarError,
    zipfile.BadZipFile,
    NotImplementedError,  # zipfile: an unknown compression method
    RuntimeError,  # zipfile: an encrypted member
    MemoryError,  # a header that promises more than there is
    OverflowError,
    SyntaxError,  # numpy's .npy header; Pillow's PNG reader
    LookupError,
    AttributeError,
    TypeError,
    ValueError,
)


def _corrupt(what: Path | str, error: Exception, remedy: str) -> UserError:
    reason = " ".join(str(error).split()).split(". ")[0].rstrip(".")[:120] or type(error).__name__
    return UserError(f"{what} is truncated or corrupt ({reason}): {remedy}.")
