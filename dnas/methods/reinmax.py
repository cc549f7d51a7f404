"""ReinMax: one operation per edge, sampled, and trained by a straight-through estimate of second order.

    mix ~ softmax(alpha), one-hot,   d mix / d alpha = 2 J((mix + p) / 2) - J(p) / 2,   J(p) = diag(p) - p p^T

Liu, Dong, Liu, Yu and Gao, "Bridging Discrete and Backpropagation: Straight-Through and Beyond", NeurIPS 2023,
arXiv:2304.08612 (algorithm 2), for the alphas of a search as in automl/ConfigurableOptimizer. Reference code:
microsoft/ReinMax, of which this has the value and the derivative. p is softmax(alpha / temperature) where the sample
stands beside it, else softmax(alpha). The temperature is 1, where the estimate is of second order; the code refuses
lower ones, so that the schedule of ConfigurableOptimizer, which is that of `gdas` from 10 to 0.1, cannot end in it.
Unlike `gdas`, all operations are computed: the estimate reads the derivative for those that were not sampled.
"""

from typing import Annotated

from dnas.ranges import MANY, Range
from dnas.search import relax
from dnas.search.method import Method

AtLeastOne = Annotated[float, Range(1, MANY)]


def method(*, hottest: AtLeastOne = 1.0, coldest: AtLeastOne = 1.0) -> Method:
    """The temperature of the first and of the last epoch, between which it changes linearly."""
    return Method(
        relax=relax.reinmax(relax.linear(hottest, coldest)),
        evaluation_mix=relax.keyless(relax.softmax),
        single_path=True,
    )
