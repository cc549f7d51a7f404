"""Layers in float64 against lax's own operations and plain formulas: values, gradients, second derivatives, vmap."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arrays import assert_same, normal

from dnas.kernels import native
from dnas.nets import layers
from dnas.nets.functional import functionalize

pytestmark = pytest.mark.usefixtures("float64")


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


def test_absorb_is_the_running_average():
    stats, moments = {"mean": jnp.array([1.0])}, {"mean": jnp.array([3.0])}
    np.testing.assert_allclose(layers.absorb(stats, moments)["mean"], 0.9 * 1 + 0.1 * 3)


def test_absorb_takes_one_pass_after_the_other():
    stats, passes = normal(0, 4, 3), normal(1, 2, 4, 5, 3)  # 2 passes of 5 uses each, of 4 copies
    expected = stats
    for moments in passes:
        for use in range(5):
            expected = layers.absorb(expected, moments[:, use])
    np.testing.assert_allclose(layers.absorb(stats, jnp.moveaxis(passes, 0, -2)), expected, rtol=1e-6)


@pytest.mark.parametrize("platform", ["cpu", "cuda"])
@pytest.mark.parametrize("size", [6, 7])
def test_a_1x1_convolution_of_stride_2_is_a_product_with_every_other_pixel(platform, size):
    """As written for accelerators, too, which is not a product there."""
    net = functionalize(lambda rngs: layers.Conv(3, 4, 1, stride=2, rngs=rngs))
    x, kernels = normal(0, 2, size, size, 3), normal(1, 5, 1, 1, 3, 4)

    def both(conv):
        y, pull = jax.vjp(jax.vmap(conv, (None, 0)), x, kernels)
        return y, pull(normal(2, *y.shape))

    with native.traced_for(platform):
        found = both(lambda x, kernel: net.apply({"kernel": kernel}, {}, x, train=True)[0])
    assert_same(found, both(lambda x, kernel: x[:, ::2, ::2] @ kernel[0, 0]))
