"""Discretisation: from a mix to a genotype. (space, mix, evaluate) -> genotype."""

from collections.abc import Callable

import numpy as np

from dnas.spaces.genotype import CellGenotype, Edge, Genotype
from dnas.spaces.topology import Cell, Space
from dnas.types import Discretiser, Mix


def strongest(space: Space, mix: Mix, evaluate: Callable[[Mix], float] | None = None) -> Genotype:
    """The strongest operation of the strongest edges (DARTS, section 2.4).

    Where a cell keeps k edges per node: the k edges whose best operation other than `none` weighs most, in descending
    order, ties to the lower edge and the lower operation. Where it keeps all: the best operation of every edge.
    """
    return Genotype(space.name, tuple((kind, _cell(cell, np.asarray(mix[kind]))) for kind, cell in space.cells.items()))


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


def _cell(cell: Cell, mix: np.ndarray) -> CellGenotype:
    chosen: list[Edge] = []
    for node in cell.computed:
        best = []
        for e in cell.incoming(node):
            names = cell.operations[e]
            allowed = [o for o, name in enumerate(names) if cell.kept is None or name != "none"]
            o = max(allowed, key=mix[e].__getitem__)  # max keeps the first of equals, sorted is stable
            best.append((mix[e, o], Edge(node, cell.edges[e][1], names[o])))
        if cell.kept is not None:
            best = sorted(best, key=lambda pair: -pair[0])[: cell.kept]
        chosen += [edge for _, edge in best]
    return CellGenotype(tuple(chosen), cell.concat)
