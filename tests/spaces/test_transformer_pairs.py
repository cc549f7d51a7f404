"""Encoder and decoder: the derived network is the supernet of its mix; what a target sees of its source and itself."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.architectures.genotype import as_mix, check, parse, random, to_text
from dnas.architectures.genotype_data import decisions
from dnas.architectures.topology import NetworkSize
from dnas.errors import UserError
from dnas.nets.count import of_a_token
from dnas.nets.functional import functionalize
from dnas.spaces import transformer
from dnas.types import Noise

SPACE = transformer.space(
    reads="both", widths="4+6", depths="1+2", heads="1+2", ratios="1+1.5", head=2, distance=2, dropout=0.2
)
SIZE = NetworkSize(1, 1, 5, inputs=(4,), vocabulary=7)
SOURCE = np.array([[1, 2, 3, 4], [6, 5, 0, 0]], np.int32)
TARGET = np.array([[1, 2, 4], [3, 4, 1]], np.int32)


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def filled(network):
    leaves, structure = jax.tree.flatten(jax.eval_shape(network.init, jax.random.key(0))[0])
    draw = np.random.default_rng(0)
    return structure.unflatten([jnp.asarray(0.5 * draw.normal(size=leaf.shape)) for leaf in leaves])


def cut(wide, shapes):
    """The first entries of every array that the narrow network has too."""
    if isinstance(shapes, dict):
        return {name: cut(wide[name], part) for name, part in shapes.items()}
    return wide[tuple(slice(size) for size in shapes.shape)]


def supernet():
    return functionalize(lambda rngs: SPACE.supernet(SPACE, SIZE, rngs=rngs))


def network_of(genotype):
    return functionalize(lambda rngs: SPACE.network(genotype, SPACE, SIZE, rngs=rngs))


@pytest.mark.slow
def test_the_derived_network_equals_the_supernet_of_its_mix():
    whole, noise = supernet(), Noise(jax.random.key(1))
    weights = filled(whole)
    mixed = jax.jit(lambda mix: whole.apply(weights, {}, (SOURCE, TARGET), mix, train=True, noise=noise)[0].logits)
    for seed in range(2):
        genotype = random(SPACE, seed)
        assert parse(to_text(genotype)) == genotype
        network = network_of(genotype)
        own = cut(weights, jax.eval_shape(network.init, jax.random.key(0))[0])
        ours = jax.jit(partial(network.apply, train=True))(own, {}, (SOURCE, TARGET), noise=noise)[0].logits
        theirs = mixed({kind: jnp.asarray(table, float) for kind, table in as_mix(genotype, SPACE).items()})
        assert ours.shape == (2, 3, 5)
        np.testing.assert_allclose(ours, theirs, rtol=1e-11, atol=1e-11, err_msg=to_text(genotype))


@pytest.mark.slow
def test_what_a_target_sees():
    whole = supernet()
    uniform = {kind: jnp.full(shape, 1 / shape[1]) for kind, shape in SPACE.mix_shapes.items()}
    weights = filled(whole)
    run = jax.jit(lambda *pair: whole.apply(weights, {}, pair, uniform, train=False)[0].logits)
    sources = np.array([[1, 2, 0, 0], [0, 1, 2, 0], [1, 3, 0, 0], [1, 2, 0, 0]], np.int32)
    targets = np.array([[1, 2, 4], [1, 2, 4], [1, 2, 4], [1, 2, 3]], np.int32)
    found = run(sources, targets)
    np.testing.assert_allclose(found[0], found[1], rtol=1e-12)  # padding of the source
    assert (np.abs(found[0] - found[2]).max(-1) > 1e-4).all()  # every token sees all of the source
    np.testing.assert_allclose(found[0, :2], found[3, :2], rtol=1e-12)
    assert np.abs(found[0, 2] - found[3, 2]).max() > 1e-4


def test_it_is_counted_pictured_and_refused():
    genotype = random(SPACE, 0)
    check(genotype, SPACE)
    pictured = dict(SPACE.pictured(genotype).cells)
    lengths = {kind: len(cell.edges) for kind, cell in pictured.items()}
    assert lengths["heads"] == int(pictured["depth"].edges[0].operation)
    assert lengths["decoder_norm"] == int(pictured["decoder_depth"].edges[0].operation)
    assert decisions(genotype) and SPACE.takes == "pairs"
    network = network_of(genotype)
    shapes = jax.eval_shape(network.init, jax.random.key(0))[0]
    counts = of_a_token(genotype, SPACE, SIZE)
    assert counts.parameters == sum(leaf.size for leaf in jax.tree.leaves(shapes))
    assert "classifier" not in shapes["body"]["encoder"] and counts.multiply_adds > 0
    run = partial(network.apply, filled(network), {}, train=False)
    for x, says in (
        (SOURCE, "reads pairs of tokens"),
        ((SOURCE, TARGET[:1]), "2 sources and 1 targets"),
        ((SOURCE, TARGET[0]), "whole numbers"),
    ):
        with pytest.raises(UserError, match=says):
            run(x)
    with pytest.raises(UserError, match="an encoder and a decoder, and the genotype has not both"):
        network_of(random(transformer.space(size="tiny"), 0))
