"""The supernet: every candidate operation on every edge, mixed by continuous weights that are an argument.

    node_j = sum over edges (i, j), operations o of mix[(i, j), o] * o(node_i)        (DARTS, equation 2)

All edges that leave one node with the same operation run as one vmapped operation; an operation without weights
(pooling, identity) gives the same on all of them and runs once.
"""

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dnas.nets.functional import over_copies, stack
from dnas.nets.mixing import fan_out, weighted_sums
from dnas.spaces.topology import Body, Cell, Space


class Candidate(nnx.Module):
    """One operation for all edges that leave one node: `edges` index the rows of the mix, `columns` its operations."""

    def __init__(self, build, edges: list[int], columns: list[int], loop: bool, *, rngs: nnx.Rngs):
        self.edges, self.columns, self.loop = tuple(edges), tuple(columns), loop
        one = build(rngs)
        self.shared = not jax.tree.leaves(nnx.state(one, nnx.Param))
        self.operation = one if self.shared else stack(build, len(edges), rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        """x [B, H, W, C] -> values [edges, B, H', W', C], or [B, H', W', C] if they are the same on all edges."""
        return self.operation(x) if self.shared else over_copies(self.operation, x, loop=self.loop)

    def weights(self, mix: jax.Array) -> jax.Array:
        """mix [E, O] -> what multiplies this operation on each of its edges [edges], picked by products with constants.

        Their derivative is a product too; that of indexing is a scatter for every scalar.
        """
        rows, columns = np.zeros((len(self.edges), mix.shape[0])), np.zeros((len(self.edges), mix.shape[1]))
        rows[range(len(self.edges)), self.edges] = 1
        columns[range(len(self.edges)), self.columns] = 1
        return ((rows.astype(mix.dtype) @ mix) * columns.astype(mix.dtype)).sum(-1)


class MixedCell(nnx.Module):
    """A cell in which every edge carries all its candidates."""

    def __init__(self, space: Space, kind: str, channels: int, loop: bool, *, rngs: nnx.Rngs):
        self.cell = cell = space.cells[kind]
        self.width = len(cell.concat) if cell.concat is not None else 1
        self.candidates: nnx.List = nnx.List([])
        for source in range(cell.inputs + cell.nodes):
            edges = cell.outgoing(source)
            for name in dict.fromkeys(name for e in edges for name in cell.operations[e]):
                users = [e for e in edges if name in cell.operations[e]]
                columns = [cell.operations[e].index(name) for e in users]

                def build(rngs, name=name, source=source):
                    return space.operations[name](channels, cell.stride(source), space.search_norm, rngs=rngs)

                if build(rngs) is not None:
                    self.candidates.append(Candidate(build, users, columns, loop, rngs=rngs))

    def __call__(self, inputs: list[jax.Array], mix: jax.Array) -> jax.Array:
        cell: Cell = self.cell
        nodes: list = [*inputs] + [None] * cell.nodes
        zero = zero_node(inputs, cell.stride(0))
        for source in range(cell.inputs + cell.nodes):
            here = zero if nodes[source] is None else nodes[source]
            groups: dict[tuple, list[tuple[jax.Array, jax.Array]]] = {}
            readers = [c for c in self.candidates if cell.edges[c.edges[0]][1] == source]
            for candidate, x in zip(readers, fan_out(here, len(readers)), strict=True):
                group = groups.setdefault((candidate.edges, candidate.shared), [])
                group.append((candidate.weights(mix), candidate(x)))
            for (edges, shared), group in groups.items():
                weights, values = zip(*group, strict=True)
                for e, value in zip(edges, weighted_sums(jnp.stack(weights, 1), values, shared), strict=True):
                    node = cell.edges[e][0]
                    nodes[node] = value if nodes[node] is None else nodes[node] + value
        return cell_output(cell.concat, nodes, zero)


def zero_node(inputs: list[jax.Array], stride: int) -> jax.Array:
    """The value of a node that nothing reaches; operations on it are computed, for a norm makes something of it."""
    return jnp.zeros_like(inputs[-1][:, ::stride, ::stride])


def cell_output(concat: tuple[int, ...] | None, nodes: list, zero: jax.Array) -> jax.Array:
    """Concatenated nodes, or the last one."""
    reached = [nodes[n] for n in (concat if concat is not None else (len(nodes) - 1,))]
    return jnp.concatenate([zero if n is None else n for n in reached], -1)


class Supernet(nnx.Module):
    """`supernet(x, mix)`: x [B, H, W, C], mix {kind: [E, O]} -> logits [B, classes]."""

    def __init__(self, space: Space, body: Body, *, rngs: nnx.Rngs):
        def core(kind: str, channels: int, rngs: nnx.Rngs):
            return MixedCell(space, kind, channels, body.loop, rngs=rngs)

        self.backbone = space.backbone(core, body, space.search_norm, rngs=rngs)

    def __call__(self, x: jax.Array, mix) -> jax.Array:
        def argument(kind: str, cells: range):
            return jnp.broadcast_to(mix[kind], (len(cells), *mix[kind].shape))

        return self.backbone(x, argument).logits
