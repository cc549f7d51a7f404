"""Exponential moving average of the weights.

    average = decay average + (1 - decay) weights

It begins with the weights after the first update and has no correction of the bias, as in EfficientNet (Tan and Le,
ICML 2019, arXiv:1905.11946) and timm, whose averages contain the batch statistics, as here.
"""

import jax.numpy as jnp

from dnas.ranges import Portion
from dnas.training.averages._mean import moved, nothing
from dnas.training.protocols import Average


def average(*, decay: Portion = 0.9999) -> Average:
    """`decay`: what is kept at an update; 0: nothing, which leaves the last weights."""

    def update(mean, values, active=True):
        kept = jnp.where(active & (mean.number > 0), decay, 0.0)
        return moved(mean, values, active, kept)

    return Average(nothing, update, lambda mean, values: mean.values)
