"""Fixed networks and models of scikit-learn, validated as the found networks are: what a search has to beat."""

import math
from collections.abc import Iterator
from dataclasses import asdict, replace
from typing import Any

from dnas.architectures.genotype import parse
from dnas.automl import learners, networks, pace
from dnas.automl.networks import Entry
from dnas.automl.pace import TimeUp
from dnas.automl.recipes.protocol import Recipe
from dnas.config import Config
from dnas.evaluators import cross_validation
from dnas.evaluators.cross_validation import standard_error


def names(recipe: Recipe) -> Iterator[str]:
    """Of all baselines, in the order in which they are validated."""
    yield from (*recipe.networks, *recipe.learners)


def as_entry(name: str, recipe: Recipe, config: Config, seconds: float = math.inf) -> dict[str, Any]:
    """The entry of one of them, ready for JSON. config: how a network is trained. seconds: that it may take."""
    if name in recipe.networks:
        return networks.as_entry(name, "fixed", recipe, config, parse(recipe.networks[name]), seconds)
    return asdict(_learned(name, recipe, seconds))


def _learned(name: str, recipe: Recipe, seconds: float) -> Entry:
    held = cross_validation.parts_of(networks.as_compared(recipe.config, recipe), recipe.folds)
    score = held[0].task.score
    empty = Entry(name, "learner", score.name, score.more)
    if seconds <= 0:
        return replace(empty, failed=networks.NO_TIME)
    try:
        with pace.ended_after(seconds):
            rows = [
                learners.measured(learners.outputs_of(name, one.task, one.part), one.task, one.part) for one in held
            ]
    except TimeUp:
        return replace(empty, failed=networks.TOO_LONG)
    scores = tuple(row[score.name] for row in rows)
    error = standard_error(score, list(scores), sum(one.task.steps(one.part, 1) for one in held), recipe.folds)
    loss = sum(row["loss"] for row in rows) / len(rows)
    return replace(empty, scores=scores, mean=sum(scores) / len(scores), error=error, loss=loss)
