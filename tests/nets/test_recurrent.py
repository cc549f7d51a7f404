"""Recurrent networks: the cell by hand, the supernet fed one genotype, dropout, time, running statistics, sizes."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from arrays import assert_same, normal
from flax import nnx

from dnas.architectures.genotype import as_mix, parse, random
from dnas.architectures.topology import NetworkSize
from dnas.errors import UserError
from dnas.nets.functional import functionalize
from dnas.nets.layers import absorb
from dnas.nets.recurrent import Dropout, Masks, RecurrentOutputs, draw_masks
from dnas.spaces import rnn
from dnas.types import Noise

WIDTH, WORDS, BATCH, TIME = 6, 11, 4, 5
SIZE = NetworkSize(1, WIDTH, WORDS, vocabulary=WORDS)
DRY = {"embedded": 0.0, "inputs": 0.0, "hidden": 0.0, "outputs": 0.0}


def tokens(seed=0, time=TIME):
    return jnp.asarray(np.random.default_rng(seed).integers(0, WORDS, (BATCH, time)), jnp.int32)


def jitted(build):
    functional = functionalize(build)
    return functional._replace(apply=jax.jit(functional.apply, static_argnames="train"))


def supernet(space, size=SIZE):
    return jitted(lambda rngs: space.supernet(space, size, rngs=rngs))


def network(genotype, space, size=SIZE):
    return jitted(lambda rngs: space.network(genotype, space, size, rngs=rngs))


def weights_of(functional, seed=0):
    """Larger than the initial ones, so that gates open."""
    weights, stats = functional.init(jax.random.key(0))
    leaves, tree = jax.tree.flatten(weights)
    return jax.tree.unflatten(tree, [0.5 * normal(seed + i, *leaf.shape) for i, leaf in enumerate(leaves)]), stats


def uniform(space):
    return {kind: np.full(shape, 1 / shape[1]) for kind, shape in space.mix_shapes.items()}


def some_mix(space, seed=0):
    return {kind: jax.nn.softmax(normal(seed, *shape)) for kind, shape in space.mix_shapes.items()}


def highway(s, gated, activation):
    c, z = np.split(gated, 2, -1)
    return s + (activation(z) - s) / (1 + np.exp(-c))


def test_a_derived_cell_by_hand(float64):
    """Two words in a row, with masks of all kinds."""
    space = rnn.space(nodes=3)
    genotype = parse("Genotype(recurrent=[('relu', 0), ('tanh', 1), ('identity', 1)], concat=[2, 3])")
    functional = network(genotype, space)
    weights, _ = weights_of(functional)
    w, x = jax.tree.map(np.asarray, weights["backbone"]), tokens(time=2)
    rows, columns = (BATCH, WIDTH), (BATCH, 1, WIDTH)
    shapes = ((WORDS, 1), columns, rows, rows, columns)
    masks = Masks(*(abs(normal(i, *shape)) for i, shape in enumerate(shapes)))
    carry = normal(7, BATCH, WIDTH)
    (outputs, after), _ = functional.apply(weights, {}, x, train=True, noise=masks, carry=carry)
    h, m = np.asarray(carry), jax.tree.map(np.asarray, masks)
    for t in range(2):
        inputs = w["embedding"][x[:, t]] * m.words[x[:, t]] * m.embedded[:, 0] * m.inputs
        s0 = highway(h, np.concatenate([inputs, h * m.hidden], -1) @ w["first"], np.tanh)
        s1 = highway(s0, (s0 * m.hidden) @ w["cell"]["weights"][0], lambda z: np.maximum(z, 0))
        s2 = highway(s1, (s1 * m.hidden) @ w["cell"]["weights"][1], np.tanh)
        s3 = highway(s1, (s1 * m.hidden) @ w["cell"]["weights"][2], lambda z: z)
        h = (s2 + s3) / 2
        assert_same(outputs.states[:, t], h)
        assert_same(outputs.dropped[:, t], h * m.outputs[:, 0])
        assert_same(outputs.logits[:, t], (h * m.outputs[:, 0]) @ w["embedding"].T + w["bias"])
    assert_same(after, h)


def test_a_mixed_cell_by_hand(float64):
    space = rnn.space(nodes=2, **DRY)
    functional = supernet(space)
    weights, stats = weights_of(functional)
    w, x, mix = jax.tree.map(np.asarray, weights["backbone"]), tokens(time=1), some_mix(space)
    (outputs, _), moments = functional.apply(weights, stats, x, mix, train=True)
    seen = []

    def norm(s):
        seen.append((s.mean(0), s.var(0, ddof=1)))
        return (s - s.mean(0)) / np.sqrt(s.var(0) + 1e-5)

    functions = (np.tanh, lambda z: np.maximum(z, 0), lambda z: 1 / (1 + np.exp(-z)), lambda z: z)
    p = np.asarray(mix["recurrent"])[:, 1:]  # nothing flows through `none`
    states = [norm(highway(np.zeros((BATCH, WIDTH)), w["embedding"][x[:, 0]] @ w["first"][:WIDTH], np.tanh))]
    for node, edges in enumerate(((0,), (1, 2))):
        gated = [s @ w["cell"]["weights"][node] for s in states]
        values = (
            p[e, o] * highway(s, g, f)
            for e, s, g in zip(edges, states, gated, strict=True)
            for o, f in enumerate(functions)
        )
        states.append(norm(sum(values)))
    assert_same(outputs.states[:, 0], (states[1] + states[2]) / 2)
    means, variances = map(np.stack, zip(*seen, strict=True))
    assert_same(moments["backbone"]["cell"]["norm"], {"mean": means, "var": variances})


@pytest.mark.parametrize("seed", range(2))
def test_the_network_is_the_supernet_fed_its_genotype(seed, float64):
    """Where states are not normalised; both drop the same."""
    space = rnn.space(nodes=4, norm=False)
    genotype = random(space, seed)
    searched, derived = supernet(space), network(genotype, space)
    weights, stats = weights_of(searched, seed)
    more = {"train": True, "noise": Noise(jax.random.key(seed)), "carry": normal(seed, BATCH, WIDTH)}
    ours, _ = derived.apply(weights, {}, tokens(seed), **more)
    theirs, _ = searched.apply(weights, stats, tokens(seed), as_mix(genotype, space), **more)
    assert_same(ours, theirs, rtol=1e-12)
    assert stats == {}


def test_a_node_of_several_edges_is_their_sum(float64):
    space = rnn.space(nodes=2, norm=False, **DRY)
    cell = '{"edges": [[1, 0, "tanh"], [2, 0, "relu"], [2, 1, "identity"]], "concat": [1, 2]}'
    genotype = parse(f'{{"space": "rnn", "cells": {{"recurrent": {cell}}}}}')
    searched, derived = supernet(space), network(genotype, space)
    weights, stats = weights_of(searched)
    theirs, _ = searched.apply(weights, stats, tokens(), as_mix(genotype, space), train=True)
    assert_same(derived.apply(weights, {}, tokens(), train=True)[0], theirs, rtol=1e-12)


@pytest.mark.parametrize("change", ["loop", "remat"])
def test_other_ways_to_compute_give_the_same(change, float64):
    space = rnn.space(nodes=2)

    def run(size):
        functional = supernet(space, size)
        weights, stats = weights_of(functional)

        def loss(weights, mix):
            noise = Noise(jax.random.key(3))
            outputs, moments = functional.apply(weights, stats, tokens(time=3), mix, train=True, noise=noise)
            return (outputs[0].logits ** 2).sum(), (outputs, moments)

        return jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))(weights, some_mix(space))

    assert_same(run(SIZE), run(replace(SIZE, **{change: True})), rtol=1e-9)


@pytest.mark.parametrize("train", [True, False])
def test_the_state_carries_over(train, float64):
    """Two halves of a sequence are the whole, in moments too."""
    space = rnn.space(nodes=2, **DRY)
    functional = supernet(space)
    weights, stats = weights_of(functional)
    stats = absorb(stats, jax.tree.map(lambda leaf: abs(normal(5, *leaf.shape)), stats))

    def run(part, carry):
        return functional.apply(weights, stats, part, some_mix(space), train=train, carry=carry)

    x = tokens()
    (whole, last), moments = run(x, functional.carry(BATCH))
    (first, carry), before = run(x[:, :2], functional.carry(BATCH))
    (second, carry), after = run(x[:, 2:], carry)
    assert_same(jax.tree.map(lambda a, b: jnp.concatenate([a, b], 1), first, second), whole)
    assert_same(carry, last)
    assert_same(last, whole.states[:, -1])
    if train:
        assert_same(absorb(absorb(stats, before), after), absorb(stats, moments))


def test_moments_of_several_uses_are_absorbed_in_order(float64):
    stats, moments = normal(0, 2, 3), normal(1, 2, 5, 3)
    expected = stats
    for k in range(5):
        expected = absorb(expected, moments[:, k])
    assert_same(absorb(stats, moments), expected)
    assert np.abs(absorb(stats, moments[:, ::-1]) - expected).max() > 0.01


def test_evaluation_reads_running_statistics_and_drops_nothing(float64):
    """Every row by itself, whatever else is in the batch; also of a module itself, under jit."""
    space = rnn.space(nodes=2)
    functional = supernet(space)
    weights, stats = weights_of(functional)
    stats = {"backbone": {"cell": {"norm": {"mean": normal(1, WIDTH), "var": abs(normal(2, WIDTH))}}}}
    mix, noise = uniform(space), Noise(jax.random.key(0))
    (outputs, _), same = functional.apply(weights, stats, tokens(), mix, train=False, noise=noise)
    assert_same(same, stats)
    (alone, _), _ = functional.apply(weights, stats, tokens()[1:2], mix, train=False)
    assert_same(alone.logits, outputs.logits[1:2])
    module = nnx.view(space.supernet(space, SIZE, rngs=nnx.Rngs(0)), use_running_average=True)
    nnx.update(module, nnx.State(weights), nnx.State(stats))
    assert_same(jax.jit(lambda x: module(x, mix))(tokens())[0], outputs)
    (trained, _), _ = functional.apply(weights, stats, tokens(), mix, train=True)
    assert np.abs(trained.logits - outputs.logits).max() > 0.1


def test_a_module_in_training_under_jit_is_refused():
    space = rnn.space(nodes=1)
    module = space.supernet(space, SIZE, rngs=nnx.Rngs(0))
    with pytest.raises(UserError, match="In training a network keeps the moments of its batch"):
        jax.jit(lambda x: module(x, uniform(space))[0])(tokens())


def test_dropout_is_the_same_at_all_times_and_for_one_key():
    space = rnn.space(nodes=2, words=0.1)
    derived = network(random(space, 0), space)
    weights, _ = derived.init(jax.random.key(0))

    def run(**more):
        return derived.apply(weights, {}, tokens(time=9), train=True, **more)[0][0]

    outputs = run(noise=Noise(jax.random.key(0)))
    dropped = np.asarray(outputs.dropped == 0)
    assert 0.5 < dropped.mean() < 0.95  # three quarters, and it is never the state itself
    assert (np.asarray(outputs.states) != 0).all()
    assert (dropped == dropped[:, :1]).all() and (dropped[0] != dropped[1]).any()
    kept = ~dropped
    np.testing.assert_allclose(outputs.dropped[kept], outputs.states[kept] * 4, rtol=1e-6)
    assert_same(run(noise=Noise(jax.random.key(0))), outputs)
    assert np.abs(run(noise=Noise(jax.random.key(1))).states - outputs.states).max() > 1e-4
    plain = run()
    assert_same(plain.dropped, plain.states)
    assert_same(derived.apply(weights, {}, tokens(time=9), train=False)[0][0], plain, rtol=1e-6)


def test_masks_keep_what_they_should():
    rates = Dropout(0.1, 0.2, 0.75, 0.25, 0.0)
    masks = draw_masks(jax.random.key(0), rates, 3000, 60, 50, jnp.float32)
    shapes = ((3000, 1), (60, 1, 50), (60, 50), (60, 50), (60, 1, 50))
    assert jax.tree.map(jnp.shape, masks) == Masks(*shapes)
    for mask, rate in zip(masks, rates, strict=True):
        np.testing.assert_allclose(np.unique(mask), [0, 1 / (1 - rate)] if rate else [1], rtol=1e-6)
        assert abs((mask == 0).mean() - rate) < 0.04
    assert (masks.inputs != 0).mean() != (masks.hidden != 0).mean()  # drawn apart


@pytest.mark.parametrize("paths", ["one", "one_with_scalars"])
def test_one_path_of_every_edge(paths, float64):
    """What is not the strongest of its edge does not flow; `none` may be the strongest, and an edge without any."""
    space = rnn.space(nodes=1, norm=False, **DRY)
    rows = {"tanh": [0.2, 0.9, -0.3, 0.1, 0.4], "none": [0.8, 0.1, 0.5, 0.1, 0.1], "nothing": [-0.1, -0.5, -1, -1, -2]}
    expected = {"tanh": [0, 0.9, 0, 0, 0], "none": [0.8, 0, 0, 0, 0], "nothing": [0.0] * 5}
    plain, restricted = supernet(space), supernet(replace(space, paths=paths))
    weights, stats = weights_of(plain)
    for name, row in rows.items():
        (ours, _), _ = restricted.apply(weights, stats, tokens(time=1), {"recurrent": np.array([row])}, train=True)
        mix = {"recurrent": np.array([expected[name]])}
        (theirs, _), _ = plain.apply(weights, stats, tokens(time=1), mix, train=True)
        others = sum(row) - max(row) if paths == "one_with_scalars" else 0
        assert_same(ours.states, theirs.states + others)


def test_edges_may_have_candidates_of_their_own(float64):
    """As after pruning: columns are those of the edge."""
    space = rnn.space(nodes=2, norm=False, **DRY)
    cell = space.cells["recurrent"]
    cell = replace(cell, operations=(("relu", "tanh"), ("sigmoid",), ("none", "identity")))
    pruned = replace(space, cells={"recurrent": cell})
    mix, whole = np.array([[0.2, 0.8], [0.7, 9.0], [0.6, 0.4]]), np.zeros((3, 5))
    whole[0, [2, 1]], whole[1, 3], whole[2, 4] = [0.2, 0.8], 0.7, 0.4
    weights, stats = weights_of(supernet(space))
    for paths, expected in (("all", whole), ("one", np.where(whole < [[0.3], [0], [1]], 0, whole))):
        ours = supernet(replace(pruned, paths=paths)).apply(weights, stats, tokens(), {"recurrent": mix}, train=True)
        assert_same(ours, supernet(space).apply(weights, stats, tokens(), {"recurrent": expected}, train=True))


@pytest.mark.slow
def test_second_derivatives(kernels, float64):
    """Forward over reverse, as hypergradients take them, against differences of gradients."""
    space = rnn.space(nodes=1)
    functional = supernet(space)
    weights, stats = weights_of(functional)
    mix, direction = some_mix(space), jax.tree.map(lambda leaf: normal(8, *leaf.shape), weights)

    def gradient(weights):
        def loss(weights, mix):
            noise = Noise(jax.random.key(1))
            (outputs, _), _ = functional.apply(weights, stats, tokens(time=2), mix, train=True, noise=noise)
            return jnp.square(outputs.logits).mean()

        return jax.grad(loss, (0, 1))(weights, mix)

    @jax.jit
    def moved(step):
        return gradient(jax.tree.map(lambda w, d: w + step * d, weights, direction))

    exact = jax.jit(lambda: jax.jvp(gradient, (weights,), (direction,))[1])()
    step = 1e-6
    near = jax.tree.map(lambda a, b: (a - b) / (2 * step), moved(step), moved(-step))
    assert_same(exact, near, rtol=1e-4, atol=1e-6)


def test_seeds_side_by_side_are_those_one_by_one():
    space = rnn.space(nodes=1)
    functional = supernet(space)
    keys = jax.random.split(jax.random.key(0), 3)

    def run(key):
        weights, stats = functional.init(key)
        outputs, moments = functional.apply(weights, stats, tokens(), uniform(space), train=True, noise=Noise(key))
        return outputs, absorb(stats, moments)

    ours = jax.tree.map(lambda leaf: leaf[1], jax.jit(jax.vmap(run))(keys))
    assert_same(ours, jax.jit(run)(keys[1]), rtol=1e-4, atol=1e-6)


def test_weights_in_bfloat16_give_nearly_the_same():
    space = rnn.space(nodes=3)
    functional = supernet(space)
    weights, stats = functional.init(jax.random.key(0))
    narrow = jax.tree.map(lambda leaf: leaf.astype(jnp.bfloat16), weights)
    (ours, carry), moments = functional.apply(narrow, stats, tokens(), uniform(space), train=True)
    (theirs, _), _ = functional.apply(weights, stats, tokens(), uniform(space), train=True)
    assert {leaf.dtype.name for leaf in jax.tree.leaves((ours, carry))} == {"bfloat16"}
    assert {leaf.dtype.name for leaf in jax.tree.leaves(moments)} == {"float32"}
    np.testing.assert_allclose(ours.states.astype(np.float32), theirs.states, atol=0.1)


@pytest.mark.parametrize("width, words, parameters", [(850, 10_000, 22_960_000), (700, 33_278, 33_127_878)])
def test_published_networks_have_their_size(width, words, parameters):
    """On Penn Treebank, and on WikiText-2."""
    space = rnn.space()
    functional = network(parse("DARTS_V2_RNN"), space, NetworkSize(1, width, words, vocabulary=words))
    weights, _ = jax.eval_shape(functional.init, jax.random.key(0))
    assert sum(leaf.size for leaf in jax.tree.leaves(weights)) == parameters


def test_the_supernet_of_the_paper_has_its_size():
    functional = supernet(rnn.space(), NetworkSize(1, 300, 10_000, vocabulary=10_000))
    weights, _ = jax.eval_shape(functional.init, jax.random.key(0))
    assert sum(leaf.size for leaf in jax.tree.leaves(weights)) == 4_810_000


def test_initial_weights_are_those_of_the_reference():
    weights, _ = supernet(rnn.space(nodes=2), NetworkSize(1, 20, 50, vocabulary=50)).init(jax.random.key(0))
    backbone = weights["backbone"]
    assert not backbone["bias"].any()
    for leaf in (backbone["embedding"], backbone["first"], backbone["cell"]["weights"]):
        assert 0.038 < np.abs(leaf).max() <= 0.04
        assert abs(leaf.std() - 0.04 / np.sqrt(3)) < 0.002


def test_what_cannot_be_is_refused():
    space = rnn.space(nodes=1)
    mix, genotype = uniform(space), random(space, 0)
    module = nnx.view(space.supernet(space, SIZE, rngs=nnx.Rngs(0)), use_running_average=True)
    derived = nnx.view(space.network(genotype, space, SIZE, rngs=nnx.Rngs(0)), use_running_average=True)
    assert isinstance(module(np.zeros((2, 3), int), mix)[0], RecurrentOutputs)
    for call, says in (
        (lambda: module(np.zeros((2, 3)), mix), r"reads tokens, whole numbers \[B, T\], not float64 \[2, 3\]"),
        (lambda: module(np.zeros(3, int), mix), r"not int64 \[3\]"),
        (lambda: module(np.zeros((2, 0), int), mix), r"not int64 \[2, 0\]"),
        (lambda: module([[1, 2], [3]], mix), "cannot be read as one array"),
        (lambda: module(tokens(), {"recurrent": np.zeros((2, 5))}), r"mix of the recurrent cells is \[2, 5\]"),
        (lambda: module(tokens(), mix, carry=np.zeros((1, WIDTH))), r"state of this network is \[1, 6\], expected"),
        (lambda: derived(tokens(), np.ones((1, 1, BATCH))), "has no drop-path"),
    ):
        with pytest.raises(UserError, match=says):
            call()
    for change, says in (({"cells": 2}, "has one cell, not 2"), ({"classes": 3}, "11 tokens and 3 outputs")):
        for build in (space.supernet, lambda *rest, **more: space.network(genotype, *rest, **more)):
            with pytest.raises(UserError, match=says):
                build(space, replace(SIZE, **change), rngs=nnx.Rngs(0))
    for change, says in (
        ({"partial_channels": 2}, "Partial channels are not built for the space 'rnn'"),
        ({"entangled": True}, "Entangled weights are those of convolutions, and the space 'rnn'"),
        ({"random": frozenset({"noise"})}, "The operations noise draw noise"),
    ):
        with pytest.raises(UserError, match=says):
            space.supernet(replace(space, **change), SIZE, rngs=nnx.Rngs(0))
