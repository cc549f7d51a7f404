"""Whether methods differ, by tests that assume nothing of how scores are distributed.

Scores are independent samples, one of each seed.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

RESAMPLES = 99_999  # fewer combinations are all tried, so that the test is exact
NUMBERS = 10_000_000  # of all resamples together: of many scores there are fewer
BATCH = 1_000_000  # numbers at once


class Difference(NamedTuple):
    """Of a method from a reference."""

    p: float
    """Of a two-sided permutation test of the means, after Holm's correction (1979) for all methods compared."""
    superiority: float
    """Probability that a score of the method is better than one of the reference, ties counted half (Vargha and Delaney
    2000): 0.5 where neither is better."""


def differences(scores: Mapping[str, Sequence[float]], reference: Sequence[float]) -> dict[str, Difference]:
    """Of every method from the reference, where both have two scores or more. More is better."""
    return differences_each({name: (values, reference) for name, values in scores.items()})


def differences_each(pairs: Mapping[str, tuple[Sequence[float], Sequence[float]]]) -> dict[str, Difference]:
    """Of every method from a reference of its own, by (scores, reference), where both have two or more."""
    enough = {name: pair for name, pair in pairs.items() if min(map(len, pair)) > 1}
    corrected = holm([permutation_p(*pair) for pair in enough.values()])
    return {name: Difference(p, superiority(*pair)) for (name, pair), p in zip(enough.items(), corrected, strict=True)}


def permutation_p(a: Sequence[float], b: Sequence[float]) -> float:
    """Two-sided p of the difference of the means, from permutations of who has which score: twice that of the side on
    which it is. Of a few scores and many that are skewed, as those of random cells are, the other side is another one.
    """
    from scipy.stats import permutation_test  # 0.6 s, and only comparisons need it

    def distance(x, y, axis):
        return np.mean(x, axis) - np.mean(y, axis)

    scores = len(a) + len(b)
    settings = {"vectorized": True, "rng": np.random.default_rng(0)}
    settings |= {"n_resamples": min(RESAMPLES, NUMBERS // scores), "batch": max(BATCH // scores, 1)}
    return float(permutation_test((a, b), distance, **settings).pvalue)


def wilcoxon_p(a: Sequence[float], b: Sequence[float]) -> float:
    """Two-sided p of the signed-rank test (Wilcoxon 1945) of pairs; those that are equal count half for either side."""
    from scipy.stats import wilcoxon

    return 1.0 if np.array_equal(a, b) else float(wilcoxon(a, b, zero_method="zsplit").pvalue)


def holm(p_values: Sequence[float]) -> list[float]:
    """Corrected for so many tests, in the order given (Holm 1979)."""
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, place in enumerate(np.argsort(p_values, kind="stable")):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = largest
    return corrected


def superiority(a: Sequence[float], b: Sequence[float]) -> float:
    """Probability that one of a is above one of b, ties counted half."""
    pairs = np.subtract.outer(a, b)
    return float(((pairs > 0) + 0.5 * (pairs == 0)).mean())
