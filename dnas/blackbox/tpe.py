"""TPE through Optuna: options by how much more often they are among the good than among the rest. Bergstra et al. 2011.

"Algorithms for Hyper-Parameter Optimization", NeurIPS 2011; several objectives as in Ozaki et al., GECCO 2020. Every
decision is a categorical variable. With several workers a proposal that has not been told counts as a bad one, so that
the next are not alike.
"""

from typing import Annotated

import numpy as np

from dnas.blackbox.optuna_study import Study, library, seed_of
from dnas.blackbox.searcher import Problem, Strategy
from dnas.ranges import Range


def searcher(
    *,
    startup: Annotated[int, Range(1, 10_000)] = 10,
    candidates: Annotated[int, Range(1, 10_000)] = 24,
    multivariate: bool = False,
) -> Strategy:
    """`startup`: random architectures before the first estimate; `candidates` of which the best by the estimate is
    proposed; `multivariate`: all decisions are estimated together, not each by itself.

    Errors: `UserError` where Optuna is missing."""
    optuna = library("optuna")

    def host(problem: Problem, generator: np.random.Generator) -> Study:
        sampler = optuna.samplers.TPESampler(
            n_startup_trials=startup,
            n_ei_candidates=candidates,
            multivariate=multivariate,
            constant_liar=True,
            seed=seed_of(generator),
        )
        names = [f"decision_{d}" for d in range(len(problem.decisions.options))]
        distributions = {
            name: optuna.distributions.CategoricalDistribution(range(count))
            for name, count in zip(names, problem.decisions.options, strict=True)
        }
        study = Study(problem, sampler, distributions, lambda found: np.array([found[n] for n in names], np.int32))
        for architecture in problem.first:
            study.study.enqueue_trial(dict(zip(names, architecture.tolist(), strict=True)))
        return study

    return Strategy(host=host, several=True, opens=True)
