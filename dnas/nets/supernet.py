"""The supernet: every candidate operation on every edge, mixed by continuous weights that are an argument.

    node_j = sum over edges (i, j), operations o of mix[(i, j), o] * o(node_i)        (DARTS, equation 2)

All edges that leave one node with the same operation run as one vmapped operation; an operation without weights
(pooling, identity) gives the same on all of them and runs once.
"""

from collections.abc import Iterator, Mapping, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dnas.architectures.topology import NetworkSize, Space
from dnas.errors import UserError
from dnas.kernels.mixing import fan_out, weighted_sums
from dnas.kernels.pooling import max_pool_2x2
from dnas.nets.entangled import Entangled, together
from dnas.nets.functional import over_copies, own_noise, run, stack
from dnas.nets.layers import checked_images, checked_numbers, shape_and_type
from dnas.nets.nodes import Nodes, zero_node
from dnas.nets.ops import ALWAYS_RANDOM
from dnas.types import Mix, Noise

Values = Iterator[tuple[Sequence[int], Sequence[jax.Array]]]  # edges, and what each carries


class Candidate(nnx.Module):
    """One operation for all edges that leave one node: `edges` index the rows of the mix, `columns` its operations.

    random: whether it takes `Noise`; then every edge has an operation of its own, for its own noise.
    """

    def __init__(self, build, edges: list[int], columns: list[int], loop: bool, random: bool, *, rngs: nnx.Rngs):
        self.edges, self.columns, self.loop, self.random = tuple(edges), tuple(columns), loop, random
        one = build(rngs)
        self.shared = not random and not jax.tree.leaves(nnx.state(one, nnx.Param))
        self.operation = one if self.shared else stack(build, len(edges), rngs)

    def __call__(self, x: jax.Array, noise: Noise | None) -> jax.Array:
        """x [B, H, W, C] -> values [edges, B, H', W', C], or [B, H', W', C] if they are the same on all edges."""
        count = len(self.edges)
        own: tuple = ()
        if self.shared:
            return self.operation(x)
        if self.random and noise is not None:
            own = (own_noise(noise, self.edges),)
        return over_copies(self.operation, count, x, own, loop=self.loop)

    def weighed(self, x: jax.Array, mix: jax.Array, noise: Noise | None) -> tuple[jax.Array, jax.Array]:
        """The weights [edges] and the values of a call."""
        return self.weights(mix), self(x, noise)

    def weights(self, mix: jax.Array) -> jax.Array:
        """mix [E, O] -> what multiplies this operation on each of its edges [edges], picked by products with constants.

        Their derivative is a product too; that of indexing is a scatter for every scalar.
        """
        columns = np.zeros((len(self.edges), mix.shape[1]))
        columns[range(len(self.edges)), self.columns] = 1
        return (rows_of(mix, self.edges) * columns.astype(mix.dtype)).sum(-1)


def rows_of(mix: jax.Array, edges: Sequence[int]) -> jax.Array:
    """Some rows of a mix [E, O], as a product with a constant."""
    rows = np.zeros((len(edges), mix.shape[0]))
    rows[range(len(edges)), edges] = 1
    return jnp.asarray(rows.astype(mix.dtype)) @ mix


def pick(state, index: int | None):
    """The state of one of the stacked copies, or of what is not stacked."""
    return state if index is None else jax.tree.map(lambda leaf: leaf[index], state)


def statistics(module: nnx.Module):
    """The batch statistics that a module holds."""
    return nnx.as_pure(nnx.state(module, nnx.BatchStat))


def parameters(module: nnx.Module):
    """The weights that a module holds."""
    return nnx.as_pure(nnx.state(module, nnx.Param))


def put(module: nnx.Module, index: int | None, stats) -> None:
    """Write the statistics of one of the stacked copies."""
    if index is not None:
        stats = jax.tree.map(lambda whole, one: whole.at[index].set(one), statistics(module), stats)
    nnx.update(module, stats)


