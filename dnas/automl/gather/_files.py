"""Many files, each read once, some of them damaged."""

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import numpy as np

from dnas.data._files import progress
from dnas.errors import UserError

Item = TypeVar("Item")
Seen = TypeVar("Seen")


def seen(items: Sequence[Item], see: Callable[[Item], Seen], what: str) -> list[Seen | UserError]:
    """What `see` gives of each item, or why it cannot be read; in threads, as decoders of C let others work."""

    def tried(item: Item) -> Seen | UserError:
        try:
            return see(item)
        except UserError as error:
            return error

    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as threads:
        futures = [threads.submit(tried, item) for item in items]
        try:
            return [future.result() for future in progress(futures, f"Looking at {len(items):,} {what}")]
        except BaseException:  # an interrupt should not wait for all that is left
            threads.shutdown(wait=False, cancel_futures=True)
            raise


def readable(
    files: Sequence[Path], see: Callable[[Path], Seen], what: str, root: Path
) -> tuple[np.ndarray, list[Seen], tuple[tuple[str, str], ...]]:
    """Places of the files below a folder that can be read, what `see` gives of each of these, and of the others names
    and reasons. what: they are, in the plural. Errors: `UserError` where none can."""
    found = seen(files, see, what)
    good = np.array([not isinstance(one, UserError) for one in found], bool)
    pairs = zip(files, found, strict=True)
    damaged = sorted((str(file.relative_to(root)), str(why)) for file, why in pairs if isinstance(why, UserError))
    if not good.any():
        raise UserError(f"No {what[:-1]} of {root} can be read: {damaged[0][1]}")
    return np.flatnonzero(good), [one for one in found if not isinstance(one, UserError)], tuple(damaged)


def numbered(what: str, train: int, test: int) -> list[str]:
    """What examples of arrays are called: numbered from 1."""
    return [f"{part} {what} {i:,}" for part, count in (("train", train), ("test", test)) for i in range(1, count + 1)]


def digest(content: bytes | memoryview) -> int:
    """64 bits that equal contents have in common, and others hardly ever."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest())


def digests(contents: Sequence[bytes]) -> np.ndarray:
    """uint64 [N]"""
    return np.fromiter(map(digest, contents), np.uint64, len(contents))
