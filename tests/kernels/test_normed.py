"""Convolutions that read through a norm, against a norm and a convolution, in float64."""

import jax
import jax.numpy as jnp
import pytest
from arrays import assert_same, normal

from dnas.kernels import native, normed
from dnas.kernels.conv import dense_conv, depthwise_conv
from dnas.kernels.norm import normalise

pytestmark = pytest.mark.usefixtures("float64")
# image, channels, k, stride, activation: whole vectors of channels and parts of one; images of more pieces than one
CASES = [(9, 8, 3, 2, "relu"), (6, 20, 5, 1, "hswish"), (7, 3, 7, 1, "relu6"), (24, 16, 3, 1, "linear")]


@pytest.fixture(autouse=True)
def there():
    if not native.available():
        pytest.skip("there are no kernels: install g++ to test them")


def with_moments(y):
    return y, y.mean((0, 1, 2)), y.var((0, 1, 2))


def pairs(case):
    """(ours, a norm and a convolution, kernel) of (x, scale, bias, kernel), depthwise and 1x1."""
    _, channels, k, stride, activation = case

    def moments(x):
        return x, *normalise(x)[1:]

    return {
        "depthwise": (
            lambda x, *more: normed.normed_depthwise(*moments(x), *more, stride=stride, activation=activation),
            lambda x, scale, bias, kernel: depthwise_conv(normalise(x, scale, bias, activation)[0], kernel, stride),
            normal(3, k, k, channels),
        ),
        "pointwise": (
            lambda x, *more: normed.normed_pointwise(*moments(x), *more, activation=activation),
            lambda x, scale, bias, kernel: dense_conv(normalise(x, scale, bias, activation)[0], kernel[None, None]),
            normal(3, channels, 5),
        ),
    }


def gradients(function, args):
    return jax.grad(lambda *args: jnp.sin(function(*args)).sum(), range(len(args)))(*args)


@pytest.mark.parametrize("kind", ["depthwise", "pointwise"])
@pytest.mark.parametrize("case", CASES, ids=str)
def test_values_moments_and_gradients(case, kind):
    size, channels, *_ = case
    ours, plain, kernel = pairs(case)[kind]
    args = 3 + 2 * normal(0, 3, size, size + 1, channels), normal(1, channels), normal(2, channels), kernel
    found = jax.jit(lambda: (ours(*args), gradients(lambda *args: ours(*args)[0], args)))()
    assert_same(found, jax.jit(lambda: (with_moments(plain(*args)), gradients(plain, args)))())


@pytest.mark.parametrize("kind", ["depthwise", "pointwise"])
def test_second_derivatives(kind):
    case = (5, 6, 3, 2, "hswish")
    ours, plain, kernel = pairs(case)[kind]
    args = 3 + 2 * normal(0, 2, 5, 5, 6), normal(1, 6), normal(2, 6), kernel
    direction = [normal(4 + i, *arg.shape) for i, arg in enumerate(args)]

    def second(function):
        def along(*args):
            products = (jnp.vdot(g, d) for g, d in zip(gradients(function, args), direction, strict=True))
            return sum(products, jnp.zeros(()))

        return jax.grad(along, range(4))(*args)

    found, expected = jax.jit(lambda: (second(lambda *args: ours(*args)[0]), second(plain)))()
    assert_same(found, expected)


def test_a_pointwise_convolution_of_images_as_they_are():
    args = 3 + normal(0, 3, 9, 8, 5), normal(1, 5, 20)

    def plain(x, kernel):
        return dense_conv(x, kernel[None, None])

    found = jax.jit(lambda: (normed.pointwise(*args), gradients(lambda *args: normed.pointwise(*args)[0], args)))()
    assert_same(found, jax.jit(lambda: (with_moments(plain(*args)), gradients(plain, args)))())


@pytest.mark.parametrize("kind", ["depthwise", "pointwise"])
def test_vmapped_is_a_loop(kind):
    ours, _, kernel = pairs((4, 3, 3, 1, "relu"))[kind]
    args = normal(0, 2, 2, 4, 4, 3), normal(1, 3), normal(2, 3), kernel
    looped = jax.jit(lambda: jax.lax.map(lambda x: ours(x, *args[1:]), args[0]))()
    assert_same(jax.jit(lambda: jax.vmap(lambda x: ours(x, *args[1:]))(args[0]))(), looped)
