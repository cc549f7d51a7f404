"""One cycle: up to the peak and down to almost nothing, by step, as PyTorch's `OneCycleLR`.

Smith and Topin 2019, "Super-Convergence", arXiv:1708.07120. Momentum stays as it is.
"""

from typing import Annotated

import jax.numpy as jnp
import optax

from dnas.errors import UserError, unknown
from dnas.ranges import LARGE, Range
from dnas.training.protocols import Schedule

SHAPES = {"cosine": lambda share: (1 - jnp.cos(jnp.pi * share)) / 2, "linear": lambda share: share}


def schedule(
    *,
    rise: Annotated[float, Range(0, 1, above=True, below=True)] = 0.3,
    first: Annotated[float, Range(1, LARGE)] = 25.0,
    last: Annotated[float, Range(1, LARGE)] = 1e4,
    shape: str = "cosine",
) -> Schedule:
    """`rise`: share of the steps up to the peak. `first`: the peak over the first rate. `last`: the first rate over the
    last. `shape`: "cosine" or "linear"."""
    if shape not in SHAPES:
        raise unknown("'shape' of schedule 'one_cycle':", shape, SHAPES)

    def rate(peak: float, epochs: int, steps_per_epoch: int) -> optax.Schedule:
        steps = epochs * steps_per_epoch
        top, bottom = rise * steps - 1, steps - 1
        if top <= 0:
            raise UserError(
                f"Schedule 'one_cycle' rises for {rise:g} of {steps} steps, which is one at most: choose a larger "
                "'rise' or more epochs."
            )

        def at(step):
            up, down = step / top, jnp.minimum((step - top) / (bottom - top), 1)
            low = jnp.where(step <= top, peak / first, peak / first / last)
            return low + (peak - low) * SHAPES[shape](jnp.where(step <= top, up, 1 - down))

        return at

    return rate
