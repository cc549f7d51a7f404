"""What an evaluator is: architectures in, measures and their cost out.

An evaluator is a file in `dnas/evaluators/` with `evaluator(*, ...) -> Evaluator`. Axis letters: N architectures, D
decisions of one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

import jax
import numpy as np

from dnas.architectures.topology import Space


class Measured(NamedTuple):
    """values: [N] by measure. seconds: [N], what each evaluation costs by the evaluator's own account."""

    values: dict[str, jax.Array]
    seconds: jax.Array


@dataclass(frozen=True, eq=False)
class Evaluator:
    """space: what it evaluates. measures: their names, and whether more is better; the first is the usual objective.

    evaluate: int32 [N, D] -> Measured, pure, so that a whole search is one program.
    seconds: what the cheapest evaluation costs, and the dearest.
    truth: int32 [N, D] -> float64 [N] by name: what the found ones are worth in the end. A search never sees it.
    truths: the titles of these, as in `{"cifar10_test_200": "CIFAR-10"}`; the first is what the search is after.
    quantity: what they are, with its unit.
    rank: int32 [N, D] -> [N], the place of each among all architectures by the first truth, 1 the best.
    """

    space: Space
    measures: Mapping[str, bool]
    evaluate: Callable[[jax.Array], Measured]
    seconds: tuple[float, float]
    truth: Callable[[np.ndarray], dict[str, np.ndarray]]
    truths: Mapping[str, str]
    quantity: str
    rank: Callable[[np.ndarray], np.ndarray]
