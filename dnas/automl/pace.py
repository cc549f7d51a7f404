"""How long trainings take here, measured on a short one; and how many epochs fit into a time."""

import time
from dataclasses import dataclass, replace
from typing import Any

from dnas import find, retrain
from dnas.architectures.genotype import Genotype
from dnas.automl.recipes.protocol import Recipe
from dnas.config import Config
from dnas.errors import UserError
from dnas.evaluators import cross_validation
from dnas.kernels import native

EPOCHS = 2  # that are measured: the first compiles
CAUTION = 1.5  # another network may compile that much longer, and others may use the machine
TRACED = 0.3  # share of compiling that is left where a program is known


@dataclass(frozen=True)
class Pace:
    """Of the validation of a network: seconds of an epoch, of all seeds on one fold; before: seconds that it takes
    beside its epochs, compiling most of them. work: multiply-adds of `EPOCHS` epochs."""

    seconds: float
    before: float
    work: int

    def training(self, recipe: Recipe, epochs: int) -> float:
        """Seconds of the validation of a network."""
        return self.before + epochs * self.seconds * recipe.folds

    def epochs(self, recipe: Recipe, seconds: float, ratio: float = 1.0) -> int:
        """That fit into seconds, at most those of the recipe, of a network that computes so many times as much."""
        one = self.seconds * ratio * recipe.folds
        return min(recipe.config.retrain.epochs, max(0, int((seconds - self.before) / max(one, 1e-9))))


def measured(recipe: Recipe, genotype: Genotype) -> dict[str, Any]:
    """The pace of a network, ready for JSON."""
    native.available()  # kernels are compiled once for a machine, before
    config = replace(recipe.config, seeds=recipe.seeds)
    plan = replace(config.retrain, epochs=EPOCHS, weights=replace(config.retrain.weights, warmup_epochs=0))
    config = replace(config, retrain=plan)
    began, stamps = time.monotonic(), list[float]()
    cross_validation.validated(config, genotype, 1, lambda *_: stamps.append(time.monotonic() - began))
    seconds = stamps[-1] - stamps[0]
    compiling = max(stamps[0] - seconds, 0.0) * CAUTION * (1 + TRACED * (recipe.folds - 1))
    return {"seconds": seconds, "before": compiling, "work": work_of(config, genotype, EPOCHS)}


def work_of(config: Config, genotype: Genotype, epochs: int) -> int:
    """Multiply-adds of a training of so many epochs, and of validating it."""
    held = cross_validation.parts_of(config, 1)[0]
    plan = replace(config, seeds=1, retrain=replace(held.plan, epochs=epochs))
    return retrain.multiply_adds(plan, find.resolve("space", config.space), genotype, held.task)


def check(recipe: Recipe, pace: Pace, left: float) -> None:
    """Refuse a time in which not even one network can be validated and trained. Errors: `UserError`."""
    needed = 2 * pace.training(recipe, recipe.least_epochs)
    if needed > left:
        raise UserError(
            f"No time left: the least that can be done takes {needed / 60:.1f} minutes here, and "
            f"{max(left, 0) / 60:.1f} are left: give more --minutes, or fewer examples (limit=...)."
        )
