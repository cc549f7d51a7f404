"""Recurrent cells between the states of two time steps, searched or derived; the equations are in `recurrent.py`.

Axis letters: B batch, T time, H width, E edges, O operations, A activations, N nodes.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dnas.architectures.genotype import CellGenotype
from dnas.architectures.topology import Paths, Space
from dnas.kernels.norm import normalise
from dnas.nets.layers import BatchNorm, unbiased, uniform

KIND = "recurrent"
BOUND = 0.04  # the initial weights are uniform in +-BOUND

Moments = tuple[jax.Array, ...]  # mean and unbiased variance [H]; none without a norm
Normalise = Callable[[jax.Array], tuple[jax.Array, Moments]]
Rows = tuple[tuple[jax.Array, jax.Array | None], ...]


def highway(state: jax.Array, gated: jax.Array, activation: Callable[[jax.Array], jax.Array]) -> jax.Array:
    """state [..., H], gated [..., 2H] -> [..., H]: the gate's first half opens the way to the activated second."""
    gate, candidate = jnp.split(gated, 2, -1)
    return state + jax.nn.sigmoid(gate) * (activation(candidate) - state)


def times(x: jax.Array, mask: jax.Array | None) -> jax.Array:
    """x times a mask, if there is one."""
    return x if mask is None else x * mask


class MixedRecurrentCell(nnx.Module):
    """A cell in which every edge carries all its activations: one product with weights for all edges of a node.

    norm: whether nodes are normalised.
    """

    def __init__(self, space: Space, width: int, norm: bool, *, rngs: nnx.Rngs):
        self.cell = cell = space.cells[KIND]
        self.paths: Paths = space.paths
        names = list(dict.fromkeys(name for names in cell.operations for name in names))
        built = {name: space.operations[name](width, 1, space.search_norm, rngs=rngs) for name in names}
        self.names = tuple(name for name, operation in built.items() if operation is not None)
        self.activations = nnx.List([built[name] for name in self.names])
        self.weights = uniform(rngs, (cell.nodes, width, 2 * width), BOUND)
        self.norm = BatchNorm(width, affine=False, rngs=rngs) if norm else None

    def rows(self, mix: jax.Array) -> Rows:
        """mix [E, O] -> for every node what multiplies the activations of its edges [edges, A], and what is added."""
        known, added = np.zeros(self.cell.mix_shape, bool), None
        places = np.zeros((*self.cell.mix_shape, len(self.names)))
        for e, names in enumerate(self.cell.operations):
            known[e, : len(names)] = True
            for o, name in enumerate(names):
                places[e, o] = [name == own for own in self.names]
        if self.paths != "all":
            chosen = jnp.arange(mix.shape[1]) == jnp.where(known, mix, -jnp.inf).argmax(-1)[:, None]
            added = jnp.where(chosen, 0, mix).sum(-1) if self.paths == "one_with_scalars" else None
            mix = jnp.where(chosen & (mix > 0), mix, 0)
        table = jnp.einsum("eo,eoa->ea", mix, places.astype(mix.dtype))  # indexing would be a scatter for each number
        incoming = [np.array(self.cell.incoming(node)) for node in self.cell.computed]
        return tuple((table[edges], None if added is None else added[edges].sum()) for edges in incoming)

    def __call__(self, first: jax.Array, mask: jax.Array | None, extra: Any) -> tuple[jax.Array, Moments]:
        """s_0 [B, H], mask [B, H] of states, extra: what `rows` gave -> (h' [B, H], moments of s_0 and the s_j)."""
        cell, standard = self.cell, self._normaliser(len(first))
        state, moments = standard(first)
        states, seen = [state], [moments]
        for node, weights, (rows, added) in zip(cell.computed, self.weights[...], extra, strict=True):
            sources = jnp.stack([states[cell.edges[e][1]] for e in cell.incoming(node)])
            value = self._mixed(sources, times(sources, mask) @ weights, rows.astype(first.dtype)[..., None, None])
            if added is not None:
                value = value + added.astype(value.dtype)
            state, moments = standard(value)
            states.append(state)
            seen.append(moments)
        output = jnp.stack([states[node] for node in cell.concat or cell.computed]).mean(0)
        return output, jax.tree.map(lambda *leaves: jnp.stack(leaves), *seen)

    def _mixed(self, sources: jax.Array, gated: jax.Array, rows: jax.Array) -> jax.Array:
        """Sum over edges and activations [B, H]: sources [edges, B, H], gated [edges, B, 2H], rows [edges, A, 1, 1].

        `highway` is linear in what is activated, so its other parts are shared. The backward pass computes all this
        again: that takes less time than to keep it for every activation of every time step, and half the memory.
        """

        @jax.checkpoint
        def mixed(sources, gated, rows):
            gate, candidate = jnp.split(gated, 2, -1)
            carried = rows.sum(1) * sources
            parts = (rows[:, i] * activation(candidate) for i, activation in enumerate(self.activations))
            activated = sum(parts, jnp.zeros_like(carried))
            return (carried + jax.nn.sigmoid(gate) * (activated - carried)).sum(0)

        return mixed(sources, gated, rows)

    def _normaliser(self, batch: int) -> Normalise:
        """x [B, H] -> (x normalised, the moments that it has); without a norm x itself."""
        norm = self.norm
        if norm is None:
            return lambda x: (x, ())
        if norm.use_running_average:
            return lambda x: (norm(x[:, None, None])[:, 0, 0], ())

        def by_batch(x: jax.Array) -> tuple[jax.Array, Moments]:
            y, mean, variance = normalise(x[:, None, None])
            return y[:, 0, 0], (mean, unbiased(variance, batch))

        return by_batch

    def keep(self, moments: Moments) -> None:
        """Write the moments of a training forward pass, [T, 1 + N, H] each, into the norm: one row for each call of it,
        in order, for `layers.absorb`."""
        if self.norm is not None and moments:
            mean, variance = (leaf.reshape(-1, leaf.shape[-1]) for leaf in moments)
            self.norm.mean.set_value(mean)
            self.norm.var.set_value(variance)


