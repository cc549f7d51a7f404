"""The native kernels are built where there is a compiler, and done without where there is none."""

import os
import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.nets import native
from dnas.nets.conv import dense_conv, depthwise_conv
from dnas.nets.mixing import weighted_sums
from dnas.nets.norm import normalise
from dnas.nets.pooling import max_pool_3x3

ASK = "from dnas.nets import native; print(native.available())"


def ask(**environment):
    """What the kernels say: whether they are there, and why not."""
    done = subprocess.run(
        [sys.executable, "-c", ASK], capture_output=True, text=True, env={**os.environ, **environment}, check=True
    )
    return done.stdout.strip(), done.stderr


def test_this_machine_has_them():
    if native.compiler() is None:
        pytest.skip("no C++ compiler on this machine: install g++ to test the native kernels")
    assert native.available()


def test_they_can_be_switched_off():
    assert ask(DNAS_NATIVE="0") == ("False", "")


def test_without_a_compiler_they_are_not_there(tmp_path):
    there, said = ask(PATH=str(tmp_path), CXX="", XDG_CACHE_HOME=str(tmp_path))
    assert there == "False" and "there is no C++ compiler" in said


COMPILERS = {
    "speaks": ('echo "a note" >&2; echo "native.cc:1: error: what?" >&2; exit 1', "(native.cc:1: error: what?)"),
    "is silent": ("exit 1", "cc failed)"),
}


@pytest.mark.parametrize("how", COMPILERS)
def test_a_compiler_that_fails_is_none(how, tmp_path):
    script, reason = COMPILERS[how]
    compiler = tmp_path / "cc"
    compiler.write_text(f"#!/bin/sh\n{script}\n")
    compiler.chmod(0o755)
    there, said = ask(CXX=str(compiler), XDG_CACHE_HOME=str(tmp_path))
    assert there == "False" and reason in said and "Traceback" not in said


def test_operands_of_two_types_are_left_to_xla():
    single, double = (jax.ShapeDtypeStruct((2,), dtype) for dtype in ("float32", "float64"))
    assert not native.supports(single, double)
    assert not native.supports(jax.ShapeDtypeStruct((2,), "bfloat16"))
    assert native.supports(single, single) == native.supports(double) == native.available()


def everything(function, *args):
    """The value, and the gradients of a scalar of it."""
    value, pull = jax.vjp(lambda *args: jnp.sin(jax.tree.leaves(function(*args))[0]), *args)
    return function(*args), pull(jnp.ones_like(value))


KERNELS = {  # of x [B, H, W, 12] and further arrays of these shapes
    "depthwise": (depthwise_conv, (3, 3, 12)),
    "dense": (lambda x, kernel: dense_conv(x, kernel, padding=(1, 1)), (3, 3, 12, 12)),
    "norm": (normalise,),
    "norm with scale and bias": (normalise, (12,), (12,)),
    "max pool": (lambda x: max_pool_3x3(x, 1),),
    "mix": (lambda x, weights: weighted_sums(weights, (x, 2 * x), True), (3, 2)),
}


@pytest.mark.parametrize("name", KERNELS)
def test_results_do_not_depend_on_which_thread_does_what(name):
    function, *shapes = KERNELS[name]
    rng = np.random.default_rng(0)
    args = [jnp.asarray(rng.normal(size=shape), jnp.float32) for shape in ((32, 9, 9, 12), *shapes)]
    compute = jax.jit(partial(everything, function))
    first = jax.tree.map(np.asarray, compute(*args))
    for _ in range(30):
        jax.tree.map(np.testing.assert_array_equal, first, jax.tree.map(np.asarray, compute(*args)))
