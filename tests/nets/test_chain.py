"""Chains of blocks: modules against formulas, and the derived network against the supernet."""

import re
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from dnas.architectures.blocks import genotype_of, parse
from dnas.architectures.genotype import as_mix, check, random
from dnas.architectures.topology import NetworkSize, Norm
from dnas.errors import UserError
from dnas.kernels import native
from dnas.kernels.norm import hard_swish
from dnas.kernels.pooling import avg_pool_3x3
from dnas.nets import blocks
from dnas.nets.count import candidates, count
from dnas.nets.functional import functionalize
from dnas.nets.layers import Chain
from dnas.proxies import relus
from dnas.spaces import chain, fbnet, layers, spos

CLASSES, SIZE = 3, NetworkSize(1, 1, 3)
ROWS = layers.rows_of("8x1+12x1s2", ["mb3_e1_g2", "mb5_e2_se4_swish", "skip"], 8)
SMALL = layers.space_of("chain", ROWS, before=["conv3_c8"], after=["conv1_c16"])


def images(size=8, channels=3, rows=2):
    return jnp.asarray(np.random.default_rng(0).normal(size=(rows, size, size, channels)), jnp.float32)


def module(word, channels):
    return blocks.build(parse(word), channels, CLASSES, Norm(affine=True, pools=False), rngs=nnx.Rngs(0))


SHUFFLED = {4: [0, 2, 1, 3], 6: [0, 3, 1, 4, 2, 5]}  # in two runs, dealt out


def test_a_kernel_of_shuffled_channels_is_brought_back_to_their_places():
    x, kernel = jnp.arange(6.0), jnp.arange(6.0)[:, None] ** 2
    expected = x[jnp.array(SHUFFLED[6])] @ kernel
    assert float((x @ blocks.shuffled_back(kernel, 2))[0]) == float(expected[0])


def test_grouped_convolutions_are_those_of_a_block_diagonal():
    layer = blocks.GroupedPointwise(4, 6, 2, rngs=nnx.Rngs(0))
    dense = jnp.zeros((4, 6)).at[:2, :3].set(layer.kernel[0]).at[2:, 3:].set(layer.kernel[1])
    x = images(channels=4)
    np.testing.assert_allclose(layer(x), x[..., jnp.array(SHUFFLED[4])] @ dense, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "word, fused",
    [
        *[("mb3_e2_c4", 2), ("mb3_e2_c4_relu6", 2), ("mb3_e2_c4_hswish", 2), ("mb3_e2_c4_swish", 0)],
        *[("conv3_c8_s2", 1), ("shuffle3_c4", 2)],
    ],
)
def test_a_norm_computes_the_activation_behind_it(word, fused, monkeypatch):
    """What it gives, its gradients, and what its ReLUs get are those of layers one after the other."""
    norm, x, relu = Norm(affine=True, pools=False), images(channels=4), "swish" not in word and "relu6" not in word
    block = functionalize(lambda rngs: blocks.build(parse(word), 4, CLASSES, norm, rngs=rngs))
    weights, stats = jax.jit(block.init)(jax.random.key(0))

    def everything():
        def output(weights, x):  # a new function each time, which JAX traces anew
            return block.apply(weights, stats, x, train=True)[0]

        traced = str(jax.make_jaxpr(output)(weights, x))
        gradients = jax.grad(lambda *args: jnp.sin(output(*args)).sum(), (0, 1))(weights, x)
        reached = relus.summed(output, lambda v: jnp.abs(v).sum(), jnp.zeros(()))(weights, x) if relu else ()
        return (output(weights, x), gradients, reached), len(re.findall("activation=[123]", traced))

    together, count = everything()
    monkeypatch.setattr(blocks.Normed, "__call__", Chain.__call__)
    apart, none = everything()
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-3, atol=1e-4), together, apart)
    assert (count, none) == (fused if native.available() else 0, 0)


