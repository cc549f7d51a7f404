"""The native kernels are built where there is a compiler, and done without where there is none."""

import os
import subprocess
import sys

import jax
import pytest

from dnas.nets import native

ASK = "from dnas.nets import native; print(native.available())"


def ask(**environment):
    done = subprocess.run(
        [sys.executable, "-c", ASK], capture_output=True, text=True, env={**os.environ, **environment}, check=True
    )
    return done.stdout.strip()


def test_this_machine_has_them():
    if native.compiler() is None:
        pytest.skip("no C++ compiler on this machine: install g++ to test the native kernels")
    assert native.available()


def test_they_can_be_switched_off():
    assert ask(DNAS_NATIVE="0") == "False"


def test_without_a_compiler_they_are_not_there(tmp_path):
    assert ask(PATH=str(tmp_path), CXX="", XDG_CACHE_HOME=str(tmp_path)) == "False"


def test_a_compiler_that_fails_is_none(tmp_path):
    assert ask(CXX="false", XDG_CACHE_HOME=str(tmp_path)) == "False"


def test_operands_of_two_types_are_left_to_xla():
    single, double = (jax.ShapeDtypeStruct((2,), dtype) for dtype in ("float32", "float64"))
    assert not native.supports(single, double)
    assert not native.supports(jax.ShapeDtypeStruct((2,), "bfloat16"))
    assert native.supports(single, single) == native.supports(double) == native.available()
