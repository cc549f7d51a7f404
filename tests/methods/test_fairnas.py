"""FairNAS: every operation of every edge once a step, by the sum of the gradients of single paths."""

from dataclasses import replace
from functools import partial
from math import lcm

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas import find
from dnas.config import SearchConfig, WeightConfig
from dnas.nets.functional import Functional
from dnas.nets.layers import absorb
from dnas.search import relax
from dnas.search.bilevel import make_search
from dnas.search.levels import Levels
from dnas.search.method import adapted
from dnas.tasks.classification import Classification, cross_entropy
from dnas.types import Batch

SPACE = find.resolve("space", "nasbench201:nodes=3,operations=none+skip_connect+nor_conv_1x1")


def paths(space, count=1):
    """`count` steps' paths {kind: [count, K, E, O]}."""
    keys = jax.random.split(jax.random.key(0), count)
    return jax.tree.map(np.asarray, jax.jit(jax.vmap(lambda key: relax.fair_paths(space)({}, key, None)))(keys))


@pytest.mark.parametrize("choice", ["nasbench201", "tabular:layers=2"])
def test_every_operation_of_every_edge_is_used_equally_often_and_with_equal_numbers_once(choice):
    space = find.resolve("space", choice)
    numbers = {len(names) for cell in space.cells.values() for names in cell.operations}
    for kind, (row,) in paths(space).items():
        assert len(row) == lcm(*numbers)
        np.testing.assert_array_equal(np.sort(row, -1)[..., -1], 1)  # one operation of every edge in every path
        np.testing.assert_array_equal(row.sum(-1), 1)
        for e, names in enumerate(space.cells[kind].operations):
            np.testing.assert_array_equal(row.sum(0)[e, : len(names)], len(row) / len(names))
            if choice == "nasbench201":
                np.testing.assert_array_equal(row.sum(0)[e], 1)


def test_orders_are_uniform_and_those_of_edges_independent():
    drawn = paths(SPACE, 3000)["cell"]  # [steps, K, E, O]
    np.testing.assert_allclose(drawn.mean(0), 1 / 3, atol=0.04)
    together = np.einsum("skeo,skfp->eofp", drawn, drawn) / drawn.shape[0] / drawn.shape[1]
    for e, f in ((0, 1), (0, 2), (1, 2)):
        np.testing.assert_allclose(together[e, :, f], 1 / 9, atol=0.02)


def test_where_a_genotype_keeps_some_edges_an_operation_is_used_at_most_once():
    space = find.resolve("space", "darts:nodes=3,operations=none+skip_connect+sep_conv_3x3+max_pool_3x3")
    drawn = paths(space, 300)
    for kind, cell in space.cells.items():
        steps = drawn[kind]
        assert steps.shape[1] == 3 and not steps[..., 0].any()  # of none, no genotype
        assert set(np.unique(steps.sum(1))) == {0, 1}
        for node in cell.computed:
            incoming = cell.incoming(node)
            np.testing.assert_array_equal(steps[:, :, incoming].sum((-1, -2)), 2)
            np.testing.assert_allclose(steps[:, :, incoming, 1:].mean((0, 1)), 2 / len(incoming) / 3, atol=0.05)


def batch(seed):
    rng = np.random.default_rng(seed)
    return Batch(jnp.asarray(rng.normal(size=(6, 4, 4, 3))), jnp.asarray(rng.integers(0, 3, 6)))


def formula():
    """A network with a supernet's arguments, whose logits and moments depend on the mix."""

    def init(key):
        return {"kernels": jax.random.normal(key, (3, 3, 3, 3))}, {"mean": jnp.zeros((3, 3))}

    def apply(weights, stats, x, mix, *, train, **_):
        values = jnp.tanh(jnp.einsum("bc,eocd->eobd", x.mean((1, 2)), weights["kernels"]))
        return jnp.einsum("eo,eobd->bd", mix["cell"], values), {"mean": mix["cell"] * values.mean((2, 3))}

    return Functional(init, apply)


def test_a_step_goes_along_the_sum_of_the_gradients_of_its_paths(float64):
    """And the running statistics see the moments of the paths one after the other."""
    config = SearchConfig(epochs=2, weights=WeightConfig(optimiser="sgd:momentum=0", decay=0.0, clip=0.0))
    fair, seen = adapted(find.resolve("method", "fairnas"), SPACE, config), []

    def recorded(alphas, key, clock):
        mixes = fair.weight_relax(alphas, key, clock)
        jax.debug.callback(seen.append, mixes["cell"])
        return mixes

    network, method = formula(), replace(fair, weight_relax=recorded)
    search = make_search(network, SPACE, method, config, 2, task=Classification())
    start, train = search.init(jax.random.key(0)), batch(0)
    state, metrics = jax.jit(search.step)(start, Levels(train, batch(1)))
    jax.effects_barrier()
    (mixes,) = seen
    assert mixes.shape == (3, 3, 3)

    @jax.jit
    @partial(jax.value_and_grad, has_aux=True)
    def one(weights, mix):
        logits, moments = network.apply(weights, start.stats, train.inputs, {"cell": mix}, train=True)
        return cross_entropy(logits, train.targets), moments

    total, stats, losses = jax.tree.map(jnp.zeros_like, start.weights), start.stats, []
    for mix in mixes:
        (value, moments), gradient = one(start.weights, mix)
        total, stats = jax.tree.map(jnp.add, total, gradient), absorb(stats, moments)
        losses.append(value)
    expected = jax.tree.map(lambda w, g: w - 0.025 * g, start.weights, total)
    for ours, theirs in ((state.weights, expected), (state.stats, stats)):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-7, atol=1e-12), ours, theirs)
    np.testing.assert_allclose(metrics.train["loss"][0], np.mean(losses), rtol=1e-9)
    moved = np.abs(state.weights["kernels"] - start.weights["kernels"]).max((-1, -2))
    assert (moved > 0).all(), "an operation of an edge is not trained"
