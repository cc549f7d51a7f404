"""Mirror descent for alphas that are distributions themselves: the optimiser steps, `Method.move` projects.

Such alphas are {kind: [E, O]}, or with edges as in `relax.uniform_with_edges`; every row, and the edges of every node,
sum to 1.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dnas.config import AlphaConfig
from dnas.training.weights import clip
from dnas.types import Alphas, Tree

FLOOR = 1e-5  # of an operation's weight before it is normalised, so that none is lost for good


def gradient_descent(config: AlphaConfig, edge_rate: float) -> optax.GradientTransformation:
    """-rate g, edges at a rate of their own. Of the config: `learning_rate`; `decay`, the weight of `relative_entropy`
    in the loss; `clip`, of the gradient of all operations together."""
    clip_tx = clip(config.clip)

    def of_operations(gradient: Tree, p: Tree) -> Tree:
        if config.decay:
            entropic = jax.grad(relative_entropy)(p)
            gradient = jax.tree.map(lambda g, e: g + config.decay * e, gradient, entropic)
        gradient, _ = clip_tx.update(gradient, clip_tx.init(p))
        return jax.tree.map(lambda g: -config.learning_rate * g, gradient)

    def step(gradient: Tree, p: Tree) -> Tree:
        if "edges" not in p:
            return of_operations(gradient, p)
        edges = jax.tree.map(lambda g: -edge_rate * g, gradient["edges"])
        return {"operations": of_operations(gradient["operations"], p["operations"]), "edges": edges}

    return optax.stateless(step)


def relative_entropy(operations: Tree) -> jax.Array:
    """Sum over all rows of sum_o p_o log(O p_o): how far the rows [E, O] are from uniform."""
    rows = [jnp.sum(p * jnp.log(p.shape[-1] * p)) for p in jax.tree.leaves(operations)]
    return jnp.sum(jnp.stack(rows))


def exponentiated(alphas: Alphas, updates: Alphas) -> Alphas:
    """p exp(u) / sum: the entropy is the mirror map (GAEA, "exponentiated gradient")."""
    return _normalised(jax.tree.map(lambda p, u: p * jnp.exp(_bounded(u, p)), alphas, updates))


def _bounded(updates: jax.Array, p: jax.Array) -> jax.Array:
    """The updates, shifted row by row where their exponentials would be infinite, so large that what is floored beside
    them is zero, or so small that small weights are; all others as they are, since the floor is one of weights before
    they are normalised."""
    bound = float(np.log(FLOOR) - np.log(float(jnp.finfo(updates.dtype).tiny))) - 1
    largest = jnp.where(p > 0, updates, -jnp.inf).max(-1, keepdims=True)
    return jnp.minimum(updates, largest) - (largest - jnp.clip(largest, -bound / 3, bound))


def euclidean(alphas: Alphas, updates: Alphas) -> Alphas:
    """(p + u) / sum: plain gradient descent, for comparison."""
    return _normalised(jax.tree.map(jnp.add, alphas, updates))


def _normalised(p: Tree) -> Tree:
    if "edges" not in p:
        return jax.tree.map(lambda rows: _divided(jnp.maximum(rows, FLOOR)), p)
    return {"operations": _normalised(p["operations"]), "edges": jax.tree.map(_divided, p["edges"])}


def _divided(p: jax.Array) -> jax.Array:
    return p / p.sum(-1, keepdims=True)


GEOMETRIES: dict[str, Callable[[Alphas, Alphas], Alphas]] = {"exponentiated": exponentiated, "euclidean": euclidean}
