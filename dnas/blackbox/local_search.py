"""Local search: the best of a few random architectures, then better neighbours, until there are none; then again.

White, Nolen and Savani, UAI 2021, arXiv:2005.02960 (naszilla): `first` moves to the first neighbour that is better,
`best` asks for all of them and moves to the best. Den Ottelander et al. 2020, arXiv:2004.08996: `decision` does so for
one decision after the other, in random order, until none of them gains (for one objective; theirs are two). Nothing is
asked for twice, and nothing beyond a budget of costs: there is no way through what is.
"""

from functools import partial
from typing import Annotated, NamedTuple

import jax
import jax.numpy as jnp

from dnas.blackbox.searcher import Decisions, Problem, Searcher, Strategy, neighbours, random_architecture
from dnas.errors import unknown
from dnas.ranges import Range
from dnas.tables.protocol import place

MOVES = ("first", "best", "decision")
DRAWS = 16  # for a start that has not been asked for: where all of these have been, one is asked for again


class Climb(NamedTuple):
    """asked: codes of what has been evaluated [T], number: how many. started: how many random ones this climb has had.

    current, best: int32 [D] with their scores; where we are, and the best of what its present part has shown.
    order, part: the parts of a neighbourhood in the order in which they are asked for [G], and which is next.
    moved: whether this round through the parts has gained anything.
    """

    asked: jax.Array
    number: jax.Array
    started: jax.Array
    current: jax.Array
    current_score: jax.Array
    best: jax.Array
    best_score: jax.Array
    order: jax.Array
    part: jax.Array
    moved: jax.Array


class Rules(NamedTuple):
    """What does not change: the settings, and what is searched."""

    move: str
    starts: int
    problem: Problem

    @property
    def decisions(self) -> Decisions:
        return self.problem.decisions

    @property
    def evaluations(self) -> int:
        return self.problem.evaluations

    @property
    def parts(self) -> int:
        """G: a neighbourhood is asked for as a whole, or decision by decision."""
        return len(self.decisions.options) if self.move == "decision" else 1


def searcher(*, move: str = "first", starts: Annotated[int, Range(1, 10_000)] = 10) -> Strategy:
    """`move`: first, best or decision; `starts`: random architectures of which the best is where a climb begins."""
    if move not in MOVES:
        raise unknown("move", move, MOVES)

    def build(problem: Problem) -> Searcher:
        rules = Rules(move, starts, problem)
        return Searcher(partial(_init, rules), partial(_ask, rules), partial(_tell, rules))

    return Strategy(build, parallel=False, lists=True)


def _init(rules: Rules, key: jax.Array) -> Climb:
    zero, none, number = jnp.zeros(len(rules.decisions.options), jnp.int32), jnp.float32(-jnp.inf), jnp.int32(0)
    asked = jnp.zeros(rules.evaluations, jnp.uint32)
    return Climb(asked, number, number, zero, none, zero, none, jnp.arange(rules.parts), number, jnp.bool_(False))


def _ask(rules: Rules, state: Climb, key: jax.Array) -> tuple[Climb, jax.Array]:
    start, pick, turn = jax.random.split(key, 3)

    def exhausted(carry: tuple[Climb, jax.Array]) -> jax.Array:
        state, _ = carry
        return (state.started >= rules.starts) & ~_open(rules, state).any()

    def advance(carry: tuple[Climb, jax.Array]) -> tuple[Climb, jax.Array]:
        state, key = carry
        key, used = jax.random.split(key)
        return _next_part(rules, state, used), key

    state, _ = jax.lax.while_loop(exhausted, advance, (state, turn))
    drawn = jax.vmap(lambda key: random_architecture(key, rules.decisions))(jax.random.split(start, DRAWS))
    legal = _legal(rules, drawn)
    fresh = drawn[jnp.argmax(1 * legal + (legal & _is_new(rules, state, drawn)))]
    chances = jnp.where(_open(rules, state), 0.0, -jnp.inf)
    neighbour = neighbours(state.current, rules.decisions)[0][jax.random.categorical(pick, chances)]
    chosen = jnp.where(state.started < rules.starts, fresh, neighbour)
    return state, chosen


def _tell(rules: Rules, state: Climb, architecture: jax.Array, score: jax.Array) -> Climb:
    starting = state.started < rules.starts
    goes = (score > state.current_score) & (starting | (rules.move == "first"))
    better = (score > state.best_score) & ~starting & ~goes
    return state._replace(
        asked=state.asked.at[state.number].set(_code(rules, architecture)),
        number=state.number + 1,
        started=state.started + starting,
        current=jnp.where(goes, architecture, state.current),
        current_score=jnp.where(goes, score, state.current_score),
        best=jnp.where(better, architecture, state.best),
        best_score=jnp.where(better, score, jnp.where(goes, -jnp.inf, state.best_score)),
        moved=state.moved & ~starting,
    )


def _next_part(rules: Rules, state: Climb, key: jax.Array) -> Climb:
    """After all of a part: move if it showed anything better; after all parts: another round, or a restart."""
    better = state.best_score > state.current_score
    moved, last = state.moved | better, state.part == rules.parts - 1
    stuck = last & ~moved
    score = jnp.maximum(state.best_score, state.current_score)
    return state._replace(
        started=jnp.where(stuck, 0, state.started),
        current=jnp.where(better, state.best, state.current),
        current_score=jnp.where(stuck, -jnp.inf, score),
        best_score=jnp.float32(-jnp.inf),
        order=jnp.where(last, jax.random.permutation(key, rules.parts), state.order),
        part=jnp.where(last, 0, state.part + 1),
        moved=moved & ~last,
    )


def _open(rules: Rules, state: Climb) -> jax.Array:
    """Which neighbours are new and of the present part [K]."""
    others, places = neighbours(state.current, rules.decisions)
    ours = places == state.order[state.part] if rules.move == "decision" else True
    return _is_new(rules, state, others) & _legal(rules, others) & ours


def _legal(rules: Rules, architectures: jax.Array) -> jax.Array:
    """Which may be asked for: [N, D] -> [N]."""
    allowed = rules.problem.allowed
    return jnp.ones(len(architectures), bool) if allowed is None else allowed(architectures)


def _is_new(rules: Rules, state: Climb, architectures: jax.Array) -> jax.Array:
    """Which have not been asked for: [N, D] -> [N]."""
    used = jnp.arange(rules.evaluations) < state.number
    return ~((_code(rules, architectures)[:, None] == state.asked) & used).any(-1)


def _code(rules: Rules, architectures: jax.Array) -> jax.Array:
    """Their places in the space, [..., D] -> [...]. Whole numbers go round at 2**32: in a space of more, two may have
    one code, and then one of them is left out."""
    return place(architectures.astype(jnp.uint32), rules.decisions.options)