def test_an_inverted_residual_is_its_formula():
    block, x = module("mb3_e2_c4_se4h_hswish", 4), images(channels=4)
    parts = block.layers.layers
    y = hard_swish(parts[1](parts[0](x)))
    y = hard_swish(parts[4](parts[3](y)))
    gate = jax.nn.relu(y.mean((1, 2)) @ parts[6].reduce.kernel[...] + parts[6].reduce.bias[...])
    gate = jnp.clip(gate @ parts[6].expand.kernel[...] + parts[6].expand.bias[...] + 3, 0, 6) / 6
    y = parts[8](parts[7](y * gate[:, None, None]))
    np.testing.assert_allclose(block(x), x + y, rtol=1e-5, atol=1e-5)
    factor = jnp.array([0.0, 2.0])
    np.testing.assert_allclose(block(x, factor), x + y * factor[:, None, None, None], rtol=1e-5, atol=1e-5)
    assert parts[6].reduce.kernel.shape == (8, 8)  # a quarter of the hidden width, rounded to a multiple of 8


def test_the_first_convolution_is_left_out_without_expansion_and_x_is_added_only_where_it_fits():
    assert len(module("mb3_e1_c4", 4).layers.layers) == len(module("mb3_e2_c4", 4).layers.layers) - 3
    fits = [module(f"mb3_e1{more}", 4).shortcut for more in ("", "_c4", "_c8", "_s2", "_nores")]
    assert fits == [True, True, False, False, False]


def test_what_is_added_may_be_pooled_and_convolutions_may_squeeze():
    x = images(channels=4)
    for word, pooled in (("mb3_e1_c4_s2_poolres", 2), ("conv3_c4_poolres", 1), ("conv3_c4_se4_res", 0)):
        block = module(word, 4)
        carried = avg_pool_3x3(x, pooled) if pooled else x
        np.testing.assert_allclose(block(x), carried + block.layers(x), rtol=1e-5, atol=1e-6)
        assert not module(word.replace("c4", "c8"), 4).shortcut
    plain = nnx.merge(nnx.graphdef(module("conv3_c4", 4)), nnx.state(module("conv3_c4", 4)))
    squeezed = module("conv3_c4_se4", 4)
    np.testing.assert_allclose(squeezed.layers[-1](plain(x)), squeezed(x), rtol=1e-5, atol=1e-6)


def test_what_is_added_may_be_projected():
    """After the mean over the stride; an odd side has zeros before it, as PyTorch pads."""
    x = images(size=5, channels=4)
    block = module("mb3_e2_c6_s2_convres", 4)
    filled = np.pad(x, ((0, 0), (1, 0), (1, 0), (0, 0)))
    mean = sum(filled[:, i::2, j::2] for i in (0, 1) for j in (0, 1)) / 4
    expected = mean @ block.projection.kernel[0, 0] + block.layers(x)
    np.testing.assert_allclose(block(x), expected, rtol=1e-5, atol=1e-5)
    same, plain = (module(f"mb3_e2_c4{more}", 4) for more in ("_convres", ""))
    np.testing.assert_allclose(same(x), plain(x), rtol=1e-5, atol=1e-5)


def test_a_shuffle_block_carries_half_of_its_channels():
    x = images(channels=6)
    for word in ("shuffle5_c6", "xception_c6"):
        np.testing.assert_array_equal(module(word, 6)(x)[..., :3], x[..., ::2])
        assert module(f"{word.replace('c6', 'c16')}_s2", 6)(x).shape == (2, 4, 4, 16)


def blocks_of_mix(tree, mix):
    """Of a supernet what the network of a one-hot mix has; one block stands before its layers."""
    found = {}
    for number, part in tree["parts"].items():
        row = mix["block"][number - 1] if "candidates" in part else None
        own = part if row is None else part["candidates"].get(int(row.argmax()))
        found |= {number: own} if own else {}
    return {"blocks": found}


