"""What random search on NAS-Bench-201's table finds for as much as a search cost: the baseline at equal cost.

Random search (`dnas.blackbox.random_search`) trains cells for 12 epochs and keeps the one with the best validation
accuracy on CIFAR-10; what goes beyond the cost does not count. It pays the seconds that the table accounts for, or the
floating-point operations of those trainings. A cost below that of one training buys none: what is found then is one
cell drawn at random. Seconds are of different machines where a search was measured on another than the table's;
operations are not. Where a method has a budget of networks, random search trains cells within it. Spaces without a
table have random cells alone, trained as the found ones are: of equal cost from there on.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from dnas.blackbox import jobs, traced, trials
from dnas.blackbox.config import UNITS, BlackboxConfig, Budget
from dnas.blackbox.prices import looked_up
from dnas.compare import costs
from dnas.tables import nasbench201 as tabular

RUNS = 500
MOST = 2000  # trainings of a run: after so many it has found what the table has to offer
EPOCHS = tabular.EPOCHS[0]


class Reference(NamedTuple):
    """found: test accuracies on CIFAR-10 in percent, one for each run. evaluations: the mean number of trainings that
    the cost pays for."""

    found: tuple[float, ...]
    evaluations: float

    def plain(self) -> dict[str, Any]:
        """Ready for JSON: numbers, not all runs."""
        values = np.array(self.found)
        numbers = {"mean": values.mean(), "std": values.std(ddof=1), "median": np.median(values), "best": values.max()}
        return {name: float(value) for name, value in numbers.items()} | {
            "runs": len(values),
            "evaluations": self.evaluations,
        }


def references(
    amounts: list[dict[str, float]], within: Sequence[np.ndarray | None] | None = None
) -> list[dict[str, Reference]]:
    """For each of several costs, by unit: "seconds", "flop".

    within: of each, which cells of the table random search may train, bool by place; None: all.
    """
    found: list[dict[str, Reference]] = [{} for _ in amounts]
    groups: dict[bytes, list[int]] = {}
    masks = within or [None] * len(amounts)
    for i, mask in enumerate(masks):
        groups.setdefault(b"" if mask is None else mask.tobytes(), []).append(i)
    for members in groups.values():
        for i, one in zip(members, _of_one([amounts[i] for i in members], masks[members[0]]), strict=True):
            found[i] = one
    return found


def _of_one(amounts: list[dict[str, float]], within: np.ndarray | None) -> list[dict[str, Reference]]:
    """Of costs whose random search may train the same."""
    table = tabular.table()
    prices = {"seconds": table.column("cifar10", f"seconds_{EPOCHS}"), "flop": costs.of_training(EPOCHS)}
    wanted = [amount / prices[unit].min() for each in amounts for unit, amount in each.items()]
    if not wanted:
        return [{} for _ in amounts]
    most = int(min(max(wanted) + 2, MOST))
    # a power of two, so that comparisons that grow share a program
    random = BlackboxConfig("random_search", budget=f"{2 ** int(np.ceil(np.log2(most)))}evaluations", runs=RUNS)
    job = jobs.build(random)
    if within is not None:
        allowed = looked_up(within, table.space)
        job = job._replace(within=within, problem=job.problem._replace(allowed=allowed))
    done = traced.simulated(job)
    places = tabular.place(done.architectures.astype(np.int64), tabular.OPTIONS)
    truth = table.column("cifar10", f"test_{table.epochs[-1]}")[places]
    return [
        {unit: _reference(done, prices[unit][places], amount, truth) for unit, amount in each.items()}
        for each in amounts
    ]


def _reference(done: trials.Trials, prices: np.ndarray, amount: float, truth: np.ndarray) -> Reference:
    """done: random search; prices, truth: of each of its evaluations [R, T]."""
    paid = trials.counted(done.architectures, done.scores, prices, Budget(amount, UNITS[1]), "dropped")
    found = trials.found(paid._replace(counts=np.maximum(paid.counts, 1)), truth)
    return Reference(tuple(found.tolist()), float(paid.counts.mean()))
