"""What an optimiser, a schedule and an average of weights are, and what schedules have in common."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import optax

from dnas.errors import UserError, unknown
from dnas.types import Tree

Schedule = Callable[[float, int, int], optax.Schedule]
"""(peak rate, epochs, steps per epoch) -> the learning rate as a function of the step since the schedule began."""


class Optimiser(NamedTuple):
    """make: (learning rate as a function of the updates so far, weight decay) -> a transformation of gradients.

    coupled: the decay is L2, added to the gradient; otherwise it acts on the weights beside the gradient.
    """

    make: Callable[[optax.Schedule, float], optax.GradientTransformation]
    coupled: bool


class Trigger(NamedTuple):
    """init() -> state;  update(state, loss) -> state, after every validation; `state.triggered`, a boolean, stays once
    it is true."""

    init: Callable[[], Any]
    update: Callable[[Any, jax.Array], Any]


class Average(NamedTuple):
    """init(values) -> state;  update(state, values, active=True) -> state, after every update;  averaged(state, values)
    -> what is evaluated in their place.

    All are pure; values are any tree, here weights and batch statistics. active, a boolean: whether these values
    count; until some have, the average is the last ones. trigger: from when on they count; None: from the start.
    """

    init: Callable[[Tree], Tree]
    update: Callable[..., Tree]
    averaged: Callable[[Tree, Tree], Tree]
    trigger: Trigger | None = None


def progress(by: str, schedule: str) -> Callable[[jax.Array, int], jax.Array]:
    """(step, steps per epoch) -> epochs done: whole ones by "epoch", with their parts by "step"."""
    counts = {"epoch": lambda step, steps: step // steps, "step": lambda step, steps: step / steps}
    if by not in counts:
        raise unknown(f"'by' of schedule '{schedule}':", by, counts)
    return counts[by]


def check_fall(schedule: str, peak: float, end: float) -> None:
    """Errors: `UserError` for a rate that would rise where it is meant to fall."""
    if end > peak:
        raise UserError(
            f"Schedule '{schedule}' falls to end={end:g}, which is above the learning rate {peak:g}: choose a lower "
            "'end' or a higher learning rate."
        )
