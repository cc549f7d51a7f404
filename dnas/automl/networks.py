"""Networks that an automatic run holds against each other: what they scored on validation, and how long that took."""

from dataclasses import asdict, dataclass, replace
from typing import Any

from dnas import find
from dnas.architectures.genotype import Genotype, from_json, to_json
from dnas.automl.journal import TimeUp
from dnas.automl.recipes.protocol import Recipe
from dnas.config import Config, from_dict, to_dict
from dnas.costs import budget
from dnas.errors import StorageError, UserError
from dnas.evaluators import cross_validation
from dnas.evaluators.cross_validation import Watch
from dnas.runs import loop
from dnas.tasks.task import Score
from dnas.training.job import priced_as

KINDS = ("fixed", "learner", "found", "tuned")
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


def validated(
    name: str, kind: str, recipe: Recipe, config: Config, genotype: Genotype, watch: Watch | None = None
) -> dict[str, Any]:
    """An entry, ready for JSON. watch: may raise `TimeUp`. A loss that is not a number, or too little memory, is a row
    that says so. Errors: `StorageError`."""
    tried = as_compared(config, recipe)
    score = cross_validation.parts_of(tried, recipe.folds)[0].task.score
    empty = Entry(name, kind, score.name, score.more, config=to_dict(config), genotype=to_json(genotype))
    try:
        found = cross_validation.validated(tried, genotype, recipe.folds, watch)
    except TimeUp:
        return asdict(replace(empty, failed="it took longer than it may"))
    except StorageError:
        raise
    except UserError as error:
        return asdict(replace(empty, failed=str(error)))
    finally:
        loop.forget_programs()
    return asdict(
        replace(
            empty,
            failed=beyond(recipe.budget, config, genotype, found.parameters),
            scores=found.scores,
            mean=found.mean,
            error=found.error,
            loss=found.loss,
            parameters=found.parameters,
        )
    )


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


def as_compared(config: Config, recipe: Recipe) -> Config:
    """A config with the seeds by which networks are compared."""
    return replace(config, seeds=recipe.seeds, seed=config.seed + OTHER_SEEDS)


def best_of(entries: list[Entry]) -> Entry | None:
    """The best by validation of those that have a score; the first of equals."""
    return max((entry for entry in entries if not entry.failed), key=lambda entry: entry.key, default=None)
