"""Layers in float64 against lax's own operations and plain formulas: values, gradients, second derivatives, vmap."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arrays import assert_same, normal

from dnas.nets import layers

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
