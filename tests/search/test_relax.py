"""Relaxations against closed forms: what is sampled how often, and with which derivative."""

from collections import Counter

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.architectures.genotype import as_mix, random
from dnas.search import relax
from dnas.spaces import darts, nasbench201
from dnas.types import Clock

DRAWS = 4000
ALPHAS = {"a": np.array([[0.5, -0.3, 1.2], [0.0, 0.0, -1.0]]), "b": np.array([[0.1, 0.9, -0.4]])}


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def clock(epoch, epochs=5):
    return Clock(jnp.int32(0), jnp.int32(epoch), epochs)


def draws(relaxation, alphas=ALPHAS, epoch=0):
    keys = jax.random.split(jax.random.key(0), DRAWS)
    return jax.jit(jax.vmap(lambda key: relaxation(alphas, key, clock(epoch))))(keys)


def assert_frequencies(found, expected, count=DRAWS):
    """Within four standard deviations of a binomial."""
    expected = np.asarray(expected)
    assert (np.abs(found - expected) <= 4 * np.sqrt(expected * (1 - expected) / count) + 1e-12).all()


def test_a_linear_schedule_reaches_both_ends():
    schedule = relax.linear(10.0, 0.1)
    np.testing.assert_allclose([schedule(clock(e)) for e in range(5)], np.linspace(10, 0.1, 5), rtol=1e-6)
    assert float(relax.linear(3.0, 1.0)(clock(0, 1))) == 3.0


@pytest.mark.parametrize(
    "relaxation",
    [relax.hard_concrete(relax.linear(10.0, 0.1)), relax.sampled, relax.reinmax(relax.linear(3.0, 1.0))],
)
def test_hard_samples_follow_the_softmax_at_any_temperature(relaxation):
    for epoch in (0, 4):
        for kind, mix in draws(relaxation, epoch=epoch).items():
            np.testing.assert_allclose(np.sort(mix, -1), np.broadcast_to([0, 0, 1.0], mix.shape), atol=1e-12)
            assert_frequencies(np.round(mix).mean(0), jax.nn.softmax(ALPHAS[kind]))


def test_kinds_of_cells_are_sampled_apart():
    mixes = draws(relax.sampled, {"a": jnp.zeros((1, 2)), "b": jnp.zeros((1, 2))})
    both = (mixes["a"] * mixes["b"]).sum((1, 2)).mean()
    assert_frequencies(both, 0.5)


def test_a_concrete_sample_hardens_as_the_temperature_falls():
    def entropy(epoch):
        p = draws(relax.concrete(relax.linear(1.0, 0.03)), epoch=epoch)["a"]
        np.testing.assert_allclose(p.sum(-1), 1, rtol=1e-12)
        return float(-(p * jnp.log(jnp.maximum(p, 1e-300))).sum(-1).mean())

    entropies = [entropy(epoch) for epoch in range(5)]
    assert entropies == sorted(entropies, reverse=True) and entropies[-1] < 0.05 < 0.3 < entropies[0]


def test_a_concrete_sample_is_the_softmax_of_logits_with_noise():
    """Its log-ratios are (alpha_i - alpha_j + Gumbel_i - Gumbel_j) / t, and the difference of the noise is logistic."""
    mixes = draws(relax.concrete(relax.linear(2.0, 2.0)))["a"]
    ratio = 2.0 * (jnp.log(mixes[:, 0, 0]) - jnp.log(mixes[:, 0, 1])) - 0.8
    np.testing.assert_allclose(ratio.var(), np.pi**2 / 3, rtol=0.1)
    assert abs(float(ratio.mean())) < 4 * np.sqrt(np.pi**2 / 3 / DRAWS)


def test_the_derivative_of_a_hard_sample_is_that_of_the_soft_one():
    schedule, weights = relax.linear(0.7, 0.7), jnp.arange(6.0).reshape(2, 3) ** 2

    def slope(relaxation):
        def value(alphas):
            return (relaxation(alphas, jax.random.key(3), clock(0))["a"] * weights).sum()

        return jax.grad(value)(ALPHAS)["a"]

    hard, soft = slope(relax.hard_concrete(schedule)), slope(relax.concrete(schedule))
    np.testing.assert_allclose(hard, soft, rtol=1e-12)
    assert np.abs(soft).max() > 1e-2


def test_what_a_hard_sample_leaves_out_is_exactly_zero():
    p = jax.nn.softmax(jax.random.normal(jax.random.key(0), (200, 7), jnp.float32))
    mix = np.asarray(jax.jit(relax.straight_through)(p))
    assert ((mix != 0).sum(-1) == 1).all() and (mix.argmax(-1) == np.asarray(p).argmax(-1)).all()


def test_two_paths_are_a_pair_without_replacement_of_which_one_is_active():
    a = np.array([0.5, -0.3, 1.2])
    alphas = {"a": jnp.asarray(a)[None]}
    key = jax.random.key(1)

    def pair_and_active(key):
        jacobian = jax.jacobian(lambda x: relax.two_paths({"a": x}, key, clock(0))["a"][0])(alphas["a"])[:, 0]
        return relax.two_paths(alphas, key, clock(0))["a"][0], jacobian

    mixes, jacobians = jax.jit(jax.vmap(pair_and_active))(jax.random.split(key, DRAWS))
    seen = Counter()
    for mix, jacobian in zip(np.asarray(mixes), np.asarray(jacobians), strict=True):
        pair = tuple(np.flatnonzero(np.abs(jacobian).sum(-1) > 0))
        i, j = pair
        p = np.exp(a[[i, j]]) / np.exp(a[[i, j]]).sum()
        expected = np.zeros((3, 3))
        expected[np.ix_(pair, pair)] = p[:, None] * (np.eye(2) - p)  # equation 4 on the pair
        np.testing.assert_allclose(jacobian, expected, atol=1e-12)
        seen[pair, int(mix.argmax())] += 1
    p = np.exp(a) / np.exp(a).sum()
    for i, j in ((0, 1), (0, 2), (1, 2)):
        chance = p[i] * p[j] * (1 / (1 - p[i]) + 1 / (1 - p[j]))
        for active in (i, j):
            assert_frequencies(seen[(i, j), active] / DRAWS, chance * p[active] / (p[i] + p[j]))


@pytest.mark.parametrize(
    "space",
    [nasbench201.space(nodes=3, operations="none+skip_connect"), darts.space(nodes=2, operations="none+skip_connect")],
    ids=lambda space: space.name,
)
def test_uniform_paths_are_uniform_genotypes(space):
    def names(mix):
        return tuple((kind, tuple(np.asarray(m).ravel().astype(int))) for kind, m in sorted(mix.items()))

    mixes = jax.tree.map(np.asarray, draws(relax.uniform_path(space)))
    ours = Counter(names({kind: m[i] for kind, m in mixes.items()}) for i in range(DRAWS))
    all_of_them = {names(as_mix(random(space, seed), space)) for seed in range(400)}
    assert set(ours) == all_of_them
    assert_frequencies(np.array(list(ours.values())) / DRAWS, np.full(len(ours), 1 / len(ours)))
