"""FairNAS: SPOS whose steps train every operation of every edge once, so that none has a lead by the draw.

    w <- w - rate sum_k dL(w, a_k)/dw,   a_1 .. a_K: every edge goes through its K operations in a random order

Chu, Zhang and Xu, "FairNAS: Rethinking Evaluation Fairness of Weight Sharing Neural Architecture Search", ICCV 2021,
arXiv:1907.01845 (algorithm 1, "strict fairness"). From the paper: xiaomi-automl/FairNAS has trained networks only. All
K paths read one batch, and their gradients are summed, so a step costs K of SPOS. As for `spos` the architecture is
chosen by evolution with one objective; theirs is NSGA-II, by accuracy, multiply-adds and parameters. Their layers all
have as many operations and no edges to leave out; what becomes of these here: `relax.fair_paths`.
"""

from dataclasses import replace
from typing import Annotated

from dnas.methods import spos
from dnas.ranges import Count, Range
from dnas.search import relax
from dnas.search.method import Method


def method(
    *,
    population: Count = 50,
    generations: Count = 20,
    parents: Annotated[Count, spos.EVOLVES] = 10,
    mutation: Annotated[float, Range(0, 1, above=True), spos.EVOLVES] = 0.1,
) -> Method:
    """Of the evolution at the end, as of `spos`."""

    def fair(method, space, config):
        return replace(method, relax=relax.uniform_path(space), weight_mixes=relax.fair_paths(space))

    base = spos.method(population=population, generations=generations, parents=parents, mutation=mutation)
    return replace(base, adapt=fair)
