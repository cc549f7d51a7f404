"""Files that a kill or a full disk leaves whole: small ones are replaced, rows are appended.

What is damaged is named, and what a full or unwritable disk raises becomes one sentence, a `StorageError`.
"""

import json
import os
import sys
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from errno import EDQUOT, ENOSPC
from itertools import count
from pathlib import Path
from typing import Any

from dnas.errors import StorageError, UserError
from dnas.paths import content_of, replaced

PUT_BACK = "go on with --resume, which puts back what a checkpoint knows, or restore the file"


@contextmanager
def storage(folder: str | Path) -> Iterator[None]:
    """Turn what a full or unwritable disk raises, however wrapped, into one sentence."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if _disk_full(error):
            raise StorageError(
                f"The disk that holds {folder} is full; what was saved is intact: free some space, then repeat the "
                "command (a run with --resume)."
            ) from error
        if isinstance(error, OSError):
            where = error.filename2 or error.filename or folder  # of a rename, the name that is in the way
            raise StorageError(f"Cannot write to {where}: {error.strerror or error}.") from error
        raise


def _disk_full(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, OSError) and error.errno in (ENOSPC, EDQUOT):
            return True
        if any(sign in str(error) for sign in ("No space left on device", "Disk quota exceeded")):
            return True
        error = error.__cause__ or error.__context__
    return False


def warn(sentence: str) -> None:
    """Say what a run does differently from what one would expect."""
    print(f"Warning: {sentence}", file=sys.stderr)


def atomic_write(path: str | Path, content: str | bytes) -> None:
    """Replace a file: a reader, or a kill, sees the old content or the new one, never a part.

    Errors: `StorageError` if the disk is full or the file cannot be written; what was there stays.
    """
    path = Path(path)
    with storage(path.parent), replaced(path) as part:
        part.write_bytes(content.encode() if isinstance(content, str) else content)


def read_json(path: Path, kind: type | tuple[type, ...] = dict, hint: str = PUT_BACK) -> Any:
    """The content of a JSON file, None if there is none.

    Errors: `StorageError` if it cannot be read or holds something else than `kind`; it says what to do, `hint`.
    """
    try:
        content = json.loads(content_of(path).decode())
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"Cannot read {path} ({error.strerror}): {hint}.") from error
    except (ValueError, RecursionError) as error:
        raise StorageError(f"{path} is damaged, it is not JSON: {hint}.") from error
    if not isinstance(content, kind):
        raise StorageError(f"{path} is damaged, it holds no JSON object: {hint}.")
    return content


def sealed(values: dict[str, Any]) -> str:
    """The text of a JSON file with a checksum, so that `read_sealed` notices every change."""
    return json.dumps(values | {"crc32": zlib.crc32(json.dumps(values).encode())}, indent=1)


def read_sealed(path: Path, hint: str) -> dict[str, Any] | None:
    """What `sealed` wrote, or what somebody else did, without a checksum; None if there is no file.

    Errors: `StorageError` as of `read_json`.
    """
    values = read_json(path, dict, hint)
    if values is not None and "crc32" in values:
        checksum = values.pop("crc32")
        if checksum != zlib.crc32(json.dumps(values).encode()):
            raise StorageError(f"{path} is damaged, its checksum is wrong: {hint}.")
    return values


def append(path: Path, text: str) -> None:
    """Append a whole line or nothing; what a kill has left of a line is cut before."""
    with storage(path.parent), open(path, "a+b", buffering=0) as file:
        before = file.seek(0, os.SEEK_END)
        file.seek(max(before - 1, 0))
        if before and file.read(1) != b"\n":
            cut(path)
            before = file.seek(0, os.SEEK_END)
        data = memoryview(text.encode())
        try:
            while data:
                data = data[file.write(data) :]
        except OSError:
            file.truncate(before)
            raise


def parsed(content: bytes, fits: Callable[[Any], bool]) -> tuple[list[Any], int]:
    """The rows of a row file, up to the first line that is none, and the number of that, or 0. What follows the last
    newline is empty, or half a line."""
    rows: list[Any] = []
    for number, line in enumerate(content.split(b"\n")[:-1], 1):
        try:
            row = json.loads(line)
        except (ValueError, RecursionError):
            return rows, number
        if not fits(row):
            return rows, number
        rows.append(row)
    return rows, 0


def cut(path: Path, size_bytes: int | None = None) -> None:
    """Shorten a row file, if there is one, to a size and to whole lines."""
    if not path.is_file():
        return
    content = content_of(path)[:size_bytes]
    whole = content.rfind(b"\n") + 1
    if whole < path.stat().st_size:
        os.truncate(path, whole)


def move_aside(path: Path, folder: Path) -> None:
    """Move what is damaged, or in the way, into `damaged/` of a run folder: it is not ours to delete."""
    aside = folder / "damaged"
    aside.mkdir(exist_ok=True)
    os.replace(path, next(place for i in count() if not (place := aside / f"{path.name}_{i}").exists()))
