"""Depthwise convolution against lax's own in float64: values, both gradients, second derivatives, vmap."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.nets import native
from dnas.nets.depthwise import depthwise_conv

# size, channels, k, stride, dilation: whole vectors of channels and parts of one, odd and even images, wider than them
CASES = [
    (8, 16, 3, 1, 1),
    (8, 5, 5, 1, 1),
    (9, 20, 3, 2, 1),
    (8, 8, 5, 2, 2),
    (7, 3, 3, 1, 2),
    (5, 4, 5, 2, 1),
    (3, 2, 7, 1, 2),
    (6, 1, 1, 2, 1),
    (20, 9, 5, 3, 1),
]


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def normal(seed, *shape):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def lax_conv(x, kernel, stride, dilation):
    pad = dilation * (len(kernel) - 1) // 2
    return jax.lax.conv_general_dilated(
        x,
        kernel[:, :, None],
        (stride, stride),
        [(pad, pad)] * 2,
        None,
        (dilation, dilation),
        ("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1],
    )


def assert_same(a, b):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-10, atol=1e-12), a, b)


def test_this_machine_has_the_native_kernels():
    if native.compiler() is None:
        pytest.skip("no C++ compiler on this machine: install g++ to test the native kernels")
    assert native.available()


@pytest.mark.parametrize("case", CASES, ids=str)
def test_values_and_gradients(case):
    size, channels, k, stride, dilation = case
    x, kernel = normal(0, 3, size, size + 1, channels), normal(1, k, k, channels)

    def both(conv):
        y, pull = jax.vjp(lambda x, kernel: conv(x, kernel, stride, dilation), x, kernel)
        return y, pull(normal(2, *y.shape))

    assert_same(both(depthwise_conv), both(lax_conv))


@pytest.mark.parametrize("case", CASES[:4], ids=str)
def test_second_derivatives(case):
    size, channels, k, stride, dilation = case
    args = normal(0, 2, size, size, channels), normal(1, k, k, channels)
    direction = normal(3, *args[0].shape), normal(4, *args[1].shape)

    def derivative(conv):
        def gradients(args):
            return jax.grad(lambda args: jnp.sum(jnp.sin(conv(*args, stride, dilation))))(args)

        return jax.jvp(gradients, (args,), (direction,))[1]

    assert_same(derivative(depthwise_conv), derivative(lax_conv))


@pytest.mark.parametrize("axes", [(None, 0), (0, 0), (0, None), (2, 3)], ids=str)
@pytest.mark.parametrize("outer", [None, (0, 0), (None, 0), (0, None)], ids=str)
def test_vmap_once_and_twice_equals_a_loop(axes, outer):
    def sized(shape, axis, count):
        return shape if axis is None else (*shape[:axis], count, *shape[axis:])

    shapes = [sized(s, a, 3) for s, a in zip([(2, 6, 6, 5), (3, 3, 5)], axes, strict=True)]
    if outer is not None:
        shapes = [sized(s, a, 2) for s, a in zip(shapes, outer, strict=True)]
    args = normal(0, *shapes[0]), normal(1, *shapes[1])

    def gradients(conv):
        def one(x, kernel):
            return jax.grad(lambda x, kernel: jnp.sum(jnp.sin(conv(x, kernel, 2, 1))), (0, 1))(x, kernel)

        mapped = jax.vmap(one, axes)
        return (mapped if outer is None else jax.vmap(mapped, outer))(*args)

    assert_same(gradients(depthwise_conv), gradients(lax_conv))


def test_without_native_kernels_the_same(monkeypatch):
    x, kernel = normal(0, 2, 7, 7, 5), normal(1, 3, 3, 5)
    expected = jax.jit(depthwise_conv)(x, kernel)
    monkeypatch.setattr(native, "available", lambda: False)
    jax.clear_caches()
    assert_same(jax.jit(depthwise_conv)(x, kernel), expected)
