"""beta-DARTS: the penalty is nothing at first, and shrinks the largest alphas most."""

import jax
import jax.numpy as jnp
import numpy as np

from dnas.search.penalty import beta_decay
from dnas.types import Clock

ALPHAS = {"normal": jnp.array([[0.0, 1.0, 2.0]]), "reduce": jnp.array([[3.0, -1.0, 0.5], [0.0, 0.0, 0.0]])}


def penalty(alphas, epoch):
    return beta_decay(50.0)(alphas, {}, Clock(jnp.int32(0), jnp.int32(epoch), 100))


def test_it_is_the_mean_log_sum_exp_times_a_weight_that_rises_from_zero():
    rows = np.concatenate([ALPHAS["normal"], ALPHAS["reduce"]])
    mean = np.log(np.exp(rows).sum(-1)).mean()
    for epoch, weight in ((0, 0.0), (1, 0.5), (50, 25.0), (99, 49.5)):
        np.testing.assert_allclose(penalty(ALPHAS, epoch), weight * mean, rtol=1e-6)


def test_its_gradient_is_the_softmax_and_descent_evens_the_mix_out():
    gradient = jax.grad(penalty)(ALPHAS, 50)
    expected = jax.tree.map(lambda a: 25 / 3 * jax.nn.softmax(a), ALPHAS)
    jax.tree.map(lambda g, e: np.testing.assert_allclose(g, e, rtol=1e-5), gradient, expected)
    moved = jax.tree.map(lambda a, g: a - 0.01 * g, ALPHAS, gradient)
    for before, after in zip(jax.tree.leaves(ALPHAS), jax.tree.leaves(moved), strict=True):
        assert np.ptp(after, -1).sum() < np.ptp(before, -1).sum()
