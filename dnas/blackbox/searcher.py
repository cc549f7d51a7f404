"""What a searcher is: it proposes architectures and learns from their scores.

A searcher is a file in `dnas/blackbox/` with `searcher(*, ...) -> Strategy`. One that is three traced functions
(`Searcher`) runs by the hundreds: a whole run is one loop, and many runs are one program. One that is an object on the
host (`HostSearcher`) may use whatever Python has, and may ask for cheaper evaluations. Axis letters: D decisions of an
architecture, K neighbours, M objectives, of each of which more is better.
"""

from collections.abc import Callable
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
import numpy as np

from dnas.architectures.choices import choices
from dnas.architectures.topology import Cell, Space

State = Any  # a pytree


class Searcher(NamedTuple):
    """init: key -> state. ask: (state, key) -> (state, architecture int32 [D]). tell: (state, architecture, score) ->
    state; the score is float32 [], or [M] where the strategy takes several objectives. What is told need not be what
    was proposed: a warm-up puts others in the place of the first (`warmup.py`)."""

    init: Callable[..., State]
    ask: Callable[[State, jax.Array], tuple[State, jax.Array]]
    tell: Callable[[State, jax.Array, jax.Array], State]


class Decisions(NamedTuple):
    """options: how many each decision has. groups: what it belongs to, the node that an edge enters.

    cells: the graphs whose edges the decisions are, one after the other, where there are such.
    """

    options: tuple[int, ...]
    groups: tuple[int, ...]
    cells: tuple[Cell, ...] = ()


class Problem(NamedTuple):
    """decisions: what is searched. evaluations: how many there are at most. objectives: M.

    fidelities: the portions of a whole evaluation that can be asked for, ascending; the last is 1.
    first: int32 [D] each, the random architectures that a searcher on the host begins with.
    allowed: int32 [N, D] -> [N], which may be proposed, traced; None: all. Whoever proposes another is asked again; who
    goes through lists of architectures leaves those out.
    """

    decisions: Decisions
    evaluations: int
    objectives: int = 1
    fidelities: tuple[float, ...] = (1.0,)
    first: tuple[np.ndarray, ...] = ()
    allowed: Callable[[jax.Array], jax.Array] | None = None


class Proposal(NamedTuple):
    """architecture: int32 [D]. fidelity: one of the problem's."""

    architecture: np.ndarray
    fidelity: float = 1.0


class HostSearcher(Protocol):
    """A searcher of one run on the host; everything follows from its generator and from the order of the calls."""

    def ask(self) -> Proposal | None:
        """What to evaluate next; None: nothing before more is told, which only a searcher may answer of whose
        proposals some have not been told, and which changes nothing."""
        ...

    def tell(self, proposal: Proposal, scores: np.ndarray) -> None:
        """The scores [M] of a proposal; with several workers in any order."""
        ...


class Strategy(NamedTuple):
    """build: makes the traced searcher for a problem, or host: that of one run on the host; one of them is given.

    several: whether it takes several objectives at once. parallel: whether it may be asked again before it was told.
    fidelities: whether it needs evaluations of more than one fidelity. opens: whether one on the host begins with
    `Problem.first`; a traced one needs nothing for that. lists: whether it goes through lists of architectures, and
    needs `Problem.allowed` for that.
    """

    build: Callable[[Problem], Searcher] | None = None
    several: bool = False
    host: Callable[[Problem, np.random.Generator], HostSearcher] | None = None
    parallel: bool = True
    fidelities: bool = False
    opens: bool = False
    lists: bool = False


def decisions_of(space: Space) -> Decisions:
    """Those of a space in the order of `dnas.architectures.choices`. Errors: as there."""
    options, groups = choices(space)
    return Decisions(options, groups, tuple(space.cells.values()))


def random_architecture(key: jax.Array, decisions: Decisions) -> jax.Array:
    """One of all with equal probability, int32 [D]."""
    return jax.random.randint(key, (len(decisions.options),), 0, jnp.array(decisions.options), jnp.int32)


def mutated(key: jax.Array, architecture: jax.Array, decisions: Decisions, by_group: bool) -> jax.Array:
    """The architecture with another option for one decision, int32 [D].

    by_group: the group is drawn first, then one of its decisions; else all decisions are equally likely.
    """
    shares = np.array([1 / decisions.groups.count(group) if by_group else 1.0 for group in decisions.groups])
    shares[[count == 1 for count in decisions.options]] = 0
    which, what = jax.random.split(key)
    d = jax.random.choice(which, len(shares), p=jnp.asarray(shares / shares.sum(), jnp.float32))
    options = jnp.array(decisions.options)[d]
    step = jax.random.randint(what, (), 1, jnp.maximum(options, 2), jnp.int32)
    return architecture.at[d].set((architecture[d] + step) % options)


def neighbours(architecture: jax.Array, decisions: Decisions) -> tuple[jax.Array, np.ndarray]:
    """All architectures that differ in one decision, int32 [K, D], and which decision that is [K]."""
    pairs = [(d, step) for d, count in enumerate(decisions.options) for step in range(1, count)]
    places, steps = (np.array(numbers, np.int32) for numbers in zip(*pairs, strict=True))
    changed = (architecture[places] + steps) % np.array(decisions.options, np.int32)[places]
    return jnp.tile(architecture, (len(pairs), 1)).at[np.arange(len(pairs)), places].set(changed), places
