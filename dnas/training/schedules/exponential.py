"""Exponential: the rate falls by the same factor every so many epochs.

    rate = peak gamma^floor(epoch / every)

DARTS on ImageNet, arXiv:1806.09055, has 0.97 every epoch; EfficientNet, arXiv:1905.11946, 0.97 every 2.4 epochs.
"""

from typing import Annotated

import optax

from dnas.errors import UserError
from dnas.ranges import MANY, Range
from dnas.training.protocols import Schedule


def schedule(
    *,
    gamma: Annotated[float, Range(0, 1, above=True, below=True)] = 0.97,
    every: Annotated[float, Range(0, MANY, above=True)] = 1.0,
) -> Schedule:
    """`gamma`: the factor. `every`: epochs between two falls, to the nearest step."""

    def rate(peak: float, epochs: int, steps_per_epoch: int) -> optax.Schedule:
        if every >= epochs:
            raise UserError(
                f"Schedule 'exponential' falls every {every:g} epochs, but has {epochs}: choose a smaller 'every'."
            )
        length = max(round(every * steps_per_epoch), 1)
        return lambda step: peak * gamma ** (step // length)

    return rate
