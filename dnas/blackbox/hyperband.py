"""Hyperband: many architectures at a small portion of an evaluation, the best of them at more. Li et al., JMLR 2018.

arXiv:1603.06560. A bracket is successive halving: of the architectures at a rung, an eta-th goes on to the next. The
brackets take turns, from many architectures at the least portion to few at a whole evaluation. With several workers the
next bracket begins where the ones before have nothing to do before more is told.
"""

from dataclasses import dataclass, field
from itertools import cycle
from typing import Annotated

import numpy as np

from dnas.blackbox.rungs import Bracket, Draws, Pending, best, brackets, rungs
from dnas.blackbox.searcher import Problem, Proposal, Strategy
from dnas.ranges import Range


def searcher(*, eta: Annotated[int, Range(2, 100)] = 3) -> Strategy:
    """`eta`: one of so many is promoted, and the next rung is at least so many times as long."""

    def host(problem: Problem, generator: np.random.Generator) -> Hyperband:
        return Hyperband(problem, generator, eta)

    return Strategy(host=host, fidelities=True, opens=True)


@dataclass
class Halving:
    """A bracket under way. rung: which is evaluated. members: what is, in order; proposed: how many of them; scores:
    by their places."""

    bracket: Bracket
    members: list[np.ndarray]
    rung: int = 0
    proposed: int = 0
    scores: dict[int, float] = field(default_factory=dict)

    def told(self, place: int, score: float) -> None:
        """After all of a rung, the best of it are what is evaluated at the next."""
        self.scores[place] = score
        if len(self.scores) == len(self.members) and not self.finished:
            self.rung += 1
            scores = [self.scores[place] for place in range(len(self.members))]
            self.members = [self.members[place] for place in best(scores, self.bracket.sizes[self.rung])]
            self.proposed, self.scores = 0, {}

    @property
    def finished(self) -> bool:
        """Whether nothing follows this rung."""
        return self.rung == len(self.bracket.sizes) - 1

    @property
    def open(self) -> bool:
        """Whether something of this rung has not been proposed."""
        return self.proposed < len(self.members)


class Hyperband:
    """A run of it."""

    def __init__(self, problem: Problem, generator: np.random.Generator, eta: int):
        self.draws = Draws(problem, generator)
        self.planned = cycle(brackets(rungs(problem.fidelities, eta), eta))
        self.under_way: list[Halving] = []
        self.pending: Pending[tuple[Halving, int]] = Pending()

    def ask(self) -> Proposal:
        halving = next((halving for halving in self.under_way if halving.open), None)
        if halving is None:
            halving = self._begun()
        place = halving.proposed
        halving.proposed += 1
        proposal = Proposal(halving.members[place], halving.bracket.fidelities[halving.rung])
        return self.pending.put(proposal, (halving, place))

    def tell(self, proposal: Proposal, scores: np.ndarray) -> None:
        halving, place = self.pending.take(proposal)
        halving.told(place, float(scores[0]))
        self.under_way = [halving for halving in self.under_way if halving.open or not halving.finished]

    def _begun(self) -> Halving:
        bracket = next(self.planned)
        members = [self.draws.one() for _ in range(bracket.sizes[0])]
        self.under_way.append(Halving(bracket, members))
        return self.under_way[-1]
