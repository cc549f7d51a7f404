"""Selection by a predictor of scores: many architectures are bred by what is predicted, and few are evaluated.

Cai et al., "Once-for-All", ICLR 2020, arXiv:1908.09791 (section 3.4), as in mit-han-lab/once-for-all: a perceptron
learns the scores of random sub-networks from their one-hot decisions; evolution keeps what a budget allows.
"""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from dnas import keys
from dnas.architectures.genotype import Genotype, as_mix, cross, mutate, random
from dnas.architectures.topology import Space
from dnas.costs.predictors import multilayer_perceptron
from dnas.search import select
from dnas.types import Mix, Selector


class Breeding(NamedTuple):
    """probes: random architectures that are evaluated for the predictor. population, generations: of the evolution, of
    which the best `parents`, a share, breed: half of the rest are mutants, of which every decision changes with
    probability `mutation`, half crossovers. finalists: what is evaluated at the end. calibration: as of a method."""

    probes: int
    population: int
    generations: int
    parents: float
    mutation: float
    finalists: int
    calibration: int = 0


def evolution(breeding: Breeding, allowed: Callable[[Genotype], bool] = select.anything) -> Selector:
    """The best of the probes and the finalists by evaluation, none of which is not `allowed`. Errors: `UserError` where
    no probe is allowed."""

    def chosen(space: Space, mix: Mix, evaluate: Callable[..., float], seed: int) -> Genotype:
        generator, norms = keys.generator(seed, "selection"), select.norms(breeding.calibration)
        probes = select.some(select.distinct(lambda: random(space, generator), breeding.probes, {}, allowed))
        scores = {genotype: evaluate(as_mix(genotype, space), **norms) for genotype in probes}
        predict = _predictor(scores, space)
        tried = dict(zip(probes, predict(probes), strict=True))
        for _ in range(breeding.generations):
            best = select.top(tried, max(1, round(breeding.parents * breeding.population)))

            def parent(best: list[Genotype] = best) -> Genotype:
                return best[generator.integers(len(best))]

            half = max(1, (breeding.population - len(best)) // 2)
            drawn = select.distinct(lambda: mutate(parent(), space, breeding.mutation, generator), half, tried, allowed)  # noqa: B023
            known = tried | dict.fromkeys(drawn, 0.0)
            drawn += select.distinct(lambda: cross(parent(), parent(), space, generator), half, known, allowed)  # noqa: B023
            if not drawn:
                break
            tried |= dict(zip(drawn, predict(drawn), strict=True))
        finalists = [genotype for genotype in select.top(tried, breeding.finalists) if genotype not in scores]
        scores |= {genotype: evaluate(as_mix(genotype, space), **norms) for genotype in finalists}
        return select.top(scores, 1)[0]

    return chosen


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
