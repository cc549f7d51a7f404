"""Cosine: half a period, from the peak to `end`.

    rate = end + (peak - end) (1 + cos(pi epoch / epochs)) / 2

Loshchilov and Hutter, ICLR 2017, arXiv:1608.03983, without restarts.
"""

import optax

from dnas.ranges import Amount
from dnas.training.protocols import Schedule, check_fall, progress


def schedule(*, end: Amount = 0.0, by: str = "epoch") -> Schedule:
    """`end`: the last rate. `by`: "epoch", constant within one, or "step"."""
    done = progress(by, "cosine")

    def rate(peak: float, epochs: int, steps_per_epoch: int) -> optax.Schedule:
        check_fall("cosine", peak, end)
        decay = optax.cosine_decay_schedule(peak, epochs, end / max(peak, 1e-30))
        return lambda step: decay(done(step, steps_per_epoch))

    return rate
