"""Step: the rate falls by a factor at each milestone.

    rate = peak gamma^(number of milestones passed)

As in He et al., CVPR 2016, arXiv:1512.03385.
"""

from typing import Annotated

import jax.numpy as jnp
import optax

from dnas.errors import UserError
from dnas.ranges import Range
from dnas.training.protocols import Schedule


def schedule(
    *, gamma: Annotated[float, Range(0, 1, above=True, below=True)] = 0.1, milestones: str = "150+225"
) -> Schedule:
    """`gamma`: the factor. `milestones`: epochs of the schedule after which it falls, rising."""
    passed = _epochs(milestones)

    def rate(peak: float, epochs: int, steps_per_epoch: int) -> optax.Schedule:
        if passed[-1] >= epochs:
            raise UserError(
                f"Schedule 'step' has a milestone at epoch {passed[-1]}, but {epochs} epochs: choose earlier ones."
            )
        return lambda step: peak * gamma ** (step // steps_per_epoch >= jnp.array(passed)).sum()

    return rate


def _epochs(text: str) -> tuple[int, ...]:
    parts = text.split("+")
    found = tuple(int(part) for part in parts if part.isascii() and part.isdecimal() and len(part) < 8)
    if len(found) < len(parts) or found[0] < 1 or list(found) != sorted(set(found)):
        raise UserError(
            f"The setting 'milestones' of schedule 'step' is rising epochs from 1 on, as in '150+225', not '{text}'."
        )
    return found
