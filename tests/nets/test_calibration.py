"""Calibrated statistics: means over batches, of every norm as often as it was used. Those of once-for-all's networks
are compared with the original code by scripts/oracles/ofa.py."""

import jax.numpy as jnp
import numpy as np
from flax import nnx

from dnas.nets.calibration import calibrated, calibrated_over, calibrating
from dnas.nets.functional import Functional
from dnas.nets.layers import BatchNorm, Chain

BATCHES = jnp.asarray(np.random.default_rng(0).normal(3, 2, (4, 5, 2, 2, 3)), jnp.float32)


def test_statistics_are_means_over_the_batches_with_biased_variances():
    network = calibrating(lambda rngs: Chain(BatchNorm(3, affine=False, rngs=rngs)))
    before = {"layers": {0: {"mean": jnp.full(3, 7.0), "var": jnp.full(3, 7.0)}}}
    axes = (1, 2, 3)
    expected = BATCHES.mean(axes).mean(0), BATCHES.var(axes).mean(0)
    for found in (
        calibrated(network, {}, before, list(BATCHES)),
        calibrated_over(network, {}, before, lambda number: BATCHES[number], 4),
    ):
        for name, value in zip(("mean", "var"), expected, strict=True):
            np.testing.assert_allclose(found["layers"][0][name], value, rtol=1e-5)
    unequal = calibrated(network, {}, before, [BATCHES[0], BATCHES[1, :1]])["layers"][0]["mean"]
    np.testing.assert_allclose(unequal, (5 * BATCHES[0].mean((0, 1, 2)) + BATCHES[1, 0].mean((0, 1))) / 6, rtol=1e-5)


def test_a_norm_that_is_used_several_times_in_a_pass_has_their_mean():
    def apply(weights, stats, x, train):
        mean = x.mean((0, 1, 2))
        return x, {"used": jnp.stack([mean, 3 * mean]), "passed": jnp.stack([mean, mean])[None], "kept": stats["kept"]}

    stats = {"used": jnp.zeros(3), "passed": jnp.zeros(3), "kept": jnp.arange(3.0)}
    found = calibrated_over(Functional(None, apply), {}, stats, lambda number: BATCHES[number], 4)
    mean = BATCHES.mean((0, 1, 2, 3))
    for name, expected in (("used", 2 * mean), ("passed", mean), ("kept", jnp.arange(3.0))):
        np.testing.assert_allclose(found[name], expected, rtol=1e-5)


def test_a_network_keeps_unbiased_variances_where_it_is_not_calibrated():
    norm = BatchNorm(3, affine=False, rngs=nnx.Rngs(0))
    norm(BATCHES[0])
    np.testing.assert_allclose(norm.var[...], BATCHES[0].var((0, 1, 2)) * 20 / 19, rtol=1e-5)
