"""The derived network equals the supernet; scanned and vmapped equals looped; what happens at the borders."""

import re
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas import interop
from dnas.architectures.genotype import CellGenotype, Edge, Genotype, as_mix, parse, random
from dnas.architectures.topology import NetworkSize
from dnas.nets.functional import functionalize
from dnas.nets.network import Network
from dnas.nets.supernet import Supernet
from dnas.spaces import darts, nasbench201

DARTS = darts.space(nodes=2)
SMALL_DARTS = darts.space(nodes=2, operations="none+skip_connect+dil_conv_3x3")
NB201 = nasbench201.space()
SMALL_NB201 = nasbench201.space(nodes=3, operations="none+avg_pool_3x3+nor_conv_3x3")


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def draw(*shape, seed=0):
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape))


def prepared(module, *settings):
    def build(rngs):
        return module(*settings, rngs=rngs)

    return functionalize(build), interop.layout(build)


def random_weights(network, seed=0):
    """Weights, and statistics that no training would give: they must be read from the right place."""
    shapes = jax.eval_shape(network.init, jax.random.key(0))
    leaves, structure = jax.tree.flatten(shapes)
    weights, stats = structure.unflatten([0.5 * draw(*leaf.shape, seed=seed + i) for i, leaf in enumerate(leaves)])
    return weights, jax.tree.map(lambda leaf: jnp.abs(leaf) + 0.1, stats)


def random_mix(space, seed=0):
    return {kind: jax.nn.softmax(draw(*shape, seed=seed)) for kind, shape in space.mix_shapes.items()}


def assert_close(ours, theirs, tolerance=1e-10):
    jax.tree.map(partial(np.testing.assert_allclose, rtol=tolerance, atol=tolerance), ours, theirs)


def derived_names(arrays, genotype, space, kinds):
    """The supernet's arrays that a derived network has, under its names; `kinds`: the kind of every cell."""
    found = {}
    for name, array in arrays.items():
        cell, darts_edge, darts_column, pair, column, rest = re.fullmatch(
            r"(?:cells\.(\d+)\.)?(?:_ops\.(\d+)\._ops\.(\d+)\.|edges\.(\d<-\d)\.(\d)\.)?(.*)", name
        ).groups()
        if darts_edge is None and pair is None:
            found[name] = array
            continue
        kind = kinds[int(cell)]
        searched = space.cells[kind]
        e = int(darts_edge) if darts_edge else [f"{n}<-{s}" for n, s in searched.edges].index(pair)
        wanted = Edge(*searched.edges[e], searched.operations[e][int(darts_column or column)])
        if wanted in genotype.cell(kind).edges:
            folder = "_ops" if darts_edge else "layers"
            found[f"cells.{cell}.{folder}.{genotype.cell(kind).edges.index(wanted)}.{rest}"] = array
    return found


def cell_kinds(space, cells):
    if space.name == "darts":
        return {c: kind for kind, group in darts.plan(cells) for c in group}
    return {c: "cell" for c in range(3 * cells + 2)}


@pytest.fixture(scope="module")
def supernets():
    """(space, cells, size) -> supernet, its names and its jitted apply: compiled once for several genotypes."""
    known = {}

    def get(space, cells, size):
        key = id(space), cells, size
        if key not in known:
            network, pairs = prepared(Supernet, space, NetworkSize(cells, 2, 3))
            known[key] = network, pairs, jax.jit(network.apply, static_argnames="train")
        return known[key]

    return get


def assert_derived_is_supernet(supernets, space, genotype, cells, size):
    network, pairs, apply = supernets(space, cells, size)
    weights, stats = random_weights(network)
    x, mix = draw(3, size, size, 3), jax.tree.map(jnp.asarray, as_mix(genotype, space))
    derived, derived_pairs = prepared(
        partial(Network, norm=space.search_norm), genotype, space, NetworkSize(cells, 2, 3, loop=True)
    )
    names = partial(derived_names, genotype=genotype, space=space, kinds=cell_kinds(space, cells))
    state = interop.from_torch(names(interop.to_torch(weights, stats, pairs)), derived_pairs)
    for train in (True, False):
        logits, moments = apply(weights, stats, x, mix, train=train)
        outputs, derived_moments = derived.apply(*state, x, train=train)
        assert np.ptp(logits) > 0.01
        assert_close(outputs.logits, logits)
        expected = names(interop.to_torch(weights, moments, pairs))
        assert_close(interop.to_torch(state[0], derived_moments, derived_pairs), expected)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_derived_darts_network_is_the_supernet_with_a_discrete_mix(supernets, seed):
    assert_derived_is_supernet(supernets, DARTS, random(DARTS, seed), 3, 7)


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(2))
def test_so_it_is_where_cells_are_stacked(supernets, seed):
    assert_derived_is_supernet(supernets, SMALL_DARTS, random(SMALL_DARTS, seed), 7, 8)


