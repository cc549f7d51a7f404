"""A cost beside the loss, with a weight for each search of a program: a front of scores and costs.

    outer loss + w s(E[cost(mix)]),   s(c) = (c - c of the cheapest network) / (c of the dearest - c of the cheapest)

`Config.penalty` is a cost as budgets name it, `*`, and the weights w, which the seeds have in turn. The expectation is
that of budgets, `costs.budget.relaxed`. Of every search the network that it ends with is a point of the front, by the
supernet's validation score. Weighted sums find what lies on the convex part of a front (Das and Dennis 1997).
"""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from dnas import grid
from dnas.architectures.genotype import Genotype, to_json
from dnas.architectures.topology import Space
from dnas.config import Config
from dnas.costs import budget
from dnas.errors import UserError
from dnas.files import atomic_write
from dnas.reports import front, tables
from dnas.search import limits, phases
from dnas.search.method import Method
from dnas.search.result import Result
from dnas.tasks.task import Task
from dnas.training.job import priced_as
from dnas.types import Mix

FILES = "front.csv", "front.json", "front.png"


class Tradeoff(NamedTuple):
    """cost: the one, whose most is the dearest network's. least: the cheapest one's. weights: of every seed."""

    cost: budget.Limits
    least: float
    weights: tuple[float, ...]

    @property
    def name(self) -> str:
        return self.cost.costs[0].name

    @property
    def span(self) -> float:
        return float(self.cost.most[0]) - self.least

    def place(self, genotype: Genotype) -> float:
        """Of a network, between the cheapest, 0, and the dearest, 1."""
        return (float(self.cost.of(genotype)[0]) - self.least) / self.span


def parse(text: str) -> tuple[str, list[float]]:
    """`"parameters*0+0.3"` -> `("parameters", [0, 0.3])`. Errors: `UserError` for anything else."""
    cost, star, weights = text.rpartition("*")
    if not star or not cost.strip():
        raise UserError(f"A penalty is a cost, * and weights, as in parameters*0+0.3+1, not '{text}'.")
    return cost.strip(), phases.numbers(float, "penalty", weights)


def weights(config: Config) -> tuple[float, ...]:
    """Of every seed, at every point of a grid; none without a penalty. Errors: `UserError` for seeds that do not have
    each equally often."""
    if not config.penalty:
        return ()
    _, found = parse(config.penalty)
    points = max(1, len(grid.points(config, "search")))
    if config.seeds % (count := points * len(found)):
        each = f"{len(found)} weights" + (f", and the grid {points} points" if points > 1 else "")
        raise UserError(
            f"The penalty '{config.penalty}' has {each}, which seeds have in turn, and seeds is "
            f"{config.seeds}: set it to {count}, or a multiple of that."
        )
    return tuple(weight for weight in found for _ in range(points)) * (config.seeds // count)


def of_config(config: Config, space: Space, task: Task) -> Tradeoff | None:
    """That of a search, for networks as they will be trained. Errors: `UserError`."""
    if not config.penalty:
        return None
    limits.check_kinds("The penalty", config, space)
    cost = budget.cost_of(*budget.named(parse(config.penalty)[0]), space, *priced_as(config.retrain, space, task.shape))
    sums = cost.expected
    least = budget.price(cost, budget.cheapest(space, sums.tables))
    most = budget.price(cost, budget.cheapest(space, {kind: -table for kind, table in sums.tables.items()}))
    if not most > least:
        raise UserError(
            f"All networks of '{space.name}' have the same {cost.name}, {least:,.6g}: choose another penalty."
        )
    return Tradeoff(budget.Limits(space, (cost,), np.array([most])), least, weights(config))


def applied(method: Method, known: Tradeoff, space: Space, config: Config) -> Method:
    """The method that looks at a cost as well, in what is left of the space; method: adapted. Errors: `UserError`."""
    if method.members > 1:
        raise UserError(
            f"A penalty is of one supernet's mix, and method '{config.method}' has {method.members} side by side: "
            "leave it out, or choose another method."
        )
    expected = budget.relaxed(budget.on(known.cost, space))
    most, least, span = float(known.cost.most[0]), known.least, known.span

    def expense(mix: Mix) -> jax.Array:
        return (expected(mix)[0] * most - least) / span

    return replace(method, expense=expense, knobs={**method.knobs, "expense": 0.0})


def row(known: Tradeoff | None, space: Space, mix: Mix, genotype: Genotype) -> dict[str, float]:
    """What the log of an epoch says, as of a budget."""
    return {} if known is None else limits.row(budget.on(known.cost, space), mix, genotype)


def write(folder: Path, known: Tradeoff, result: Result) -> None:
    """`FILES`: all networks, those that no other beats with the volume below them, a picture."""
    from dnas.reports.budgets import plot_front

    score, config = result.score, result.config
    costs = [float(known.cost.of(genotype)[0]) for genotype in result.genotypes]
    signed = np.array([score.signed(value) for value in result.scores])
    sound = np.isfinite(signed)  # what diverged is on no front
    best = front.nondominated(np.stack([np.where(sound, signed, -np.inf), -np.array(costs)], 1)) & sound
    seeds = range(config.seed, config.seed + config.seeds)
    columns: dict[str, Sequence[Any]] = {"seed": seeds, "weight": known.weights, score.name: result.scores}
    columns[known.name] = costs
    lines = [[f"{value:.7g}" for value in values] for values in zip(*columns.values(), best, strict=True)]
    atomic_write(folder / FILES[0], tables.as_csv([*columns, "front"], lines))
    members = [
        {name: values[i] for name, values in columns.items()} | {"genotype": to_json(result.genotypes[i])}
        for i in sorted(np.flatnonzero(best).tolist(), key=lambda i: -signed[i])
    ]
    label = known.cost.costs[0].label(known.name)
    said = {"penalty": config.penalty, "label": label, "hypervolume": volume(known, result), "front": members}
    atomic_write(folder / FILES[1], json.dumps(said, indent=1))
    points, names = np.stack([result.scores, costs], 1), (f"supernet's validation {score.name}", label)
    title = f"{config.method} on {config.data}, penalty {config.penalty}"
    plot_front(points, points[best], names, folder / FILES[2], title)


def volume(known: Tradeoff, result: Result) -> float:
    """How much lies below the front, at most 1: of the scale of the cost, and of the score, from 0 to 1 if it is an
    accuracy, else from the worst to the best that was seen."""
    ended = [i for i, value in enumerate(result.scores) if np.isfinite(value)]
    signed = np.array([result.score.signed(result.scores[i]) for i in ended])
    if result.score.name != "accuracy":
        signed = (signed - signed.min()) / (np.ptp(signed) or 1.0)
    return front.hypervolume(np.stack([signed, [1 - known.place(result.genotypes[i]) for i in ended]], 1))
