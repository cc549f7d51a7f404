"""NSGA-II, for several objectives: the best fronts survive, and of the last what is least crowded. Deb et al. 2002.

"A Fast and Elitist Multiobjective Genetic Algorithm: NSGA-II", IEEE Transactions on Evolutionary Computation 6 (2).
Parents and as many children are sorted into fronts, the next parents are the best of both; parents of a child are won
in tournaments of two. Crossover is uniform and mutation changes an option, as there are no distances between options.
Axis letters: P population, N = 2P, M objectives, D decisions.
"""

from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dnas.blackbox.searcher import Decisions, Problem, Searcher, Strategy, random_architecture
from dnas.ranges import Probability, Range

LEAST = -1e30  # for what is not there: distances between infinite ones would be no numbers


class Generation(NamedTuple):
    """parents: int32 [P, D], scores [P, M], ranks [P] of their fronts, 0 the best, crowding [P].

    children, child_scores: what is told, in a ring. told: how many there have been.
    """

    parents: jax.Array
    scores: jax.Array
    ranks: jax.Array
    crowding: jax.Array
    children: jax.Array
    child_scores: jax.Array
    told: jax.Array


def searcher(*, population: Annotated[int, Range(2, 10_000)] = 20, crossover: Probability = 0.9) -> Strategy:
    """`population`: parents, and children of a generation; `crossover`: how probable it is that a child has two
    parents, from which each decision comes with equal probability. Every decision mutates with 1 / D."""

    def build(problem: Problem) -> Searcher:
        decisions, objectives = problem.decisions, problem.objectives

        def init(key: jax.Array) -> Generation:
            empty = jnp.zeros((population, len(decisions.options)), jnp.int32)
            none = jnp.full((population, objectives), LEAST)
            ranks, crowding = jnp.zeros(population, jnp.int32), jnp.zeros(population)
            return Generation(empty, none, ranks, crowding, empty, none, jnp.int32(0))

        def ask(state: Generation, key: jax.Array) -> tuple[Generation, jax.Array]:
            first, later = jax.random.split(key)
            child = _child(later, state, decisions, crossover)
            return state, jnp.where(state.told < population, random_architecture(first, decisions), child)

        def tell(state: Generation, architecture: jax.Array, score: jax.Array) -> Generation:
            place = state.told % population
            children = state.children.at[place].set(architecture)
            scores = state.child_scores.at[place].set(score)
            state = state._replace(children=children, child_scores=scores, told=state.told + 1)
            due = state.told % population == 0  # a loop of one turn or none: under vmap a condition is computed always
            return jax.lax.fori_loop(0, due.astype(jnp.int32), lambda _, state: _succeeded(state), state)

        return Searcher(init, ask, tell)

    return Strategy(build, several=True)


def fronts(scores: jax.Array) -> jax.Array:
    """scores [N, M], more is better -> int32 [N]: 0 for what nothing dominates, 1 for what only these do, and so on."""
    as_good = (scores[:, None] >= scores[None]).all(-1)
    dominates = as_good & ~as_good.T

    def peel(carry: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
        ranks, front = carry
        left = ranks < 0
        free = left & ~(left[:, None] & dominates).any(0)
        return jnp.where(free, front, ranks), front + 1

    start = jnp.full(len(scores), -1, jnp.int32), jnp.int32(0)
    return jax.lax.while_loop(lambda carry: (carry[0] < 0).any(), peel, start)[0]


def crowded(scores: jax.Array, ranks: jax.Array) -> jax.Array:
    """How far the neighbours of each in its front lie apart, [N, M] and [N] -> [N]: the sum over objectives of the
    distance between the next better and the next worse, as a part of what the front spans; infinite at its ends."""
    same = ranks[:, None] == ranks[None]

    def along(values: jax.Array) -> jax.Array:
        order = jnp.lexsort((values, ranks))
        sorted_values, sorted_ranks = values[order], ranks[order]
        joined = jnp.concatenate([jnp.array([False]), sorted_ranks[1:] == sorted_ranks[:-1], jnp.array([False])])
        gap = jnp.roll(sorted_values, -1) - jnp.roll(sorted_values, 1)
        gap = jnp.where(joined[1:] & joined[:-1], gap, jnp.inf)
        most = jnp.where(same, values[None], -jnp.inf).max(1)
        least = jnp.where(same, values[None], jnp.inf).min(1)
        span = (most - least)[order]
        part = jnp.where(jnp.isinf(gap), jnp.inf, jnp.where(span > 0, gap / span, 0.0))
        return jnp.zeros(len(values)).at[order].set(part)

    return jax.vmap(along, 1)(scores).sum(0)


def _succeeded(state: Generation) -> Generation:
    """The next generation: of parents and children the best."""
    members = jnp.concatenate([state.parents, state.children])
    scores = jnp.concatenate([state.scores, state.child_scores])
    ranks = fronts(scores)
    crowding = crowded(scores, ranks)
    kept = jnp.lexsort((-crowding, ranks))[: len(state.parents)]
    return state._replace(parents=members[kept], scores=scores[kept], ranks=ranks[kept], crowding=crowding[kept])


def _child(key: jax.Array, state: Generation, decisions: Decisions, crossover: float) -> jax.Array:
    """Of two winners, mutated."""
    rivals, chances, what = jax.random.split(key, 3)
    pairs = jax.random.randint(rivals, (2, 2), 0, len(state.parents))
    one, other = (state.parents[_winner(state, *pair)] for pair in pairs)
    options = np.array(decisions.options, np.int32)
    (both, *_), exchanged, changes = jax.random.uniform(chances, (3, len(options)))
    child = jnp.where((both < crossover) & (exchanged < 0.5), other, one)
    step = jax.random.randint(what, options.shape, 1, np.maximum(options, 2), jnp.int32)
    return jnp.where(changes < 1 / len(options), (child + step) % options, child)


def _winner(state: Generation, one: jax.Array, other: jax.Array) -> jax.Array:
    """Which of two parents is of the better front, or of the same one and less crowded."""
    level = state.ranks[one] == state.ranks[other]
    loses = jnp.where(level, state.crowding[other] > state.crowding[one], state.ranks[other] < state.ranks[one])
    return jnp.where(loses, other, one)
