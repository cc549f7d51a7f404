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


def lax_conv(x, kernel, stride, padding, dilation):
    pads = [(p, p) for p in padding]
    numbers = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, stride, pads, None, (dilation, dilation), numbers)


def assert_same(a, b):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-10, atol=1e-12), a, b)


# size, kernel, stride, padding, dilation: "same" padding for odd and even images, dilated, valid, more pad than needed
CONVOLUTIONS = [
    (8, (3, 3), (1, 1), (1, 1), 1),
    (8, (3, 3), (2, 2), (1, 1), 1),
    (7, (3, 3), (2, 2), (1, 1), 1),
    (8, (5, 5), (2, 2), (4, 4), 2),
    (7, (5, 5), (2, 2), (4, 4), 2),
    (8, (3, 3), (1, 1), (2, 2), 2),
    (3, (5, 5), (1, 1), (4, 4), 2),
    (2, (2, 2), (1, 1), (0, 0), 1),
    (9, (3, 3), (3, 3), (0, 0), 1),
    (8, (1, 7), (1, 2), (0, 3), 1),
    (8, (7, 1), (2, 1), (3, 0), 1),
]


@pytest.mark.parametrize(("size", "kernel", "stride", "padding", "dilation"), CONVOLUTIONS)
def test_conv_is_laxs_with_both_gradients_and_their_derivatives(size, kernel, stride, padding, dilation):
    x, w = normal(0, 2, size, size, 3), normal(1, *kernel, 3, 4)
    settings = (stride, padding, dilation)
    y = lax_conv(x, w, *settings)
    g, dx, dw = normal(2, *y.shape), normal(3, *x.shape), normal(4, *w.shape)

    def everything(conv):
        def gradients(x, w):
            return jax.vjp(lambda x, w: conv(x, w, *settings), x, w)[1](g)

        return conv(x, w, *settings), gradients(x, w), jax.jvp(gradients, (x, w), (dx, dw))[1]

    assert_same(jax.jit(lambda: everything(layers.dense_conv))(), jax.jit(lambda: everything(lax_conv))())


@pytest.mark.parametrize("axes", [(None, 0), (0, None), (0, 0)])
def test_conv_vmapped_is_a_loop(axes):
    settings = ((2, 2), (1, 1), 1)
    x = normal(0, 3, 2, 6, 6, 4) if axes[0] == 0 else normal(0, 2, 6, 6, 4)
    w = normal(1, 3, 3, 3, 4, 5) if axes[1] == 0 else normal(1, 3, 3, 4, 5)

    def loop(x, w):
        pick = [lambda a, i: a[i], lambda a, i: a]
        return jnp.stack(
            [lax_conv(pick[axes[0] is None](x, i), pick[axes[1] is None](w, i), *settings) for i in range(3)]
        )

    def vmapped(x, w):
        return jax.vmap(lambda x, w: layers.dense_conv(x, w, *settings), axes)(x, w)

    g = normal(2, *loop(x, w).shape)
    tangents = normal(3, *x.shape), normal(4, *w.shape)

    def everything(f):
        def gradients(x, w):
            return jax.vjp(f, x, w)[1](g)

        return f(x, w), gradients(x, w), jax.jvp(gradients, (x, w), tangents)[1]

    assert_same(jax.jit(lambda: everything(vmapped))(), jax.jit(lambda: everything(loop))())
    square = jax.grad(lambda w: sum(jnp.sum(part**2) for part in jax.vjp(vmapped, x, w)[1](g)))  # reverse over reverse
    expected = jax.grad(lambda w: sum(jnp.sum(part**2) for part in jax.vjp(loop, x, w)[1](g)))
    assert_same(jax.jit(square)(w), jax.jit(expected)(w))


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


def test_batch_norm_is_the_formula_with_first_and_second_derivatives():
    x, g, dx = normal(0, 4, 3, 3, 2), normal(1, 4, 3, 3, 2), normal(2, 4, 3, 3, 2)

    def formula(x):
        return (x - x.mean((0, 1, 2))) / jnp.sqrt(x.var((0, 1, 2)) + layers.EPSILON)

    def everything(f):
        def gradient(x):
            return jax.vjp(f, x)[1](g)[0]

        return f(x), gradient(x), jax.jvp(gradient, (x,), (dx,))[1]

    assert_same(everything(lambda x: layers.normalise(x)[0]), everything(formula))


def test_absorb_is_the_running_average():
    stats, moments = {"mean": jnp.array([1.0])}, {"mean": jnp.array([3.0])}
    np.testing.assert_allclose(layers.absorb(stats, moments)["mean"], 0.9 * 1 + 0.1 * 3)
