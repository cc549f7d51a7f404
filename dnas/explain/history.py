"""How decided a mix is, decision by decision over epochs, as mix.jsonl has it. Axis letters: T epochs, O options.

entropy = -sum_o p_o log p_o / log O, p the row divided by its sum:  1 is undecided, 0 decided
"""

from typing import Any, NamedTuple

import numpy as np

from dnas.reports.plots import MixHistory


class Course(NamedTuple):
    """Of one decision. entropy, margin: of every epoch [T], between the first and the second option; None where no
    weight is left. last_change: the epoch from which on the strongest option stayed the same; None: it always was."""

    entropy: list[float | None]
    margin: list[float | None]
    last_change: float | None


def courses(history: MixHistory) -> list[Course]:
    """Of every edge of a kind of cell."""
    return [course(history.weights[:, e], history.epochs) for e in range(len(history.edges))]


def changes(history: MixHistory) -> bool:
    """Whether a mix is another at any epoch than at the first."""
    return not np.array_equal(history.weights, np.broadcast_to(history.weights[:1], history.weights.shape), True)


def is_one_hot(history: MixHistory) -> bool:
    """Whether every row of every epoch is one option alone, as where a mix is an architecture that was drawn."""
    return bool((np.nanmax(history.weights, -1) == np.nansum(history.weights, -1)).all())


def course(weights: np.ndarray, epochs: list[float]) -> Course:
    """weights: [T, O], not a number where an option is not there."""
    shares = [shares_of(row) for row in weights]
    strongest = [None if share is None else int(np.nanargmax(share)) for share in shares]
    changes = [
        epoch
        for epoch, now, before in zip(epochs[1:], strongest[1:], strongest, strict=False)
        if None not in (now, before) and now != before
    ]
    return Course(
        [None if share is None else entropy_of(share) for share in shares],
        [None if share is None else margin_of(share) for share in shares],
        changes[-1] if changes else None,
    )


def shares_of(row: np.ndarray) -> np.ndarray | None:
    """A row of weights divided by its sum; None where nothing is left of it."""
    total = np.nansum(row)
    return row / total if total > 0 else None


def entropy_of(share: np.ndarray) -> float:
    """Relative to that of the uniform distribution over the options that are there; 0 where there is one."""
    p = share[~np.isnan(share)]
    if len(p) < 2:
        return 0.0
    logs = np.log(np.where(p > 0, p, 1))
    return float(max(0.0, -(p * logs).sum() / np.log(len(p))))


def margin_of(share: np.ndarray) -> float:
    """By how much the first option is ahead of the second."""
    first = np.sort(share[~np.isnan(share)])[::-1]
    return float(first[0] - first[1]) if len(first) > 1 else 1.0


def mean_over(courses: list[Course]) -> list[float | None]:
    """The mean entropy of all decisions at every epoch [T]."""
    columns: list[list[Any]] = [[v for v in column if v is not None] for column in zip(*(c.entropy for c in courses))]  # noqa: B905
    return [float(np.mean(column)) if column else None for column in columns]