NB201_TEXTS = [
    "|none~0|+|nor_conv_1x1~0|nor_conv_3x3~1|+|none~0|skip_connect~1|avg_pool_3x3~2|",  # node 1 has no input
    "|avg_pool_3x3~0|+|none~0|none~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_1x1~2|",  # node 2 has none
]


@pytest.mark.parametrize("genotype", [*(random(NB201, s) for s in (0, 1)), *map(parse, NB201_TEXTS)])
def test_derived_nasbench201_network_is_the_supernet_with_a_discrete_mix(supernets, genotype):
    assert_derived_is_supernet(supernets, NB201, genotype, 1, 7)


@pytest.mark.slow
@pytest.mark.parametrize("space, cells", [(SMALL_DARTS, 9), (SMALL_NB201, 2)], ids=["darts", "nasbench201"])
def test_a_supernet_of_loops_is_the_same(space, cells):
    """Gradients, moments and logits, scanned and vmapped against neither: stages of one to three cells."""
    fast, _ = prepared(Supernet, space, NetworkSize(cells, 2, 3))
    slow, _ = prepared(Supernet, space, NetworkSize(cells, 2, 3, loop=True))
    weights, stats = random_weights(fast)
    x, mix = draw(3, 4, 4, 3), random_mix(space)

    def gradients(network):
        def loss(weights, mix):
            logits, moments = network.apply(weights, stats, x, mix, train=True)
            return jnp.sin(logits).sum(), (logits, moments)

        return jax.value_and_grad(loss, (0, 1), has_aux=True)

    assert_close(jax.jit(gradients(fast))(weights, mix), jax.jit(gradients(slow))(weights, mix), 1e-9)
    evaluate = [jax.jit(partial(network.apply, train=False)) for network in (fast, slow)]
    assert_close(*(one(weights, stats, x, mix) for one in evaluate))


@pytest.mark.slow
@pytest.mark.parametrize("unroll", [False, True])
def test_a_derived_network_of_loops_is_the_same(unroll):
    """With drop-path, whose rows belong to certain cells and edges."""
    genotype = random(SMALL_DARTS, 0)
    (fast, _), (slow, _) = (
        prepared(Network, genotype, SMALL_DARTS, NetworkSize(9, 2, 3, loop=loop, unroll=unroll))
        for loop in (False, True)
    )
    weights, stats = random_weights(fast)
    x, factors = draw(3, 4, 4, 3), jnp.abs(draw(9, 4, 3))

    def gradients(network):
        def loss(weights, factors):
            outputs, moments = network.apply(weights, stats, x, factors, train=True)
            return jnp.sin(outputs.logits).sum(), (outputs.logits, moments)

        return jax.value_and_grad(loss, (0, 1), has_aux=True)

    assert_close(jax.jit(gradients(fast))(weights, factors), jax.jit(gradients(slow))(weights, factors), 1e-9)


@pytest.mark.slow
def test_drop_path_of_ones_is_none_and_zeros_cut_all_but_identities():
    genotype = Genotype(
        "darts",
        tuple(
            (kind, CellGenotype((Edge(2, 0, "skip_connect"), Edge(2, 1, "max_pool_3x3")), (2,)))
            for kind in ("normal", "reduce")
        ),
    )
    network, _ = prepared(Network, genotype, DARTS, NetworkSize(3, 2, 3, loop=True))
    weights, stats = random_weights(network)
    x = draw(2, 8, 8, 3)

    def logits(factors):
        return network.apply(weights, stats, x, factors, train=True)[0].logits

    ones = jnp.ones((3, 2, 2))
    assert_close(logits(ones), logits(None), 1e-14)
    assert_close(logits(ones.at[0, 0].set(0)), logits(None), 1e-14)  # a normal cell's identity is spared
    assert np.abs(logits(ones.at[1, 0].set(0)) - logits(None)).max() > 0.01  # a factorised reduction is not
    assert np.abs(logits(ones.at[0, 1].set(0)) - logits(None)).max() > 0.01
    one_image = logits(ones.at[0, 1, 0].set(0))  # batch statistics of later cells couple the images
    assert np.abs(one_image - logits(ones.at[0, 1, 1].set(0))).max() > 0.01


