"""Optimisers of alphas that are distributions themselves: what they step to is one again."""

import jax
import jax.numpy as jnp
import optax

from dnas.config import AlphaConfig
from dnas.search.method import clip
from dnas.types import Tree

GEOMETRIES = ("exponentiated", "euclidean")
FLOOR = 1e-5  # of an operation's weight before it is normalised, so that none is lost for good


def on_simplex(config: AlphaConfig, edge_rate: float, geometry: str = "exponentiated") -> optax.GradientTransformation:
    """Mirror descent on rows that sum to 1, with the entropy as mirror map: exponentiated gradient (GAEA, algorithm 1).

        p <- p exp(-rate g) / sum

    Operations {kind: [E, O]} do not fall below `FLOOR` before they are divided by their sum. With edges too, alphas are
    as in `relax.uniform_with_edges`; edges have a rate of their own and no floor. Of the config: `learning_rate`;
    `clip`, of the gradient of all operations together; `decay`, the weight of `relative_entropy` in the loss.
    geometry: "euclidean" for p - rate g in place of p exp(-rate g), for comparison.
    """
    clip_tx = clip(config.clip)

    def move(p: jax.Array, g: jax.Array, rate: float) -> jax.Array:
        return p * jnp.exp(-rate * g) if geometry == "exponentiated" else p - rate * g

    def of_operations(gradient: Tree, p: Tree) -> Tree:
        if config.decay:
            entropic = jax.grad(relative_entropy)(p)
            gradient = jax.tree.map(lambda g, e: g + config.decay * e, gradient, entropic)
        gradient, _ = clip_tx.update(gradient, clip_tx.init(p))
        moved = jax.tree.map(lambda p, g: jnp.maximum(move(p, g, config.learning_rate), FLOOR), p, gradient)
        return jax.tree.map(lambda m: m / m.sum(-1, keepdims=True), moved)

    def of_edges(gradient: Tree, p: Tree) -> Tree:
        moved = jax.tree.map(lambda p, g: move(p, g, edge_rate), p, gradient)
        return jax.tree.map(lambda m: m / m.sum(), moved)

    def step(gradient: Tree, p: Tree) -> Tree:
        if "edges" in p:
            new = {
                "operations": of_operations(gradient["operations"], p["operations"]),
                "edges": of_edges(gradient["edges"], p["edges"]),
            }
        else:
            new = of_operations(gradient, p)
        return jax.tree.map(jnp.subtract, new, p)

    return optax.stateless(step)


def relative_entropy(operations: Tree) -> jax.Array:
    """Sum over all rows of sum_o p_o log(O p_o): how far the rows [E, O] are from uniform."""
    rows = [jnp.sum(p * jnp.log(p.shape[-1] * p)) for p in jax.tree.leaves(operations)]
    return jnp.sum(jnp.stack(rows))