class DerivedRecurrentCell(nnx.Module):
    """The cell of a genotype, without norm: one product with weights for all edges that leave a node."""

    def __init__(self, genotype: CellGenotype, space: Space, width: int, *, rngs: nnx.Rngs):
        self.edges = tuple((edge.node, edge.source) for edge in genotype.edges)
        self.activations = nnx.List(
            [space.operations[edge.operation](width, 1, space.network_norm, rngs=rngs) for edge in genotype.edges]
        )
        self.concat = genotype.concat or (max(node for node, _ in self.edges),)
        self.nodes = max([*(node for node, _ in self.edges), *self.concat])
        self.weights = uniform(rngs, (self.nodes, width, 2 * width), BOUND)

    def __call__(self, first: jax.Array, mask: jax.Array | None, extra: Any) -> tuple[jax.Array, Moments]:
        """s_0 [B, H], mask [B, H] of the states -> (h' [B, H], no moments). extra: nothing."""
        sums: dict[int, jax.Array] = {0: first}
        for source in range(self.nodes + 1):
            state = sums.setdefault(source, jnp.zeros_like(first))  # a node that nothing reaches
            edges = [e for e, (_, origin) in enumerate(self.edges) if origin == source]
            edges = [e for e in edges if self.activations[e] is not None]
            if not edges:
                continue
            weights = self.weights[...][np.array([self.edges[e][0] - 1 for e in edges])]
            gated = times(state, mask) @ weights  # [edges, B, 2H]
            for e, one in zip(edges, gated, strict=True):
                node, value = self.edges[e][0], highway(state, one, self.activations[e])
                sums[node] = sums[node] + value if node in sums else value
        return jnp.stack([sums[node] for node in self.concat]).mean(0), ()

    def keep(self, moments: Moments) -> None:
        """There is no norm."""
