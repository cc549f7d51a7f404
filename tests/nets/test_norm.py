"""Normalisation by the batch against its formula in float64, native and by XLA, to the second derivative."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arrays import assert_same, normal

from dnas.kernels.norm import EPSILON, normalise

pytestmark = pytest.mark.usefixtures("float64", "kernels")


def formula(x):
    mean = x.mean((0, 1, 2))
    variance = jnp.square(x - mean).mean((0, 1, 2))
    return (x - mean) / jnp.sqrt(variance + EPSILON), mean, variance


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


@pytest.mark.parametrize("shape", [(2, 3, 4, 3), (2, 5, 5, 20), (3, 40, 30, 8)], ids=str)
def test_with_scale_and_bias(shape):
    args = 3 + 2 * normal(0, *shape), normal(1, shape[-1]), normal(2, shape[-1])
    tangents, g = [normal(3 + i, *a.shape) for i, a in enumerate(args)], normal(6, *shape)

    def of_formula(x, scale, bias):
        y, mean, variance = formula(x)
        return y * scale + bias, mean, variance

    def everything(f):
        def gradients(*args):
            return jax.grad(lambda *args: jnp.sum(jnp.sin(f(*args)[0]) * g), (0, 1, 2))(*args)

        def of_scale(x, scale, bias):  # x and bias are constants
            return jax.grad(lambda scale: jnp.sum(jnp.sin(f(x, scale, bias)[0])))(scale)

        def square(*args):  # reverse over reverse
            return jax.grad(lambda *args: sum(jnp.sum(part**2) for part in gradients(*args)), (0, 1, 2))(*args)

        return f(*args), jax.jvp(gradients, args, tuple(tangents)), of_scale(*args), square(*args)

    assert_same(jax.jit(lambda: everything(normalise))(), jax.jit(lambda: everything(of_formula))())


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
