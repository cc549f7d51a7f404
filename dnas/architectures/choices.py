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


def named(space: Space) -> list[tuple[str, tuple[str, ...]]]:
    """Name and options of each choice, as people read them, D of them.

    Of an edge that is kept anyhow, `normal.2<-0` and its operations. Of a node that keeps k of its edges,
    `normal.2.sources`, sets `0+1` of the nodes where these begin, and `normal.2.operation_1`, of the first of the set;
    where edges have unlike operations, these are numbers.
    Errors: `UserError` as of `choices`.
    """
    found = list[tuple[str, tuple[str, ...]]]()
    for kind, cell in space.cells.items():
        for node in _nodes(cell, space.name):
            target, sources = cell.edges[node.edges[0]][0], [cell.edges[e][1] for e in node.edges]
            if len(node.sets) == 1:
                own = [tuple(options_of(cell, e)) for e in node.edges]
                found += [(f"{kind}.{target}<-{sources[p]}", own[p]) for p in node.sets[0]]
                continue
            found.append((f"{kind}.{target}.sources", tuple("+".join(str(sources[p]) for p in s) for s in node.sets)))
            known = {tuple(options_of(cell, e)) for e in node.edges}
            operations = known.pop() if len(known) == 1 else tuple(map(str, range(node.counts[-1])))
            found += [(f"{kind}.{target}.operation_{i}", operations) for i in range(1, len(node.sets[0]) + 1)]
    return found


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
