"""What searchers on the host share: rungs, the brackets of Hyperband, which proposal a score belongs to, and draws."""

from collections import defaultdict, deque
from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

import numpy as np

from dnas.blackbox.searcher import Decisions, Problem, Proposal
from dnas.errors import UserError

Trial = TypeVar("Trial")
CLOSE = 1e-6  # relative: portions are written as decimal numbers


class Bracket(NamedTuple):
    """Successive halving: how many are evaluated at each of its rungs, and at which portion of an evaluation."""

    sizes: tuple[int, ...]
    fidelities: tuple[float, ...]


class Pending(Generic[Trial]):
    """What has been proposed and not been told, and what it is to its searcher; of equal proposals the first first."""

    def __init__(self) -> None:
        self._waiting: dict[tuple[bytes, float], deque[Trial]] = defaultdict(deque)

    def put(self, proposal: Proposal, trial: Trial) -> Proposal:
        """The proposal itself."""
        self._waiting[_key(proposal)].append(trial)
        return proposal

    def take(self, proposal: Proposal) -> Trial:
        """Errors: `LookupError` for what is not pending."""
        return self._waiting[_key(proposal)].popleft()


class Draws:
    """The random architectures of a run: first those that it is to begin with."""

    def __init__(self, problem: Problem, generator: np.random.Generator):
        self.given, self.decisions, self.generator = deque(problem.first), problem.decisions, generator

    def one(self) -> np.ndarray:
        """The next, int32 [D]."""
        return self.given.popleft() if self.given else drawn(self.generator, self.decisions)


def rungs(fidelities: Sequence[float], eta: int) -> tuple[float, ...]:
    """From a whole evaluation down, each the largest that is at most an eta-th of the one above; ascending.

    Errors: `UserError` if there is one only, so that nothing could be promoted.
    """
    found = [fidelities[-1]]
    for fidelity in reversed(fidelities):
        if fidelity * eta <= found[-1] * (1 + CLOSE):
            found.append(fidelity)
    if len(found) == 1:
        known = ", ".join(f"{fidelity:g}" for fidelity in fidelities)
        raise UserError(
            f"No evaluation is at most 1/{eta} of a whole one, as this searcher needs: there are {known} of it. Choose "
            "a smaller eta, or another evaluator."
        )
    return tuple(reversed(found))


def brackets(fidelities: Sequence[float], eta: int) -> list[Bracket]:
    """Hyperband's, the one with most rungs first; fidelities: its rungs, ascending.

    As in the table of the paper (R = 81, eta = 3), which rounds down: 81, 27, 9, 6 and 5 at the start.
    """
    count, found = len(fidelities), list[Bracket]()
    for s in reversed(range(count)):
        first = count // (s + 1) * eta**s
        found.append(Bracket(tuple(first // eta**i for i in range(s + 1)), tuple(fidelities[-s - 1 :])))
    return found


def drawn(generator: np.random.Generator, decisions: Decisions) -> np.ndarray:
    """One of all with equal probability, int32 [D]."""
    return generator.integers(0, decisions.options, dtype=np.int32)


def best(scores: Sequence[float], count: int) -> list[int]:
    """The places of the so many best, the best first; of equal ones the first."""
    return sorted(range(len(scores)), key=lambda place: (-scores[place], place))[:count]


def _key(proposal: Proposal) -> tuple[bytes, float]:
    return np.asarray(proposal.architecture, np.int32).tobytes(), float(proposal.fidelity)
