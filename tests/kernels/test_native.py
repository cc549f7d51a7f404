"""The native kernels are built where there is a compiler, and done without where there is none."""

import os
import subprocess
import sys
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.kernels import native, normed
from dnas.kernels.conv import dense_conv, depthwise_conv
from dnas.kernels.mixing import weighted_sums
from dnas.kernels.norm import normalise
from dnas.kernels.pooling import max_pool_3x3

ASK = "from dnas.kernels import native; print(native.available())"


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


def through(conv, *more):
    """A convolution that reads x through a norm, of which the moments are some."""
    *stride, x, scale, bias, kernel = more
    return conv(x, scale, bias**2, scale, bias, kernel, *stride, "relu")


KERNELS = {  # of x [B, H, W, 12] and further arrays of these shapes
    "depthwise": (depthwise_conv, (3, 3, 12)),
    "dense": (lambda x, kernel: dense_conv(x, kernel, padding=(1, 1)), (3, 3, 12, 12)),
    "norm": (normalise,),
    "norm with scale and bias": (normalise, (12,), (12,)),
    "norm and ReLU": (partial(normalise, activation="relu"), (12,), (12,)),
    "depthwise through a norm": (partial(through, normed.normed_depthwise, 1), (12,), (12,), (3, 3, 12)),
    "1x1 through a norm": (partial(through, normed.normed_pointwise), (12,), (12,), (12, 12)),
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


# What a kernel is told, by callers that no other check stands before: shapes, types and settings of its own.

SIZES = {"X": 2, "R": 3, "B": 2, "H": 6, "W": 5, "C": 4, "D": 7, "k": 3, "l": 3, "h": 6, "w": 5, "E": 2, "O": 2}
CONV = {"stride": np.array([1, 1]), "padding": np.array([1, 1]), "dilation": np.int64(1)}
WRONG_CONV = (
    *({name: np.array(value)} for name in ("stride", "padding") for value in ([1], [-1, 1], [1, 2], [1, 2**40])),
    *(
        {"stride": np.array([0, 1])},
        {"dilation": np.int64(0)},
        {"dilation": np.int64(2)},
        {"dilation": np.int64(2**40)},
    ),
)
POOL, WRONG_POOL = {"stride": np.int64(1)}, ({"stride": np.int64(0)}, {"stride": np.int64(2)}, {"stride": np.int64(-1)})
NORM, WRONG_NORM = {"epsilon": np.float64(1e-5)}, tuple({"epsilon": np.float64(e)} for e in (0, -1, "nan", "inf"))
SIZE, STRIDE = {"size": np.int64(3)}, {"stride": np.int64(1)}
WRONG_SIZE, WRONG_STRIDE = ({"size": np.int64(5)},), tuple({"stride": np.int64(s)} for s in (0, 2, -1, 2**40))
GATE, WRONG_GATE = {"activation": np.int64(1)}, ({"activation": np.int64(4)}, {"activation": np.int64(-1)})
OWN, SHARED = {"shared": np.int64(0)}, {"shared": np.int64(1)}
HANDLERS = {  # operands -> results, settings, settings that do not fit
    "conv_forward": ("XBHWC XRklCD -> XRBhwD", CONV, WRONG_CONV),
    "conv_to_x": ("XRBhwD XRklCD -> XBHWC", CONV, WRONG_CONV),
    "conv_to_kernel": ("XBHWC XRBhwD -> XRklCD", CONV, WRONG_CONV),
    "depthwise_forward": ("XBHWC XRklC -> XRBhwC", CONV, WRONG_CONV),
    "depthwise_to_x": ("XRBhwC XRklC -> XBHWC", CONV, WRONG_CONV),
    "depthwise_to_kernel": ("XBHWC XRBhwC -> XRklC", CONV, WRONG_CONV),
    "norm_forward": ("XBHWC -> XBHWC XC XC XC", NORM, WRONG_NORM),
    "norm_backward": ("XBHWC XC XBHWC -> XBHWC", {}, ()),
    "norm_moments": ("XBHWC XC XBHWC -> XC XC XC", {}, ()),
    "norm_bend": ("XBHWC XC XBHWC XBHWC XC XBHWC -> XBHWC", {}, ()),
    "affine_forward": ("XBHWC XC XC -> XBHWC XC XC XC", NORM | GATE, WRONG_NORM + WRONG_GATE),
    "affine_again": ("XBHWC XC XC XC XC -> XBHWC", GATE, WRONG_GATE),
    "affine_backward": ("XBHWC XC XC XC XC XBHWC -> XBHWC XC XC", GATE, WRONG_GATE),
    "pointwise_moments": ("BHWC CD -> BHWD D D", {}, ()),
    "normed_pointwise": ("BHWC C C C C CD -> BHWD D D", GATE, WRONG_GATE),
    "normed_pointwise_to_kernel": ("BHWC C C C C BHWD -> CD", GATE, WRONG_GATE),
    "normed_pointwise_to_x": ("BHWC C C C C BHWD CD -> BHWC C C", GATE, WRONG_GATE),
    "normed_depthwise": (
        *("BHWC C C C C klC -> BhwC C C", SIZE | STRIDE | GATE),
        WRONG_SIZE + WRONG_STRIDE + WRONG_GATE,
    ),
    "normed_depthwise_to_kernel": (
        *("BHWC C C C C BhwC -> klC", SIZE | STRIDE | GATE),
        WRONG_SIZE + WRONG_STRIDE + WRONG_GATE,
    ),
    "normed_depthwise_to_x": ("BHWC C C C C BhwC klC -> BHWC C C", STRIDE | GATE, WRONG_STRIDE + WRONG_GATE),
    "max_pick": ("BHWC BHWC -> BhwC", POOL, WRONG_POOL),
    "max_scatter": ("BHWC BhwC -> BHWC", POOL, WRONG_POOL),
    "mean_pool": ("BHWC -> BC", {}, ()),
    "mix_forward": ("EO EBC EBC -> EBC", OWN, (SHARED,)),
    "mix_to_weights": ("EBC EBC EBC -> EO", OWN, (SHARED,)),
    "mix_to_values": ("EO EBC -> EBC EBC", OWN, (SHARED,)),
}
FREE = {"mean_pool": "HW"}  # axes that may have any size
SHARED_HANDLERS = {
    "mix_forward": ("EO BC BC -> EBC", SHARED, (OWN,)),
    "mix_to_weights": ("EBC BC BC -> EO", SHARED, (OWN,)),
    "mix_to_values": ("EO EBC -> BC BC", SHARED, (OWN,)),
}


def call(name, arrays, count, settings):
    """Call a kernel with these (shape, type): `count` operands, then its results."""
    results = [jax.ShapeDtypeStruct(tuple(shape), dtype) for shape, dtype in arrays[count:]]
    operands = [np.ones(shape, dtype) for shape, dtype in arrays[:count]]
    return jax.block_until_ready(jax.ffi.ffi_call(f"dnas_{name}", results)(*operands, **settings))


def test_every_kernel_is_called_wrongly():
    assert {f"dnas_{name}" for name in HANDLERS} | {"dnas_unwritten"} == set(native.SYMBOLS)  # that takes any array


@pytest.mark.parametrize(
    ("name", "how"), [*HANDLERS.items(), *SHARED_HANDLERS.items()], ids=lambda value: value if len(value) > 3 else ""
)
def test_kernels_refuse_what_does_not_fit(name, how):
    if not native.available():
        pytest.skip("no C++ compiler on this machine: install g++ to test the native kernels")
    axes, settings, wrong = how
    operands, results = (part.split() for part in axes.split(" -> "))
    letters = [*operands, *results]
    right = [([SIZES[axis] for axis in own], "float32") for own in letters]

    def changed(i, shape, dtype="float32"):
        return [*right[:i], (shape, dtype), *right[i + 1 :]]

    call(name, right, len(operands), settings)
    for i, (shape, _) in enumerate(right):
        cases = [changed(i, shape, other) for other in ("float16", "int32")]
        fixed = [at for at, axis in enumerate(letters[i]) if axis not in FREE.get(name, "")]
        cases += [changed(i, [*shape[:at], shape[at] + 1, *shape[at + 1 :]]) for at in fixed]
        if i < len(operands):  # XLA calls nobody for a result that is empty
            cases += [changed(i, [*shape[:at], 0, *shape[at + 1 :]]) for at in range(len(shape))]
        for arrays in [*cases, changed(i, shape[1:-1])]:
            with pytest.raises(jax.errors.JaxRuntimeError, match="INVALID_ARGUMENT"):
                call(name, arrays, len(operands), settings)
    for change in wrong:
        with pytest.raises(jax.errors.JaxRuntimeError, match="INVALID_ARGUMENT"):
            call(name, right, len(operands), settings | change)
    with pytest.raises(jax.errors.JaxRuntimeError, match="expected float32 or float64"):
        call(name, [(shape, "int32") for shape, _ in right], len(operands), settings)
    if "mix" in name:  # more values than columns
        more = [*right[: len(operands)], right[1], right[-1]] if name != "mix_to_values" else [*right, right[-1]]
        count = len(operands) + (name != "mix_to_values")
        with pytest.raises(jax.errors.JaxRuntimeError, match="INVALID_ARGUMENT"):
            call(name, more, count, settings)
