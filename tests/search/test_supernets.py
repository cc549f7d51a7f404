"""What methods ask of the supernet: dropped skips and their rate."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dnas.architectures.topology import NetworkSize, Norm
from dnas.errors import UserError
from dnas.methods.p_darts import decaying
from dnas.nets.functional import functionalize
from dnas.nets.ops import OPERATIONS
from dnas.nets.supernet import Supernet
from dnas.search.supernets import dropped_skips
from dnas.spaces import nasbench201
from dnas.types import Clock, Noise

SPACE = nasbench201.space(nodes=3, operations="skip_connect+nor_conv_1x1")


def dropped(stride):
    return dropped_skips(SPACE).operations["skip_connect"](4, stride, Norm(affine=False, pools=True), rngs=nnx.Rngs(0))


def test_single_values_are_dropped_at_the_rate_and_the_others_scaled():
    x = jax.random.normal(jax.random.key(0), (8, 16, 16, 4))
    y = dropped(1)(x, Noise(jax.random.key(1), jnp.float32(0.7)))
    kept = y != 0
    assert abs(kept.mean() - 0.3) < 4 * np.sqrt(0.21 / x.size)
    np.testing.assert_allclose(y[kept], x[kept] / 0.3, rtol=1e-5)
    per_pixel = kept.sum(-1)
    assert per_pixel.min() == 0 and per_pixel.max() == 4, "whole pixels or channels are dropped"


def test_nothing_is_dropped_in_evaluation_at_rate_zero_or_at_stride_two():
    x, noise = jax.random.normal(jax.random.key(0), (2, 4, 4, 4)), Noise(jax.random.key(1), 0.0)
    np.testing.assert_array_equal(dropped(1)(x), x)
    np.testing.assert_array_equal(dropped(1)(x, noise), x)
    plain = OPERATIONS["skip_connect"](4, 2, Norm(affine=False, pools=True), rngs=nnx.Rngs(0))
    np.testing.assert_array_equal(dropped(2)(x, noise._replace(rate=0.9)), plain(x))


@pytest.mark.slow
@pytest.mark.parametrize("loop", [False, True])
def test_edges_and_cells_drop_independently_and_evaluation_is_that_of_the_plain_supernet(loop):
    size = NetworkSize(2, 2, 3, loop=loop)
    networks = [functionalize(lambda rngs, s=s: Supernet(s, size, rngs=rngs)) for s in (SPACE, dropped_skips(SPACE))]
    mix = {"cell": jax.nn.softmax(jax.random.normal(jax.random.key(2), (3, 2)))}
    x = jax.random.normal(jax.random.key(0), (4, 4, 4, 3))
    (weights, stats), (_, other_stats) = (jax.jit(network.init)(jax.random.key(0)) for network in networks)
    assert jax.tree.structure(stats) == jax.tree.structure(other_stats)
    evaluated = [jax.jit(lambda n=n: n.apply(weights, stats, x, mix, train=False)[0])() for n in networks]
    np.testing.assert_allclose(evaluated[1], evaluated[0], rtol=1e-5)
    plain = jax.jit(lambda: networks[0].apply(weights, stats, x, mix, train=True)[0])()
    noisy = jax.jit(lambda noise: networks[1].apply(weights, stats, x, mix, noise=noise, train=True)[0])
    for rate, same in ((0.0, True), (0.5, False)):
        logits = noisy(Noise(jax.random.key(3), rate))
        assert np.allclose(logits, plain, rtol=1e-3, atol=1e-4) == same


def test_the_rate_falls_linearly_in_the_warm_up_and_exponentially_from_there():
    now = decaying(0.4, 10)
    rates = [float(now(Clock(jnp.int32(0), jnp.int32(epoch), 25))) for epoch in range(25)]
    expected = [0.4 * (24 - e) / 25 if e < 10 else 0.4 * np.exp(-0.2 * (e - 10)) for e in range(25)]
    np.testing.assert_allclose(rates, expected, rtol=1e-5)


def test_a_space_without_skips_is_refused():
    bare = replace(SPACE, operations={name: op for name, op in OPERATIONS.items() if name != "skip_connect"})
    with pytest.raises(UserError, match="has no 'skip_connect'"):
        dropped_skips(bare)
