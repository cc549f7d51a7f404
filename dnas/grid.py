"""Values of hyperparameters that the seeds of a run have in turn: a grid beside the seeds, in one program.

    search.alphas.learning_rate=[1e-4,1e-3] search.weights.decay=[0,3e-4]     four points

`Config.grid` names fields with their values, and every combination is a point; of G points seed number i has point
i mod G. A program holds the values of all points, and the state of every seed which one is its own (`POINT`). So each
replica computes what a run of its seed with its values does.
"""

import itertools
import re
from collections.abc import Mapping, Sequence
from typing import Any

import jax.numpy as jnp
import optax

from dnas import fields
from dnas.config import Config
from dnas.errors import UserError
from dnas.types import Tree

POINT = "point"  # of a state's knobs: the number of its point
TRACED = {  # what programs take as a number of a seed
    "search": ("search.weights.learning_rate", "search.weights.decay", "search.alphas.learning_rate"),
    "retrain": ("retrain.weights.learning_rate", "retrain.weights.decay"),
}
AXIS = re.compile(r"\s*([\w.]+)\s*=\s*(\[[^][]*\])\s*")
HOW = "as in search.alphas.learning_rate=[1e-4,1e-3]"


def axes(config: Config) -> dict[str, tuple[float, ...]]:
    """The values of every field of the grid, by path. Errors: `UserError` for what is no grid, and for fields that
    are none of `TRACED`, or of searches and trainings both."""
    found, place = dict[str, tuple[float, ...]](), 0
    while place < len(config.grid):
        match = AXIS.match(config.grid, place)
        if match is None:
            raise UserError(f"A grid is fields with lists of values, {HOW}, not '{config.grid}'.")
        typed, written = match.groups()
        path, _, value = fields.named(typed, config)
        known = [one for stage in TRACED.values() for one in stage]
        if path not in known:
            raise UserError(
                f"One program cannot hold several values of {path}: a grid is of {', '.join(known)}. Make a run for "
                "each value, or a study (dnas tune)."
            )
        if path in found:
            raise UserError(f"The grid names {path} twice: leave one out.")
        found[path], place = fields.listed(written, path, value, "The grid") or (), match.end()
        _check(path, found[path])
    if len({path.partition(".")[0] for path in found}) > 1:
        raise UserError(f"The grid '{config.grid}' is of a search and of a training: a run is one of them, choose.")
    return found


def _check(path: str, values: tuple[float, ...]) -> None:
    if len({*values}) < len(values) or len(values) < 2:
        raise UserError(f"In the grid of {path} there is nothing to choose: give two different values or more.")
    for value in values:
        fields.applied(Config(), {path: value})  # which says what the field takes
    if path == "search.alphas.learning_rate" and 0 in values:
        raise UserError(f"In the grid of {path} is 0, by which no alphas would be trained: choose values above 0.")


def points(config: Config, stage: str) -> tuple[dict[str, float], ...]:
    """The values of every point, by path; none without a grid. stage: "search" or "retrain". Errors: `UserError`, also
    for the grid of the other stage."""
    found = axes(config)
    for path in found:
        if path not in TRACED[stage]:
            other = {"search": "trainings, dnas retrain", "retrain": "searches, dnas search"}[stage]
            raise UserError(f"The grid of {path} is for {other}: leave it out here.")
    return tuple(dict(zip(found, values, strict=True)) for values in itertools.product(*found.values()) if found)


def of_seeds(config: Config, stage: str) -> tuple[int, ...]:
    """The number of the point of every seed; none without a grid. Errors: `UserError` for seeds that do not have each
    point equally often."""
    count = len(points(config, stage))
    if count and config.seeds % count:
        raise UserError(
            f"The grid '{config.grid}' has {count} points, which seeds have in turn, and seeds is {config.seeds}: set "
            f"it to {count}, or a multiple of that."
        )
    return tuple(i % count for i in range(config.seeds)) if count else ()


def row(config: Config, stage: str, i: int) -> dict[str, float]:
    """What the log says of seed number i."""
    known = points(config, stage)
    return dict(known[i % len(known)]) if known else {}


def text(values: Mapping[str, float]) -> str:
    """A point as people read it."""
    return ", ".join(f"{path} {fields.shown(value)}" for path, value in values.items())


def at(values: Sequence[float], knobs: Tree) -> Any:
    """That of a seed's point, an array, of those of all points; where all are one, that number."""
    alike = len(values) == 1 or len({*values}) == 1  # a single one may be traced, and then has no hash
    return values[0] if alike else jnp.asarray(values, float)[knobs[POINT].astype(int)]


def rate_at(rates: Sequence[optax.Schedule], knobs: Tree) -> optax.Schedule:
    """The schedule of a seed's point, of those of all points; of one schedule, that."""
    if len(rates) == 1:
        return rates[0]
    return lambda step: jnp.stack([jnp.asarray(rate(step), float) for rate in rates])[knobs[POINT].astype(int)]
