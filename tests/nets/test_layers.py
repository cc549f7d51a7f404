"""Layers in float64 against lax's own operations and plain formulas: values, gradients, second derivatives, vmap."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.nets import layers


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def assert_same(a, b):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-10, atol=1e-12), a, b)


def test_separable_conv_is_depthwise_then_pointwise():
    x, depthwise, pointwise = normal(0, 2, 7, 7, 4), normal(1, 5, 5, 4), normal(2, 4, 3)
    for stride, dilation in ((1, 1), (2, 1), (2, 2)):
        pad = [(dilation * 2,) * 2] * 2
        numbers = ("NHWC", "HWIO", "NHWC")
        kernel = depthwise[:, :, None]
        middle = jax.lax.conv_general_dilated(
            x, kernel, (stride, stride), pad, None, (dilation, dilation), numbers, feature_group_count=4
        )
        found = layers.separable_conv(x, depthwise, pointwise, stride, dilation)
        assert_same(found, middle @ pointwise)


@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("size", [6, 7])
def test_pooling_is_laxs_reduce_window(size, stride):
    x = normal(0, 2, size, size, 3)
    window, strides = (1, 3, 3, 1), (1, stride, stride, 1)
    pads = ((0, 0), (1, 1), (1, 1), (0, 0))

    def lax_max(x):
        return jax.lax.reduce_window(x, -jnp.inf, jax.lax.max, window, strides, pads)

    def lax_avg(x):
        total = jax.lax.reduce_window(x, 0.0, jax.lax.add, window, strides, pads)
        return total / jax.lax.reduce_window(jnp.ones_like(x), 0.0, jax.lax.add, window, strides, pads)

    for ours, theirs in ((layers.max_pool_3x3, lax_max), (layers.avg_pool_3x3, lax_avg)):
        y, pull = jax.vjp(lambda x, ours=ours: ours(x, stride), x)
        expected, pull_expected = jax.vjp(theirs, x)
        g = normal(1, *y.shape)
        assert_same((y, pull(g)), (expected, pull_expected(g)))


def test_of_equal_values_the_first_gets_the_gradient():
    gradient = jax.grad(lambda x: layers.max_pool_3x3(x, 1)[0, 1, 1, 0])(jnp.ones((1, 3, 3, 1)))
    expected = np.zeros((1, 3, 3, 1))
    expected[0, 0, 0, 0] = 1
    np.testing.assert_array_equal(gradient, expected)


def test_absorb_is_the_running_average():
    stats, moments = {"mean": jnp.array([1.0])}, {"mean": jnp.array([3.0])}
    np.testing.assert_allclose(layers.absorb(stats, moments)["mean"], 0.9 * 1 + 0.1 * 3)