@pytest.mark.parametrize("train", [True, False])
def test_a_cell_of_nones_outputs_zeros_of_the_right_size(train):
    edges = (Edge(2, 0, "none"), Edge(2, 1, "none"))
    genotype = Genotype("darts", tuple((kind, CellGenotype(edges, (2,))) for kind in ("normal", "reduce")))
    network, _ = prepared(Network, genotype, DARTS, NetworkSize(3, 2, 3, loop=True))
    weights, stats = random_weights(network)
    outputs, _ = network.apply(weights, stats, draw(2, 7, 7, 3), train=train)
    np.testing.assert_allclose(outputs.logits, jnp.tile(weights["backbone"]["classifier"]["bias"], (2, 1)))


@pytest.mark.parametrize("space, cells", [(SMALL_DARTS, 3), (SMALL_NB201, 1)], ids=["darts", "nasbench201"])
def test_gradients_to_the_mix_are_finite_and_none_has_none(space, cells):
    """On odd images, also where the mix is zero and nothing flows."""
    network, _ = prepared(Supernet, space, NetworkSize(cells, 2, 3))
    weights, stats = random_weights(network)
    x = draw(3, 7, 7, 3)
    loss = jax.jit(jax.grad(lambda mix: jnp.sin(network.apply(weights, stats, x, mix, train=True)[0]).sum()))
    for mix in (random_mix(space), jax.tree.map(jnp.zeros_like, random_mix(space))):
        for gradient in loss(mix).values():
            assert np.isfinite(gradient).all()
            np.testing.assert_array_equal(gradient[:, 0], 0)  # `none` comes first in both spaces
    for gradient in loss(random_mix(space)).values():
        assert (np.abs(gradient[:, 1:]) > 0).all()


def test_stages_are_runs_of_equal_cells():
    assert darts.plan(8) == (
        ("normal", range(0, 2)),
        ("reduce", range(2, 3)),
        ("normal", range(3, 5)),
        ("reduce", range(5, 6)),
        ("normal", range(6, 8)),
    )
    for cells in range(1, 25):
        kinds = cell_kinds(DARTS, cells)
        assert list(kinds) == list(range(cells))
        assert [c for c in kinds if kinds[c] == "reduce"] == sorted({cells // 3, 2 * cells // 3})


@pytest.mark.parametrize("cells", [1, 2, 3, 4, 5])
def test_very_shallow_networks_run(cells):
    network, _ = prepared(Network, random(DARTS, 0), DARTS, NetworkSize(cells, 2, 3, loop=True))
    assert jax.eval_shape(
        lambda key: network.apply(*network.init(key), jnp.zeros((1, 8, 8, 3)), train=False)[0].logits, jax.random.key(0)
    ).shape == (1, 3)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("space", "cells", "stage"), [(SMALL_DARTS, 9, 3), (SMALL_NB201, 6, 6)], ids=["darts", "nb201"]
)
def test_rematerialised_or_unrolled_cells_give_the_same_gradients(space, cells, stage):
    """The longest stage has `stage` cells."""

    def gradients(**how):
        network, _ = prepared(Supernet, space, NetworkSize(cells, 2, 3, **how))
        weights, stats = random_weights(network)

        def loss(weights, mix):
            logits, moments = network.apply(weights, stats, draw(2, 8, 8, 3), mix, train=True)
            return jnp.sum(jnp.sin(logits)), moments

        compute = jax.jit(jax.value_and_grad(loss, (0, 1), has_aux=True))
        return compute(weights, random_mix(space)), str(jax.make_jaxpr(compute)(weights, random_mix(space)))

    expected, usual = gradients()
    for how, sign in {"remat": "remat|checkpoint", "unroll": f"unroll={stage}"}.items():
        found, changed = gradients(**{how: True})
        assert_close(found, expected)
        assert re.search(sign, changed) and not re.search(sign, usual)
