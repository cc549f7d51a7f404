"""What an evaluator is: architectures in, measures and their cost out.

An evaluator is a file in `dnas/evaluators/` with `evaluator(*, ...) -> Evaluator`, of pure functions, or with
`evaluator(*, ...) -> HostEvaluator`, of one that takes its time. A *fidelity* is the portion of a whole evaluation that
is done: fewer epochs, say. Axis letters: N architectures, D decisions of one.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

import jax
import numpy as np

from dnas.architectures.topology import NetworkSize, Space


class Measured(NamedTuple):
    """values: [N] by measure. seconds: [N], what each evaluation costs by the evaluator's own account."""

    values: dict[str, jax.Array]
    seconds: jax.Array


MultiplyAdds = Callable[[np.ndarray, np.ndarray], np.ndarray]


@dataclass(frozen=True, eq=False)
class Evaluator:
    """space: what it evaluates. measures: their names, and whether more is better; the first is the usual objective.

    evaluate: int32 [N, D] -> Measured, pure, so that a whole search is one program.
    seconds: what the cheapest evaluation costs, and the dearest.
    truth: int32 [N, D] -> float64 [N] by name: what the found ones are worth in the end. A search never sees it.
    truths: the titles of these, as in `{"cifar10_test_200": "CIFAR-10"}`; the first is what the search is after.
    quantity: what they are, with its unit.
    rank: int32 [N, D] -> [N], the place of each among all architectures by the first truth, 1 the best.
    multiply_adds: what each evaluation computes, (int32 [N, D], fidelities [N]) -> [N]; None: nobody knows.
    cheaper: `evaluate` by fidelity, those below 1. bounds: the least and the largest value of measures, where known.
    network: the size of the networks, and the pixels of a side of their images; None: nobody knows.
    """

    space: Space
    measures: Mapping[str, bool]
    evaluate: Callable[[jax.Array], Measured]
    seconds: tuple[float, float]
    truth: Callable[[np.ndarray], dict[str, np.ndarray]]
    truths: Mapping[str, str]
    quantity: str
    rank: Callable[[np.ndarray], np.ndarray]
    cheaper: Mapping[float, Callable[[jax.Array], Measured]] = field(default_factory=dict)
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    multiply_adds: MultiplyAdds | None = None
    network: tuple[NetworkSize, int] | None = None

    @property
    def fidelities(self) -> tuple[float, ...]:
        """Ascending, the last is 1."""
        return (*sorted(self.cheaper), 1.0)


@dataclass(frozen=True, eq=False)
class HostEvaluator:
    """One that is called with one architecture at a time.

    evaluate: (architecture int32 [D], fidelity, seed) -> the measures by name, and the seconds that it took by its own
    account. A `UserError` of it is why this architecture has no measures; the search goes on.
    fidelities: ascending, the last is 1. truth, truths, quantity, rank, multiply_adds, network: as of `Evaluator`,
    where anybody knows. data: what it reads, as configs write it. source: the folder of the search whose supernet it
    is, which has to be done before.
    """

    space: Space
    measures: Mapping[str, bool]
    evaluate: Callable[[np.ndarray, float, int], tuple[dict[str, float], float]]
    fidelities: tuple[float, ...] = (1.0,)
    truth: Callable[[np.ndarray], dict[str, np.ndarray]] = lambda _: {}
    truths: Mapping[str, str] = field(default_factory=dict)
    quantity: str = ""
    rank: Callable[[np.ndarray], np.ndarray] | None = None
    bounds: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    multiply_adds: MultiplyAdds | None = None
    data: str = ""
    source: str = ""
    network: tuple[NetworkSize, int] | None = None


def one_by_one(multiply_adds: Callable[[np.ndarray, float], int]) -> MultiplyAdds:
    """Of many evaluations by that of one, (int32 [D], fidelity); of equal ones once."""

    def of_all(architectures: np.ndarray, fidelities: np.ndarray) -> np.ndarray:
        rows = [(*map(int, row), float(fidelity)) for row, fidelity in zip(architectures, fidelities, strict=True)]
        known = {row: multiply_adds(np.array(row[:-1], np.int32), row[-1]) for row in dict.fromkeys(rows)}
        return np.array([known[row] for row in rows], np.float64)

    return of_all
