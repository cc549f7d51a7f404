"""FairDARTS: sigmoids instead of a softmax, so that operations do not compete, and a loss that pushes them to 0 or 1.

    mix = sigmoid(alpha),     F - weight mean (mix - 1/2)^2

Chu et al., "Fair DARTS: Eliminating Unfair Advantages in Differentiable Architecture Search", ECCV 2020,
arXiv:1911.12126. Reference code: xiaomi-automl/FairDARTS. As in the code: the mean runs over both kinds of cells, and
the genotype keeps the edges of DARTS whose operation is above a threshold ("threshold_sparse"), so that a node may have
no input; their alphas begin at 0 (`search.alphas.initial_scale`).
"""

from typing import Annotated

from dnas.errors import unknown
from dnas.ranges import Acts, Amount, Probability
from dnas.search import discretise, penalty, relax
from dnas.search.method import Method


def method(
    *,
    weight: Amount = 10.0,
    distance: Annotated[str, Acts("a weight above 0", lambda given: given["weight"] > 0)] = "l2",
    rule: str = "threshold_sparse",
    threshold: Annotated[Probability, Acts("a rule of thresholds", lambda given: given["rule"] != "darts")] = 0.85,
) -> Method:
    """`weight`: of the zero-one loss. `distance`: "l2" or "l1". `rule`: "threshold_sparse", "threshold_edge" (up to two
    operations on any edge) or "darts"."""
    if distance not in penalty.DISTANCES:
        raise unknown("distance of method 'fair_darts':", distance, penalty.DISTANCES)
    rules = {
        "threshold_sparse": discretise.threshold_sparse(threshold),
        "threshold_edge": discretise.threshold_edge(threshold),
        "darts": discretise.strongest,
    }
    if rule not in rules:
        raise unknown("rule of method 'fair_darts':", rule, rules)

    def fitting(method, space, config):
        if rule == "threshold_edge":
            discretise.several_on_an_edge(space)
        return method

    return Method(
        relax=relax.sigmoid, penalty=penalty.zero_one(weight, distance), discretise=rules[rule], adapt=fitting
    )
