"""Path encoding: which sequences of operations an image meets on its ways through a cell. White et al. 2021.

BANANAS, arXiv:1910.11858, as its authors encode NAS-Bench-201 (naszilla): a feature for every sequence, the short ones
first, whatever the edges are that carry it; `none` is an operation like the others. What comes late is rare in other
cells, so the features may be cut off. Axis letters: D decisions, O options of one, L edges of a path, F features.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from dnas.architectures.topology import Cell


class Paths(NamedTuple):
    """What turns architectures into features. length: F.

    edges: int32 [P, L], the decisions on each path, filled with 0. weights: int32 [P, L], by which their operations are
    multiplied to make the number of the sequence, 0 where there is no edge. starts, ends: int32 [P], the number of the
    first sequence so long, and where the features of its cell end. operations: int32 [D, O], which one an option is.
    """

    edges: np.ndarray
    weights: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    operations: np.ndarray
    length: int


def has_branches(cells: Sequence[Cell]) -> bool:
    """Whether the edges of cells are ways for images: in each a node has several incoming ones, and all are kept."""
    return bool(cells) and all(
        cell.kept is None and any(len(cell.incoming(node)) > 1 for node in cell.computed) for cell in cells
    )


def paths(cells: Sequence[Cell], most: int) -> Paths:
    """Those of cells that follow each other in an architecture; most: features of each cell, at most."""
    rows: list[tuple[list[int], list[int], int, int]] = []
    operations: list[list[int]] = []
    first = 0  # feature of the cell
    for cell in cells:
        names = sorted({name for options in cell.operations for name in options})
        found = sorted(_ways(cell), key=len)
        starts = [0, *np.cumsum([len(names) ** length for length in range(1, len(found[-1]) + 1)], dtype=object)]
        features = int(min(starts[-1], most))
        for way in found:
            if starts[len(way) - 1] < most:
                weights = [len(names) ** j for j in range(len(way))]
                start = first + int(starts[len(way) - 1])
                rows.append(([len(operations) + e for e in way], weights, start, first + features))
        operations += [[names.index(name) for name in options] for options in cell.operations]
        first += features
    return Paths(
        _filled([edges for edges, *_ in rows]),
        _filled([weights for _, weights, *_ in rows]),
        np.array([start for *_, start, _ in rows], np.int32),
        np.array([end for *_, end in rows], np.int32),
        _filled(operations),
        first,
    )


def _ways(cell: Cell) -> list[tuple[int, ...]]:
    """The edges of every way from an input to an output."""
    outputs = cell.concat or (cell.computed[-1],)

    def onwards(node: int) -> list[tuple[int, ...]]:
        found: list[tuple[int, ...]] = [()] if node in outputs else []
        return found + [(e, *rest) for e in cell.outgoing(node) for rest in onwards(cell.edges[e][0])]

    return [way for node in range(cell.inputs) for way in onwards(node) if way]


def _filled(rows: Sequence[Sequence[int]]) -> np.ndarray:
    """Rows of unequal lengths, filled with 0."""
    found = np.zeros((len(rows), max(map(len, rows))), np.int32)
    for row, values in zip(found, rows, strict=True):
        row[: len(values)] = values
    return found
