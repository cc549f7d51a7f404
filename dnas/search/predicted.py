"""Selection by a predictor of scores: many architectures are bred by what is predicted, and few are evaluated.

Cai et al., "Once-for-All", ICLR 2020, arXiv:1908.09791 (section 3.4), as in mit-han-lab/once-for-all: a perceptron
learns the scores of random sub-networks from their one-hot decisions; evolution keeps what a limit of cost allows.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from dnas import find, keys
from dnas.architectures.genotype import Genotype, as_mix, cross, mutate, random
from dnas.architectures.topology import NetworkSize, Space, with_operations
from dnas.costs.predictors import multilayer_perceptron
from dnas.errors import UserError
from dnas.types import Mix, Selector

DRAWS = 100  # for one architecture that is new and keeps the limit
CLASSES = 10  # of the networks that are counted


class Breeding(NamedTuple):
    """probes: random architectures that are evaluated for the predictor. population, generations: of the evolution, of
    which the best `parents`, a share, breed: half of the rest are mutants, of which every decision changes with
    probability `mutation`, half crossovers. finalists: what is evaluated at the end."""

    probes: int
    population: int
    generations: int
    parents: float
    mutation: float
    finalists: int


class Limit(NamedTuple):
    """What an architecture may cost."""

    of: Callable[[Genotype], float]
    most: float
    name: str


def limit(space: Space, cost: str, most: float, pixels: int) -> Limit:
    """By a cost, as choices are written, of networks for images of so many pixels.

    Errors: `UserError` where the first option of every decision, the smallest, costs more.
    """
    measured = find.resolve("cost", cost)(space, NetworkSize(1, 1, CLASSES), pixels)
    least = measured.of(random(smallest(space), 0))
    if least > most:
        raise UserError(
            f"No network of '{space.name}' has {measured.name} of at most {most:,.6g}: the smallest has {least:,.6g}; "
            "choose a larger limit."
        )
    return Limit(measured.of, most, measured.name)


def smallest(space: Space) -> Space:
    """Of every decision the first option alone."""
    return with_operations(space, {k: [names[:1] for names in cell.operations] for k, cell in space.cells.items()})


def evolution(breeding: Breeding, limit: Limit | None = None) -> Selector:
    """The best of the probes and the finalists by evaluation. Batches are normalised by themselves."""

    def select(space: Space, mix: Mix, evaluate: Callable[..., float], seed: int) -> Genotype:
        generator, costs = keys.generator(seed, "selection"), dict[Genotype, float]()

        def allowed(genotype: Genotype) -> bool:
            if limit is None:
                return True
            if genotype not in costs:
                costs[genotype] = limit.of(genotype)
            return costs[genotype] <= limit.most

        def new(draw: Callable[[], Genotype], count: int, known: Any) -> list[Genotype]:
            found: dict[Genotype, None] = {}
            for _ in range(DRAWS * count):
                if len(found) == count:
                    break
                genotype = draw()
                if genotype not in known and genotype not in found and allowed(genotype):
                    found[genotype] = None
            return [*found]

        probes = new(lambda: random(space, generator), breeding.probes, {})
        probes += [] if probes else new(lambda: random(smallest(space), generator), 1, {})
        scores = {genotype: evaluate(as_mix(genotype, space), train=True) for genotype in probes}
        predict = _predictor(scores, space)
        tried = dict(zip(probes, predict(probes), strict=True))
        for _ in range(breeding.generations):
            best = _top(tried, max(1, round(breeding.parents * breeding.population)))

            def parent(best: list[Genotype] = best) -> Genotype:
                return best[generator.integers(len(best))]

            half = max(1, (breeding.population - len(best)) // 2)
            drawn = new(lambda: mutate(parent(), space, breeding.mutation, generator), half, tried)  # noqa: B023
            known = tried | dict.fromkeys(drawn, 0.0)
            drawn += new(lambda: cross(parent(), parent(), space, generator), half, known)  # noqa: B023
            if not drawn:
                break
            tried |= dict(zip(drawn, predict(drawn), strict=True))
        finalists = [genotype for genotype in _top(tried, breeding.finalists) if genotype not in scores]
        scores |= {genotype: evaluate(as_mix(genotype, space), train=True) for genotype in finalists}
        return _top(scores, 1)[0]

    return select


def _predictor(scores: dict[Genotype, float], space: Space) -> Callable[[list[Genotype]], list[float]]:
    """Of what was evaluated; where all scores are the same, everything has this score."""
    values = np.array([*scores.values()])
    if values.std() == 0:
        return lambda genotypes: [float(values[0])] * len(genotypes)
    learnt = multilayer_perceptron(_features([*scores], space), values[:, None])
    return lambda genotypes: learnt(_features(genotypes, space))[:, 0].tolist()


def _features(genotypes: list[Genotype], space: Space) -> np.ndarray:
    """One-hot decisions [N, F]."""
    mixes = [as_mix(genotype, space) for genotype in genotypes]
    return np.array([np.concatenate([mix[kind].ravel() for kind in space.cells]) for mix in mixes])


def _top(values: dict[Genotype, float], count: int) -> list[Genotype]:
    """The best, ties to the one tried first."""
    return sorted(values, key=lambda genotype: -values[genotype])[:count]
