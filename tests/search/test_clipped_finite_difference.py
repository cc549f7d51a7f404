"""The second order of DARTS' recurrent search, on a quadratic where all is known, and as a setting of the method."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas import find
from dnas.architectures.topology import NetworkSize
from dnas.config import SearchConfig
from dnas.errors import UserError
from dnas.nets.functional import functionalize
from dnas.search import hypergrad
from dnas.search.method import adapted
from dnas.spaces import rnn
from dnas.types import Evaluated

RATE, DECAY, COST = 0.1, 0.01, 0.7


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def normal(seed, *shape):
    return np.random.default_rng(seed).normal(size=shape)


A, TARGET, ALPHAS, H = normal(0, 4, 3), normal(1, 4), normal(3, 3), normal(4, 4, 4)
H = H @ H.T / 4 + np.eye(4)
WEIGHTS = {"cell": {"rest": normal(5, 2)}, "embedding": normal(6, 2)}


def flat(weights):
    return jnp.concatenate([weights["cell"]["rest"], weights["embedding"]])


def inner(w, a):
    """(w - A a)' H (w - A a) / 2; its moments tell where it was taken."""
    r = flat(w) - A @ a
    return r @ H @ r / 2, Evaluated(flat(w))


def outer(w, a):
    """|w - t|^2 / 2 + c |a|^2 / 2."""
    return jnp.sum((flat(w) - TARGET) ** 2) / 2 + COST * jnp.sum(a**2) / 2, Evaluated(flat(w), carry=flat(w))


def update(gradient):
    return jax.tree.map(lambda w, g: w - RATE * (g + DECAY * w), WEIGHTS, gradient)


def clipped(vector, clip):
    return vector * min(1, clip / (np.linalg.norm(vector) + 1e-6))


@pytest.mark.parametrize("clip", [0.25, 1000.0])
@pytest.mark.parametrize("kept", [(), ("embedding",)])
def test_it_is_what_the_code_computes(clip, kept):
    """Both gradients are clipped; the factor counts where it clips nothing; the embedding stays, but is in v."""
    found = hypergrad.clipped_finite_difference(clip, 0.01, kept)(inner, outer, WEIGHTS, ALPHAS, update)
    w = np.asarray(flat(WEIGHTS))
    gradient = H @ (w - A @ ALPHAS)
    stepped = w - RATE * (clipped(gradient, clip) + DECAY * w)
    if kept:
        stepped[2:] = w[2:]
    v = clipped(stepped - TARGET, clip)
    factor = clip / (np.linalg.norm(gradient) + 1e-6)
    assert (factor > 1) == (clip > 1)
    np.testing.assert_allclose(found.gradient, COST * ALPHAS + RATE * factor * A.T @ H @ v, rtol=1e-8)
    np.testing.assert_allclose(found.loss, ((stepped - TARGET) ** 2).sum() / 2 + COST * (ALPHAS**2).sum() / 2)
    at, plus, minus = found.moments  # the passes that the live network made; the unrolled one is another network
    np.testing.assert_allclose(at, w)
    np.testing.assert_allclose(plus - minus, 0.02 * v / np.linalg.norm(v), rtol=1e-8)
    np.testing.assert_allclose(found.seen.carry, stepped)


def test_the_method_clips_as_the_run_does():
    method, space = find.resolve("method", "darts:order=rnn_reference,radius=0.02"), rnn.space(nodes=1)
    config = SearchConfig()

    def estimate(clip):
        weights = replace(config.weights, clip=clip)
        return adapted(method, space, replace(config, weights=weights)).hypergrad(inner, outer, WEIGHTS, ALPHAS, update)

    for clip in (0.25, 3.0):
        expected = hypergrad.clipped_finite_difference(clip, 0.02, ("embedding",))
        expected = expected(inner, outer, WEIGHTS, ALPHAS, update)
        np.testing.assert_array_equal(estimate(clip).gradient, expected.gradient)
    assert np.abs(estimate(0.25).gradient - estimate(3.0).gradient).max() > 1e-3
    with pytest.raises(UserError, match="clips gradients: set search.weights.clip above 0"):
        estimate(0.0)


def test_what_the_reference_keeps_is_in_the_supernet():
    """By name, so that it would be noticed if it were called otherwise."""
    space = rnn.space(nodes=1)
    network = functionalize(lambda rngs: space.supernet(space, NetworkSize(1, 3, 5, vocabulary=5), rngs=rngs))
    weights, _ = jax.eval_shape(network.init, jax.random.key(0))
    assert weights["backbone"]["embedding"].shape == (5, 3)
