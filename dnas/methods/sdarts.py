"""SDARTS: weights are trained at a perturbed mix, at random (RS) or at the worst one nearby (ADV).

    w = argmin_w E[L(w, mix + noise)]   or   argmin_w max_{|d| <= radius} L(w, mix + d)

Chen and Hsieh, "Stabilizing Differentiable Architecture Search via Perturbation-based Regularization", ICML 2020,
arXiv:2002.05283. Reference code: xiangning-chen/SmoothDARTS. As in the code: alphas by first order at the mix itself,
the attack sees the training batch and running statistics, and its radius grows from 0.03 to 0.3.
"""

from typing import Annotated

from dnas.errors import UserError, unknown
from dnas.ranges import Count, Probability, beside
from dnas.search import perturb
from dnas.search.method import Method


def method(
    *,
    attack: str = "adversarial",
    start: Probability = 0.03,
    end: Probability = 0.3,
    steps: Annotated[Count, beside(attack="adversarial")] = 7,
) -> Method:
    """`attack`: "adversarial" or "random". `start`, `end`: radius in the first and after the last epoch. `steps`: of
    the ascent."""
    radius = perturb.growing(start, end)
    attacks = {"adversarial": perturb.adversarial(radius, steps), "random": perturb.random(radius)}
    if attack not in attacks:
        raise unknown("attack of method 'sdarts':", attack, attacks)
    if start == end == 0:
        raise UserError("Method 'sdarts' perturbs nothing where start and end are 0: choose one above, or 'darts'.")
    return Method(perturb=attacks[attack])
