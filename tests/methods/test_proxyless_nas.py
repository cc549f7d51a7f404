"""ProxylessNAS: the step of two alphas leaves the probabilities of the others alone."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.config import AlphaConfig
from dnas.methods.proxyless_nas import pairwise_adam


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def test_only_the_sampled_pair_changes_its_probabilities():
    rng = np.random.default_rng(0)
    alphas = jnp.asarray(rng.normal(size=(3, 5)))
    tx = pairwise_adam(AlphaConfig(learning_rate=0.3, beta1=0.5, decay=0.0))
    state = tx.init(alphas)
    for pairs in ([(0, 1), (2, 4), (1, 3)], [(2, 3), (0, 4), (0, 1)]):
        gradient = np.zeros((3, 5))
        for row, (i, j) in enumerate(pairs):
            gradient[row, i], gradient[row, j] = 0.1, -0.1
        before = jax.nn.softmax(alphas)
        updates, state = jax.jit(tx.update)(jnp.asarray(gradient), state, alphas)
        alphas = alphas + updates
        after = jax.nn.softmax(alphas)
        sampled = gradient != 0
        np.testing.assert_allclose(np.asarray(after)[~sampled], np.asarray(before)[~sampled], rtol=1e-12)
        moved = np.asarray(after - before)
        assert (moved[gradient > 0] < -1e-3).all() and (moved[gradient < 0] > 1e-3).all()


def test_before_the_shift_it_is_adam_without_a_first_moment():
    """Differences within the pair: after one step Adam moves each by the learning rate, whatever the gradient."""
    alphas, tx = jnp.zeros((1, 3)), pairwise_adam(AlphaConfig(learning_rate=0.1, decay=0.0))
    updates, state = tx.update(jnp.array([[0.2, -0.2, 0.0]]), tx.init(alphas), alphas)
    np.testing.assert_allclose(updates[0, 1] - updates[0, 0], 0.2, rtol=1e-6)
    updates, _ = tx.update(jnp.zeros((1, 3)), state, alphas)
    np.testing.assert_array_equal(updates, 0)  # no momentum, and no shift where nothing was sampled
