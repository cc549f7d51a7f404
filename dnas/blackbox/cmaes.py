"""CMA-ES through Optuna: a normal distribution that moves to what was good and takes its shape. Hansen 2016.

"The CMA Evolution Strategy: A Tutorial", arXiv:1604.00772. It knows numbers only, so every option of a decision is a
number in [0, 1], and the largest is chosen: options have no order, which a single number for each decision would give
them. Step sizes and how many are drawn at once are Optuna's.
"""

import numpy as np

from dnas.blackbox.optuna_study import Parameters, Study, library, seed_of
from dnas.blackbox.searcher import Problem, Strategy


def searcher() -> Strategy:
    """It has no settings. Errors: `UserError` where Optuna or its cmaes is missing."""
    optuna = library("optuna", "cmaes")

    def host(problem: Problem, generator: np.random.Generator) -> Study:
        sampler = optuna.samplers.CmaEsSampler(seed=seed_of(generator), warn_independent_sampling=False)
        names = [[f"decision_{d}_{o}" for o in range(count)] for d, count in enumerate(problem.decisions.options)]
        unit = optuna.distributions.FloatDistribution(0.0, 1.0)

        def architecture(found: Parameters) -> np.ndarray:
            return np.array([np.argmax([found[name] for name in options]) for options in names], np.int32)

        distributions = {name: unit for options in names for name in options}
        return Study(problem, sampler, distributions, architecture)

    return Strategy(host=host)
