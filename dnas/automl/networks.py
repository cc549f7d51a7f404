"""Networks that an automatic run holds against each other: what they scored on validation, and how long that took."""

import math
import time
from dataclasses import asdict, dataclass, replace
from typing import Any

from dnas import find
from dnas.architectures.genotype import Genotype, from_json, to_json
from dnas.automl import pace
from dnas.automl.pace import Slow
from dnas.automl.recipes.protocol import Recipe
from dnas.config import Config, from_dict, to_dict
from dnas.costs import budget
from dnas.errors import StorageError, UserError
from dnas.evaluators import cross_validation
from dnas.runs import loop
from dnas.tasks.task import Score
from dnas.training.job import priced_as

KINDS = ("fixed", "learner", "found", "tuned")
NO_TIME, TOO_LONG = "there was no time left for it", "it took longer than it may"  # why an entry has no score
OTHER_SEEDS = 1_000  # from here on: networks that are compared are trained with others than those that tuning saw


@dataclass(frozen=True)
class Entry:
    """One row of the comparison. kind: of `KINDS`. config, genotype: of a network, as JSON. scores: on validation,
    those of every seed of every fold; mean, error: of them. failed: why it has none."""

    name: str
    kind: str
    measure: str
    more: bool
    scores: tuple[float, ...] = ()
    mean: float = 0.0
    error: float = 0.0
    loss: float = 0.0
    parameters: int = 0
    config: dict[str, Any] | None = None
    genotype: Any = None
    failed: str = ""

    @property
    def score(self) -> Score:
        return Score(self.measure, self.more)

    @property
    def key(self) -> tuple[float, float]:
        """The largest is the best: by the score, of equal ones by the loss."""
        return self.score.signed(self.mean), -self.loss

    @property
    def settings(self) -> Config:
        """How it is trained."""
        found: Config = from_dict(self.config or {})
        return found

    @property
    def network(self) -> Genotype:
        return from_json(self.genotype)

    def shown(self) -> str:
        """Its score, as one reads it."""
        if self.failed:
            return f"none: {self.failed}"
        error = Score(self.measure).shown(self.error).removesuffix(" %")
        return f"{self.score.shown(self.mean).removesuffix(' %')} ± {error}{' %' * (self.measure == 'accuracy')}"


def entry_of(values: dict[str, Any]) -> Entry:
    """What `asdict` of an entry made, through JSON."""
    return Entry(**{**values, "scores": tuple(values["scores"])})


def as_entry(
    name: str, kind: str, recipe: Recipe, config: Config, genotype: Genotype, seconds: float = math.inf
) -> dict[str, Any]:
    """The entry of a network, validated, ready for JSON. seconds: that this may take. Where it would take longer, the
    training begins anew with as many epochs as fit, so that its schedule ends. What does not end, a loss that is not a
    number, or too little memory, is an entry that says so. Errors: `StorageError`."""
    score = cross_validation.parts_of(as_compared(config, recipe), recipe.folds)[0].task.score
    end = time.monotonic() + seconds

    def entry(**found: Any) -> dict[str, Any]:
        measured = Entry(name, kind, score.name, score.more, config=to_dict(config), genotype=to_json(genotype))
        return asdict(replace(measured, **found))

    while seconds > 0:
        try:
            watch = pace.within(end - time.monotonic(), config.retrain.epochs * recipe.folds)
            found = cross_validation.validated(as_compared(config, recipe), genotype, recipe.folds, watch)
        except Slow as slow:
            epochs = min(slow.fitting(end - time.monotonic(), recipe.folds), config.retrain.epochs - 1)
            if epochs < 1:
                return entry(failed=TOO_LONG)
            config = with_epochs(config, epochs)
            continue
        except StorageError:
            raise
        except UserError as error:
            return entry(failed=str(error))
        finally:
            loop.forget_programs()
        return entry(
            failed=beyond(recipe.budget, config, genotype, found.parameters),
            scores=found.scores,
            mean=found.mean,
            error=found.error,
            loss=found.loss,
            parameters=found.parameters,
        )
    return entry(failed=NO_TIME)


def beyond(limits: str, config: Config, genotype: Genotype, parameters: int) -> str:
    """Why a network does not meet a budget; empty if it does. Errors: `UserError` for a cost that is not known."""
    for limit in budget.parse(limits):
        cost: float = parameters
        if limit.cost != "parameters":
            space, held = find.resolve("space", config.space), cross_validation.parts_of(config, 1)[0]
            size = priced_as(held.plan, space, held.task.shape)
            cost = budget.price(budget.cost_of(limit.cost, limit.unit, space, *size), genotype)
        if cost > limit.most:
            return f"its {limit.cost} of {cost:,.6g} are beyond the budget, {limit.most:,.6g}"
    return ""


def with_epochs(config: Config, epochs: int) -> Config:
    """A config whose trainings have so many epochs, warm-up included."""
    weights = replace(config.retrain.weights, warmup_epochs=min(config.retrain.weights.warmup_epochs, epochs // 2))
    return replace(config, retrain=replace(config.retrain, epochs=epochs, weights=weights))


def as_compared(config: Config, recipe: Recipe) -> Config:
    """A config with the seeds by which networks are compared."""
    return replace(config, seeds=recipe.seeds, seed=config.seed + OTHER_SEEDS)


def best_of(entries: list[Entry]) -> Entry | None:
    """The best by validation of those that have a score; the first of equals."""
    return max((entry for entry in entries if not entry.failed), key=lambda entry: entry.key, default=None)
