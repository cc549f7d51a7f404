"""Whether anything of an image reaches the end of a genotype's network: by its graph alone, in every space of cells.
A genotype of decisions has no such graph: its chains list options, and something flows through every layer.
"""

from dnas.architectures.genotype_data import INPUTS, CellGenotype, Edge, Genotype, decisions
from dnas.architectures.topology import Space

OPAQUE = frozenset({"none", "noise"})  # what comes out of them tells nothing of what went in


def warning(genotype: Genotype, space: Space | None, cells: int) -> str:
    """A sentence on what is cut off in a network of so many `NetworkSize.cells`; empty if nothing is.

    space: None where it is not built here; then of the cells alone.
    """
    if decisions(genotype):
        return ""
    if space is not None and is_constant(genotype, space, cells):
        return (
            f"Nothing of an image reaches the end of a network of {cells} cell{'s' * (cells > 1)} of this genotype: "
            "its answer would not depend on the image."
        )
    if cut := [kind for kind, cell in genotype.cells if not passed(cell, _inputs(kind, space))]:
        return f"Nothing of its inputs reaches the output of the {' and of the '.join(cut)} cell."
    return ""


def is_constant(genotype: Genotype, space: Space, cells: int) -> bool:
    """Whether the answer of a network of so many cells is the same for every image.

    A cell of N inputs reads the N outputs before it; before the first cell there is the stem. An auxiliary head trains
    cells, but answers nothing.
    """
    if decisions(genotype):
        return False
    through = {kind: passed(cell, _inputs(kind, space)) for kind, cell in genotype.cells}
    order = space.sequence(cells)
    if not order or not {*order} <= {*through}:
        return not any(through.values())
    reached: list[bool] = []
    for place, kind in enumerate(order):
        sources = [place - _inputs(kind, space) + node for node in through[kind]]
        reached.append(any(source < 0 or reached[source] for source in sources))
    return not reached[-1]


def passed(cell: CellGenotype, inputs: int) -> frozenset[int]:
    """The inputs of a cell of which something reaches its output: through operations that are not opaque."""
    last = max([inputs, *(edge.node for edge in cell.edges)])
    found = {*(cell.concat if cell.concat is not None else (last,))}
    for edge in sorted(cell.edges, key=lambda edge: -edge.node):  # edges read earlier nodes
        if edge.node in found and edge.operation not in OPAQUE:
            found.add(edge.source)
    return frozenset(node for node in found if node < inputs)


def live(genotype: Genotype) -> Genotype:
    """The same with `none` in the place of operations of which nothing reaches the output of their cell: a compiler
    leaves them out."""
    if decisions(genotype):
        return genotype
    return Genotype(genotype.space, tuple((kind, _live(cell)) for kind, cell in genotype.cells))


def _live(cell: CellGenotype) -> CellGenotype:
    reached = {*(cell.concat if cell.concat is not None else (max(edge.node for edge in cell.edges),))}
    used: set[Edge] = set()
    for edge in sorted(cell.edges, key=lambda edge: -edge.node):
        if edge.node in reached and edge.operation != "none":
            reached.add(edge.source)
            used.add(edge)
    edges = (edge if edge in used else edge._replace(operation="none") for edge in cell.edges)
    return CellGenotype(tuple(edges), cell.concat)


def _inputs(kind: str, space: Space | None) -> int:
    return space.cells[kind].inputs if space is not None and kind in space.cells else INPUTS.get(kind, 1)
