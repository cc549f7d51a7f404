"""The alignment of a supernet's cells: how far the gradients of their copies of the mix point one way.

    alignment = mean over pairs (l, m) of cells of cos(g_l, g_m),     g_l = dL/d(mix of cell l)

Cells share one mix, which steps by the sum of the g_l; where they disagree, the last cells decide for all. The weights'
step raises the alignment: with v = d alignment / d g and the g_l as functions of the weights w,

    d alignment / dw = d2L / dw dmix . v        (Movahedi et al. 2023, Lambda-DARTS, arXiv:2210.07998)
"""

from collections.abc import Mapping, Sequence

import jax
import jax.numpy as jnp

from dnas.search.relax import Schedule
from dnas.types import Mix, WeightGradient

Cells = Mapping[str, Sequence[int]]  # the cells of a kind that are compared, by their number in the network


def cosines(gradients: jax.Array) -> jax.Array:
    """Of all pairs of rows [N, P] -> [N, N]; 0 with a row of zeros."""
    lengths = jnp.square(gradients).sum(-1, keepdims=True)
    unit = gradients * jnp.where(lengths > 0, jax.lax.rsqrt(jnp.where(lengths > 0, lengths, 1)), 0)
    return unit @ unit.T


def same_signs(gradients: jax.Array) -> jax.Array:
    """g . h / (|g| . |h|) of all pairs of rows [N, P] -> [N, N]: by entries; 0 where nothing is shared."""
    size = jnp.abs(gradients) @ jnp.abs(gradients).T
    return gradients @ gradients.T * jnp.where(size > 0, 1 / jnp.where(size > 0, size, 1), 0)


MEASURES = {"cosine": cosines, "sign": same_signs}


def alignment(gradients: Mix, cells: Cells, measure: str = "cosine") -> jax.Array:
    """The mean over all pairs of cells of a kind. gradients: of the copies {kind: [N, E, O]}."""
    total, pairs = jnp.zeros(()), 0
    for kind, numbers in cells.items():
        rows = gradients[kind][jnp.asarray(numbers)].reshape(len(numbers), -1)
        total += jnp.triu(MEASURES[measure](rows), 1).sum()
        pairs += len(numbers) * (len(numbers) - 1) // 2
    return total / pairs


def aligning(weight: Schedule, cells: Cells, count: int, measure: str) -> WeightGradient:
    """The derivative of L - weight x alignment. count: of all cells of the network."""

    def gradient(loss, weights, mix, clock):
        copies = {
            kind: jnp.broadcast_to(table, (count, *table.shape)) if kind in cells else table
            for kind, table in mix.items()
        }
        both = jax.value_and_grad(loss, (0, 1), has_aux=True)
        value, (to_weights, to_copies) = both(weights, copies)
        direction = jax.grad(alignment)(to_copies, cells, measure)

        def gradients(copies):  # both, as above, so that the network is traced once
            return both(weights, copies)[1]

        (mixed, _), scale = jax.jvp(gradients, (copies,), (direction,))[1], weight(clock)
        return value, jax.tree.map(lambda g, m: g - scale.astype(g.dtype) * m, to_weights, mixed)

    return gradient
