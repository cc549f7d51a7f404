"""Regularised evolution: the best of a few becomes a parent, the oldest dies. Real et al., AAAI 2019.

arXiv:1802.01548. The defaults are those of NAS-Bench-201 (D-X-Y/AutoDL-Projects, `regularized_ea.py`): tournaments are
drawn with replacement, and a mutation draws a node, then one of its edges, then another operation for it.
"""

from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp

from dnas.blackbox.searcher import Problem, Searcher, Strategy, mutated, random_architecture
from dnas.errors import unknown
from dnas.ranges import Range

MUTATIONS = ("node", "edge")


class Population(NamedTuple):
    """members: int32 [P, D], in a ring. scores: [P]. told: how many there have been, asked: how many were proposed."""

    members: jax.Array
    scores: jax.Array
    told: jax.Array
    asked: jax.Array


def searcher(
    *,
    population: Annotated[int, Range(1, 10_000)] = 10,
    tournament: Annotated[int, Range(1, 10_000)] = 3,
    mutation: str = "node",
) -> Strategy:
    """`population`: how many live, the first of them drawn at random; `tournament`: how many compete for parenthood;
    `mutation`: node, of a node drawn first, or edge, of any edge."""
    if mutation not in MUTATIONS:
        raise unknown("mutation", mutation, MUTATIONS)

    def build(problem: Problem) -> Searcher:
        decisions = problem.decisions

        def init(key: jax.Array) -> Population:
            members = jnp.zeros((population, len(decisions.options)), jnp.int32)
            return Population(members, jnp.full(population, -jnp.inf), jnp.int32(0), jnp.int32(0))

        def ask(state: Population, key: jax.Array) -> tuple[Population, jax.Array]:
            first, draw, change = jax.random.split(key, 3)
            rivals = jax.random.randint(draw, (tournament,), 0, jnp.clip(state.told, 1, population))
            parent = state.members[rivals[jnp.argmax(state.scores[rivals])]]
            child = mutated(change, parent, decisions, mutation == "node")
            proposed = jnp.where(state.asked < population, random_architecture(first, decisions), child)
            return state._replace(asked=state.asked + 1), proposed

        def tell(state: Population, architecture: jax.Array, score: jax.Array) -> Population:
            oldest = state.told % population
            members = state.members.at[oldest].set(architecture)
            return state._replace(members=members, scores=state.scores.at[oldest].set(score), told=state.told + 1)

        return Searcher(init, ask, tell)

    return Strategy(build)
