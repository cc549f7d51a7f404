"""What holds for every proxy: a new file is tested without an edit here. Then what single ones are known for."""

from functools import cache

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax.traverse_util import flatten_dict, unflatten_dict

from dnas import find
from dnas.architectures.encoding import decode, to_mix
from dnas.architectures.topology import NetworkSize
from dnas.proxies.protocol import derived, one_path, scorer
from dnas.types import Batch

PROXIES = list(find.described("proxy"))
CELLS = find.resolve("space", "nasbench201:nodes=3")
KEEPS = find.resolve("space", "darts:nodes=2,operations=max_pool_3x3+skip_connect+sep_conv_3x3")
SIZE = NetworkSize(1, 4, 3)
DRAWS = np.random.default_rng(0)
BATCH = Batch(jnp.asarray(DRAWS.normal(size=(6, 8, 8, 3)), jnp.float32), jnp.arange(6) % 3)
CHOSEN = np.array([[3, 0, 2], [1, 3, 4]])


@cache
def scores(space=CELLS):
    """The subject of all architectures of a space, its weights, and a compiled function of a mix."""
    subject = one_path(space, SIZE, 8)
    score = scorer(subject, {name: find.resolve("proxy", name) for name in PROXIES})
    weights, stats = jax.jit(subject.network.init)(jax.random.key(0))
    return subject, (weights, stats), jax.jit(lambda *args: score(*args[:2], BATCH, jax.random.key(1), *args[2:]))


def on_path(architecture, supernet, weights):
    """The weights of a derived network of `CELLS`, taken from those of the supernet."""
    genotype = decode(architecture, CELLS)
    subject = derived(genotype, CELLS, SIZE, 8)
    empty, stats = jax.eval_shape(subject.network.init, jax.random.key(0))
    module, edges = supernet.build(nnx_rngs()), CELLS.cells["cell"].edges
    flat, found = flatten_dict(weights), {}
    for path in flatten_dict(empty):
        if path[1] != "stages":
            found[path] = flat[path]
            continue
        _, _, stage, _, e, *rest = path
        name = CELLS.cells["cell"].operations[e][architecture[e]]
        for c, candidate in enumerate(module.backbone.stages[stage].candidates):
            if e in candidate.edges and CELLS.cells["cell"].operations[e][candidate.columns[0]] == name:
                copies = flat["backbone", "stages", stage, "candidates", c, "operation", *rest]
                found[path] = copies[:, candidate.edges.index(e)]
    assert len(edges) == len(architecture)
    return subject, unflatten_dict(found), jax.tree.map(lambda leaf: jnp.full(leaf.shape, 1.0), stats)


def nnx_rngs():
    from dnas.nets.functional import Deferred

    return Deferred(params=jax.random.key(0))


@pytest.mark.slow
@pytest.mark.parametrize("architecture", CHOSEN, ids=str)
def test_a_path_of_the_supernet_scores_as_the_derived_network(architecture):
    """But zen, whose weights are drawn for all operations."""
    supernet, state, score = scores()
    ours = score(*state, jax.tree.map(jnp.asarray, to_mix(architecture, CELLS)))
    subject, weights, stats = on_path(architecture, supernet, state[0])
    names = [name for name in PROXIES if name != "zen"]
    score = jax.jit(scorer(subject, {name: find.resolve("proxy", name) for name in names}))
    theirs = score(weights, stats, BATCH, jax.random.key(1))
    for name in names:
        assert ours[name].value == pytest.approx(theirs[name].value, rel=2e-3), name