class MixedCell(nnx.Module):
    """A cell in which every edge carries all its candidates.

    With partial channels K > 1 (PC-DARTS, section 3.1) the first 1/K of a node's channels pass through the operations;
    the others go along the edge as they are, max-pooled at stride 2, weighted by the total of the edge's mix.
    """

    def __init__(self, space: Space, kind: str, channels: int, loop: bool, *, rngs: nnx.Rngs):
        if space.entangled and space.paths != "all":
            raise UserError(
                "Entangled weights take a supernet that computes all operations: choose a method that does."
            )
        self.cell = cell = space.cells[kind]
        self.width = len(cell.concat) if cell.concat is not None else 1
        self.partial, self.paths = space.partial_channels, space.paths
        if channels % self.partial:
            raise UserError(
                f"Partial channels take 1/{self.partial} of a cell's channels, and {channels} is no multiple of "
                f"{self.partial}: choose search.channels accordingly."
            )
        self.candidates: nnx.List = nnx.List([])
        for source in range(cell.inputs + cell.nodes):

            def build(name, rngs, source=source):
                width, stride = channels // self.partial, cell.stride(source)
                return space.operations[name](width, stride, space.search_norm, rngs=rngs)

            groups = together(cell, source, build if space.entangled else None)
            for names, users in groups.items():
                builds = [partial(build, name) for name in names]
                columns = [[cell.operations[e].index(name) for e in users] for name in names]
                if len(names) > 1:
                    self.candidates.append(Entangled(builds, users, columns, cell.mix_shape, loop, rngs=rngs))
                elif builds[0](rngs) is not None:
                    random = names[0] in space.random
                    self.candidates.append(Candidate(builds[0], users, columns[0], loop, random, rngs=rngs))

    def __call__(self, inputs: list[jax.Array], extra: tuple[jax.Array, Noise | None]) -> jax.Array:
        cell, (mix, noise) = self.cell, extra
        nodes = Nodes(inputs, cell.nodes, zero_node(inputs, cell.stride(0)), self.partial)
        for source in range(cell.inputs + cell.nodes):
            here, bypass = nodes.parts(source)
            if bypass is not None and (edges := cell.outgoing(source)):
                weights, value = rows_of(mix, edges).sum(-1), self._carried(bypass, cell.stride(source))
                nodes.add(
                    [cell.edges[e][0] for e in edges], weighted_sums(weights[:, None], (value,), True), bypass=True
                )
            candidates = [c for c in self.candidates if cell.edges[c.edges[0]][1] == source]
            along = self._all_paths if self.paths == "all" else self._one_path
            for users, values in along(candidates, source, here, mix, noise):
                nodes.add([cell.edges[e][0] for e in users], values)
        return nodes.output(cell.concat)

    def _all_paths(self, candidates, source: int, x: jax.Array, mix: jax.Array, noise) -> Values:
        """Every operation, mixed."""
        groups: dict[tuple, list[tuple[jax.Array, jax.Array]]] = {}
        for candidate, here in zip(candidates, fan_out(x, len(candidates)), strict=True):
            group = groups.setdefault((candidate.edges, candidate.shared), [])
            group.append(candidate.weighed(here, mix, noise))
        for (edges, shared), group in groups.items():
            weights, values = zip(*group, strict=True)
            yield edges, weighted_sums(jnp.stack(weights, 1), values, shared)

    def _one_path(self, candidates, source: int, x: jax.Array, mix: jax.Array, noise) -> Values:
        """Of every edge the operation with the largest weight, and no other is computed; none where no weight is
        positive. The statistics of what is not computed stay as they are."""
        cell, stride = self.cell, self.cell.stride(source)
        nothing = jnp.zeros_like(x[:, ::stride, ::stride])
        for e in cell.outgoing(source):
            users = [c for c in candidates if e in c.edges]
            at = [None if c.shared else c.edges.index(e) for c in users]
            graphs = [nnx.graphdef(c.operation) for c in users]
            stats = [pick(statistics(c.operation), k) for c, k in zip(users, at, strict=True)]
            weights = [pick(parameters(c.operation), k) for c, k in zip(users, at, strict=True)]
            own = None if noise is None else noise._replace(key=jax.random.fold_in(noise.key, e))

            def run(i, weights, stats, x, users=users, graphs=graphs, own=own):
                operation = nnx.merge(graphs[i], stats[i], weights[i])
                y = operation(x, own) if own is not None and users[i].random else operation(x)
                return y, [*stats[:i], statistics(operation), *stats[i + 1 :]]

            def skip(weights, stats, x):
                return nothing, stats

            row, count = mix[e], len(cell.operations[e])
            user_of = {c.columns[c.edges.index(e)]: i for i, c in enumerate(users)}
            branches = [partial(run, user_of[o]) if o in user_of else skip for o in range(count)]
            chosen = row[:count].argmax()
            branch = jnp.where(row[chosen] > 0, chosen, count)
            y, stats = jax.lax.switch(branch, [*branches, skip], weights, stats, x)
            is_chosen = jnp.arange(len(row)) == chosen
            y = y * jnp.where(is_chosen, row, 0).sum().astype(y.dtype)
            if self.paths == "one_with_scalars":
                y += jnp.where(is_chosen, 0, row).sum().astype(y.dtype)
            for user, k, seen in zip(users, at, stats, strict=True):
                put(user.operation, k, seen)
            yield (e,), [y]

    @staticmethod
    def _carried(bypass: jax.Array, stride: int) -> jax.Array:
        return bypass if stride == 1 else max_pool_2x2(bypass)


