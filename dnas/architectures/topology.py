"""Cells as data: inputs, edges, candidate operations, which edges reduce, the output rule, what a genotype keeps."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

Paths = Literal["all", "one", "one_with_scalars"]
SEQUENCES = ("tokens", "frames")  # a network of sequences can be built for either


@dataclass(frozen=True)
class Norm:
    """How operations normalise: with an affine transform or not, and whether a pooling is followed by a norm."""

    affine: bool
    pools: bool


@dataclass(frozen=True)
class Cell:
    """A directed acyclic graph. Nodes are numbered with the inputs first; `edges` are (node, input) pairs.

    operations: the candidates of every edge [E][O], in the order of the columns of its mix.
    reduction: edges that leave a cell input have stride 2.
    concat: the nodes whose channels are concatenated as output; None: the last node is the output.
    kept: how many incoming edges of each node a genotype keeps; None: all of them, `none` included.
    """

    inputs: int
    nodes: int
    edges: tuple[tuple[int, int], ...]
    operations: tuple[tuple[str, ...], ...]
    reduction: bool = False
    concat: tuple[int, ...] | None = None
    kept: int | None = None

    @property
    def computed(self) -> range:
        """The nodes that are computed (the inputs are not)."""
        return range(self.inputs, self.inputs + self.nodes)

    @property
    def mix_shape(self) -> tuple[int, int]:
        """[E, O] of this cell's mixing weights; O is that of the edge with the most candidates."""
        return len(self.edges), max(map(len, self.operations))

    def stride(self, source: int) -> int:
        """Stride of the operations that leave node `source`."""
        return 2 if self.reduction and source < self.inputs else 1

    def incoming(self, node: int) -> list[int]:
        """Indices of the edges that enter a node, in order."""
        return [e for e, (target, _) in enumerate(self.edges) if target == node]

    def outgoing(self, source: int) -> list[int]:
        """Indices of the edges that leave a node, in order."""
        return [e for e, (_, origin) in enumerate(self.edges) if origin == source]


@dataclass(frozen=True)
class NetworkSize:
    """The size of a network around its cells. `cells` counts all cells (NAS-Bench-201: those of one stage).

    classes: outputs of the head. inputs: shape of one input without its batch axis, for networks of other things than
    images. vocabulary: how many tokens there are, where inputs are tokens.

    loop: Python loops instead of scan and vmap: the slow twin for tests and for counting operations.
    remat: the backward pass computes the inside of every cell again instead of keeping it: less memory, more time.
    unroll: cells are compiled each by itself rather than once per stage: faster steps, for a longer compilation.
    """

    cells: int
    channels: int
    classes: int
    image_channels: int = 3
    stem: str = "cifar"
    auxiliary: bool = False
    inputs: tuple[int, ...] = ()
    vocabulary: int = 0
    loop: bool = False
    remat: bool = False
    unroll: bool = False


