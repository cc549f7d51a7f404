"""BANANAS: an ensemble of networks predicts what mutations of the best are worth. White, Neiswanger and Savani 2021.

AAAI 2021, arXiv:1910.11858, as in naszilla: after some random architectures, an ensemble is trained on all scores so
far for every batch of proposals. Candidates are mutations of the best five, of the next of them only where there are
not yet a hundred new ones; every decision mutates with 1 / (D - 2), as there. Independent Thompson sampling draws a
score for each candidate from the mean and deviation of the predictions, and the batch are those with the best draws.
Cells whose edges carry operations are seen by their paths (`dnas.architectures.paths`), others by their options.

Departures: predictions are of standardised scores, as measures have no common scale (theirs are errors in percent);
nothing is proposed twice, pending or told. Axis letters: N architectures, D decisions, K candidates, F features.
"""

from collections.abc import Callable
from typing import Annotated

import numpy as np

from dnas.architectures.paths import has_branches
from dnas.architectures.paths import paths as cell_paths
from dnas.blackbox.ensemble import Predict, Sizes, predictor
from dnas.blackbox.rungs import Draws, best
from dnas.blackbox.searcher import Decisions, Problem, Proposal, Strategy
from dnas.ranges import Factor, Range

PARENTS = 5
CANDIDATES = 100  # of each parent, and enough of all of them
DRAWS = 16  # for a random one that is new

Encode = Callable[[np.ndarray], np.ndarray]


def searcher(
    *,
    initial: Annotated[int, Range(1, 10_000)] = 10,
    batch: Annotated[int, Range(1, CANDIDATES)] = 10,
    networks: Annotated[int, Range(2, 100)] = 5,
    layers: Annotated[int, Range(2, 100)] = 10,
    width: Annotated[int, Range(1, 4096)] = 20,
    epochs: Annotated[int, Range(1, 10_000)] = 150,
    learning_rate: Factor = 0.01,
    paths: Annotated[int, Range(0, 10_000)] = 30,
) -> Strategy:
    """`initial`: random architectures; `batch`: how many are proposed before networks are trained again; `networks` of
    the ensemble, each of `layers` layers of `width` units, trained for `epochs` with the `learning_rate` of Adam;
    `paths`: features of the path encoding of each cell, 0: options instead of paths."""
    predict = predictor(Sizes(networks, layers, width, epochs, learning_rate))

    def host(problem: Problem, generator: np.random.Generator) -> Bananas:
        return Bananas(problem, generator, initial, batch, encoder(problem.decisions, paths), predict)

    return Strategy(host=host, opens=True)


def encoder(decisions: Decisions, most: int) -> Encode:
    """What turns architectures [N, D] into features [N, F]; most: of the paths of each cell, 0 for none."""
    each = np.arange(len(decisions.options))
    if not most or not has_branches(decisions.cells):
        exists = np.arange(max(decisions.options)) < np.array(decisions.options)[:, None]
        return lambda architectures: np.eye(exists.shape[1])[architectures][:, exists]
    found = cell_paths(decisions.cells, most)

    def by_paths(architectures: np.ndarray) -> np.ndarray:
        operations = found.operations[each, architectures]
        numbers = found.starts + (operations[:, found.edges] * found.weights).sum(-1)
        rows, columns = np.nonzero(numbers < found.ends)
        features = np.zeros((len(architectures), found.length))
        features[rows, numbers[rows, columns]] = 1
        return features

    return by_paths


class Bananas:
    """A run of it. known, scores: what has been told. asked: what has been proposed. batch: what is proposed next."""

    def __init__(
        self,
        problem: Problem,
        generator: np.random.Generator,
        initial: int,
        size: int,
        encode: Encode,
        predict: Predict,
    ):
        self.decisions, self.draws, self.generator = problem.decisions, Draws(problem, generator), generator
        self.initial, self.size = max(initial, len(problem.first)), size
        self.encode, self.predict = encode, predict
        self.known, self.scores = list[np.ndarray](), list[float]()
        self.asked, self.proposals, self.batch = set[bytes](), 0, list[np.ndarray]()

    def ask(self) -> Proposal:
        if self.proposals < self.initial or not self.known:
            chosen = self._random()
        else:
            self.batch = self.batch or self._promising()
            chosen = self.batch.pop(0)
        self.proposals += 1
        self.asked.add(chosen.tobytes())
        return Proposal(chosen)

    def tell(self, proposal: Proposal, scores: np.ndarray) -> None:
        self.known.append(proposal.architecture)
        self.scores.append(float(scores[0]))

    def _promising(self) -> list[np.ndarray]:
        """The next batch, the best draw first; random ones where there are no candidates."""
        candidates = self._candidates()
        if not candidates:
            return [self._random() for _ in range(self.size)]
        scores = np.array(self.scores)
        targets = (scores - scores.mean()) / (scores.std() or 1.0)
        filled = np.zeros((PARENTS * CANDIDATES, len(self.decisions.options)), np.int32)
        filled[: len(candidates)] = candidates
        features = self.encode(np.array(self.known)), self.encode(filled)
        predictions = self.predict(self.generator, features[0], targets, features[1])[:, : len(candidates)]
        draws = self.generator.normal(predictions.mean(0), predictions.std(0))
        return [candidates[place] for place in best(draws.tolist(), self.size)]

    def _candidates(self) -> list[np.ndarray]:
        """Mutations that have not been proposed, each once."""
        options = np.array(self.decisions.options, np.int32)
        found: dict[bytes, np.ndarray] = {}
        for place in best(self.scores, PARENTS):
            if len(found) >= CANDIDATES:
                break
            parent, shape = self.known[place], (CANDIDATES, len(options))
            changes = self.generator.random(shape) < 1 / max(len(options) - 2, 2)
            steps = self.generator.integers(1, np.maximum(options, 2), shape, np.int32)
            children = np.where(changes, (parent + steps) % options, parent)
            found |= {child.tobytes(): child for child in children if child.tobytes() not in self.asked}
        return list(found.values())

    def _random(self) -> np.ndarray:
        """A new one; where all of so many draws have been proposed, the last of them."""
        for _ in range(DRAWS):
            architecture = self.draws.one()
            if architecture.tobytes() not in self.asked:
                break
        return architecture
