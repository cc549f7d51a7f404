"""Operations of sentences: by hand, and that what a batch is filled up with changes nothing."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dnas.architectures.topology import Norm
from dnas.nets.functional import functionalize
from dnas.nets.sentence_ops import SENTENCE_OPERATIONS, Pool, Recurrence, SelfAttention, TokenNorm

NORM = Norm(affine=True, pools=True)
FLOWING = [name for name in SENTENCE_OPERATIONS if name != "none"]
LENGTHS = (5, 2, 4)
CHANNELS = 6


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def draw(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def filled_up(time, seed=0):
    """The same sentences, filled up with zeros to so many tokens; and the mask."""
    x = np.zeros((len(LENGTHS), time, CHANNELS))
    for row, length in zip(x, LENGTHS, strict=True):
        row[:length] = draw(9, CHANNELS, seed=seed)[:length] * length
    return jnp.asarray(x), jnp.asarray(np.arange(time) < np.array(LENGTHS)[:, None])[..., None].astype(float)


def weights_of(network):
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    leaves, structure = jax.tree.flatten(shapes)
    weights, stats = structure.unflatten([0.5 * draw(*leaf.shape, seed=i) for i, leaf in enumerate(leaves)])
    return weights, jax.tree.map(lambda leaf: jnp.abs(leaf) + 0.1, stats)


def test_the_operations_are_found():
    convolutions, pools = ("conv_1", "conv_3", "conv_5", "conv_7"), ("avg_pool_3", "max_pool_3")
    assert tuple(SENTENCE_OPERATIONS) == (*convolutions, *pools, "gru", "attention", "identity", "none")
    assert SENTENCE_OPERATIONS["none"](4, 1, NORM, rngs=nnx.Rngs(0)) is None


@pytest.mark.parametrize("name", FLOWING)
@pytest.mark.parametrize("train", [True, False])
def test_padding_changes_nothing(name, train):
    """Neither what comes out, nor the moments, nor any gradient; and all of it depends on every token."""
    network = functionalize(lambda rngs: SENTENCE_OPERATIONS[name](CHANNELS, 1, NORM, rngs=rngs))
    weights, stats = weights_of(network)

    def outputs(weights, time):
        y, moments = network.apply(weights, stats, *filled_up(time), train=train)
        return (y[:, : max(LENGTHS)] * draw(3, max(LENGTHS), CHANNELS, seed=8)).sum(), (y, moments)

    found = {time: jax.value_and_grad(outputs, has_aux=True)(weights, time) for time in (5, 9)}
    ((short, (y, moments)), gradient), ((long, (padded, others)), other_gradient) = found[5], found[9]
    np.testing.assert_allclose(padded[:, :5], y, rtol=1e-12, atol=1e-12)
    assert not padded[:, 5:].any() and not padded[1, 2:].any() and y.shape == (3, 5, CHANNELS)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-12), (short, moments), (long, others))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-9, atol=1e-12), gradient, other_gradient)
    if name != "identity":
        assert all(np.abs(leaf).max() > 1e-6 for leaf in jax.tree.leaves(gradient))


def test_a_norm_counts_tokens_only():
    norm = TokenNorm(CHANNELS, affine=False)
    x, mask = filled_up(9)
    y = norm(x + 7 * (1 - mask), mask)
    tokens = np.concatenate([row[:length] for row, length in zip(x, LENGTHS, strict=True)])
    ours = np.concatenate([row[:length] for row, length in zip(y, LENGTHS, strict=True)])
    np.testing.assert_allclose(ours, (tokens - tokens.mean(0)) / np.sqrt(tokens.var(0) + 1e-5), rtol=1e-10)
    np.testing.assert_allclose(norm.mean[...], tokens.mean(0), rtol=1e-12)
    np.testing.assert_allclose(norm.var[...], tokens.var(0, ddof=1), rtol=1e-12)
    assert np.isfinite(norm(x, 0 * mask)).all()


@pytest.mark.parametrize("largest", [True, False])
def test_pools_by_hand(largest):
    pool, (x, mask) = Pool(CHANNELS, largest, Norm(affine=False, pools=True)), filled_up(7)
    pool.norm.use_running_average = True
    x = x - 3 * mask  # so that no largest one is zero
    reduce = np.max if largest else np.mean
    for row, length, found in zip(np.asarray(x), LENGTHS, np.asarray(pool(x, mask)), strict=True):
        expected = [reduce(row[max(0, t - 1) : min(length, t + 2)], axis=0) for t in range(length)]
        np.testing.assert_allclose(found[:length], np.array(expected) / np.sqrt(1 + 1e-5), rtol=1e-10)


def test_attention_by_hand():
    attention, (x, mask) = SelfAttention(CHANNELS, NORM, rngs=nnx.Rngs(0)), filled_up(7)
    attention.norm.use_running_average = True
    assert attention.heads == 2 and SelfAttention(8, NORM, rngs=nnx.Rngs(0)).heads == 4
    found, kernel, bias = attention(x, mask), np.asarray(attention.kernel[...]), np.asarray(attention.bias[...])
    for row, length, ours in zip(np.asarray(x), LENGTHS, np.asarray(found), strict=True):
        q, k, v = np.split(np.maximum(row[:length] @ kernel + bias, 0), 3, -1)
        for head in (slice(0, 3), slice(3, 6)):
            scores = np.exp(q[:, head] @ k[:, head].T / np.sqrt(3))
            expected = scores / scores.sum(-1, keepdims=True) @ v[:, head] / np.sqrt(1 + 1e-5)
            np.testing.assert_allclose(ours[:length, head], expected, rtol=1e-5)


def test_recurrence_by_hand():
    gru, (x, mask) = Recurrence(CHANNELS, NORM, rngs=nnx.Rngs(0)), filled_up(7)
    gru.norm.use_running_average = True
    leaves = gru.inputs, gru.states, gru.bias, gru.state_bias
    inputs, states, bias, state_bias = (np.asarray(leaf[...], float) for leaf in leaves)

    def sigmoid(z):
        return 1 / (1 + np.exp(-z))

    def run(row, g):
        part, state, out = slice(3 * CHANNELS * g, 3 * CHANNELS * (g + 1)), np.zeros(CHANNELS), []
        for token in row:
            (a, b, c), (r, z, n) = (np.split(v, 3) for v in (token @ inputs[:, part] + bias[part], state @ states[g]))
            update = sigmoid(b + z)
            state = (1 - update) * np.tanh(c + sigmoid(a + r) * (n + state_bias[g, 0])) + update * state
            out.append(state)
        return np.array(out)

    for row, length, found in zip(np.asarray(x), LENGTHS, np.asarray(gru(x, mask)), strict=True):
        expected = run(row[:length], 0) + run(row[:length][::-1], 1)[::-1]
        np.testing.assert_allclose(found[:length], expected / np.sqrt(1 + 1e-5), rtol=1e-5)
