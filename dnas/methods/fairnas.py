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

import jax
import jax.numpy as jnp

from dnas.methods import spos
from dnas.ranges import Count, Range
from dnas.search import relax
from dnas.search.method import Method


def summed(loss, weights, mix, clock):
    """The sum of the gradients of the paths of a mix [K, E, O], one after the other, and the means of their losses and
    measures. The running statistics absorb the moments of one after the other, those of an operation that a path left
    out as they were before the step; a recurrent state goes on from the last path."""

    def add(total, path):
        seen, gradient = jax.value_and_grad(loss, has_aux=True)(weights, path)
        return jax.tree.map(jnp.add, total, gradient), seen

    gradient, (losses, seen) = jax.lax.scan(add, jax.tree.map(jnp.zeros_like, weights), mix)
    mean = lambda tree: jax.tree.map(lambda leaf: leaf.mean(0), tree)  # noqa: E731
    one = seen._replace(
        moments=jax.tree.map(lambda leaf: jnp.moveaxis(leaf, 0, -2), seen.moments),
        sums=mean(seen.sums),
        score=mean(seen.score),
        carry=jax.tree.map(lambda leaf: leaf[-1], seen.carry),
    )
    return (losses.mean(), one), gradient


def method(
    *,
    population: Count = 50,
    generations: Count = 20,
    parents: Annotated[Count, spos.EVOLVES] = 10,
    mutation: Annotated[float, Range(0, 1, above=True), spos.EVOLVES] = 0.1,
) -> Method:
    """Of the evolution at the end, as of `spos`."""

    def fair(method, space, config):
        return replace(method, relax=relax.uniform_path(space), weight_relax=relax.fair_paths(space))

    base = spos.method(population=population, generations=generations, parents=parents, mutation=mutation)
    return replace(base, weight_gradient=summed, adapt=fair)
