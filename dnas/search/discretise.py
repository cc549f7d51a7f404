"""Discretisation: from a mix to a genotype. (space, mix, evaluate) -> genotype."""

from collections.abc import Callable

import numpy as np

from dnas.architectures.genotype import CellGenotype, Edge, Genotype
from dnas.architectures.topology import Cell, Space
from dnas.errors import UserError
from dnas.types import Discretiser, Mix


def strongest(space: Space, mix: Mix, evaluate: Callable[[Mix], float] | None = None) -> Genotype:
    """The strongest operation of the strongest edges (DARTS, section 2.4).

    Where a cell keeps k edges per node: the k edges whose best operation other than `none` weighs most, in descending
    order, ties to the lower edge and the lower operation. Where it keeps all: the best operation of every edge.
    """
    return _genotype(space, mix, lambda cell, rows: CellGenotype(tuple(ranked(cell, rows)), cell.concat))


def threshold_sparse(threshold: float) -> Discretiser:
    """The edges of `strongest` whose operation weighs at least the threshold (FairDARTS, section 4.2).

    A node may be left without input, see `connected`. Where a cell keeps all edges, those below it are `none`, if that
    is a candidate of theirs: else their strongest operation stays.
    """

    def cell_of(cell: Cell, rows: np.ndarray) -> CellGenotype:
        if cell.kept is not None:
            return connected(cell, above_sparse(cell, rows, threshold))
        edges = []
        for edge, weight in ranked(cell, rows).items():
            can_be_none = "none" in cell.operations[cell.edges.index((edge.node, edge.source))]
            edges.append(edge._replace(operation="none") if weight < threshold and can_be_none else edge)
        return CellGenotype(tuple(edges), cell.concat)

    return lambda space, mix, evaluate=None: _genotype(space, mix, cell_of)


def threshold_edge(threshold: float) -> Discretiser:
    """On every edge its two strongest operations, as far as they weigh at least the threshold (FairDARTS' code)."""

    def discretise(space, mix, evaluate=None):
        several_on_an_edge(space)
        return _genotype(space, mix, lambda cell, rows: connected(cell, above_edge(cell, rows, threshold)))

    return discretise


def several_on_an_edge(space: Space) -> None:
    """Refuse a space whose cells have one operation on each edge. Errors: `UserError`."""
    if any(cell.kept is None for cell in space.cells.values()):
        raise UserError(
            f"The rule 'threshold_edge' puts several operations on an edge, and the cells of '{space.name}' have "
            "one on each: use 'threshold_sparse'."
        )


def limited_skips(limit: int) -> Discretiser:
    """`strongest` with at most `limit` skip connections in a cell that does not reduce (P-DARTS, section 3.3).

    While there are more, the weakest of those that were chosen is struck from the mix and the cell is chosen again.
    """

    def discretise(space: Space, mix: Mix, evaluate: Callable[[Mix], float] | None = None) -> Genotype:
        mix = {kind: np.array(m) for kind, m in mix.items()}
        while True:
            genotype = strongest(space, mix)
            weakest = [_weakest_skip(space, genotype, kind, mix[kind], limit) for kind in space.cells]
            if not any(weakest):
                return genotype
            for kind, place in zip(space.cells, weakest, strict=True):
                if place:
                    mix[kind][place] = 0

    return discretise


def _weakest_skip(space: Space, genotype: Genotype, kind: str, mix: np.ndarray, limit: int) -> tuple[int, int] | None:
    """Where in the mix [E, O] the weakest chosen skip stands, if there are too many and one can be struck."""
    cell = space.cells[kind]
    chosen = [(edge.node, edge.source) for edge in genotype.cell(kind).edges if edge.operation == "skip_connect"]
    if cell.reduction or len(chosen) <= limit:
        return None
    places = [(e, cell.operations[e].index("skip_connect")) for e, edge in enumerate(cell.edges) if edge in chosen]
    left = [place for place in places if mix[place] > 0]
    return min(left, key=mix.__getitem__, default=None)


def every_edge(space: Space, mix: Mix, evaluate: Callable[[Mix], float] | None = None) -> Genotype:
    """The strongest operation of every edge, in the order of the edges (SNAS, section 2.3).

    In cells that keep a number of edges per node, all are kept but those whose strongest operation is `none`.
    """
    cells = []
    for kind, cell in space.cells.items():
        best = [names[int(np.argmax(mix[kind][e][: len(names)]))] for e, names in enumerate(cell.operations)]
        kept = [name != "none" or cell.kept is None for name in best]
        edges = [Edge(*edge, name) for edge, name, keep in zip(cell.edges, best, kept, strict=True) if keep]
        cells.append((kind, CellGenotype(tuple(edges), cell.concat)))
    return Genotype(space.name, tuple(cells))


def ranked(cell: Cell, rows: np.ndarray) -> dict[Edge, float]:
    """The edges that `strongest` keeps of a cell, in its order, and what they weigh; rows [E, O]."""
    chosen: dict[Edge, float] = {}
    for node in cell.computed:
        best = []
        for e in cell.incoming(node):
            names = cell.operations[e]
            allowed = [o for o, name in enumerate(names) if cell.kept is None or name != "none"]
            o = max(allowed, key=rows[e].__getitem__)  # max keeps the first of equals, sorted is stable
            best.append((Edge(node, cell.edges[e][1], names[o]), rows[e, o]))
        if cell.kept is not None:
            best = sorted(best, key=lambda pair: -pair[1])[: cell.kept]
        chosen.update(best)
    return chosen


def above_sparse(cell: Cell, rows: np.ndarray, threshold: float) -> tuple[Edge, ...]:
    """The edges that `strongest` keeps, as far as they weigh enough."""
    return tuple(edge for edge, weight in ranked(cell, rows).items() if weight >= threshold)


def above_edge(cell: Cell, rows: np.ndarray, threshold: float) -> tuple[Edge, ...]:
    """Of every edge the two strongest operations that weigh enough, the weaker first."""
    found = []
    for (node, source), names, row in zip(cell.edges, cell.operations, rows, strict=True):
        flowing = [o for o, name in enumerate(names) if name != "none"]
        best = sorted(flowing, key=row.__getitem__)[-2:]
        found += [Edge(node, source, names[o]) for o in best if row[o] >= threshold]
    return tuple(found)


def connected(cell: Cell, edges: tuple[Edge, ...]) -> CellGenotype:
    """A cell of some edges: the output concatenates the nodes that something reaches, and edges that leave others are
    left out, as in FairDARTS' network. A cell without any edge outputs zeros."""
    reached = set(range(cell.inputs))
    for node in cell.computed:
        if any(edge.node == node and edge.source in reached for edge in edges):
            reached.add(node)
    edges = tuple(edge for edge in edges if edge.source in reached)
    concat = None if cell.concat is None else tuple(n for n in cell.concat if n in reached) or cell.concat
    return CellGenotype(edges, concat)


def _genotype(space: Space, mix: Mix, cell_of: Callable[[Cell, np.ndarray], CellGenotype]) -> Genotype:
    return Genotype(space.name, tuple((kind, cell_of(c, np.asarray(mix[kind]))) for kind, c in space.cells.items()))
