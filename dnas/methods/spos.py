"""SPOS: single-path one-shot. Weights shared by uniformly random architectures, then evolution among them by accuracy.

    w = argmin E_{a uniform} L(w, a),   a* = argmax of accuracy(w, a), by mutation and crossover of the best

Guo et al., "Single Path One-Shot Neural Architecture Search with Uniform Sampling", ECCV 2020, arXiv:1904.00420
(algorithm 1). Reference code: megvii-model/SinglePathOneShot. Defaults follow both: 20 generations of 50, of which 25
by crossover and 25 by mutation with probability 0.1 among the 10 best so far. They compute the batch norms' statistics
anew for every candidate from train images; here every validation batch is normalised by its own.
"""

from dataclasses import replace
from functools import partial
from typing import Annotated

from dnas.ranges import Acts, Count, Range
from dnas.search import relax, select
from dnas.search.method import Method

EVOLVES = Acts(
    "two generations of two or more", lambda given: min(given["population"], given["generations"]) > 1
)  # before, all are drawn at random


def method(
    *,
    population: Count = 50,
    generations: Count = 20,
    parents: Annotated[Count, EVOLVES] = 10,
    mutation: Annotated[float, Range(0, 1, above=True), EVOLVES] = 0.1,
) -> Method:
    """Of the evolution at the end; `mutation`: the probability that an edge of a genotype changes."""
    return Method(
        hypergrad=None,
        supernet=lambda space: replace(space, paths="one"),
        select=select.evolution(population, generations, parents, mutation),
        select_within=partial(select.evolution, population, generations, parents, mutation),
        adapt=lambda method, space, config: replace(method, relax=relax.uniform_path(space)),
    )
