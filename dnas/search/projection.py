"""Selection by perturbation: an operation is worth what the supernet loses without it, whatever its alpha says.

Wang, Cheng, Chen, Tang and Hsieh 2021 (DARTS-PT), arXiv:2108.04392, algorithm 1. `damage`: mix -> how bad the supernet
is, e.g. minus its accuracy. Mixes are NumPy arrays {kind: [E, O]} and are never renormalised when something is removed.
"""

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np

from dnas import keys
from dnas.architectures.genotype import Genotype
from dnas.architectures.topology import Cell, Space
from dnas.search.discretise import strongest
from dnas.types import Mix

Damage = Callable[[Mix], float]
Fits = Callable[[Mix], bool]  # whether a mask leaves a network within the budget
Decision = tuple[str, int]  # ("edge", e): which operation it keeps; ("node", n): which edges it keeps


def without(mix: Mix, kind: str, edge: int, column: int | slice) -> Mix:
    """The mix with one operation of an edge removed, or with several."""
    rows = np.array(mix[kind])
    rows[edge, column] = 0
    return {**mix, kind: rows}


def best_operation(mix: Mix, kind: str, edge: int, columns: Sequence[int], damage: Damage) -> int:
    """Of some operations that whose removal does most damage; ties to the first."""
    return columns[int(np.argmax([damage(without(mix, kind, edge, o)) for o in columns]))]


def best_edges(
    mix: Mix, kind: str, edges: Sequence[int], sets: Sequence[tuple[int, ...]], damage: Damage
) -> tuple[int, ...]:
    """Of some sets of edges of a node that with the edges whose removal, each alone, does most damage, the edge with
    most of it first; ties to the first edge.

    The paper removes the least important edge and measures again; the reference code, and this, measure every edge
    once, with all others present.
    """
    losses = [damage(without(mix, kind, edge, slice(None))) for edge in edges]
    places = {edges[i]: place for place, i in enumerate(np.argsort(-np.array(losses), kind="stable"))}
    return min(sets, key=lambda chosen: sorted(places[edge] for edge in chosen))


def as_far_as_fits(before: Mix, after: Mix, weights: Mix, fits: Fits) -> Mix:
    """The mask {kind: [E, O]} that a method leaves of the one before, if it fits; else what it takes away goes one by
    one, the lightest first, unless nothing fits without it."""
    if fits(after) or not fits(before):
        return after
    left = {kind: np.array(rows) for kind, rows in before.items()}
    taken = [
        (float(np.asarray(weights[kind])[e, o]), kind, int(e), int(o))
        for kind, rows in before.items()
        for e, o in np.argwhere((np.asarray(rows) > 0) & ~(np.asarray(after[kind]) > 0))
    ]
    for _, kind, e, o in sorted(taken):
        if fits(fewer := without(left, kind, e, o)):
            left = fewer
    return left


def projections(space: Space, seed: int, name: str = "projection") -> dict[str, list[Decision]]:
    """What is decided of every kind of cell, each in random order: all edges, then the nodes that more edges enter than
    they keep. name: for another order."""
    generator = keys.generator(seed, name)

    def of(cell: Cell) -> list[Decision]:
        nodes = [n for n in cell.computed if cell.kept is not None and len(cell.incoming(n)) > cell.kept]
        edges = generator.permutation(len(cell.edges)).tolist()
        return [*(("edge", e) for e in edges), *(("node", nodes[i]) for i in generator.permutation(len(nodes)))]

    return {kind: of(cell) for kind, cell in space.cells.items()}


def project(
    mix: Mix, mask: Mix, kind: str, cell: Cell, decision: Decision, damage: Damage, fits: Fits = lambda mask: True
) -> Mix:
    """The mask {kind: [E, O]} after one more decision: an edge keeps one operation, or a node some of its edges, of
    those with which the mask fits, if there are such."""
    what, index = decision

    def after(choice: int | tuple[int, ...]) -> Mix:
        left = np.array(mask[kind])
        if isinstance(choice, int):
            left[index] = np.eye(left.shape[1])[choice]
        else:
            left[[e for e in cell.incoming(index) if e not in choice]] = 0
        return {**mask, kind: left}

    if what == "edge":
        columns = range(len(cell.operations[index]))
        able = [o for o in columns if fits(after(o))] or columns
        return after(best_operation(mix, kind, index, able, damage))
    edges = cell.incoming(index)
    sets = [*combinations(edges, cell.kept or len(edges))]
    fitting = [chosen for chosen in sets if fits(after(chosen))] or sets
    return after(best_edges(mix, kind, edges, fitting, damage))


def remaining(space: Space, mix: Mix, evaluate: Callable[..., float] | None = None, seed: int = 0) -> Genotype:
    """The genotype of a mix in which one operation of every edge is left, all equally strong."""
    return strongest(space, {kind: (np.asarray(m) > 0).astype(float) for kind, m in mix.items()})
