"""Once-for-all's space: counts, texts, mistakes; and that a one-hot mix is the derived network. Numbers of the original
code are compared by scripts/oracles/ofa.py."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas import find
from dnas.architectures.blocks import blocks_of, parse, placed, write
from dnas.architectures.genotype import as_mix, random, to_text
from dnas.architectures.genotype import parse as read
from dnas.architectures.topology import NetworkSize
from dnas.errors import UserError
from dnas.nets import blocks
from dnas.nets.count import count
from dnas.nets.functional import functionalize
from dnas.spaces import ofa

SIZE = NetworkSize(1, 1, 3)


def test_there_are_as_many_networks_as_published():
    space = find.resolve("space", "ofa")
    assert ofa.networks(space.network.keywords["plan"]) == (9**2 + 9**3 + 9**4) ** 5 * 4
    assert ofa.networks(ofa.space(size="tiny").network.keywords["plan"]) == (4 + 16) ** 2


def test_a_published_network_has_its_counts():
    """The largest at 224 pixels, by the original code."""
    space = find.resolve("space", "ofa:resolutions=none")
    text = f"ofa(kernel=[{', '.join('7' * 20)}], depth=[{', '.join('4' * 5)}], expansion=[{', '.join('6' * 20)}])"
    assert count(read(text), space, NetworkSize(1, 1, 1000), 224)[::2] == (7664760, 566170656)


@pytest.mark.parametrize("choice", ["ofa:size=cifar", "ofa", "ofa:size=tiny,resolutions=8+16"])
def test_what_follows_from_the_decisions_is_a_chain_that_can_be_written(choice):
    space = find.resolve("space", choice)
    genotype = random(space, 1)
    assert read(to_text(genotype)) == genotype
    chain = space.pictured(genotype)
    assert read(to_text(chain)) == chain
    depths = sum(int(edge.operation) for edge in genotype.cell("depth").edges)
    hidden = [block for block in blocks_of(chain) if block.hidden]
    assert len(hidden) == depths
    assert write(parse("resize24")) == "resize24"
    assert blocks_of(chain)[0].kind == "resize"
    assert placed(blocks_of(chain))[-1].reduced == {"ofa:size=cifar": 8, "ofa": 32}.get(choice, 2)


def test_choices_of_blocks_that_a_network_has_not_change_nothing():
    space = ofa.space(size="tiny")
    texts = [f"ofa(kernel=[3, {k}, 5, 5], depth=[1, 2], expansion=[3, {e}, 2, 3])" for k, e in ((3, 2), (5, 3))]
    assert len({space.pictured(read(text)) for text in texts}) == 1
    assert len({read(text) for text in texts}) == 2


@pytest.mark.parametrize(
    ("choice", "says"),
    [
        ("ofa:size=cifr", "Unknown size of space 'ofa': 'cifr'. Did you mean cifar"),
        ("ofa:kernels=3+4", "has an odd number of pixels"),
        ("ofa:depths=3+2", "'depths' of the space 'ofa' is '3\\+2', expected whole numbers from 1 to 16 in ascending"),
        ("ofa:expansions=3+x", "'expansions' of the space 'ofa' is '3\\+x'"),
        ("ofa:resolutions=7", "'resolutions' of the space 'ofa' is '7', expected whole numbers from 8"),
    ],
)
def test_mistakes_are_one_sentence(choice, says):
    with pytest.raises(UserError, match=says):
        find.resolve("space", choice)


def test_a_resized_image_is_between_its_pixels():
    x = jnp.arange(16.0).reshape(1, 4, 4, 1)
    np.testing.assert_allclose(blocks.resized(x, 4), x)
    np.testing.assert_allclose(blocks.resized(x, 2)[0, :, :, 0], [[2.5, 4.5], [10.5, 12.5]])
    assert blocks.resized(x, 7).shape == (1, 7, 7, 1)


@pytest.mark.slow
def test_a_one_hot_mix_is_the_derived_network():
    """With the weights of the supernet, cut; in training mode, with a resolution."""
    space = ofa.space(size="tiny", resolutions="8+12")
    genotype = read("ofa(kernel=[3, 5, 5, 3], depth=[1, 2], expansion=[2, 3, 3, 2], resolution=[12])")
    with jax.enable_x64(True):
        x = jnp.asarray(np.random.default_rng(0).normal(size=(4, 10, 10, 3)))
        whole = functionalize(lambda rngs: space.supernet(space, SIZE, rngs=rngs))
        part = functionalize(lambda rngs: space.network(genotype, space, SIZE, rngs=rngs))
        weights, stats = jax.jit(whole.init)(jax.random.key(0))
        drawn, moments = jax.jit(part.init)(jax.random.key(1))
        theirs = [weights["before"][0], *(weights["stages"][s][b] for s, b in ((0, 0), (1, 0), (1, 1)))]
        given_by = [inherited(own, size) for own, size in zip(theirs[1:], (3, 5, 3), strict=True)]
        for number, given in enumerate([jax.tree.leaves(theirs[0]), *given_by], 1):
            like = drawn["blocks"][number]
            leaves = jax.tree.leaves(like)
            assert len(leaves) == len(given)
            cut_to = [leaf[tuple(slice(0, n) for n in to.shape)] for leaf, to in zip(given, leaves, strict=True)]
            drawn["blocks"][number] = jax.tree.unflatten(jax.tree.structure(like), cut_to)
        for number, own in zip(sorted(drawn["blocks"])[-2:], [weights["after"][0], weights["after"][2]], strict=True):
            drawn["blocks"][number] = own
        mix = {kind: jnp.asarray(table, float) for kind, table in as_mix(genotype, space).items()}
        expected, _ = part.apply(drawn, moments, x, train=True)
        found, after = whole.apply(weights, stats, x, mix, train=True)
    np.testing.assert_allclose(found, expected.logits, rtol=1e-9, atol=1e-12)
    unused = after["stages"][0][1]
    for a, b in zip(jax.tree.leaves(unused), jax.tree.leaves(stats["stages"][0][1]), strict=True):
        np.testing.assert_array_equal(a, b)  # its statistics do not move


def inherited(own, size):
    """The weights of an elastic block in the order of a derived one, with the middle of the kernel."""
    kernel = own["depthwise"]["kernel"]
    edge = (len(kernel) - size) // 2
    order = [own["expand"], own["expand_norm"], kernel[edge : edge + size, edge : edge + size], own["depthwise_norm"]]
    order += [own["squeeze"]] if "squeeze" in own else []
    return jax.tree.leaves([*order, own["project"], own["project_norm"]])
