"""The ENAS controller: its probabilities are those of what it samples, and REINFORCE learns from them."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from dnas.architectures.genotype import as_mix, random
from dnas.search import controller, hypergrad
from dnas.spaces import darts, nasbench201
from dnas.types import Clock, Evaluated

SETTINGS = controller.Settings(hidden=6, tanh=3.0, operations_tanh_reduce=1.0)
CLOCK = Clock(0, 0, 1)


def one_cell():
    space = darts.space(nodes=2, operations="none+max_pool_3x3+skip_connect")
    return replace(space, cells={"normal": space.cells["normal"]})


SPACES = {"nasbench201": nasbench201.space(nodes=3, operations="none+skip_connect"), "darts": one_cell()}


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def prepared(name):
    """The space, alphas that prefer some, every architecture as a stacked mix, and its log-probability."""
    space = SPACES[name]
    alphas = controller.initial(SETTINGS)(space, jax.random.key(0), None)
    alphas = jax.tree.map(lambda leaf: 8 * leaf, alphas)
    mixes = {tuple(m.ravel()): m for m in (as_mix(random(space, s), space)[kind_of(space)] for s in range(600))}
    stacked = {kind_of(space): jnp.stack([jnp.asarray(m, float) for m in mixes.values()])}
    policy = controller.policy(space, SETTINGS)
    logs, entropies = jax.jit(jax.vmap(policy, (None, 0)))(alphas, stacked)
    return space, alphas, stacked, np.asarray(logs), np.asarray(entropies)


def kind_of(space):
    return next(iter(space.cells))


@pytest.mark.parametrize("name,count", [("nasbench201", 8), ("darts", 4 * 3 * 4)])
def test_the_probabilities_of_all_architectures_are_one(name, count):
    _, _, stacked, logs, _ = prepared(name)
    assert len(logs) == count
    np.testing.assert_allclose(np.exp(logs).sum(), 1, rtol=1e-12)
    assert np.exp(logs).max() > 1.5 * np.exp(logs).min()


@pytest.mark.parametrize("name", SPACES)
def test_samples_follow_the_probabilities(name):
    space, alphas, stacked, logs, _ = prepared(name)
    draw = jax.jit(jax.vmap(lambda key: controller.sample(space, SETTINGS)(alphas, key, CLOCK)))
    found = draw(jax.random.split(jax.random.key(1), 4000))[kind_of(space)]
    same = (np.asarray(found)[:, None] == np.asarray(stacked[kind_of(space)])[None]).all((2, 3))
    assert (same.sum(1) == 1).all()
    p = np.exp(logs)
    assert (np.abs(same.mean(0) - p) < 4 * np.sqrt(p * (1 - p) / 4000)).all()


@pytest.mark.parametrize("name", SPACES)
def test_the_expected_entropy_of_the_decisions_is_that_of_the_architecture(name):
    """The chain rule of entropy."""
    _, _, _, logs, entropies = prepared(name)
    np.testing.assert_allclose((np.exp(logs) * entropies).sum(), -(np.exp(logs) * logs).sum(), rtol=1e-12)


def test_the_likeliest_is_one_that_can_be_sampled():
    space, alphas, stacked, logs, _ = prepared("darts")
    mix = controller.likeliest(space, SETTINGS)(alphas, CLOCK)["normal"]
    (index,) = np.flatnonzero((np.asarray(stacked["normal"]) == np.asarray(mix)).all((1, 2)))
    assert logs[index] > np.median(logs)


def test_reinforce_is_the_derivative_of_the_expected_reward():
    """The estimates, weighted by the probabilities of the samples, sum to the exact gradient for any baseline."""
    space, alphas, stacked, logs, _ = prepared("nasbench201")
    alphas = alphas | {"baseline": jnp.asarray(0.3)}
    policy, rewards = controller.policy(space, SETTINGS), jax.random.uniform(jax.random.key(5), (8,))
    estimator = hypergrad.reinforce(policy)

    def estimate(mix, reward):
        def outer(weights, alphas):
            return jnp.float64(0.0), Evaluated((), jnp.zeros(1), mix, reward)

        return estimator(outer, outer, (), alphas, lambda g: g).gradient

    estimates = jax.jit(jax.vmap(estimate))(stacked, rewards)
    mean = jax.tree.map(lambda g: jnp.tensordot(jnp.exp(logs), g, 1), estimates)

    def loss(alphas):
        return -(jnp.exp(jax.vmap(policy, (None, 0))(alphas, stacked)[0]) * rewards).sum()

    exact = jax.jit(jax.grad(loss))(alphas)
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12), mean["controller"], exact["controller"]
    )
    np.testing.assert_allclose(mean["baseline"], 0.3 - (np.exp(logs) * rewards).sum(), rtol=1e-12)


def test_the_baseline_is_a_moving_average_of_the_reward_and_its_bonus():
    space, alphas, stacked, _, entropies = prepared("nasbench201")
    mix = jax.tree.map(lambda m: m[3], stacked)
    estimator = hypergrad.reinforce(controller.policy(space, SETTINGS), entropy_weight=0.1)

    def outer(weights, alphas):
        return jnp.float64(0.0), Evaluated((), jnp.zeros(1), mix, jnp.float64(0.6))

    gradient = estimator(outer, outer, (), alphas | {"baseline": jnp.float64(0.2)}, lambda g: g).gradient["baseline"]
    tx = optax.sgd(1 - 0.99)
    update, _ = tx.update(gradient, tx.init(gradient))
    np.testing.assert_allclose(0.2 + update, 0.99 * 0.2 + 0.01 * (0.6 + 0.1 * entropies[3]), rtol=1e-12)
