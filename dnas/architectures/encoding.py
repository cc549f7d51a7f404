"""Architectures as integers, for every space: one option for every decision, int32 [D].

A cell that keeps all edges has a decision for each edge, its operation. One that keeps k edges of a node has k
decisions for each node, an incoming edge and its operation: `edge * O + operation`, in ascending order of the edges;
`none` is no option there, as in a genotype. Axis letters: D decisions of an architecture, E edges, O options of one.
"""

from collections.abc import Iterator
from itertools import combinations, product
from math import comb, prod

import numpy as np

from dnas.architectures.genotype_data import CellGenotype, Edge, Genotype
from dnas.architectures.topology import Cell, Space
from dnas.errors import UserError


def encode(genotype: Genotype, space: Space) -> np.ndarray:
    """int32 [D]. Errors: `UserError` for a genotype that a search of the space cannot end with."""
    found: list[int] = []
    for kind, cell in space.cells.items():
        edges = genotype.cell(kind).edges
        for places, kept in decisions_of(cell):
            options = sorted(
                place * cell.mix_shape[1] + cell.operations[e].index(edge.operation)
                for place, e in enumerate(places)
                for edge in edges
                if (edge.node, edge.source) == cell.edges[e] and edge.operation in options_of(cell, e)
            )
            if len(options) != kept:
                raise UserError(
                    f"The {kind} cell of the genotype has {len(options)} of the {kept} edges into node "
                    f"{cell.edges[places[0]][0]} that '{space.name}' decides on: it cannot be encoded."
                )
            found += options
    return np.array(found, np.int32)


def decode(numbers: np.ndarray, space: Space) -> Genotype:
    """The genotype of int32 [D]. Errors: `UserError` for numbers that encode none."""
    left, cells = [int(number) for number in numbers], []
    expected = sum(kept for cell in space.cells.values() for _, kept in decisions_of(cell))
    if len(left) != expected:
        raise UserError(f"An architecture of '{space.name}' has {expected} decisions, not {len(left)}.")
    for kind, cell in space.cells.items():
        edges: list[Edge] = []
        for places, kept in decisions_of(cell):
            chosen, left = left[:kept], left[kept:]
            pairs = [divmod(number, cell.mix_shape[1]) for number in chosen]
            known = all(0 <= place < len(places) and _is_option(cell, places[place], o) for place, o in pairs)
            if not known or [place for place, _ in pairs] != sorted({place for place, _ in pairs}):
                node = cell.edges[places[0]][0]
                raise UserError(f"{chosen} are no {kept} decisions on node {node} of the {kind} cell.")
            edges += [Edge(*cell.edges[places[place]], cell.operations[places[place]][o]) for place, o in pairs]
        cells.append((kind, CellGenotype(tuple(edges), cell.concat)))
    return Genotype(space.name, tuple(cells))


def count(space: Space) -> int:
    """How many architectures there are."""
    total = 1
    for cell in space.cells.values():
        for places, kept in decisions_of(cell):
            sizes = [len(options_of(cell, e)) for e in places]
            alike = len(set(sizes)) == 1
            ways = comb(len(places), kept) * sizes[0] ** kept if alike else sum(map(prod, combinations(sizes, kept)))
            total *= ways
    return total


def neighbours(genotype: Genotype, space: Space) -> Iterator[Genotype]:
    """All architectures that differ in one decision: the operation of an edge or, where a node keeps some of its edges,
    one of them with its operation."""
    for kind, cell in space.cells.items():
        others = genotype.cell(kind).edges
        for i, edge in enumerate(others):
            taken = {other.source for other in others if other.node == edge.node} - {edge.source}
            for e in cell.incoming(edge.node):
                source = cell.edges[e][1]
                if source in taken or (cell.kept is None and source != edge.source):
                    continue
                for name in options_of(cell, e):
                    new = Edge(edge.node, source, name)
                    if new != edge:
                        edges = sorted([*others[:i], new, *others[i + 1 :]], key=lambda edge: edge[:2])
                        yield _replaced(genotype, kind, tuple(edges))


def every(space: Space) -> Iterator[Genotype]:
    """All architectures of a small space, in the order of their numbers."""
    choices: list[list[tuple[int, ...]]] = []
    for cell in space.cells.values():
        for places, kept in decisions_of(cell):
            numbers = [
                [place * cell.mix_shape[1] + cell.operations[e].index(name) for name in options_of(cell, e)]
                for place, e in enumerate(places)
            ]
            choices.append([row for edges in combinations(numbers, kept) for row in product(*edges)])
    for rows in product(*choices):
        yield decode(np.array([number for row in rows for number in row], np.int32), space)


def decisions_of(cell: Cell) -> list[tuple[list[int], int]]:
    """Groups of edges, and how many are chosen of each."""
    if cell.kept is None:
        return [([e], 1) for e in range(len(cell.edges))]
    groups = [cell.incoming(node) for node in cell.computed]
    return [(group, min(cell.kept, len(group))) for group in groups]


def options_of(cell: Cell, e: int) -> list[str]:
    return [name for name in cell.operations[e] if cell.kept is None or name != "none"]


def _is_option(cell: Cell, e: int, o: int) -> bool:
    names = cell.operations[e]
    return o < len(names) and names[o] in options_of(cell, e)


def _replaced(genotype: Genotype, kind: str, edges: tuple[Edge, ...]) -> Genotype:
    cells = [(k, CellGenotype(edges, c.concat) if k == kind else c) for k, c in genotype.cells]
    return Genotype(genotype.space, tuple(cells))
