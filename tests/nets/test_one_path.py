"""Supernets that compute one operation per edge, against those that compute all, on the same one-hot mixes."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict

from dnas.architectures.topology import NetworkSize
from dnas.nets.functional import functionalize
from dnas.nets.supernet import Supernet
from dnas.spaces import darts, nasbench201
from dnas.tasks.classification import cross_entropy

SPACES = {
    "nasbench201": nasbench201.space(nodes=3),
    "darts": darts.space(nodes=2, operations="none+max_pool_3x3+skip_connect+dil_conv_3x3"),
}
X, Y = np.random.default_rng(0).normal(size=(3, 8, 8, 3)), jnp.arange(3)


@pytest.fixture(autouse=True)
def always(float64):
    pass


def network(name, paths, remat=False):
    space = replace(SPACES[name], paths=paths)
    return functionalize(lambda rngs: Supernet(space, NetworkSize(2, 4, 3, remat=remat), rngs=rngs))


def one_hot(name, seed):
    """One operation per edge; the last edge of every cell has none at all."""
    mix = {}
    for kind, (edges, operations) in SPACES[name].mix_shapes.items():
        mix[kind] = np.eye(operations)[(seed + np.arange(edges)) % operations]
        mix[kind][-1] = 0
    return jax.tree.map(jnp.asarray, mix)


def outcome(name, paths, remat=False):
    """(weights, stats, mix) -> logits, moments, gradients of weights and mix."""
    net = network(name, paths, remat)

    def loss(weights, mix, stats):
        logits, moments = net.apply(weights, stats, jnp.asarray(X), mix, train=True)
        return cross_entropy(logits, Y), (logits, moments)

    def run(weights, stats, mix):
        (_, seen), gradients = jax.value_and_grad(loss, (0, 1), has_aux=True)(weights, mix, stats)
        return seen, gradients

    return run


def start(name):
    weights, stats = jax.jit(network(name, "all").init)(jax.random.key(0))
    return weights, jax.tree.map(lambda s: s + 0.125, stats)  # unlike any batch's


def assert_close(a, b):
    jax.tree.map(lambda x, y: np.testing.assert_allclose(x, y, rtol=1e-9, atol=1e-12), a, b)


@pytest.mark.slow
@pytest.mark.parametrize("name", SPACES)
def test_one_path_is_all_paths_with_a_one_hot_mix(name):
    weights, stats = start(name)
    one, every = jax.jit(outcome(name, "one")), jax.jit(outcome(name, "all"))
    for seed in (2, 3):
        mix = one_hot(name, seed)
        (logits, moments), (to_weights, to_mix) = one(weights, stats, mix)
        (expected, all_moments), (to_all_weights, to_whole_mix) = every(weights, stats, mix)
        assert_close(logits, expected)
        assert_close(to_weights, to_all_weights)
        assert_close(to_mix, jax.tree.map(lambda g, m: g * m, to_whole_mix, mix))
        kept, touched = 0, 0
        flat, before, batch = (flatten_dict(tree) for tree in (moments, stats, all_moments))
        for path, found in flat.items():
            untouched = np.isclose(found, before[path], rtol=0, atol=0)
            same = np.isclose(found, batch[path], rtol=1e-9, atol=1e-12)
            assert (untouched | same).all(), path
            if "candidates" in path:
                kept, touched = kept + untouched.sum(), touched + (same & ~untouched).sum()
            else:
                assert same.all(), path
        assert kept > 0 and touched > 0


@pytest.mark.slow
def test_an_operation_that_is_not_chosen_keeps_its_statistics():
    """Edge by edge: only the copy of the chosen operation on that edge sees the batch."""
    weights, stats = start("nasbench201")
    mix = {"cell": jnp.zeros((3, 5)).at[0, 2].set(1).at[2, 3].set(1)}  # 1x1 on the edge 0 -> 1, 3x3 on 1 -> 2
    (_, moments), _ = outcome("nasbench201", "one")(weights, stats, mix)
    changed = {}
    for path, found in flatten_dict(moments).items():
        if "candidates" in path and path[-1] == "mean":
            i = path.index("candidates")
            moved = np.abs(found - flatten_dict(stats)[path]).max((0, -1)) > 0  # [edges]
            changed[path[:i], path[i + 1]] = moved.tolist()
    assert sorted(map(sum, changed.values())) == [0] * 6 + [1] * 6  # of 3 stages: two sources, two convolutions


@pytest.mark.slow
@pytest.mark.parametrize("name", SPACES)
def test_without_jit_vmapped_and_rematerialised_it_is_the_same(name):
    weights, stats = start(name)
    mixes = [one_hot(name, seed) for seed in (2, 3)]
    run = outcome(name, "one")
    expected = [jax.jit(run)(weights, stats, mix) for mix in mixes]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *mixes)
    together = jax.jit(jax.vmap(run, (None, None, 0)))(weights, stats, stacked)
    assert_close(together, jax.tree.map(lambda *leaves: jnp.stack(leaves), *expected))
    assert_close(jax.jit(outcome(name, "one", remat=True))(weights, stats, mixes[0]), expected[0])
    if name == "nasbench201":
        assert_close(run(weights, stats, mixes[0]), expected[0])


@pytest.mark.slow
def test_scalars_add_the_weights_of_the_unselected():
    """Where nothing but the scalars flows, the derivative of every unselected weight is that of a constant image."""
    weights, stats = start("nasbench201")
    mix = one_hot("nasbench201", 2)
    _, (to_weights, with_scalars) = jax.jit(outcome("nasbench201", "one_with_scalars"))(weights, stats, mix)
    _, (expected, without) = jax.jit(outcome("nasbench201", "one"))(weights, stats, mix)
    assert_close(to_weights, expected)
    chosen = np.asarray(mix["cell"]) > 0
    chosen[-1] = np.arange(5) == 0  # the row of zeros: the first counts as chosen
    found = np.asarray(with_scalars["cell"])
    assert_close(np.where(chosen, found, 0), without["cell"])
    others = [row[~is_chosen] for row, is_chosen in zip(found, chosen, strict=True)]
    for row in others:
        np.testing.assert_allclose(row, row[0], rtol=1e-9)
    assert others[0][0] == 0 and all(abs(row[0]) > 1e-9 for row in others[1:])  # nothing reads the first edge's node
