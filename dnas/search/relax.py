"""Relaxations: from alphas to the mix that multiplies the operations. (alphas, key, clock) -> mix.

With weights on the edges too (PC-DARTS, GAEA) alphas are `{"operations": {kind: [E, O]}, "edges": {kind: tuple}}`, one
array of logits for the incoming edges of every node; the mix of an edge is its operations' times its own weight.
"""

from collections.abc import Callable
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


def softmax(alphas: Alphas, key: jax.Array, clock: Clock) -> Mix:
    """Softmax over the operations of each edge, `none` included (DARTS, equation 2)."""
    return jax.tree.map(lambda a: jax.nn.softmax(a, -1), alphas)


def sigmoid(alphas: Alphas, key: jax.Array, clock: Clock) -> Mix:
    """Every operation by itself, between 0 and 1: operations do not compete (FairDARTS, equation 3)."""
    return jax.tree.map(jax.nn.sigmoid, alphas)


def with_auxiliary(relax: Relaxation, coefficient: Callable[[Clock], jax.Array]) -> Relaxation:
    """One more column [E, O + 1], equal on all edges: of an operation without alphas (DARTS-, equation 7)."""

    def mix(alphas, key, clock):
        weight = coefficient(clock)
        return {
            kind: jnp.concatenate([m, jnp.broadcast_to(weight, (len(m), 1)).astype(m.dtype)], -1)
            for kind, m in relax(alphas, key, clock).items()
        }

    return mix


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
