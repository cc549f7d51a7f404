"""Linear: a straight line from the peak to `end`. No paper."""

import optax

from dnas.ranges import Amount
from dnas.training.protocols import Schedule, check_fall, progress


def schedule(*, end: Amount = 0.0, by: str = "epoch") -> Schedule:
    """`end`: the last rate. `by`: "epoch", constant within one, or "step"."""
    done = progress(by, "linear")

    def rate(peak: float, epochs: int, steps_per_epoch: int) -> optax.Schedule:
        check_fall("linear", peak, end)
        line = optax.linear_schedule(peak, end, epochs)
        return lambda step: line(done(step, steps_per_epoch))

    return rate
