"""Shapley values: what a player adds to a game, on average over the orders in which all leave it.

Castro, Gomez and Tejada 2009, "Polynomial calculation of the Shapley value based on sampling". The players here are the
operations of a mix, the worth of those that are left is the score of the supernet with them (Shapley-NAS).
"""

from collections.abc import Callable, Sequence

import numpy as np

from dnas.architectures.topology import Space
from dnas.search.projection import without
from dnas.types import Mix

Player = tuple[str, int, int]  # kind of cell, edge, column


def players(space: Space) -> list[Player]:
    """All operations of all edges."""
    return [
        (kind, edge, column)
        for kind, cell in space.cells.items()
        for edge, names in enumerate(cell.operations)
        for column in range(len(names))
    ]


def contributions(
    mix: Mix, leaving: Sequence[Player], score: Callable[[Mix], float], threshold: float = 0.0
) -> dict[Player, float]:
    """By how much the score falls when each player leaves after those before it. Nothing is normalised again.

    Once the score is below `threshold` times that of all players, a negative one below it divided by that, the others
    count nothing: what is then left is no network.
    """
    start = last = score(mix)
    least = start * threshold if start >= 0 else start / threshold if threshold else -np.inf
    found = dict.fromkeys(leaving, 0.0)
    for player in leaving:
        mix = without(mix, *player)
        now = score(mix)
        found[player], last = last - now, now
        if now < least:
            break
    return found
