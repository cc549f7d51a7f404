"""Files of ours on this machine: private cache folders, files that are whole or not there, a lock per folder.

What is loaded and run (compiled programs, kernels) comes from the user's own cache folder only: nobody else can write
into it, and nothing is loaded that another user has written.
"""

import os
import stat
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from dnas.errors import StorageError

try:
    import fcntl
except ImportError:  # no such locks on this system: two processes in one folder are then not noticed
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"


def cache_dir() -> Path:
    """The user's cache folder of this library: `$XDG_CACHE_HOME/dnas`, by default `~/.cache/dnas`."""
    chosen = os.environ.get("XDG_CACHE_HOME", "")
    return (
        Path(chosen) if os.path.isabs(chosen) else Path.home() / ".cache"
    ) / "dnas"  # the standard wants it absolute


def private(name: str) -> Path:
    """A folder of the cache that only this user can enter, made if need be.

    Errors: `OSError` where it cannot be made, or is another user's, or others may write into it and that cannot be
    changed.
    """
    folder = cache_dir() / name
    folder.parent.mkdir(parents=True, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)
    about = folder.lstat()
    if not stat.S_ISDIR(about.st_mode):
        raise PermissionError(f"{folder} is no folder")
    if not _ours(about):
        raise PermissionError(f"{folder} belongs to another user")
    if stat.S_IMODE(about.st_mode) & 0o077:
        folder.chmod(0o700)
    return folder


def is_own_file(path: Path) -> bool:
    """Whether a path is a regular file that this user wrote and nobody else can change (links are not followed)."""
    try:
        about = path.lstat()
    except OSError:
        return False
    return stat.S_ISREG(about.st_mode) and _ours(about) and not about.st_mode & 0o022


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A new name to write to, which becomes `path`, on the disk, when all went well: a reader, or a kill, sees the old
    content or the new one, never a part. Errors: `OSError`; what was there stays."""
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        yield part
        with open(part, "rb") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def locked(folder: Path, doing: str) -> Iterator[None]:
    """Hold the lock of a folder, which the system gives back when this process ends, however it ends.

    doing: what a process in this folder does, as in "a search". Errors: `StorageError` while another process, or
    another part of this one, holds it; `OSError` where there can be no such file.
    """
    if fcntl is None:
        yield
        return
    with open(folder / LOCK, "a+b") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            holder = file.read(100).decode(errors="replace").strip() or "unknown"
            raise StorageError(
                f"Another process (number {holder}) is running {doing} in {folder}: wait for it or stop it, or choose "
                "another --out."
            ) from None
        except OSError:  # a file system without such locks: two processes are not noticed there either
            pass
        else:
            file.truncate(0)
            file.write(f"{os.getpid()}\n".encode())
            file.flush()
        yield


def _ours(about: os.stat_result) -> bool:
    return not hasattr(os, "geteuid") or about.st_uid == os.geteuid()
