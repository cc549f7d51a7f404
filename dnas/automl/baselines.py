"""Fixed networks and models of scikit-learn, validated as the found networks are: what a search has to beat."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from dnas.architectures.genotype import parse
from dnas.automl import learners, networks
from dnas.automl.networks import Entry
from dnas.automl.recipes.protocol import Recipe
from dnas.config import Config
from dnas.evaluators import cross_validation
from dnas.evaluators.cross_validation import Watch, standard_error


def names(recipe: Recipe) -> Iterator[str]:
    """Of all baselines, in the order in which they are validated."""
    yield from (*recipe.networks, *recipe.learners)


def validated(name: str, recipe: Recipe, config: Config, watch: Watch | None = None) -> dict[str, Any]:
    """The entry of one of them, ready for JSON. config: how a network is trained."""
    if name in recipe.networks:
        return networks.validated(name, "fixed", recipe, config, parse(recipe.networks[name]), watch)
    return asdict(_learned(name, recipe))


def _learned(name: str, recipe: Recipe) -> Entry:
    held = cross_validation.parts_of(networks.as_compared(recipe.config, recipe), recipe.folds)
    rows = [learners.measured(learners.outputs_of(name, one.task, one.part), one.task, one.part) for one in held]
    score = held[0].task.score
    scores = [row[score.name] for row in rows]
    error = standard_error(score, scores, sum(one.task.steps(one.part, 1) for one in held), recipe.folds)
    loss = sum(row["loss"] for row in rows) / len(rows)
    mean = sum(scores) / len(scores)
    return Entry(name, "learner", score.name, score.more, tuple(scores), mean, error, loss)
