"""The discrete result of a search as data: which operation sits on which edge of each cell; and as JSON."""

import re
import reprlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from dnas.errors import UserError

MOST = 1000  # nodes and edges of a cell; more than any paper's, and few enough to be shown
INPUTS = {"normal": 2, "reduce": 2}  # of these kinds of cells in every space; other cells have at least one
SHORT = reprlib.Repr()
SHORT.maxstring = SHORT.maxother = 400
SHORT.maxlist = SHORT.maxtuple = SHORT.maxdict = 20
SHORT.maxlevel = 8


class Edge(NamedTuple):
    """One operation of a discrete cell: it reads node `source` and adds to node `node`."""

    node: int
    source: int
    operation: str


@dataclass(frozen=True)
class CellGenotype:
    """Edges in the reference order of the paper's code; `concat` as in `topology.Cell`."""

    edges: tuple[Edge, ...]
    concat: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Genotype:
    """Cells by kind, e.g. (("normal", ...), ("reduce", ...)). Hashable; equal if written the same."""

    space: str
    cells: tuple[tuple[str, CellGenotype], ...]

    def cell(self, kind: str) -> CellGenotype:
        """The cell of one kind."""
        return dict(self.cells)[kind]


def of_decisions(space: str, layers: Sequence[Mapping[str, str]]) -> Genotype:
    """The genotype of layers {decision: option}: a kind of cell for every decision, a chain with an edge a layer. A
    decision that fewer layers have stands in the first ones."""
    cells = []
    for name in layers[0]:
        options = [layer[name] for layer in layers if name in layer]
        cells.append((name, CellGenotype(tuple(Edge(i + 1, i, option) for i, option in enumerate(options)))))
    return Genotype(space, tuple(cells))


def decisions(genotype: Genotype) -> tuple[dict[str, str], ...] | None:
    """The inverse, {decision: option} of every layer, as many as the longest chain has; None for a genotype of cells:
    one called "cell", of which the smallest is a chain as well, or what are no chains."""
    chains = [[(edge.node, edge.source) for edge in cell.edges] for _, cell in genotype.cells]
    if (
        [*dict(genotype.cells)] == ["cell"]
        or any(not chain or chain != [(i + 1, i) for i in range(len(chain))] for chain in chains)
        or any(c.concat for _, c in genotype.cells)
    ):
        return None
    return tuple(
        {kind: cell.edges[i].operation for kind, cell in genotype.cells if i < len(cell.edges)}
        for i in range(max(map(len, chains)))
    )


def to_json(genotype: Genotype) -> dict[str, Any]:
    """`{"space": name, "cells": {kind: {"edges": [[node, source, operation], ...], "concat": [...]}}}`."""
    cells = {
        kind: {"edges": [list(edge) for edge in cell.edges], "concat": cell.concat and list(cell.concat)}
        for kind, cell in genotype.cells
    }
    return {"space": genotype.space, "cells": cells}


def from_json(record: Any) -> Genotype:
    """The genotype that `to_json` wrote. Errors: `UserError` that names the part that does not fit."""
    match record:
        case {"space": space, "cells": {**cells}} if cells:
            kinds = [read_name(kind, "the kind of a cell") for kind in cells]
            found = tuple((kind, _cell(kind, cells[kind])) for kind in kinds)
            genotype = Genotype(read_name(space, "'space'"), found)
        case _:
            expected = "{'space': name, 'cells': {kind: {'edges': [...], 'concat': [...]}}}"
            raise unreadable("the genotype", record, expected)
    check_graph(genotype)
    return genotype


def check_graph(genotype: Genotype) -> None:
    """Every edge reads an earlier node, so a cell can be computed in the order of its nodes; sizes are sane."""
    for kind, cell in genotype.cells:
        if len(cell.edges) > MOST:
            raise UserError(f"The {kind} cell has {len(cell.edges):,} edges, expected at most {MOST:,}.")
        for node, source, _ in cell.edges:
            if not 0 <= source < node:
                raise UserError(
                    f"Node {shown(node)} of the {kind} cell reads node {shown(source)}, expected an earlier node."
                )
            if node < INPUTS.get(kind, 1):
                raise UserError(f"The {kind} cell has an edge into node {node}, which is a cell input.")
        for node in [*(edge.node for edge in cell.edges), *(cell.concat or ())]:
            if not 0 <= node < MOST:
                raise UserError(f"The {kind} cell has a node {shown(node)}, expected a number from 0 to {MOST - 1}.")
        if cell.concat is not None and len({*cell.concat}) < len(cell.concat):
            raise UserError(f"The {kind} cell concatenates a node twice: {shown(list(cell.concat))}.")


def shown(found: Any) -> str:
    """What was found, as one short line, whatever it is."""
    try:
        text = SHORT.repr(found)
    except (ValueError, RecursionError):  # a number of too many digits
        text = f"<{type(found).__name__}>"
    return text if len(text) <= 80 else f"{text[:60]}...{text[-15:]}"


def unreadable(where: str, found: Any, expected: str) -> UserError:
    """The error for a part of a genotype."""
    return UserError(f"Cannot read {where}: found {shown(found)}, expected {expected}.")


def _cell(kind: str, cell: Any) -> CellGenotype:
    match cell:
        case {"edges": [*edges], "concat": concat}:
            found = tuple(_edge(edge, f"an edge of the {kind} cell") for edge in edges)
            if concat is not None:
                concat = concat_nodes(concat, f"'concat' of the {kind} cell", "a list of nodes, or null")
            return CellGenotype(found, concat)
    raise unreadable(f"the {kind} cell", cell, "{'edges': [...], 'concat': [...] or null}")


def _edge(found: Any, where: str) -> Edge:
    match found:
        case [node, source, operation] if is_whole(node) and is_whole(source):
            return Edge(int(node), int(source), read_name(operation, f"the operation of {where}"))
    raise unreadable(where, found, "[node, source, operation]")


# The parts that all forms share


def concat_nodes(found: Any, where: str, expected: str) -> tuple[int, ...]:
    """A list of nodes. Errors: `UserError`."""
    if isinstance(found, list | tuple) and found and all(map(is_whole, found)):
        return tuple(int(node) for node in found)
    raise unreadable(where, found, expected)


def is_whole(found: Any) -> bool:
    """Whether it is a number of a node, by its type."""
    return isinstance(found, int | np.integer) and not isinstance(found, bool)


def read_name(found: Any, where: str) -> str:
    """A name of an operation, a space or a kind of cell, which any terminal can show. Errors: `UserError`."""
    if isinstance(found, str) and re.fullmatch(r"[\w.-]{1,100}", found, re.ASCII):
        return str(found)
    raise unreadable(where, found, "a name of letters, digits and '_'")
