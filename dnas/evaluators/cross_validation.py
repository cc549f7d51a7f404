"""How good trainings of a network are on what they do not see, with several seeds, on one validation part or on folds.

The test part is not among it. What selects settings or networks reads these numbers.
"""

from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np

from dnas import data as datasets
from dnas import find, retrain
from dnas.architectures.genotype import Genotype
from dnas.config import Config
from dnas.data._folds import folded
from dnas.errors import UserError
from dnas.evaluators.train import bound_of
from dnas.tasks import binding
from dnas.tasks.task import Score, Task
from dnas.training.job import Watch


class Held(NamedTuple):
    """A task, and the part of it that is held out."""

    task: Task
    plan: Any
    part: str


class Validated(NamedTuple):
    """scores, losses: of every fold, those of every seed. error: the standard error of their mean, over examples; of
    what is no accuracy over folds, 0 where there is one. parameters: of the network."""

    score: Score
    scores: tuple[float, ...]
    losses: tuple[float, ...]
    error: float
    parameters: int

    @property
    def mean(self) -> float:
        """Of the scores."""
        return float(np.mean(self.scores))

    @property
    def loss(self) -> float:
        """Mean of the losses."""
        return float(np.mean(self.losses))


def validated(config: Config, genotype: Genotype, folds: int = 1, watch: Watch | None = None) -> Validated:
    """Train with every seed of the config on what each of `folds` folds of the train part leaves, and measure on the
    fold; the first seed draws the folds. One fold: on the validation part of the data, or `retrain.valid_portion` of
    the train part, or a fifth of it.

    watch: is told after every epoch, counted over all folds, the means of all seeds on the fold, and may raise.
    Errors: `UserError` for what cannot be trained.
    """
    space, rows, examples, done = find.resolve("space", config.space), list[dict[str, float]](), 0, 0
    for held in parts_of(config, folds):
        plan = replace(config, retrain=held.plan)

        def told(epoch: int, measured: list[dict[str, float]], before: int = done) -> None:
            if watch is not None:
                watch(before + epoch, {name: float(np.mean([row[name] for row in measured])) for name in measured[0]})

        rows += retrain.held_out(plan, space, genotype, held.task, held.part, None if watch is None else told)
        examples += held.task.steps(held.part, 1)
        done += config.retrain.epochs
        score = held.task.score
    scores, losses = ([row[name] for row in rows] for name in (score.name, "loss"))
    error = standard_error(score, scores, examples, folds)
    return Validated(score, tuple(scores), tuple(losses), error, int(rows[0]["parameters"]))


def parts_of(config: Config, folds: int) -> list[Held]:
    """What is trained on and measured. Errors: `UserError` for data that have no folds."""
    space, dataset = find.resolve("space", config.space), datasets.load(config.data)
    if folds > 1:
        whole = replace(config, retrain=replace(config.retrain, valid_portion=0.0))
        if config.retrain.patience:
            raise UserError("On folds nothing validates while a network is trained: set retrain.patience to 0.")
        return [
            Held(*binding.bind(fold, whole, "retrain", space), "test") for fold in folded(dataset, folds, config.seed)
        ]
    return [Held(*bound_of(config, dataset, space, 0.0), "valid")]


def share_error(share: float, count: int) -> float:
    """The standard error of a share of so many examples, as if one more were right and one wrong: none is certain."""
    smooth = (share * count + 1) / (count + 2)
    return float(np.sqrt(smooth * (1 - smooth) / count))


def standard_error(score: Score, scores: list[float], examples: int, folds: int) -> float:
    """Of the mean of scores on so many examples."""
    mean = float(np.mean(scores))
    if score.name == "accuracy":
        return share_error(mean, examples)
    means = np.reshape(scores, (folds, -1)).mean(1)
    return float(np.std(means, ddof=1) / np.sqrt(folds)) if folds > 1 else 0.0
