"""Settings of all tests: programs are compiled fast rather than well, and are not kept for ever."""

import os
from pathlib import Path

import pytest

os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
os.environ.setdefault("DNAS_PROGRAMS", "0")  # test_programs.py switches it on, in a folder of its own


@pytest.fixture(autouse=True)
def forget_programs():
    """A process may map 65,530 pieces of memory (Linux' default). Every compiled program has some, and one too many
    ends the process."""
    yield
    maps = Path("/proc/self/maps")
    if maps.exists() and maps.read_bytes().count(b"\n") > 20_000:
        from dnas.runs import loop

        loop.forget_programs()
