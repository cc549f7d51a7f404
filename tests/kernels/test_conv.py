"""Convolutions against lax's own in float64: values, both gradients, second derivatives, vmap; native and by XLA."""

import jax
import jax.numpy as jnp
import pytest
from arrays import assert_same, normal

from dnas.kernels.conv import dense_conv, depthwise_conv, scaled

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
    (12, 17, 9, 2, 1),
]


pytestmark = pytest.mark.usefixtures("float64", "kernels")


def lax_depthwise(x, kernel, stride, dilation):
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


@pytest.mark.parametrize("case", CASES, ids=str)
def test_values_and_gradients(case):
    size, channels, k, stride, dilation = case
    x, kernel = normal(0, 3, size, size + 1, channels), normal(1, k, k, channels)

    def both(conv):
        y, pull = jax.vjp(lambda x, kernel: conv(x, kernel, stride, dilation), x, kernel)
        return y, pull(normal(2, *y.shape))

    assert_same(both(depthwise_conv), both(lax_depthwise))


@pytest.mark.parametrize("case", CASES[:4], ids=str)
def test_second_derivatives(case):
    size, channels, k, stride, dilation = case
    args = normal(0, 2, size, size, channels), normal(1, k, k, channels)
    direction = normal(3, *args[0].shape), normal(4, *args[1].shape)

    def derivative(conv):
        def gradients(args):
            return jax.grad(lambda args: jnp.sum(jnp.sin(conv(*args, stride, dilation))))(args)

        return jax.jvp(gradients, (args,), (direction,))[1]

    assert_same(derivative(depthwise_conv), derivative(lax_depthwise))


@pytest.mark.parametrize("axes", [(None, 0), (0, 0), (0, None), (2, 3)], ids=str)
@pytest.mark.parametrize(
    "outer", [None, *(pytest.param(axes, marks=pytest.mark.slow) for axes in ((0, 0), (None, 0), (0, None)))], ids=str
)
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

    assert_same(gradients(depthwise_conv), gradients(lax_depthwise))


# Dense.


def lax_conv(x, kernel, stride, padding, dilation):
    pads = [(p, p) for p in padding]
    numbers = ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, stride, pads, None, (dilation, dilation), numbers)


# size, kernel, stride, padding, dilation: "same" padding for odd and even images, dilated, valid, more pad than needed
DENSE_CASES = [
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


@pytest.mark.parametrize(("size", "kernel", "stride", "padding", "dilation"), DENSE_CASES)
def test_dense_conv_is_laxs_with_both_gradients_and_their_derivatives(size, kernel, stride, padding, dilation):
    x, w = normal(0, 2, size, size, 3), normal(1, *kernel, 3, 4)
    settings = (stride, padding, dilation)
    y = lax_conv(x, w, *settings)
    g, dx, dw = normal(2, *y.shape), normal(3, *x.shape), normal(4, *w.shape)

    def everything(conv):
        def gradients(x, w):
            return jax.vjp(lambda x, w: conv(x, w, *settings), x, w)[1](g)

        return conv(x, w, *settings), gradients(x, w), jax.jvp(gradients, (x, w), (dx, dw))[1]

    assert_same(jax.jit(lambda: everything(dense_conv))(), jax.jit(lambda: everything(lax_conv))())


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
        return jax.vmap(lambda x, w: dense_conv(x, w, *settings), axes)(x, w)

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


def test_a_gate_is_a_product():
    args = normal(0, 3, 5, 4, 10), normal(1, 3, 1, 1, 10)

    def everything(f):
        gradients = jax.grad(lambda *args: jnp.sum(jnp.sin(f(*args))), (0, 1))
        return f(*args), gradients(*args), jax.jvp(gradients, args, args)[1]

    ours, plain = (jax.jit(lambda f=f: everything(f))() for f in (scaled, jnp.multiply))
    assert_same(ours, plain)
