"""Pooling in float64, native and by XLA, against lax's reduce_window: values and derivatives; and its corner cases."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arrays import assert_same, normal

from dnas.kernels import pooling

pytestmark = pytest.mark.usefixtures("float64", "kernels")


def lax_max(x, stride):
    return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, (1, 3, 3, 1), (1, stride, stride, 1), PADS)


def lax_avg(x, stride):
    def total(x):
        return jax.lax.reduce_window(x, 0.0, jax.lax.add, (1, 3, 3, 1), (1, stride, stride, 1), PADS)

    return total(x) / total(jnp.ones_like(x))


PADS = ((0, 0), (1, 1), (1, 1), (0, 0))
POOLS = {"max": (pooling.max_pool_3x3, lax_max), "avg": (pooling.avg_pool_3x3, lax_avg)}


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize(
    "shape", [(7, 5, 20), *(pytest.param(shape, marks=pytest.mark.slow) for shape in ((6, 6, 3), (1, 2, 8)))], ids=str
)
@pytest.mark.parametrize("kind", POOLS)
def test_pooling_is_laxs_reduce_window(kind, shape, stride):
    x, change = normal(0, 2, *shape), normal(1, 2, *shape)

    def everything(pool):
        def loss(x):
            return jnp.sum(jnp.sin(pool(x**2, stride)))

        gradient = jax.grad(loss)
        squares = jax.grad(lambda x: jnp.sum(gradient(x) ** 2))
        return pool(x, stride), jax.jvp(gradient, (x,), (change,)), squares(x)

    ours, theirs = POOLS[kind]
    assert_same(everything(ours), everything(theirs))


@pytest.mark.parametrize("kind", POOLS)
def test_vmapped_is_a_loop(kind):
    x, weights, pool = normal(0, 3, 2, 5, 5, 4), normal(1, 3, 2, 3, 3, 4), POOLS[kind][0]

    def gradient(x, weights):
        return jax.grad(lambda x: jnp.sum(weights * pool(x, 2)))(x)

    assert_same(jax.vmap(gradient)(x, weights), jnp.stack([gradient(*row) for row in zip(x, weights, strict=True)]))
    several = jnp.stack([gradient(x[0], row) for row in weights])
    assert_same(jax.vmap(gradient, (None, 0))(x[0], weights), several)


def test_of_equal_values_the_first_gets_the_gradient():
    gradient = jax.grad(lambda x: pooling.max_pool_3x3(x, 1)[0, 1, 1, 0])(jnp.ones((1, 3, 3, 1)))
    expected = np.zeros((1, 3, 3, 1))
    expected[0, 0, 0, 0] = 1
    np.testing.assert_array_equal(gradient, expected)


@pytest.mark.parametrize("stride", [1, 2])
def test_what_is_not_a_number_is_not_hidden(stride):
    x = normal(0, 1, 4, 4, 2).at[0, 1, 1, 0].set(jnp.nan)
    found = jnp.isnan(pooling.max_pool_3x3(x, stride))
    np.testing.assert_array_equal(found, jnp.isnan(lax_max(x, stride)))
    assert found.any()


def test_windows_of_four_pixels_without_overlap():
    x = normal(0, 1, 5, 4, 2)
    y = pooling.max_pool_2x2(x)
    assert y.shape == (1, 3, 2, 2)
    assert_same(y[:, :2], x[:, :4].reshape(1, 2, 2, 2, 2, 2).max((2, 4)))
    assert_same(y[:, 2], x[:, 4].reshape(1, 2, 2, 2).max(2))


def test_the_mean_of_an_image():
    x, dx = normal(0, 3, 5, 4, 10), normal(1, 3, 5, 4, 10)

    def everything(f):
        gradient = jax.grad(lambda x: jnp.sum(jnp.sin(f(x))))
        return f(x), gradient(x), jax.jvp(gradient, (x,), (dx,))[1], jax.vmap(f)(jnp.stack([x, dx]))

    ours, plain = (jax.jit(lambda f=f: everything(f))() for f in (pooling.global_avg_pool, lambda x: x.mean((1, 2))))
    assert_same(ours, plain)
