"""Files of ours on this machine: private cache folders, files that are whole or not there, a lock per folder.

What is loaded and run (compiled programs, kernels) comes from the user's own cache folder only: nobody else can write
into it, and nothing is loaded that another user has written.
"""

import errno
import os
import stat
import sys
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO

from dnas.errors import StorageError

try:
    import fcntl
    import grp
    import pwd
except ImportError:  # no such locks on this system: two processes in one folder are then not noticed
    fcntl = None  # type: ignore[assignment]

LOCK = ".lock"
WAITLESS = getattr(os, "O_NONBLOCK", 0)  # wait for no pipe
PLAIN = getattr(os, "O_NOFOLLOW", 0) | WAITLESS  # follow no link either


def expanded(written: str) -> str:
    """A path as a user writes it, with the home folder in place of a leading ~; any other text as it is."""
    try:
        return os.path.expanduser(written)
    except ValueError:  # no user has a name with such letters
        return written


def cache_dir() -> Path:
    """The user's cache folder of this library: `$XDG_CACHE_HOME/dnas`, by default `~/.cache/dnas`."""
    chosen = os.environ.get("XDG_CACHE_HOME", "")  # the standard wants it absolute
    return (Path(chosen) if os.path.isabs(chosen) else Path.home() / ".cache") / "dnas"


def check_folders_of_user() -> None:
    """Errors: `StorageError` where a variable names a link in a circle: Matplotlib would crash on it, perhaps when a
    run draws its results."""
    for name in ("XDG_CACHE_HOME", "XDG_CONFIG_HOME", "MPLCONFIGDIR"):
        chosen = os.environ.get(name, "")
        if os.path.isabs(chosen) and (link := _circular(Path(chosen))):
            raise StorageError(
                f"{name} is {chosen}, but {link} is a link that leads back to itself: set {name} to a folder of your "
                "own, or to none."
            )


def cache_folder(name: str) -> Path | None:
    """`private(name)`; None where it cannot be had: then nothing is kept, which is said once."""
    try:
        return private(name)
    except OSError as error:
        reason = f"{Path(error.filename).parent}: {error.strerror}" if error.filename else error
        _say(f"No cache ({reason}): every start compiles anew. Set XDG_CACHE_HOME to a folder of your own.")
        return None


def private(name: str) -> Path:
    """A folder of the cache that only this user can or could ever write into, made if need be; no part of it is a link.

    Errors: `OSError` where it cannot be made, has files of another user, or may be put elsewhere by another user.
    """
    try:
        folder = Path(os.path.realpath(cache_dir())) / name
    except RuntimeError as error:
        raise FileNotFoundError("this user has no home folder") from error
    if circular := _circular(folder.parent):
        raise FileNotFoundError(f"{circular} is a link that leads back to itself")
    for missing in [parent for parent in reversed(folder.parents) if not parent.exists()]:
        missing.mkdir(0o700, exist_ok=True)
    folder.mkdir(0o700, exist_ok=True)
    about = folder.lstat()
    if not stat.S_ISDIR(about.st_mode):
        raise PermissionError(f"{folder} is no folder")
    if not _ours(about):
        raise PermissionError(f"{folder} belongs to another user")
    for parent in folder.parents:
        if _exposed(parent.stat()):
            raise PermissionError(f"other users can change what is in {parent}")
    if stat.S_IMODE(about.st_mode) & 0o077:
        folder.chmod(0o700)
    for entry in os.scandir(folder):  # left from when others could write
        with suppress(FileNotFoundError):  # another process removed it
            if not _ours(entry.stat(follow_symlinks=False)):
                raise PermissionError(f"{entry.path} belongs to another user")
    return folder


def read_own(path: Path) -> bytes:
    """What is in a file that this user wrote and nobody else can change; links are not followed.

    Errors: `FileNotFoundError`; `OSError` for any other file.
    """
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | PLAIN)) as file:
        about = os.fstat(file.fileno())  # of what was opened, whatever the name stands for by now
        if not stat.S_ISREG(about.st_mode) or not _ours(about) or os.name == "posix" and about.st_mode & 0o022:
            raise PermissionError(f"another user can change {path}")
        return file.read()


