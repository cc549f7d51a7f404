"""How weights are trained, of a config: the learning rate, the optimiser, clipping."""

import jax
import jax.numpy as jnp
import optax

from dnas import find
from dnas.config import WeightConfig
from dnas.errors import UserError
from dnas.training.protocols import Optimiser, Schedule


def rate_of(config: WeightConfig, epochs: int, steps_per_epoch: int, start: int = 0) -> optax.Schedule:
    """The learning rate as a function of the step: warm-up, then the schedule over the epochs that are left.

    start: the step at which they begin. Errors: `UserError` for what these epochs do not hold.
    """
    schedule: Schedule = find.resolve("schedule", config.schedule)
    warmup = config.warmup_epochs
    if not warmup and config.warmup_start:
        raise UserError(
            f"weights.warmup_start is {config.warmup_start:g}, but weights.warmup_epochs is 0: set how many epochs the "
            "warm-up takes, or no start."
        )
    if warmup >= epochs:
        raise UserError(
            f"weights.warmup_epochs is {warmup}, but the training, or a phase of it, has {epochs} epochs: choose fewer "
            "warm-up epochs."
        )
    decay = schedule(config.learning_rate, epochs - warmup, steps_per_epoch)
    if not warmup:
        return lambda step: decay(step - start)
    with jax.ensure_compile_time_eval():
        if decay(0) < 0.999 * config.learning_rate:
            raise UserError(f"Schedule '{config.schedule}' has a rise of its own: set weights.warmup_epochs to 0.")
    first, peak, steps = config.warmup_start * config.learning_rate, config.learning_rate, warmup * steps_per_epoch
    whole = optax.join_schedules([optax.linear_schedule(first, peak, steps), decay], [steps])
    return lambda step: whole(step - start)


def transformation(config: WeightConfig, rate: optax.Schedule) -> optax.GradientTransformation:
    """The optimiser and the weight decay; the gradient is clipped before, by `clip`.

    Call it before a program is traced: names are looked up in files, and what reads files then is not kept.
    """
    return optimiser_of(config).make(rate, config.decay)


def optimiser_of(config: WeightConfig) -> Optimiser:
    """The optimiser that a config names. Errors: as `find.resolve`."""
    return find.resolve("optimiser", config.optimiser)


def clip(norm: float) -> optax.GradientTransformation:
    """Scale the gradient to at most this global norm, with PyTorch's 1e-6 in the denominator; 0: do nothing."""

    def scale(updates, _):
        factor = jnp.minimum(norm / (optax.global_norm(updates) + 1e-6), 1.0)
        return jax.tree.map(lambda g: g * factor.astype(g.dtype), updates)

    return optax.stateless(scale) if norm else optax.identity()
