"""Relaxations: from alphas to the mix that multiplies the operations. (alphas, key, clock) -> mix.

With weights on the edges too (PC-DARTS, GAEA) alphas are `{"operations": {kind: [E, O]}, "edges": {kind: tuple}}`, one
array of logits for the incoming edges of every node; the mix of an edge is its operations' times its own weight.
"""

from typing import Any

import jax
import jax.numpy as jnp

from dnas.types import Alphas, Clock, Mix, Relaxation, Scores


def noise(space: Any, key: jax.Array, config: Any) -> Alphas:
    """Initial alphas: normal noise of scale `config.initial_scale`, for a softmax that is nearly uniform."""
    keys = jax.random.split(key, len(space.mix_shapes))
    return {
        kind: config.initial_scale * jax.random.normal(k, shape)
        for k, (kind, shape) in zip(keys, sorted(space.mix_shapes.items()), strict=True)
    }


def noise_with_edges(space: Any, key: jax.Array, config: Any) -> Alphas:
    """The same, and for every node the logits of its incoming edges."""
    operations_key, edges_key = jax.random.split(key)

    def logits(kind: str, key: jax.Array) -> tuple[jax.Array, ...]:
        sizes = [len(space.cells[kind].incoming(node)) for node in space.cells[kind].computed]
        keys = jax.random.split(key, len(sizes))
        return tuple(config.initial_scale * jax.random.normal(k, (n,)) for k, n in zip(keys, sizes, strict=True))

    kinds = sorted(space.cells)
    edge_keys = jax.random.split(edges_key, len(kinds))
    edges = {kind: logits(kind, k) for kind, k in zip(kinds, edge_keys, strict=True)}
    return {"operations": noise(space, operations_key, config), "edges": edges}


def uniform(space: Any, key: jax.Array, config: Any) -> Alphas:
    """Initial alphas that are the mix itself (`simplex`): the same for every operation of an edge, 1 in total."""
    return {
        kind: jnp.array(
            [[(o < len(names)) / len(names) for o in range(cell.mix_shape[1])] for names in cell.operations]
        )
        for kind, cell in space.cells.items()
    }


def uniform_with_edges(space: Any, key: jax.Array, config: Any) -> Alphas:
    """The same, and for every node the weights of its incoming edges (`simplex_with_edges`)."""
    sizes = {kind: [len(cell.incoming(node)) for node in cell.computed] for kind, cell in space.cells.items()}
    edges = {kind: tuple(jnp.full(n, 1 / n) for n in sizes[kind]) for kind in space.cells}
    return {"operations": uniform(space, key, config), "edges": edges}


def softmax(alphas: Alphas, key: jax.Array, clock: Clock) -> Mix:
    """Softmax over the operations of each edge, `none` included (DARTS, equation 2)."""
    return jax.tree.map(lambda a: jax.nn.softmax(a, -1), alphas)


def simplex(alphas: Alphas, key: jax.Array, clock: Clock) -> Mix:
    """Alphas that are the mix itself; their optimiser keeps every row a distribution (GAEA)."""
    return alphas


def simplex_with_edges(alphas: Alphas, key: jax.Array, clock: Clock) -> Mix:
    """The same, times the weight of each edge, which is one of a distribution over the edges of its node."""
    return on_edges(alphas["operations"], alphas["edges"])


def concentration(alphas: Alphas) -> Alphas:
    """elu(a) + 1, the positive parameters of a Dirichlet distribution (DrNAS, section 2): 1, uniform, at a = 0."""
    return jax.tree.map(lambda a: jax.nn.elu(a) + 1, alphas)


def dirichlet(alphas: Alphas, key: jax.Array, clock: Clock) -> Mix:
    """A sample of Dir(`concentration`) for every edge: independent gamma variates g_o, as g_o / sum g.

    Its derivative is pathwise, dg/dc by implicit differentiation of the gamma distribution function (Figurnov, Mohamed
    and Mnih 2018, arXiv:1805.08498). PyTorch, and so DrNAS, differentiates the sample itself implicitly: another
    estimator, which differs sample by sample and agrees in expectation.
    """
    kinds = sorted(alphas)
    keys = dict(zip(kinds, jax.random.split(key, len(kinds)), strict=True))
    return {kind: jax.nn.softmax(jax.random.loggamma(keys[kind], c), -1) for kind, c in concentration(alphas).items()}


def edge_normalised(relax: Relaxation) -> Relaxation:
    """Operations by `relax`, times a softmax over the incoming edges of each node (PC-DARTS, equation 4)."""

    def mix(alphas, key, clock):
        return on_edges(relax(alphas["operations"], key, clock), jax.tree.map(jax.nn.softmax, alphas["edges"]))

    return mix


def on_edges(mix: Mix, edges: dict[str, tuple[jax.Array, ...]]) -> Mix:
    """A mix times one weight per edge, given node by node: edges stand in the order of the nodes they enter."""
    return {kind: m * jnp.concatenate(edges[kind])[:, None] for kind, m in mix.items()}


def score(relax: Relaxation) -> Scores:
    """A relaxation that needs no key, as what evaluation and discretisation read."""
    return lambda alphas, clock: relax(alphas, jax.random.key(0), clock)


def masked(mix: Mix, mask: Mix) -> Mix:
    """The mix of the operations that are left; a row keeps its total, a row with nothing left is zero.

    Columns beyond the mask's (what a method adds to the space) stay as they are.
    """
    if not mask:
        return mix

    def rows(m, left):
        own, added = m[:, : left.shape[-1]], m[:, left.shape[-1] :]
        kept = own * left.astype(m.dtype)
        total, rest = own.sum(-1, keepdims=True), kept.sum(-1, keepdims=True)
        scaled = kept * jnp.where(rest > 0, total / jnp.where(rest > 0, rest, 1), 0)
        return jnp.concatenate([scaled, added], -1)

    return {kind: rows(m, mask[kind]) for kind, m in mix.items()}
