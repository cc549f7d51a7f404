"""Constant: the same rate at all steps. No paper."""

import jax.numpy as jnp
import optax

from dnas.training.protocols import Schedule


def schedule() -> Schedule:
    """It has no settings."""

    def rate(peak: float, epochs: int, steps_per_epoch: int) -> optax.Schedule:
        return lambda step: jnp.asarray(peak, float)

    return rate
