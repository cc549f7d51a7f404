"""Architectures as independent choices, int32 [D]: every combination of options is one, as searchers need it.

A cell that keeps all edges has a choice for each edge, its operation, as in `encoding`. One that keeps k edges of a
node has for each node a choice among all sets of k of its edges, where there is more than one, and then the operation
of each edge of the set, in their order. So no two combinations are the same architecture.
"""

from itertools import combinations
from typing import NamedTuple

import numpy as np

from dnas.architectures import encoding
from dnas.architectures.encoding import decisions_of, options_of
from dnas.architectures.genotype import Genotype
from dnas.architectures.topology import Cell, Space
from dnas.errors import UserError

APART = 1000  # more than a cell has nodes


class _Node(NamedTuple):
    """edges: those of the cell into a node. sets: which of them are kept together. counts: options of its choices."""

    edges: list[int]
    sets: list[tuple[int, ...]]
    counts: list[int]


def choices(space: Space) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """How many options each choice has [D], and a number for the node that it is about [D].

    Errors: `UserError` for a space whose nodes keep some of their edges, where these have unlike numbers of operations.
    """
    options, groups = list[int](), list[int]()
    for number, cell in enumerate(space.cells.values()):
        for node in _nodes(cell, space.name):
            options += node.counts
            groups += [APART * number + cell.edges[node.edges[0]][0]] * len(node.counts)
    return tuple(options), tuple(groups)


def numbers(chosen: np.ndarray, space: Space) -> np.ndarray:
    """What `encoding` makes of an architecture. Errors: `UserError` for choices that there are not."""
    options, _ = choices(space)
    left = [int(option) for option in chosen]
    if len(left) != len(options):
        raise UserError(f"An architecture of '{space.name}' has {len(options)} choices, not {len(left)}.")
    for option, count in zip(left, options, strict=True):
        if not 0 <= option < count:
            raise UserError(f"{option} is none of the {count} options of a choice of '{space.name}', 0 to {count - 1}.")
    found = list[int]()
    for cell in space.cells.values():
        for node in _nodes(cell, space.name):
            for place in node.sets[left.pop(0) if len(node.sets) > 1 else 0]:
                e = node.edges[place]
                operation = options_of(cell, e)[left.pop(0)]
                found.append(place * cell.mix_shape[1] + cell.operations[e].index(operation))
    return np.array(found, np.int32)


def decode(chosen: np.ndarray, space: Space) -> Genotype:
    """The genotype of int32 [D]. Errors: `UserError` for choices that there are not."""
    return encoding.decode(numbers(chosen, space), space)


def encode(genotype: Genotype, space: Space) -> np.ndarray:
    """int32 [D]. Errors: `UserError` for a genotype that a search of the space cannot end with."""
    left, found = encoding.encode(genotype, space).tolist(), list[int]()
    for cell in space.cells.values():
        for node in _nodes(cell, space.name):
            kept = len(node.sets[0])
            pairs, left = [divmod(number, cell.mix_shape[1]) for number in left[:kept]], left[kept:]
            found += [node.sets.index(tuple(place for place, _ in pairs))] * (len(node.sets) > 1)
            for place, o in pairs:
                e = node.edges[place]
                found.append(options_of(cell, e).index(cell.operations[e][o]))
    return np.array(found, np.int32)


def _nodes(cell: Cell, name: str) -> list[_Node]:
    found = list[_Node]()
    for edges, kept in decisions_of(cell):
        sizes = {len(options_of(cell, e)) for e in edges}
        if len(sizes) > 1:
            raise UserError(
                f"A node of '{name}' keeps {kept} of its edges, which have {min(sizes)} to {max(sizes)} operations, so "
                "its choices depend on each other: choose a space whose edges are alike."
            )
        sets = list(combinations(range(len(edges)), kept))
        found.append(_Node(edges, sets, [len(sets)] * (len(sets) > 1) + [*sizes] * kept))
    return found
