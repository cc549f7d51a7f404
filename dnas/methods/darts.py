"""DARTS: softmax over operations, alphas by the validation gradient, first or second order.

Liu, Simonyan and Yang, "DARTS: Differentiable Architecture Search", ICLR 2019, arXiv:1806.09055. Reference code:
quark0/darts. `order`: "first"; "second", the exact derivative through one inner step; "finite_difference", the second
order as published, with `radius` / |v| as the step (their code: 0.01); "rnn_reference", that of their search for
recurrent cells, which clips gradients and steps beside the tied embedding. Updates, optimisers and schedules follow the
code: alphas first, on a fresh validation batch, then weights with the new alphas.
"""

from dataclasses import replace
from typing import Annotated

from dnas.architectures.topology import Space
from dnas.config import SearchConfig
from dnas.errors import unknown
from dnas.ranges import Acts, Range
from dnas.search import hypergrad
from dnas.search.method import Method

# a shorter step is lost in the rounding of float32, a longer one is none to differentiate by
STEPPING = ("finite_difference", "rnn_reference")
Acting = Acts("order=finite_difference", lambda given: given["order"] in STEPPING)
Radius = Annotated[float, Range(1e-6, 1000), Acting]


def method(*, order: str = "first", radius: Radius = 0.01) -> Method:
    """DARTS of the given order."""
    orders = {
        "first": hypergrad.first_order,
        "second": hypergrad.unrolled,
        "finite_difference": hypergrad.finite_difference(radius),
    }

    def as_in_rnn(method: Method, space: Space, config: SearchConfig) -> Method:
        estimator = hypergrad.clipped_finite_difference(config.weights.clip, radius, ("embedding",))
        return replace(method, hypergrad=estimator)

    if order == "rnn_reference":
        return Method(adapt=as_in_rnn)
    if order not in orders:
        raise unknown("order of method 'darts':", order, [*orders, "rnn_reference"])
    return Method(hypergrad=orders[order])
