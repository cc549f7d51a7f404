"""OLES: DARTS whose operations stop training when their gradients disagree.

    agreement = mean over `window` steps of cos(dL_valid/dw_op, dL_train/dw_op);  below `threshold`: freeze w_op

Jiang, Ji, Zhu, Yuan and Huang, "Operation-Level Early Stopping for Robustifying Differentiable NAS", NeurIPS 2023,
OpenReview yAOwkf4FyL (algorithm 1). Reference code: PasaLab/oles, which measures something else and has its threshold
from that: for every parameter of an operation the cosines along its output channels, averaged, between the sum of both
gradients (the training gradient, clipped, is still there when the validation gradient is added) and the training
gradient; it divides 21 of these sums by 20. `rule` "code" does so, "paper" compares the two gradients as whole vectors.
Unlike there the last epoch counts, not the best by one batch, and factorised reductions are operations too. What is
frozen has a gradient of zero: its momentum runs out, and its weight decay goes on.
"""

from dataclasses import replace
from typing import Annotated

from dnas.errors import unknown
from dnas.ranges import Count, Range
from dnas.search.gradient_filter import RULES, freeze_disagreeing
from dnas.search.method import Method
from dnas.training.weights import clip


def method(*, threshold: Annotated[float, Range(-1, 1)] = 0.4, window: Count = 20, rule: str = "code") -> Method:
    """Below which mean cosine, over how many steps, an operation is frozen; whose cosine it is."""
    if rule not in RULES:
        raise unknown("rule of method 'oles':", rule, RULES)

    def with_filter(method, space, config):
        return replace(method, gradient_filter=freeze_disagreeing(threshold, window, rule, clip(config.weights.clip)))

    return Method(adapt=with_filter)
