"""DEHB: Hyperband whose architectures are bred by differential evolution. Awad, Mallik and Hutter, IJCAI 2021.

arXiv:2105.09821. Every rung has a population of its own, as large as the largest bracket has there. In the first round
of brackets the best of a rung go on to the next, as in Hyperband, each into the place of a member; afterwards every
member is challenged in turn: three of the best of the rung below make a mutant (rand/1), which gives the challenger
some of its numbers (binomial crossover), and the better one stays. A member without a score is evaluated as it is.

An architecture is a point of [0, 1]^D, whose d-th number is cut into as many equal parts as there are options, as the
authors do; numbers beyond the ends are drawn anew. Axis letters: P members, D decisions.
"""

from dataclasses import dataclass
from typing import Annotated, NamedTuple

import numpy as np

from dnas.blackbox.rungs import Bracket, Pending, best, brackets, rungs
from dnas.blackbox.searcher import Problem, Proposal, Strategy
from dnas.ranges import Probability, Range

PARENTS = 3  # of a mutant


def searcher(
    *,
    eta: Annotated[int, Range(2, 100)] = 3,
    factor: Annotated[float, Range(0, 2, above=True)] = 0.5,
    crossover: Probability = 0.5,
) -> Strategy:
    """`eta`: as of Hyperband; `factor`: of the difference of two parents that is added to a third; `crossover`: how
    probable it is that a number comes from the mutant."""

    def host(problem: Problem, generator: np.random.Generator) -> Dehb:
        return Dehb(problem, generator, Breeding(generator, factor, crossover), eta)

    return Strategy(host=host, fidelities=True)


class Breeding(NamedTuple):
    """How challengers are made."""

    generator: np.random.Generator
    factor: float
    crossover: float

    def mutant(self, parents: np.ndarray) -> np.ndarray:
        """Of three different ones of the parents, [P, D] -> [D]."""
        one, other, third = parents[self.generator.choice(len(parents), PARENTS, replace=False)]
        return one + self.factor * (other - third)

    def crossed(self, target: np.ndarray, mutant: np.ndarray) -> np.ndarray:
        """The target with numbers of the mutant, at least one of them, inside [0, 1]."""
        taken = self.generator.random(len(target)) < self.crossover
        if not taken.any():
            taken[self.generator.integers(len(target))] = True
        child = np.where(taken, mutant, target)
        return np.where((child < 0) | (child > 1), self.generator.random(len(child)), child)


@dataclass
class Population:
    """Members [P, D] of a rung with their scores [P], minus infinity before the first; turn: who is challenged next.
    promoted: what is to come from the rung below."""

    members: np.ndarray
    scores: np.ndarray
    promoted: list[np.ndarray]
    turn: int = 0

    def next_place(self) -> int:
        place = self.turn
        self.turn = (place + 1) % len(self.members)
        return place


@dataclass
class Round:
    """A bracket under way: how much of its rung has been proposed and told; first: of the first round of brackets."""

    bracket: Bracket
    first: bool
    rung: int = 0
    proposed: int = 0
    told: int = 0

    def tell(self) -> None:
        self.told += 1
        if self.told == self.bracket.sizes[self.rung]:
            self.rung, self.proposed, self.told = self.rung + 1, 0, 0

    @property
    def open(self) -> bool:
        return not self.finished and self.proposed < self.bracket.sizes[self.rung]

    @property
    def finished(self) -> bool:
        return self.rung == len(self.bracket.sizes)


class Waiting(NamedTuple):
    """A proposal: of which bracket, as what, for which place of the population of its rung."""

    round: Round
    vector: np.ndarray
    place: int


class Dehb:
    """A run of it."""

    def __init__(self, problem: Problem, generator: np.random.Generator, breeding: Breeding, eta: int):
        self.options, self.breeding = np.array(problem.decisions.options), breeding
        fidelities = rungs(problem.fidelities, eta)
        self.brackets = brackets(fidelities, eta)
        sizes = {f: max(b.sizes[b.fidelities.index(f)] for b in self.brackets if f in b.fidelities) for f in fidelities}
        self.populations = {
            fidelity: Population(generator.random((size, len(self.options))), np.full(size, -np.inf), [])
            for fidelity, size in sizes.items()
        }
        self.rounds: list[Round] = []
        self.begun = 0
        self.pending: Pending[Waiting] = Pending()

    def ask(self) -> Proposal:
        current = next((known for known in self.rounds if known.open), None)
        if current is None:
            bracket = self.brackets[self.begun % len(self.brackets)]
            current = Round(bracket, first=self.begun < len(self.brackets))
            self.begun += 1
            self.rounds.append(current)
        current.proposed += 1
        fidelity = current.bracket.fidelities[current.rung]
        place = self.populations[fidelity].next_place()
        vector = self._vector(current, place)
        proposal = Proposal(np.minimum(vector * self.options, self.options - 1).astype(np.int32), fidelity)
        return self.pending.put(proposal, Waiting(current, vector, place))

    def tell(self, proposal: Proposal, scores: np.ndarray) -> None:
        waiting, score = self.pending.take(proposal), float(scores[0])
        population = self.populations[proposal.fidelity]
        if score >= population.scores[waiting.place]:
            population.members[waiting.place], population.scores[waiting.place] = waiting.vector, score
        waiting.round.tell()
        self.rounds = [known for known in self.rounds if not known.finished]

    def _vector(self, current: Round, place: int) -> np.ndarray:
        """What challenges a member: the member itself, one from the rung below, or a child."""
        bracket, rung = current.bracket, current.rung
        population = self.populations[bracket.fidelities[rung]]
        below = self.populations[bracket.fidelities[max(rung - 1, 0)]]
        if current.first and rung > 0:
            return self._promoted(below, population, bracket.sizes[rung])
        if population.scores[place] == -np.inf:
            return population.members[place]
        parents = below.members[best(below.scores.tolist(), bracket.sizes[rung])]
        if len(parents) < PARENTS:
            everybody = np.concatenate([known.members for known in self.populations.values()])
            more = [self.breeding.mutant(everybody) for _ in range(PARENTS - len(parents))]
            parents = np.concatenate([parents, more])
        return self.breeding.crossed(population.members[place], self.breeding.mutant(parents))

    def _promoted(self, below: Population, population: Population, count: int) -> np.ndarray:
        """The best below that is not here; the best of all where everything is."""
        scored = [place for place in best(below.scores.tolist(), len(below.scores)) if below.scores[place] > -np.inf]
        if not population.promoted:
            new = [below.members[p] for p in scored if not (below.members[p] == population.members).all(1).any()]
            population.promoted = new[:count]
        return population.promoted.pop(0) if population.promoted else below.members[scored[0]]
