"""Settings of all tests: programs are compiled fast rather than well, and are not kept for ever. And fixtures of tests
that compare numbers."""

import itertools
import os
import subprocess
import sys
from pathlib import Path

import pytest

QUICK = "--xla_backend_optimization_level=0"
QUICKER = f"{QUICK} --xla_cpu_use_fusion_emitters=false"  # a third of the time, but versions of XLA come without it


def known(flags: str) -> bool:
    """Whether XLA knows these flags. One that it does not know ends the process, so another one is asked."""
    settings = {**os.environ, "XLA_FLAGS": flags, "JAX_PLATFORMS": "cpu"}
    asked = subprocess.run([sys.executable, "-c", "import jax; jax.devices()"], env=settings, capture_output=True)
    return asked.returncode == 0


if "XLA_FLAGS" not in os.environ:  # workers find it set
    os.environ["XLA_FLAGS"] = QUICKER if known(QUICKER) else QUICK
os.environ.setdefault("DNAS_PROGRAMS", "0")  # test_programs.py switches it on, in a folder of its own

import jax  # noqa: E402  after its flags

from dnas.kernels import native  # noqa: E402
from dnas.runs import loop  # noqa: E402

TESTS = itertools.count()

loop.use_compilation_cache()  # what two workers compile, and what was compiled the last time


def pytest_make_parametrize_id(val: object) -> str | None:
    """Bytes are named by how many there are: some have the time of day in them, and workers must agree on names."""
    return f"{len(val)} bytes" if isinstance(val, bytes) else None


@pytest.fixture(autouse=True)
def forget_programs():
    """A process may map 65,530 pieces of memory (Linux' default). Every compiled program has some, and one too many
    ends the process. Looked at after every tenth test, as it takes a while."""
    yield
    maps = Path("/proc/self/maps")
    if next(TESTS) % 10 == 0 and maps.exists() and maps.read_bytes().count(b"\n") > 40_000:
        loop.forget_programs()


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(params=["native", pytest.param("xla", marks=pytest.mark.slow)])
def kernels(request, monkeypatch):
    """The test runs twice: with the native kernels, and with XLA's operations in their place."""
    if request.param == "xla":
        monkeypatch.setattr(native, "available", lambda: False)
    elif native.compiler() is None:
        pytest.skip("no C++ compiler on this machine: install g++ to test the native kernels")
    else:
        assert native.available(), "there is a C++ compiler, but the kernels were not built: see above"
    jax.clear_caches()
