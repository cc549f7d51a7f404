"""DARTS: softmax over operations, alphas by the validation gradient, first or second order.

Liu, Simonyan and Yang, "DARTS: Differentiable Architecture Search", ICLR 2019, arXiv:1806.09055. Reference code:
quark0/darts. `order`: "first"; "second", the exact derivative through one inner step; "finite_difference", the second
order as published, with `radius` / |v| as the step (their code: 0.01); "rnn_reference", that of their search for
recurrent cells, which clips gradients and steps beside the tied embedding. Updates, optimisers and schedules follow the
code: alphas first, on a fresh validation batch, then weights with the new alphas.
"""

from dataclasses import replace

from dnas.architectures.topology import Space
from dnas.config import SearchConfig
from dnas.errors import unknown
from dnas.ranges import Factor
from dnas.search import hypergrad
from dnas.search.method import Method


def method(*, order: str = "first", radius: Factor = 0.01) -> Method:
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
