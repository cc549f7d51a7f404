"""A search of Optuna as a searcher of ours: what its samplers need, asked and told. The extra `dnas[optuna]`."""

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from dnas.blackbox.rungs import Pending
from dnas.blackbox.searcher import Problem, Proposal
from dnas.errors import UserError

SEEDS = 2**32
Parameters = Mapping[str, Any]


class Study:
    """A run. distributions: of Optuna, by name; architecture: what their values are as an architecture."""

    def __init__(
        self,
        problem: Problem,
        sampler: Any,
        distributions: Parameters,
        architecture: Callable[[Parameters], np.ndarray],
    ):
        optuna = library("optuna")
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        self.study = optuna.create_study(directions=["maximize"] * problem.objectives, sampler=sampler)
        self.distributions, self.architecture = distributions, architecture
        self.pending: Pending[Any] = Pending()

    def ask(self) -> Proposal:
        trial = self.study.ask(dict(self.distributions))
        return self.pending.put(Proposal(self.architecture(trial.params)), trial)

    def tell(self, proposal: Proposal, scores: np.ndarray) -> None:
        self.study.tell(self.pending.take(proposal), [float(score) for score in scores])


def library(*names: str) -> Any:
    """The first of the modules, all of which are there. Errors: `UserError` that names the extra."""
    try:
        return [importlib.import_module(name) for name in names][0]
    except ImportError as error:
        raise UserError(
            f"It is one of Optuna's, and {error.name or names[0]} is not installed: pip install 'dnas[optuna]'."
        ) from None


def seed_of(generator: np.random.Generator) -> int:
    """Of a sampler."""
    return int(generator.integers(SEEDS))
