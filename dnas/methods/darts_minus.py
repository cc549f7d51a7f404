"""DARTS-: an auxiliary skip connection on every edge, whose weight falls to zero over the search.

    edge(x) = sum_o softmax(alpha)_o o(x) + beta(epoch) skip(x)

Chu et al., "DARTS-: Robustly Stepping out of Performance Collapse Without Indicators", ICLR 2021, arXiv:2009.01027.
Reference code: Meituan-AutoML/DARTS-. It takes the part of a skip connection that only stabilises training, so that the
candidate competes fairly. As in the code: a factorised reduction with weights of its own where the edge halves the
image, and no alphas.
"""

import jax.numpy as jnp

from dnas.errors import unknown
from dnas.search import relax
from dnas.search.method import Method
from dnas.search.supernets import with_auxiliary_skip

SCHEDULES = {
    "linear": lambda clock: 1 - clock.epoch / clock.epochs,
    "cosine": lambda clock: (1 + jnp.cos(jnp.pi * clock.epoch / clock.epochs)) / 2,
    "slow_cosine": lambda clock: jnp.cos(jnp.pi / 2 * clock.epoch / clock.epochs),
}


def method(*, schedule: str = "linear") -> Method:
    """`schedule`: of beta; "linear" (the paper's experiments), "cosine" or "slow_cosine"."""
    if schedule not in SCHEDULES:
        raise unknown("schedule of method 'darts_minus':", schedule, SCHEDULES)
    return Method(relax=relax.with_auxiliary(relax.softmax, SCHEDULES[schedule]), supernet=with_auxiliary_skip)
