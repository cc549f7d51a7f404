"""Averaged SGD: the mean of all weights since the validation loss stands still.

    average = mean of the weights after every update since the trigger; before, the last weights

Polyak and Juditsky 1992, with the non-monotone trigger of AWD-LSTM (Merity, Keskar and Socher, ICLR 2018,
arXiv:1708.02182), as DARTS trains recurrent networks. The optimiser goes on as it was, at its own learning rate.
Batch statistics, where there are any, are averaged like weights.
"""

from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp

from dnas.ranges import Range
from dnas.training.averages._mean import moved, nothing
from dnas.training.protocols import Average, Trigger


class Losses(NamedTuple):
    """last: the newest validation losses [patience], inf where there was none; best: the least of those before;
    triggered: bool []."""

    last: jax.Array
    best: jax.Array
    triggered: jax.Array


def average(*, patience: Annotated[int, Range(1, 10_000)] = 5) -> Average:
    """`patience`: validations that the trigger leaves out when it looks for the least loss before."""

    def update(mean, values, active=True):
        kept = jnp.where(active, mean.number / (mean.number + 1), 0.0)
        return moved(mean, values, active, kept)

    return Average(nothing, update, lambda mean, values: mean.values, not_improved(patience))


def not_improved(patience: int) -> Trigger:
    """When a loss is above the least of all but the last `patience` before it (`nonmono` of AWD-LSTM)."""

    def init():
        return Losses(jnp.full(patience, jnp.inf), jnp.asarray(jnp.inf), jnp.asarray(False))

    def update(losses, loss):
        triggered = losses.triggered | (loss > losses.best)
        best = jnp.minimum(losses.best, losses.last[0])
        return Losses(jnp.append(losses.last[1:], loss), best, triggered)

    return Trigger(init, update)
