"""SNAS: samples of the concrete distribution on every edge; weights and alphas by the gradient of one loss.

    mix = softmax((alpha + Gumbel noise) / temperature),   loss = L(w, mix) + penalty sum_edges log R_edge(mix)

Xie, Zheng, Liu and Lin, "SNAS: Stochastic Neural Architecture Search", ICLR 2019, arXiv:1812.09926. Reference code:
SNAS-Series. A single level: set `search.levels` to "single". The temperature falls linearly over the epochs. R is what
the sampled operations of an edge cost, its `resource` "multiply_adds" (of 32x32 pixels) or "parameters", the mean over
the cells of a kind. `rule` "log" takes the logarithm edge by edge, as their code does with the weight that is the
default here; "linear" is the paper's, whose weight is of another size (their code: 1e-5). They count memory accesses
too. The genotype keeps every edge but those that chose `none`. Their code drops paths in the search, which is left out.
"""

from dataclasses import replace
from typing import Annotated

from dnas.errors import unknown
from dnas.ranges import Acts, Amount, Temperature
from dnas.search import discretise, relax
from dnas.search.method import Method
from dnas.search.penalty import RESOURCES, log_cost, mean_cost, operation_costs

RULES = {"log": log_cost, "linear": mean_cost}
PENALISED = Acts("a penalty above 0", lambda given: given["penalty"] > 0)


def method(
    *,
    hottest: Temperature = 1.0,
    coldest: Temperature = 0.03,
    penalty: Amount = 1.5e-3,
    resource: Annotated[str, PENALISED] = "multiply_adds",
    rule: Annotated[str, PENALISED] = "log",
) -> Method:
    """The temperature of the first and of the last epoch; weight of the resource penalty, 0 for none, what it counts
    and how."""
    if rule not in RULES:
        raise unknown("rule of method 'snas':", rule, RULES)

    if resource not in RESOURCES:
        raise unknown("resource", resource, RESOURCES)

    def with_costs(method, space, config):
        return replace(method, penalty=RULES[rule](operation_costs(space, config, resource), penalty))

    return Method(
        relax=relax.concrete(relax.linear(hottest, coldest)),
        evaluation_mix=relax.keyless(relax.softmax),
        discretise=discretise.every_edge,
        adapt=with_costs if penalty else None,
    )
