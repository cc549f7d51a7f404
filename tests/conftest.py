"""Settings of all tests: programs are compiled fast rather than well, and are not kept for ever."""

import os

import pytest

os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")
os.environ.setdefault("DNAS_PROGRAMS", "0")  # test_programs.py switches it on, in a folder of its own


@pytest.fixture(scope="module", autouse=True)
def forget_programs():
    """Every compiled program holds mappings of memory, of which a process may have 65,530 (Linux' default)."""
    yield
    import jax

    jax.clear_caches()
