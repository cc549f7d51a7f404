"""SNAS: samples of the concrete distribution on every edge; weights and alphas by the gradient of one loss.

    mix = softmax((alpha + Gumbel noise) / temperature),   loss = L(w, mix) + penalty log R(mix)

Xie, Zheng, Liu and Lin, "SNAS: Stochastic Neural Architecture Search", ICLR 2019, arXiv:1812.09926. Reference code:
SNAS-Series. A single level: set `search.levels` to "single". The temperature falls linearly over the epochs. R is what
the sampled network costs, its `resource` "multiply_adds" or "parameters"; the logarithm is the code's, which counts
memory accesses too. The genotype keeps every edge but those that chose `none`. Their code drops paths in the search,
which is left out here.
"""

from dataclasses import replace

from dnas.search import discretise, relax
from dnas.search.method import Method
from dnas.search.penalty import log_cost, operation_costs


def method(
    *, hottest: float = 1.0, coldest: float = 0.03, penalty: float = 1.5e-3, resource: str = "multiply_adds"
) -> Method:
    """The temperature of the first and of the last epoch; weight of the resource penalty, 0 for none, and its kind."""

    def with_costs(method, space, config):
        return replace(method, penalty=log_cost(operation_costs(space, config, resource), penalty))

    return Method(
        relax=relax.concrete(relax.linear(hottest, coldest)),
        scores=relax.score(relax.softmax),
        discretise=discretise.every_edge,
        adapt=with_costs if penalty else None,
    )
