"""What an optimiser and a schedule are, and what schedules have in common."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import optax

from dnas.errors import UserError, unknown

Schedule = Callable[[float, int, int], optax.Schedule]
"""(peak rate, epochs, steps per epoch) -> the learning rate as a function of the step since the schedule began."""


class Optimiser(NamedTuple):
    """make: (learning rate as a function of the updates so far, weight decay) -> a transformation of gradients.

    coupled: the decay is L2, added to the gradient; otherwise it acts on the weights beside the gradient.
    """

    make: Callable[[optax.Schedule, float], optax.GradientTransformation]
    coupled: bool


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
