"""Rewards of a score and a cost: accuracy*(latency:device=raspi4/20)^-0.07, or ^0|-1. Tan et al. 2019, MnasNet.

    score (cost / target)^w,   w the first exponent where the cost is at most the target, and the second beyond it

"MnasNet: Platform-Aware Neural Architecture Search for Mobile", CVPR 2019, arXiv:1807.11626 (equation 2): -0.07 for
both is the soft constraint that they search with, 0 and -1 the hard one.
"""

import math
import re
from typing import NamedTuple

import jax
import jax.numpy as jnp

from dnas.errors import UserError

LEAST = 1e-12  # of a cost
NUMBER = r"[-+]?[\w.]+(?:[eE][-+]?\d+)?"
REWARD = re.compile(rf"\s*([\w ]+?)\s*\*\s*\((.+)/({NUMBER})\s*\)\s*\^\s*({NUMBER})(?:\|({NUMBER}))?\s*", re.DOTALL)


class Reward(NamedTuple):
    """score, cost: measures by name. below, above: the exponents at most at the target, and beyond it."""

    score: str
    cost: str
    target: float
    below: float
    above: float

    def of(self, score: float, cost: float) -> float:
        """Of one architecture; a cost of 0 counts as nearly nothing."""
        ratio = max(cost, LEAST) / self.target
        return score * ratio ** (self.below if ratio <= 1 else self.above)

    def traced(self, scores: jax.Array, costs: jax.Array) -> jax.Array:
        """Of several, [N] and [N] -> [N]."""
        ratio = jnp.maximum(costs, LEAST) / self.target
        return scores * ratio ** jnp.where(ratio <= 1, self.below, self.above)


def parse(text: str) -> Reward | None:
    """None for what is a name. Errors: `UserError` for a reward that cannot be read, and for numbers that are none."""
    found = REWARD.fullmatch(text)
    if found is None:
        if "*" in text or "^" in text:
            raise UserError(
                f"Cannot read the objective '{text}': expected accuracy*(latency:device=raspi4/20)^-0.07, with ^0|-1 "
                "for two exponents."
            )
        return None
    score, cost, *numbers = found.groups()
    try:
        target, below, above = (float(number) for number in (*numbers[:2], numbers[2] or numbers[1]))
    except ValueError:
        target = below = above = math.nan
    if not (0 < target < math.inf and -100 <= below <= 0 and -100 <= above <= 0):
        raise UserError(
            f"The objective '{text}' needs a target above 0 and exponents from -100 to 0, by which a larger cost is no "
            "better."
        )
    return Reward(score, cost.strip(), target, below, above)