@pytest.mark.parametrize("paths", ["all", "one"])
def test_the_derived_network_is_the_supernet_of_its_own_mix(paths):
    """In training, normalised by the batch, so with the statistics that both leave."""
    space = replace(SMALL, paths=paths)
    genotype = random(space, 4)
    supernet = functionalize(lambda rngs: space.supernet(space, SIZE, rngs=rngs))
    network = functionalize(lambda rngs: space.network(genotype, space, SIZE, rngs=rngs))
    weights, stats = jax.jit(supernet.init)(jax.random.key(0))
    mix, x = as_mix(genotype, space), images(rows=3)

    chosen = partial(blocks_of_mix, mix=mix)
    theirs, moments = jax.jit(lambda: supernet.apply(weights, stats, x, mix, train=True))()
    out, own = jax.jit(lambda: network.apply(chosen(weights), chosen(stats), x, train=True))()
    np.testing.assert_allclose(out.logits, theirs, rtol=1e-5, atol=1e-5)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), own, chosen(moments))
    assert np.ptp(np.asarray(theirs)) > 1e-3
    kept = [jnp.array_equal(*pair) for pair in zip(*map(jax.tree.leaves, (stats, moments)), strict=True)]
    assert any(kept) == (paths == "one")  # whose statistics are those of what was computed only


@pytest.mark.slow
def test_shuffle_blocks_are_mixed_as_they_are_derived():
    """With the norms of the supernet, which have no affine transform."""
    space = spos.space(size="tiny")
    genotype = genotype_of("spos", ["xception_c24_s2", "shuffle5_c24"])
    supernet = functionalize(lambda rngs: space.supernet(space, SIZE, rngs=rngs))
    network = functionalize(lambda rngs: space.network(genotype, space, SIZE, norm=space.search_norm, rngs=rngs))
    weights, stats = jax.jit(supernet.init)(jax.random.key(0))
    mix, x = as_mix(genotype, space), images(rows=3)
    theirs, _ = jax.jit(lambda: supernet.apply(weights, stats, x, mix, train=True))()
    own = (blocks_of_mix(tree, mix) for tree in (weights, stats))
    out, _ = jax.jit(lambda: network.apply(*own, x, train=True))()
    np.testing.assert_allclose(out.logits, theirs, rtol=1e-5, atol=1e-5)
    assert np.ptp(np.asarray(theirs)) > 1e-3
    assert not any("scale" in jax.tree_util.keystr(path) for path, _ in jax.tree_util.tree_leaves_with_path(weights))


def test_the_cost_of_a_network_is_that_of_its_candidates_and_what_stands_around():
    space, rest = fbnet.space(size="tiny"), set()
    table = candidates(space, SIZE, 16)["block"]
    for seed in range(3):
        genotype = random(space, seed)
        counts, mix = count(genotype, space, SIZE, 16), as_mix(genotype, space)["block"]
        costs = zip((counts.parameters, counts.multiply_adds), table[:2], strict=True)
        rest.add(tuple(total - (part[0] * mix).sum() for total, part in costs))
    assert len(rest) == 1 and min(rest.pop()) > 0


def test_drop_path_multiplies_what_a_block_adds():
    space, genotype = chain.space(), genotype_of("chain", ["conv3_c4", "mb3_e1_c4", "mb3_e1_c8"])
    network = space.network(genotype, space, SIZE, rngs=nnx.Rngs(0))
    without = space.network(genotype_of("chain", ["conv3_c4", "skip", "mb3_e1_c8"]), space, SIZE, rngs=nnx.Rngs(0))
    for number in (0, 2, 4):
        nnx.update(without.blocks[number], nnx.state(network.blocks[number]))
    x, factors = images(), jnp.ones((1, 3, 2)).at[0, 1].set(0)
    np.testing.assert_allclose(network(x, factors).logits, without(x).logits, rtol=1e-5, atol=1e-6)
    with pytest.raises(UserError, match=r"drop-path is \[1, 2, 2\], expected \[1, blocks, B\]: \[1, 3, 2\]"):
        network(x, factors[:, :2])


def test_what_does_not_fit_is_refused_in_a_sentence():
    space = chain.space()
    with pytest.raises(UserError, match="The block 'mb3_c4_e1' is written 'mb3_e1_c4'"):
        check(genotype_of("chain", ["mb3_c4_e1"]), space)
    with pytest.raises(UserError, match="The stem of a network of 'chain' is its first blocks"):
        space.network(random(space, 0), space, NetworkSize(1, 1, 3, stem="imagenet"), rngs=nnx.Rngs(0))