class Supernet(nnx.Module):
    """`supernet(x, mix, noise)`: normalised images x [B, H, W, C], mix {kind: [E, O]} -> logits [B, classes].

    A kind's mix may also be [N, E, O], a table for every cell of the network, of which cells of the kind take theirs.
    noise: for operations that are random, in training; without it they do what they do in evaluation: nothing is
    dropped, and `noise` is the same at every call, but differs between edges, cells and the images of a batch.
    Training and evaluation are as in `network.Network`.
    Errors: `UserError` for images and mixes of other shapes or types than it was built for.
    """

    def __init__(self, space: Space, size: NetworkSize, *, rngs: nnx.Rngs):
        def core(kind: str, channels: int, rngs: nnx.Rngs):
            return MixedCell(space, kind, channels, size.loop, rngs=rngs)

        self.image_channels, self.use_running_average = size.image_channels, False
        self.cells = space.cell_count(size.cells)
        self.mix_shapes = tuple((kind, space.mix_shapes[kind]) for kind in space.contained(size.cells))
        self.backbone = space.backbone(core, size, space.search_norm, rngs=rngs)
        self.random, self.always_random = bool(space.random), bool(space.random & ALWAYS_RANDOM)

    def set_view(self, use_running_average: bool | None = None) -> None:
        """Called by `nnx.view`: True in evaluation."""
        if use_running_average is not None:
            self.use_running_average = use_running_average

    def __call__(self, x: jax.Array, mix, noise: Noise | None = None) -> jax.Array:
        x = checked_images(x, self.image_channels, self.backbone.classifier.kernel[...].dtype)
        check_mix(mix, dict(self.mix_shapes), self.cells)
        if noise is None and self.always_random:
            noise = Noise(jax.random.key(0))

        def argument(kind: str, cells: range):
            rows = jnp.asarray(mix[kind])
            own = rows.ndim == 3
            rows = rows[cells.start : cells.stop] if own else jnp.broadcast_to(rows, (len(cells), *rows.shape))
            return rows, own_noise(noise, cells) if self.random and noise is not None else None

        return run(self.backbone, x, argument, evaluates=self.use_running_average).logits


def check_mix(mix: Mix, shapes: dict[str, tuple[int, int]], cells: int = 0) -> None:
    """Errors: `UserError` for a mix without weights of these shapes {kind: [E, O]}, or, with cells, [cells, E, O]."""
    if not isinstance(mix, Mapping) or not set(shapes) <= set(mix):
        given = f"of {', '.join(map(str, mix)) or 'nothing'}" if isinstance(mix, Mapping) else f"a {type(mix).__name__}"
        raise UserError(f"The mix is {given}, expected a dictionary with the weights of {', '.join(shapes)}.")
    for kind, shape in shapes.items():
        what, expected = f"The mix of the {kind} cells", f"{list(shape)}: {shape[0]} edges with {shape[1]} operations"
        if cells and len(shape_and_type(what, mix[kind])[0]) == 3:
            checked_numbers(what, mix[kind], (cells, *shape), f"{[cells, *shape]}: {cells} cells, each {expected}")
        else:
            checked_numbers(what, mix[kind], shape, expected)
