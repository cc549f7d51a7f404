"""What is known of one method: a row."""

from typing import Any, NamedTuple

import numpy as np

from dnas.architectures.genotype import Genotype, to_json, to_text
from dnas.compare.equal_cost import Reference
from dnas.compare.experiment import AnyConfig, Baseline, budget_of
from dnas.config import Config, to_dict
from dnas.reports.plots import ACCURACY, Measure
from dnas.tables import nasbench201 as tabular

RANDOM = "random cells"
WITHIN = f"{RANDOM} within "


def random_name(budget: str) -> str:
    """Of the row of cells that are drawn at random, within a budget if there is one."""
    return f"{WITHIN}{budget}" if budget else RANDOM


def is_random(name: str) -> bool:
    """Whether a row of this name is one of random cells."""
    return name == RANDOM or name.startswith(WITHIN)


class Rank(NamedTuple):
    """How well something orders cells: its correlation with their test accuracy in NAS-Bench-201."""

    spearman: float
    kendall: float


class Row(NamedTuple):
    """What is known of one method, whose config says how it searched; of random cells, how they are trained.

    genotypes: one per seed. seconds: what all its searches took, measured, or by the account of a table. trained: test
    scores of the networks of its cells, means over their trainings, and which measure that is. tabulated: what
    NAS-Bench-201 says of them on CIFAR-10, in percent, where it does. failed: why there is no result.
    flop: floating-point operations of all its searches, None where they are not known. tuning: searches spent before.
    mix_ranks, supernet_ranks: how a search's last mix and its supernet order cells, one per seed, where asked for and
    known. equal: by unit of cost, what random search on NAS-Bench-201's table finds for as much as one search cost.
    settings: of each of `trained`, the learning rate and the weight decay that the validation score chose.
    """

    name: str
    config: AnyConfig
    genotypes: list[Genotype]
    seconds: float
    trained: list[float]
    tabulated: list[float]
    failed: str = ""
    measure: Measure = ACCURACY
    flop: float | None = None
    tuning: int = 0
    mix_ranks: tuple[Rank, ...] = ()
    supernet_ranks: tuple[Rank, ...] = ()
    equal: dict[str, Reference] = {}
    settings: tuple[tuple[float, float], ...] = ()

    @property
    def budget(self) -> str:
        """What its networks may cost, as it is written; empty: anything."""
        if is_random(self.name):
            return self.name.removeprefix(RANDOM if self.name == RANDOM else WITHIN)
        return budget_of(self.config)

    @property
    def judged(self) -> list[float]:
        """The scores that it is judged by, such that more is better; none where it failed."""
        return [] if self.failed else [self.measure.sign * score for score in self.trained] or self.tabulated

    @property
    def score(self) -> float:
        """The mean to rank by."""
        return float(np.mean(self.judged)) if self.judged else -np.inf

    @property
    def cost(self) -> dict[str, float]:
        """What one search cost, those spent on tuning counted, by unit, where it is known."""
        searches = len(self.genotypes)
        spent = {"seconds": self.seconds or None, "flop": self.flop}
        return {unit: amount / searches + amount / searches * self.tuning for unit, amount in spent.items() if amount}

    @property
    def first_seed(self) -> int:
        """That of the first search; the others follow."""
        return self.config.seed

    def plain(self) -> dict[str, Any]:
        """Ready for JSON."""
        return self._asdict() | {
            "config": to_dict(self.config),
            "genotypes": [to_json(genotype) for genotype in self.genotypes],
            "measure": self.measure._asdict(),
            "mix_ranks": [rank._asdict() for rank in self.mix_ranks],
            "supernet_ranks": [rank._asdict() for rank in self.supernet_ranks],
            "budget": self.budget,
            "cost": self.cost,
            "equal": {unit: reference.plain() for unit, reference in self.equal.items()},
        }


def is_search(row: Row) -> bool:
    """Whether it is of a method or searcher: random cells and baselines cost none."""
    return not (is_random(row.name) or isinstance(row.config, Baseline))


def looked_up(genotypes: list[Genotype]) -> list[float]:
    """Test accuracies on CIFAR-10 in percent, of those cells that are in NAS-Bench-201."""
    rows = map(tabular.nasbench201, genotypes)
    return [row.cifar10 for row in rows if row is not None]


def by_seed(rows: list[Row]) -> tuple[list[str], list[list[str]]]:
    """A line for each search of each row: what it found, and what that is worth. Names of columns, and the lines."""
    lines = []
    for row in rows:
        whole = len(row.trained) == len(row.genotypes)  # else nobody knows which training failed
        for i, genotype in enumerate(row.genotypes):
            trained = map(str, (row.trained[i], *row.settings[i])) if whole and row.settings else ("", "", "")
            tabulated = str(row.tabulated[i]) if row.tabulated else ""
            lines.append([row.name, str(row.first_seed + i), to_text(genotype), *trained, tabulated])
    score = f"test_{rows[0].measure.name}" if rows else "test"
    return ["method", "seed", "cell", score, "learning_rate", "weight_decay", "nasbench201_cifar10"], lines


def is_gradient(row: Row) -> bool:
    """Whether it is of a search with gradients, none of random cells or of a searcher."""
    return isinstance(row.config, Config) and not is_random(row.name)
