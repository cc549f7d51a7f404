"""Whether the mix says the same as the ablation, and one seed the same as another."""

from collections import Counter
from collections.abc import Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np

from dnas.architectures.encoding import decisions_of as groups_of
from dnas.architectures.encoding import options_of
from dnas.architectures.genotype import Genotype
from dnas.architectures.topology import Cell, Space
from dnas.explain.decisions import ABSENT


class Agreement(NamedTuple):
    """Of the weights of one decision with what its options are worth. kendall: tau-b of the two rankings. strongest:
    the option with the largest weight. same: whether it is worth most, too."""

    kendall: float
    strongest: int
    same: bool


def ranks(worth: Sequence[float], tie: Sequence[float]) -> np.ndarray:
    """The ranks of options by what they are worth [O], where that is equal by `tie`; more is better. What is no number
    has no rank, not a number."""
    pairs = [*zip(worth, tie, strict=True)]
    known = sorted({pair for pair in pairs if not np.isnan(pair[0])})
    return np.array([np.nan if np.isnan(pair[0]) else known.index(pair) for pair in pairs])


def first(values: np.ndarray) -> int | None:
    """Which is largest; None where none is larger than another."""
    known = values[~np.isnan(values)]
    return int(np.nanargmax(values)) if known.size and np.ptp(known) else None


def agreement(weights: Sequence[float] | np.ndarray, worth: Sequence[float] | np.ndarray) -> Agreement | None:
    """weights: of a row of the mix [O]; worth: more is better, not a number for options that are not compared. None
    where one of both ranks nothing.

    Wang et al. 2021 (DARTS-PT), arXiv:2108.04392: the option with the largest alpha need not be the one without which
    the supernet loses most.
    """
    from scipy.stats import kendalltau  # 0.6 s

    value = np.asarray(worth, float)
    own = np.where(np.isnan(value), np.nan, np.asarray(weights, float))
    strongest, most_needed = first(own), first(value)
    if strongest is None or most_needed is None:
        return None
    known = ~np.isnan(value)
    return Agreement(float(kendalltau(own[known], value[known])[0]), strongest, strongest == most_needed)


def chosen(genotype: Genotype, space: Space) -> dict[tuple[str, tuple[int, int]], str]:
    """By kind and edge the option of a genotype, `ABSENT` on an edge that it lacks."""
    found = dict[tuple[str, tuple[int, int]], str]()
    for kind, cell in space.cells.items():
        own = {(edge.node, edge.source): edge.operation for edge in genotype.cell(kind).edges}
        found |= {(kind, edge): own.get(edge, ABSENT) for edge in cell.edges}
    return found


class Stability(NamedTuple):
    """Of the architectures of several seeds. options: by kind and edge how many seeds found what. distance: by pair of
    seeds the share of the decisions that differ. chance: what the mean agreement of two random architectures is."""

    options: dict[tuple[str, tuple[int, int]], Counter[str]]
    distances: dict[tuple[int, int], float]
    chance: float

    @property
    def agreement(self) -> float:
        """Mean share of the decisions that two seeds have in common."""
        return 1 - float(np.mean(list(self.distances.values())))


def stability(genotypes: Sequence[Genotype], space: Space) -> Stability:
    """Of two or more."""
    found = [chosen(genotype, space) for genotype in genotypes]
    pairs = combinations(range(len(found)), 2)
    return Stability(
        {place: Counter(one[place] for one in found) for place in found[0]},
        {(i, j): float(np.mean([found[i][p] != found[j][p] for p in found[0]])) for i, j in pairs},
        chance_of(space),
    )


def chance_of(space: Space) -> float:
    """Share of the decisions that two architectures drawn uniformly have in common, in the mean."""
    return float(np.mean([row for cell in space.cells.values() for row in _chances(cell)]))


def _chances(cell: Cell) -> list[float]:
    found = []
    for edges, kept in groups_of(cell):
        share = kept / len(edges)
        found += [(1 - share) ** 2 + share**2 / len(options_of(cell, e)) for e in edges]
    return found


def mean(values: Sequence[float | None]) -> float | None:
    """Of those that there are; None where there is none."""
    there: list[Any] = [value for value in values if value is not None]
    return float(np.mean(there)) if there else None
