"""Selection by perturbation: an operation is worth what the supernet loses without it, whatever its alpha says.

Wang, Cheng, Chen, Tang and Hsieh 2021 (DARTS-PT), arXiv:2108.04392, algorithm 1. `damage`: mix -> how bad the supernet
is, e.g. minus its accuracy. Mixes are NumPy arrays {kind: [E, O]} and are never renormalised when something is removed.
"""

from collections.abc import Callable, Sequence

import numpy as np

from dnas import keys
from dnas.architectures.genotype import Genotype
from dnas.architectures.topology import Cell, Space
from dnas.search.discretise import strongest
from dnas.types import Mix

Damage = Callable[[Mix], float]
Decision = tuple[str, int]  # ("edge", e): which operation it keeps; ("node", n): which edges it keeps


def without(mix: Mix, kind: str, edge: int, column: int | slice) -> Mix:
    """The mix with one operation of an edge removed, or with several."""
    rows = np.array(mix[kind])
    rows[edge, column] = 0
    return {**mix, kind: rows}


def best_operation(mix: Mix, kind: str, edge: int, operations: int, damage: Damage) -> int:
    """The operation whose removal does most damage; ties to the first."""
    return int(np.argmax([damage(without(mix, kind, edge, o)) for o in range(operations)]))


def best_edges(mix: Mix, kind: str, edges: Sequence[int], keep: int, damage: Damage) -> list[int]:
    """The `keep` edges of a node whose removal, each alone, does most damage; ties to the first. In order.

    The paper removes the least important edge and measures again; the reference code, and this, measure every edge
    once, with all others present.
    """
    losses = [damage(without(mix, kind, edge, slice(None))) for edge in edges]
    worst = np.argsort(-np.array(losses), kind="stable")[:keep]
    return sorted(edges[i] for i in worst)


def projections(space: Space, seed: int, name: str = "projection") -> dict[str, list[Decision]]:
    """What is decided of every kind of cell, each in random order: all edges, then the nodes that more edges enter than
    they keep. name: for another order."""
    generator = keys.generator(seed, name)

    def of(cell: Cell) -> list[Decision]:
        nodes = [n for n in cell.computed if cell.kept is not None and len(cell.incoming(n)) > cell.kept]
        edges = generator.permutation(len(cell.edges)).tolist()
        return [*(("edge", e) for e in edges), *(("node", nodes[i]) for i in generator.permutation(len(nodes)))]

    return {kind: of(cell) for kind, cell in space.cells.items()}


def project(mix: Mix, mask: Mix, kind: str, cell: Cell, decision: Decision, damage: Damage) -> Mix:
    """The mask {kind: [E, O]} after one more decision: an edge keeps one operation, or a node some of its edges."""
    what, index = decision
    left = np.array(mask[kind])
    if what == "edge":
        left[index] = np.eye(left.shape[1])[best_operation(mix, kind, index, len(cell.operations[index]), damage)]
    else:
        edges = cell.incoming(index)
        kept = best_edges(mix, kind, edges, cell.kept or len(edges), damage)
        left[[e for e in edges if e not in kept]] = 0
    return {**mask, kind: left}


def remaining(space: Space, mix: Mix, evaluate: Callable[..., float] | None = None, seed: int = 0) -> Genotype:
    """The genotype of a mix in which one operation of every edge is left, all equally strong."""
    return strongest(space, {kind: (np.asarray(m) > 0).astype(float) for kind, m in mix.items()})
