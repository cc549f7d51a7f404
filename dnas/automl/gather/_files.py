"""Many files, each read once, some of them damaged."""

import hashlib
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
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


def numbered(what: str, train: int, test: int) -> list[str]:
    """What examples of arrays are called: numbered from 1."""
    return [f"{part} {what} {i:,}" for part, count in (("train", train), ("test", test)) for i in range(1, count + 1)]


def digest(content: bytes | memoryview) -> int:
    """64 bits that equal contents have in common, and others hardly ever."""
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest())


def digests(contents: Sequence[bytes]) -> np.ndarray:
    """uint64 [N]"""
    return np.fromiter(map(digest, contents), np.uint64, len(contents))
