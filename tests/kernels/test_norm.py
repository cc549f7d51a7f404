"""Normalisation by the batch against its formula in float64, native and by XLA, to the second derivative."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arrays import assert_same, normal

from dnas.kernels import native
from dnas.kernels.norm import EPSILON, normalise, normalise_again

pytestmark = pytest.mark.usefixtures("float64", "kernels")


def formula(x):
    mean = x.mean((0, 1, 2))
    variance = jnp.square(x - mean).mean((0, 1, 2))
    return (x - mean) / jnp.sqrt(variance + EPSILON), mean, variance


PLAIN = {
    "linear": lambda y: y,
    "relu": lambda y: jnp.where(y > 0, y, 0),
    "relu6": lambda y: jnp.where(y > 0, jnp.where(y < 6, y, 6), 0),
    "hswish": lambda y: jnp.where(y > -3, jnp.where(y < 3, y * (y + 3) / 6, y), 0),
}


def formula_with(x, scale, bias, activation="linear"):
    y, mean, variance = formula(x)
    return PLAIN[activation](y * scale + bias), mean, variance


# parts of a vector of channels, a vector and a part, more pixels than one piece of the native sums
@pytest.mark.parametrize("shape", [(2, 3, 4, 3), (2, 5, 5, 10), (3, 40, 30, 8)], ids=str)
def test_values_and_derivatives(shape):
    x, dx, g = 3 + 2 * normal(0, *shape), normal(1, *shape), normal(2, *shape)

    def everything(f):
        def gradient(x):
            return jax.grad(lambda x: jnp.sum(jnp.sin(f(x)[0]) * g))(x)

        def square(x):  # reverse over reverse
            return jax.grad(lambda x: jnp.sum(gradient(x) ** 2))(x)

        return f(x), gradient(x), jax.jvp(gradient, (x,), (dx,))[1], square(x)

    assert_same(jax.jit(lambda: everything(normalise))(), jax.jit(lambda: everything(formula))())


@pytest.mark.parametrize("activation", PLAIN)
@pytest.mark.parametrize("shape", [(2, 3, 4, 3), (2, 5, 5, 20), (3, 40, 30, 8)], ids=str)
def test_with_scale_and_bias(shape, activation):
    args = 3 + 2 * normal(0, *shape), 8 * normal(1, shape[-1]), normal(2, shape[-1])
    tangents, g = [normal(3 + i, *a.shape) for i, a in enumerate(args)], normal(6, *shape)

    def everything(f):
        def gradients(*args):
            return jax.grad(lambda *args: jnp.sum(jnp.sin(f(*args)[0]) * g), (0, 1, 2))(*args)

        def of_scale(x, scale, bias):  # x and bias are constants
            return jax.grad(lambda scale: jnp.sum(jnp.sin(f(x, scale, bias)[0])))(scale)

        def square(*args):  # reverse over reverse
            return jax.grad(lambda *args: sum(jnp.sum(part**2) for part in gradients(*args)), (0, 1, 2))(*args)

        return f(*args), jax.jvp(gradients, args, tuple(tangents)), of_scale(*args), square(*args)

    ours, plain = (
        jax.jit(lambda f=f: everything(partial(f, activation=activation)))() for f in (normalise, formula_with)
    )
    assert_same(ours, plain)
    assert (float(ours[0][0].min()) == 0) == (activation in ("relu", "relu6"))
    assert (float(ours[0][0].max()) == 6) == (activation == "relu6")


@pytest.mark.parametrize("activation", PLAIN)
def test_again_by_the_moments_that_are_known(activation):
    args = 3 + 2 * normal(0, 2, 5, 5, 20), 8 * normal(1, 20), normal(2, 20)
    if not native.supports(*args):
        pytest.skip("there are no kernels, which alone read the moments")

    def again(x, scale, bias):
        _, mean, variance = normalise(x, scale, bias, activation)
        return normalise_again(x, mean, variance, scale, bias, activation)

    def everything(f):
        gradients = jax.grad(lambda *args: jnp.sum(jnp.sin(f(*args))), (0, 1, 2))
        return f(*args), gradients(*args), jax.jvp(gradients, args, args)[1]

    once = jax.jit(lambda: everything(lambda *args: normalise(*args, activation)[0]))()
    assert_same(jax.jit(lambda: everything(again))(), once)


def test_a_rectifier_keeps_what_is_no_number():
    x = jnp.full((1, 2, 2, 3), jnp.nan)
    assert jnp.isnan(normalise(x, jnp.ones(3), jnp.ones(3), activation="relu")[0]).all()


READ = {"y": (1, 0, 0), "mean": (0, 1, 0), "variance": (0, 0, 1), "moments": (0, 1, 1), "all": (1, 1, 1)}


@pytest.mark.parametrize("scaled", [False, True], ids=["plain", "scaled"])
@pytest.mark.parametrize("read", READ)
def test_a_loss_may_read_the_moments(read, scaled):
    shape = (3, 4, 5, 6)
    args = (3 + 2 * normal(0, *shape), normal(1, 6), normal(2, 6))[: 3 if scaled else 1]
    weights = [on * g for on, g in zip(READ[read], (normal(3, *shape), normal(4, 6), normal(5, 6)), strict=True)]
    tangents = [normal(6 + i, *a.shape) for i, a in enumerate(args)]

    def everything(f):
        def loss(*args):
            parts = zip(f(*args), weights, READ[read], strict=True)
            return sum(jnp.sum(jnp.sin(part) * w) for part, w, on in parts if on)

        gradients = jax.grad(loss, tuple(range(len(args))))

        def square(*args):
            return jax.grad(lambda *args: sum(jnp.sum(part**2) for part in gradients(*args)))(*args)

        over_rows = jax.vmap(lambda row: gradients(row, *args[1:]))(jnp.stack([args[0], 2 * args[0]]))
        return gradients(*args), jax.jvp(gradients, args, tuple(tangents))[1], square(*args), over_rows

    expected = jax.jit(lambda: everything(formula_with if scaled else formula))()
    assert max(float(jnp.abs(leaf).max()) for leaf in jax.tree.leaves(expected[0])) > 1e-3
    assert_same(jax.jit(lambda: everything(normalise))(), expected)


def test_moments_that_nobody_differentiates_cost_nothing():
    """Then nothing of the size of the images is added up in the program of a gradient, also if they are returned."""
    args = normal(0, 2, 4, 4, 5), normal(1, 5), normal(2, 5)

    def additions(read):
        def loss(*args):
            y, mean, variance = normalise(*args)
            return jnp.sum(jnp.sin(y)) + (jnp.sum(mean + variance) if read else 0), (mean, variance)

        text = jax.jit(jax.grad(loss, (0, 1, 2), has_aux=True)).lower(*args).as_text()
        return len(re.findall(r"= stablehlo.add .*tensor<2x4x4x5xf64>", text))

    assert additions(read=True) == additions(read=False) + 2


def test_with_scale_and_bias_vmapped_is_a_loop():
    rows = normal(0, 3, 2, 4, 4, 5), normal(1, 3, 5), normal(2, 3, 5)

    def gradients(*args):
        return jax.grad(lambda *args: jnp.sum(jnp.sin(normalise(*args)[0])), (0, 1, 2))(*args)

    looped = [gradients(*(a[i] for a in rows)) for i in range(3)]
    assert_same(jax.vmap(gradients)(*rows), jax.tree.map(lambda *leaves: jnp.stack(leaves), *looped))


def test_vmapped_is_a_loop():
    x = normal(0, 3, 2, 4, 4, 5)

    def gradient(x):
        return jax.grad(lambda x: jnp.sum(jnp.sin(normalise(x)[0])))(x)

    assert_same(jax.vmap(gradient)(x), jnp.stack([gradient(row) for row in x]))


def test_large_means_cost_no_digits():
    x = normal(0, 4, 16, 16, 3).astype(jnp.float32)
    shifted = normalise(x + 1000)[2]
    np.testing.assert_allclose(shifted, x.var((0, 1, 2)), rtol=1e-3)
