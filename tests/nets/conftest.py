"""Fixtures of tests that compare numbers."""

import jax
import pytest

from dnas.kernels import native


@pytest.fixture
def float64():
    with jax.enable_x64(True):
        yield


@pytest.fixture(params=["native", "xla"])
def kernels(request, monkeypatch):
    """The test runs twice: with the native kernels, and with XLA's operations in their place."""
    if request.param == "xla":
        monkeypatch.setattr(native, "available", lambda: False)
    elif native.compiler() is None:
        pytest.skip("no C++ compiler on this machine: install g++ to test the native kernels")
    else:
        assert native.available(), "there is a C++ compiler, but the kernels were not built: see above"
    jax.clear_caches()
