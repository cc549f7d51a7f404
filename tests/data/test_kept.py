"""What is kept in the data folder: found again, bounded, and never wrong while others write and remove beside it."""

import os
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from dnas.data import _kept
from dnas.data._kept import kept

SIZE = 1000  # numbers of an array, 8 bytes each; a file has some bytes more


def array(value: int, made: list[int] | None = None) -> np.ndarray:
    """As it is kept, or made: then its value is noted."""

    def make():
        if made is not None:
            made.append(value)
        return {"numbers": np.full(SIZE, value)}

    return kept("some numbers", [str(value), b"bytes"], make, ("numbers",))["numbers"]


@pytest.fixture
def room(data_folder, monkeypatch):
    """For three files."""
    monkeypatch.setattr(_kept, "MOST_BYTES", 3 * (8 * SIZE + 500))
    return data_folder / "kept"


def test_what_is_longest_unused_goes_first(room):
    made = list[int]()
    for value in (0, 1, 2):
        array(value, made)
    for age, file in enumerate(sorted(room.iterdir(), key=lambda file: file.stat().st_mtime_ns)):
        os.utime(file, (1000 + age, 1000 + age))
    array(0, made)  # read, so that 1 is the longest unused one
    array(3, made)
    assert made == [0, 1, 2, 3] and len([*room.iterdir()]) == 3
    assert all(file.name.startswith("some_numbers_") for file in room.iterdir())
    for value in (0, 2, 3, 1):
        assert array(value, made)[0] == value
    assert made == [0, 1, 2, 3, 1]


def test_what_alone_is_too_large_is_kept_by_itself(room, monkeypatch):
    array(0)
    monkeypatch.setattr(_kept, "MOST_BYTES", 10)
    made = list[int]()
    array(1, made)
    array(1, made)
    assert made == [1] and len([*room.iterdir()]) == 1


def test_others_may_write_and_remove_at_the_same_time(room):
    def work(seed: int) -> bool:
        values = np.random.default_rng(seed).integers(0, 8, 40).tolist()
        return all((array(value) == value).all() for value in values)

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(8)))
    array(9)
    assert len([*room.iterdir()]) == 3


def test_what_others_remove_at_once_is_no_reason_to_warn(room, monkeypatch):
    said, write = list[str](), _kept.write_atomically

    def and_removed(file, content):
        write(file, content)
        file.unlink()

    monkeypatch.setattr(_kept, "write_atomically", and_removed)
    monkeypatch.setattr(_kept, "warn", said.append)
    assert array(1)[0] == 1 and not said
    room.rmdir()
    room.write_text("a file where the folder should be")
    assert array(1)[0] == 1 and said[0].startswith("cannot keep some numbers at ")
