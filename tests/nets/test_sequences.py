"""Frames in the place of tokens: padding changes nothing, an embedding is a product, counts, refusals."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas import find
from dnas.architectures.genotype import as_mix, parse, random
from dnas.architectures.topology import NetworkSize
from dnas.errors import UserError
from dnas.nets.count import of_network
from dnas.nets.functional import functionalize
from dnas.types import Frames, Noise

SIZE = NetworkSize(1, 4, 3, inputs=(6, 5))
SPACES = {
    "text": "text:layers=2,inputs=1,operations=conv_3+attention",
    "transformer": "transformer:size=tiny,widths=4,depths=1,heads=1+2,ratios=1,feed_forwards=relu,norms=pre,distance=2",
}
COUNTS = jnp.array([4, 1, 3], jnp.int32)


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def draw(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def filled(network):
    """Weights, and statistics that no training would give."""
    weights, stats = jax.eval_shape(network.init, jax.random.key(0))
    of = lambda tree, sign: jax.tree.map(lambda leaf: sign(draw(*leaf.shape, seed=leaf.size)), tree)  # noqa: E731
    return of(weights, lambda x: x), of(stats, lambda x: jnp.abs(x) + 0.1)


def frames(time, behind):
    """The same three sequences, filled up to a length by noise of this size."""
    there = jnp.arange(time)[:, None] < COUNTS[:, None, None]
    return Frames(jnp.where(there, draw(3, 7, 5)[:, :time], behind * draw(3, time, 5, seed=1)), COUNTS)


@pytest.mark.parametrize("name", SPACES)
def test_padding_changes_neither_a_step_nor_an_answer(name):
    """Filled up to 4 or to 7 frames, with whatever: logits, moments and gradients, which are not all alike."""
    space = find.resolve("space", f"{SPACES[name]},dropout=0" + ",embedded=0" * (name == "text"))
    supernet = functionalize(lambda rngs: space.supernet(space, SIZE, rngs=rngs))
    weights, stats = filled(supernet)
    mix = {kind: jax.nn.softmax(draw(*shape, seed=2)) for kind, shape in space.mix_shapes.items()}

    def loss(weights, x):
        logits, moments = supernet.apply(weights, stats, x, mix, train=True)
        return (logits**2).sum(), (logits, moments, supernet.apply(weights, stats, x, mix, train=False)[0])

    step = jax.jit(jax.value_and_grad(loss, has_aux=True))
    found, longer = step(weights, frames(4, 0)), step(weights, frames(7, 100))
    jax.tree.map(partial(np.testing.assert_allclose, rtol=1e-9, atol=1e-9), found, longer)
    (_, (logits, *_)), gradient = found
    assert np.abs(logits - logits[:1])[1:].max() > 1e-3 and all(np.isfinite(g).all() for g in jax.tree.leaves(gradient))


@pytest.mark.parametrize(
    "text, parameters, multiply_adds",
    [
        ("text(operation=[conv_3], input=[1])", 5 * 4 + 16 + 8 + 3 * 16 + 8 + 2 + 15, 6 * (20 + 16) + 3 * 6 * 16 + 12),
        (
            "transformer(width=[4], depth=[1], heads=[1], ratio=[1], feed_forward=[relu], mixer=[attention], "
            "norm=[pre])",
            5 * 4 + 4 * 12 + 12 + 16 + 4 + 2 * 5 * 4 + 2 * 20 + 3 * 8 + 15,
            6 * (20 + 48 + 16 + 32) + 4 * 6 * 6 * 4 + 12,
        ),
    ],
)
def test_counts_are_those_of_the_formulas(text, parameters, multiply_adds):
    """Of 6 frames of 5 numbers."""
    space, genotype = find.resolve("space", SPACES[text.partition("(")[0]]), parse(text)
    found = of_network(genotype, space, SIZE)
    assert (found.parameters, found.output) == (parameters, (1, 3))
    assert found.multiply_adds == multiply_adds


def test_inputs_that_do_not_fit():
    space = find.resolve("space", "text:size=tiny,operations=identity,dropout=0,embedded=0")
    genotype, given = random(space, 0), frames(4, 0)
    network = functionalize(lambda rngs: space.network(genotype, space, SIZE, rngs=rngs))
    weights, stats = filled(network)
    supernet = functionalize(lambda rngs: space.supernet(space, SIZE, rngs=rngs))
    apply = partial(network.apply, weights, stats, train=False)
    assert apply(tuple(given))[0].logits.shape == (3, 3)
    mix = as_mix(genotype, space)
    for call in (apply, lambda x: supernet.apply(*filled(supernet), x, mix, train=False)):
        for x, says in (
            (given.values, "reads frames: give it dnas.types.Frames"),
            (
                Frames(given.values[..., :4], COUNTS),
                r"frames, floats \[B, T, 5\], .* not float64 \[3, 4, 4\] and int32 \[3\]",
            ),
            (Frames(given.values, COUNTS[:2]), r"and int32 \[2\]"),
            (Frames(given.values.astype(int), COUNTS), r"not int64"),
        ):
            with pytest.raises(UserError, match=says):
                call(x)
    decoder = find.resolve("space", "transformer:reads=decoder,size=tiny")
    with pytest.raises(UserError, match="at least 2 different tokens, not 0"):
        decoder.supernet(decoder, SIZE, rngs=Noise(jax.random.key(0)))
