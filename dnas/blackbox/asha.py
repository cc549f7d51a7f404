"""ASHA: successive halving that waits for nobody: what is among the best of its rung so far goes on. Li et al., 2020.

"A System for Massively Parallel Hyperparameter Tuning", MLSys 2020, arXiv:1810.05934. Asked, it looks from the top rung
down for one of the best eta-th that has not been promoted; where there is none, the lowest rung gets a random one.
"""

from dataclasses import dataclass, field
from typing import Annotated

import numpy as np

from dnas.blackbox.rungs import Draws, Pending, best, rungs
from dnas.blackbox.searcher import Problem, Proposal, Strategy
from dnas.ranges import Range


def searcher(*, eta: Annotated[int, Range(2, 100)] = 3) -> Strategy:
    """`eta`: one of so many is promoted, and the next rung is at least so many times as long."""

    def host(problem: Problem, generator: np.random.Generator) -> Asha:
        return Asha(problem, generator, eta)

    return Strategy(host=host, fidelities=True, opens=True)


@dataclass
class Rung:
    """What has been evaluated at one fidelity, in the order of telling, and the places of what has gone on."""

    members: list[np.ndarray] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    promoted: set[int] = field(default_factory=set)


class Asha:
    """A run of it."""

    def __init__(self, problem: Problem, generator: np.random.Generator, eta: int):
        self.draws, self.eta = Draws(problem, generator), eta
        self.fidelities = rungs(problem.fidelities, eta)
        self.rungs = [Rung() for _ in self.fidelities]
        self.pending: Pending[int] = Pending()

    def ask(self) -> Proposal:
        number, architecture = self._promoted() or (0, self.draws.one())
        return self.pending.put(Proposal(architecture, self.fidelities[number]), number)

    def tell(self, proposal: Proposal, scores: np.ndarray) -> None:
        rung = self.rungs[self.pending.take(proposal)]
        rung.members.append(proposal.architecture)
        rung.scores.append(float(scores[0]))

    def _promoted(self) -> tuple[int, np.ndarray] | None:
        """Where the next one goes on, and which; None if none does."""
        for number in reversed(range(len(self.rungs) - 1)):
            rung = self.rungs[number]
            for place in best(rung.scores, len(rung.scores) // self.eta):
                if place not in rung.promoted:
                    rung.promoted.add(place)
                    return number + 1, rung.members[place]
        return None
