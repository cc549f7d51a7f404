"""Where data files are looked for, how they are opened, and one sentence for each way in which one can be missing or
broken. Only regular files are opened, whoever put them there: a named pipe waits and a device never ends.
"""

import csv
import lzma
import os
import pickle
import re
import struct
import sys
import tarfile
import tokenize
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Literal, TypeVar

from dnas.errors import UserError
from dnas.paths import cache_dir, replaced

Item = TypeVar("Item")


class NotHere(UserError):
    """A data set or a table whose files are not on this machine."""


@dataclass(frozen=True)
class Location:
    """Where a data set is looked for, where it is ("embedded": in a package), how to get it, and its licence as those
    who publish it say; "": they do not, or nobody has looked."""

    searched: tuple[Path, ...]
    found: Path | Literal["embedded"] | None
    how_to_get: str
    licence: str = ""

    def require(self, name: str, needed: str, what: str = "data set") -> Path:
        """The path found. Errors: `NotHere`: which file, where it was looked for and how to get it."""
        if isinstance(self.found, Path):
            return self.found
        places = " or ".join(str(path) for path in self.searched)
        hint = self.how_to_get[0].lower() + self.how_to_get[1:]
        raise NotHere(f"The {what} '{name}' needs {needed}, not found at {places}: {hint}")


def data_dir() -> Path:
    """The folder of data files and decoded copies: `$DNAS_DATA_DIR`, else in the user's cache folder."""
    if chosen := os.environ.get("DNAS_DATA_DIR"):
        return users_path(chosen).absolute()
    try:
        return cache_dir() / "data"
    except RuntimeError as error:  # pathlib's, where there is none
        raise UserError("There is no home folder to keep data in: set DNAS_DATA_DIR to a folder for them.") from error


def of_project(file: str, folder: str, how_to_get: str = "") -> Location:
    """Where a file of the project's own lies: in the data folder, in `folder` there, or in that of `$DNAS_SHARED`."""
    shared = Path(os.environ.get("DNAS_SHARED") or "../shared").absolute()
    places = (data_dir() / file, data_dir() / folder / file, shared / "data" / folder / file)
    how = f"Put the project's {file} into {data_dir()} or point DNAS_SHARED at the project's shared folder."
    return Location(places, first_existing(places), how_to_get or how)


def users_path(written: object) -> Path:
    """A path as a user writes it: with ~ for the home folder, or a number as in `path=2024`."""
    return Path(os.path.expanduser(str(written)))


def first_existing(places: Iterable[Path]) -> Path | None:
    """The first place that is there, if any; one that we may not look into counts as not there."""
    return next((place for place in places if os.path.exists(place)), None)


@contextmanager
def reading(what: Path | str, remedy: str) -> Iterator[None]:
    """Turns whatever a missing, corrupt or hostile file raises into one `UserError` that names it."""
    try:
        yield
    except OSError as error:
        if error.errno is None:  # gzip, tarfile and Pillow raise OSError for content, without an errno
            raise _corrupt(what, error, remedy) from error
        raise UserError(f"Cannot read {what} ({error.strerror}): {remedy}.") from error
    except CONTENT_ERRORS as error:
        raise _corrupt(what, error, remedy) from error


def decoded(content: bytes, where: str, remedy: str, encoding: str = "utf-8") -> str:
    """The text of a file. Errors: `UserError` that names the line which is not in this encoding."""
    try:
        return content.decode("utf-8-sig" if encoding == "utf-8" else encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise UserError(f"Cannot read {where}: it is no text in UTF-8, see its line {line:,}: {remedy}.") from None


def free_memory() -> int:
    """Bytes of memory that can still be had: the machine's free ones, or all of this container's if they are fewer.

    Without a bound where the system does not say (it is asked as Linux is).
    """
    found = [sys.maxsize]
    for place, pattern, unit in _MEMORY:
        with suppress(OSError):
            if match := re.search(pattern, place.read_text()):
                found.append(int(match[1]) * unit)
    return min(found)


def check_memory(size: int, what: str, remedy: str) -> None:
    """Errors: `UserError` if so many bytes would fill more than half of the free memory: more copies will follow."""
    free = free_memory()
    if size > free / 2:
        large, half = f"{size / 1e9:,.1f} GB", f"half of the free memory ({free / 1e9:,.1f} GB)"
        raise UserError(f"{what} take {large}, more than {half}: {remedy}.")


def write_atomically(path: Path, write: Callable[[IO[bytes]], None]) -> None:
    """The file is there whole or not at all, in a folder that is made if need be. Errors: `OSError`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with replaced(path) as part, part.open("wb") as file:
        write(file)


def progress(items: Sequence[Item], description: str) -> Iterator[Item]:
    """The items, with a progress bar on stderr that disappears when done; none where nobody looks at it."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    yield from track(items, description, console=console, transient=True, disable=not console.is_terminal)


CONTENT_ERRORS = (
    EOFError,
    zlib.error,
    lzma.LZMAError,
    struct.error,
    csv.Error,
    pickle.UnpicklingError,
    tarfile.TarError,
    zipfile.BadZipFile,
    NotImplementedError,  # zipfile: an unknown compression method
    RuntimeError,  # zipfile: an encrypted member
    MemoryError,  # a header that promises more than there is
    OverflowError,
    SyntaxError,  # numpy's .npy header; Pillow's PNG reader
    tokenize.TokenError,  # numpy's .npy header again
    LookupError,
    AttributeError,
    TypeError,
    ValueError,
)

_MEMORY = (
    (Path("/proc/meminfo"), r"MemAvailable: *(\d+) kB", 1024),
    (Path("/sys/fs/cgroup/memory.max"), r"^(\d+)", 1),
    (Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"), r"^(\d+)", 1),
)


def _corrupt(what: Path | str, error: Exception, remedy: str) -> UserError:
    silent = {EOFError: "it ends early", MemoryError: "it needs more memory than there is"}
    text = str(error) or silent.get(type(error), type(error).__name__)
    reason = " ".join(text.split()).split(". ")[0].rstrip(".")[:120]
    return UserError(f"{what} is truncated or corrupt ({reason}): {remedy}.")