@contextmanager
def opened(path: str | Path, most: int = sys.maxsize) -> Iterator[IO[bytes]]:
    """A regular file, or a link to one, to read bytes from; a named pipe that nobody writes to is not waited for.

    most: how many bytes it may have. Errors: `OSError` for anything but a regular file, `ValueError` for more bytes.
    """
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | WAITLESS)) as file:
        about = os.fstat(file.fileno())
        if not stat.S_ISREG(about.st_mode):
            kind = "a named pipe" if stat.S_ISFIFO(about.st_mode) else "a device"
            raise OSError(errno.EINVAL, f"it is {kind}, no regular file")
        if about.st_size > most:
            raise ValueError(f"it has {about.st_size:,} bytes, where at most {most:,} are expected")
        yield file


def content_of(path: str | Path, most: int = sys.maxsize) -> bytes:
    """All bytes of a regular file. Errors: as `opened`."""
    with opened(path, most) as file:
        return file.read()


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A new name to write to, which becomes `path`, on the disk, when all went well: a reader, or a kill, sees the old
    content or the new one, never a part. Errors: `OSError`; what was there stays."""
    part = path.with_name(f".{path.name}.{uuid.uuid4().hex}.part")
    try:
        yield part
        with open(part, "r+b") as file:
            os.fsync(file.fileno())
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def make_room(folder: Path, limit: int) -> None:
    """Remove the files of a cache that are longest unused until it is no larger than `limit` bytes. Other processes may
    write, read and remove there at the same time: who finds nothing makes it again. What is read should be touched."""
    names: dict[tuple[float, int, int], list[Path]] = {}  # by last use, size and identity; one may have several names
    for path in folder.iterdir():
        with suppress(OSError):  # another process removed it
            about = path.stat()
            names.setdefault((about.st_mtime, about.st_size, about.st_ino), []).append(path)
    total = sum(size for _, size, _ in names)
    for used, size, identity in sorted(names):
        if total <= limit:
            break
        for path in names[used, size, identity]:
            with suppress(OSError):  # a folder, or in use where that forbids it
                path.unlink(missing_ok=True)
        total -= size


@contextmanager
def locked(folder: Path, doing: str) -> Iterator[None]:
    """Hold the lock of a folder, which the system gives back when this process ends, however it ends.

    doing: what a process in this folder does, as in "a search". Errors: `StorageError` while another process, or
    another part of this one, holds it; `OSError` where there can be no such file.
    """
    if fcntl is None:
        yield
        return
    with open(folder / LOCK, "a+b", opener=lambda name, flags: os.open(name, flags | PLAIN, 0o666)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise StorageError(f"{folder / LOCK} is no regular file: remove it.")
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


def held(folder: Path) -> bool:
    """Whether a process holds the lock of a folder; False where nobody can say."""
    if fcntl is None:
        return False
    try:
        with open(folder / LOCK, "rb", opener=lambda name, flags: os.open(name, flags | PLAIN)) as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:  # there is none, or none of this file system
        return False
    return False


def abandoned(folder: Path) -> bool:
    """Whether a process has held the lock of a folder and none does now; False where nobody can say."""
    if fcntl is None:
        return False
    try:
        with open(folder / LOCK, "r+b", opener=lambda name, flags: os.open(name, flags | PLAIN)) as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:  # held, or never there, or no lock of this file system
        return False
    return True


def _circular(path: Path) -> Path | None:
    """The link in a path that leads back to itself, if there is one."""
    real = Path(os.path.realpath(path))  # in which every other link is resolved
    return next((part for part in (real, *real.parents) if part.is_symlink()), None)


def _ours(about: os.stat_result) -> bool:
    return not hasattr(os, "geteuid") or about.st_uid == os.geteuid()


def _exposed(folder: os.stat_result) -> bool:
    """Whether others could rename what is in a folder: it is theirs, or they may write and it is not sticky."""
    if not hasattr(os, "geteuid"):
        return False
    by_others = stat.S_IWOTH | (0 if _alone_in(folder.st_gid) else stat.S_IWGRP)
    open_to_others = folder.st_mode & by_others and not folder.st_mode & stat.S_ISVTX
    return bool(open_to_others) or folder.st_uid not in (0, os.geteuid())


def _alone_in(group: int) -> bool:
    """Whether a group is the user's own, as many systems give one to each: what it may do, only the user may."""
    try:
        user, about = pwd.getpwuid(os.geteuid()).pw_name, grp.getgrgid(group)
    except KeyError:
        return False
    return about.gr_name == user and set(about.gr_mem) <= {user}


@cache
def _say(text: str) -> None:
    print(text, file=sys.stderr)