@dataclass(frozen=True)
class Space:
    """A search space: its cells by kind, its operations by name, and what stands around the cells.

    operations: name -> (channels, stride, norm, *, rngs) -> nnx module, or None where nothing flows.
    backbone: (core, size, norm, *, rngs) -> nnx module: stem, stages of cells and head; `core(kind, channels, rngs)`
    builds what a cell does, mixed in the supernet, derived in the network. Called with x and `argument(kind, cells)`,
    which gives what the cores of these cells take beside their inputs, stacked over the cells.
    supernet: (space, size, *, rngs) -> nnx module of (inputs, mix, noise). network: (genotype, space, size, *, rngs) ->
    nnx module of (inputs, drop_path, noise). takes: what inputs are, as of a task, or "sequences", which are either of
    `SEQUENCES`. recurrent: its modules have a method `initial_carry(batch) -> state`, take `carry`, and return
    (outputs, carry). draws: its networks take `types.Noise` in training whatever their operations are (dropout).
    sizes: the fields of a config's size that make a difference to its networks, beside `channels`.
    has_auxiliary: whether networks can have an auxiliary head. stages: by how much `NetworkSize.cells` is multiplied.
    chain: its networks are chains of blocks (`nets/chain.py`) whose number and widths are the space's own: they are
    one "cell", and a config's cells and channels make no difference to them.
    chain_of: of a chain whose blocks follow from several decisions each, genotype -> the genotype of all its blocks, of
    the space "chain"; None: the decisions are the blocks. joint: what an option costs depends on other decisions.
    used: genotype -> the same without the decisions on what its network does not have, which may be missing; it raises
    a `UserError` for one that lacks others. None: all decisions count.
    own_size: its decisions say all sizes of its networks, and a config's cells and channels make no difference to them.
    order: the kinds of the cells of a network of so many `NetworkSize.cells`, one after the other; None: all kinds.
    reorder: (weights, stats, kind, opened) -> (weights, stats) of the same function of the largest network, before more
    options of a kind are used than the `opened` largest ones; None: nothing is to be done.

    How a supernet of it computes, which a method may ask for (`search.method.Method.supernet`):
    partial_channels: only the first 1/K of the channels pass through operations (PC-DARTS). random: names of operations
    that take `types.Noise` beside x. paths: "all", every operation of an edge is computed and mixed; "one", only that
    with the largest weight, times its weight; "one_with_scalars", plus the weights of the others, as GDAS does.
    entangled: operations that differ in kernel size only share the largest one's weights (TangleNAS).
    """

    name: str
    cells: Mapping[str, Cell]
    operations: Mapping[str, Callable[..., Any]]
    backbone: Callable[..., Any]
    search_norm: Norm
    network_norm: Norm
    supernet: Callable[..., Any] | None = None
    network: Callable[..., Any] | None = None
    takes: str = "images"
    recurrent: bool = False
    draws: bool = False
    sizes: tuple[str, ...] = ("cells", "remat", "unroll_cells")
    has_auxiliary: bool = False
    stages: int = 1
    chain: bool = False
    chain_of: Callable[[Any], Any] | None = None
    joint: bool = False
    used: Callable[[Any], Any] | None = None
    own_size: bool = False
    order: Callable[[int], Sequence[str]] | None = None
    reorder: Callable[[Any, Any, str, int], tuple[Any, Any]] | None = None
    partial_channels: int = 1
    random: frozenset[str] = frozenset()
    paths: Paths = "all"
    entangled: bool = False

    def pictured(self, genotype: Any) -> Any:
        """What a picture of a genotype shows: what is used of it, or the blocks that follow from it."""
        shown = self.chain_of or self.used
        return genotype if shown is None else shown(genotype)

    @property
    def readable(self) -> tuple[str, ...]:
        """What a task may have for its networks."""
        return SEQUENCES if self.takes == "sequences" else (self.takes,)

    def cell_count(self, cells: int) -> int:
        """All cells of a network: `NetworkSize.cells` counts those of one stage."""
        return 1 if self.chain or self.own_size else self.stages * cells

    def contained(self, cells: int) -> tuple[str, ...]:
        """The kinds of cells that a network of so many cells contains."""
        found = None if self.order is None else {*self.order(cells)}
        return tuple(kind for kind in self.cells if found is None or kind in found)

    def sequence(self, cells: int) -> tuple[str, ...]:
        """The kinds of all cells of a network, one after the other; empty where that is not known."""
        if self.order is not None:
            return tuple(self.order(cells))
        return tuple(self.cells) * self.cell_count(cells) if len(self.cells) == 1 else ()

    def within(self, cells: int) -> "Space":
        """What can be searched in a network of so many cells: the space without the kinds that it does not contain."""
        return replace(self, cells={kind: self.cells[kind] for kind in self.contained(cells)})

    @property
    def mix_shapes(self) -> dict[str, tuple[int, int]]:
        """[E, O] of every kind of cell."""
        return {kind: cell.mix_shape for kind, cell in self.cells.items()}


def with_operation(space: Space, name: str, build: Callable[..., Any]) -> Space:
    """The space with one more operation, last on every edge."""
    cells = {
        kind: replace(cell, operations=tuple((*names, name) for names in cell.operations))
        for kind, cell in space.cells.items()
    }
    return replace(space, cells=cells, operations={**space.operations, name: build})


def with_operations(space: Space, kept: Mapping[str, Sequence[Sequence[str]]]) -> Space:
    """The space with these operations left on every edge {kind: [E][O]}."""
    cells = {
        kind: replace(cell, operations=tuple(tuple(names) for names in kept[kind]))
        for kind, cell in space.cells.items()
    }
    return replace(space, cells=cells)


def all_edges(inputs: int, nodes: int) -> tuple[tuple[int, int], ...]:
    """Every earlier node feeds every computed node, in the reference order of both DARTS and NAS-Bench-201."""
    return tuple((node, source) for node in range(inputs, inputs + nodes) for source in range(node))
