"""What one trial does: a search where a field of it is tuned, and the training of what is found, proposed or given.

Its score is the validation score of that training, which never sees the test part.

Optuna may give a training up after any epoch (`prune`). A search is done whole: what a supernet scores says little of
what its network will. It leaves its folder until the trial ends, so that one that was interrupted goes on.
"""

import contextlib
import dataclasses
import math
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax

from dnas.architectures.genotype import Genotype
from dnas.errors import StorageError, UserError
from dnas.evaluators import cross_validation
from dnas.search.run import run as search
from dnas.tune.axes import applied
from dnas.tune.plan import Plan

Watch = Callable[[int, float], None]  # (epoch of the training, validation score); it may raise to give the trial up


class Failed(Exception):
    """A trial has no score, for a reason of its own that nobody could know before."""


class Found(NamedTuple):
    """What a trial has found. score: as measured, the mean of `scores`, one of each training. parameters: of the
    network."""

    score: float
    genotype: Genotype
    parameters: int
    scores: tuple[float, ...] = ()


def evaluated(plan: Plan, values: Mapping[str, Any], folder: Path, watch: Watch | None) -> Found:
    """One trial. values: of the fields that are tuned. folder: where its search may be.

    Errors: `Failed`; `StorageError`, which says nothing about the values; `loop.Interrupted` of a search.
    """
    with failing():
        config = applied(plan.config, values)
        genotype = plan.proposed(values) or _searched(config, folder)
        name = plan.score.name
        each = None if watch is None else lambda epoch, measures: watch(epoch, measures[name])
        found = cross_validation.validated(dataclasses.replace(config, seeds=plan.repeats), genotype, plan.folds, each)
        if not math.isfinite(found.mean):
            raise Failed(f"Its {name} is {found.mean}.")
    shutil.rmtree(folder, ignore_errors=True)
    return Found(found.mean, genotype, found.parameters, found.scores)


@contextlib.contextmanager
def failing() -> Any:
    """What a user could not know before, a loss that is not a number say, is a failure of the trial."""
    try:
        yield
    except StorageError:
        raise
    except UserError as error:
        raise Failed(str(error)) from error
    except jax.errors.JaxRuntimeError as error:
        if not str(error).startswith("RESOURCE_EXHAUSTED"):
            raise
        raise Failed("It needs more memory than the device has.") from error


def _searched(config: Any, folder: Path) -> Genotype:
    """The genotype of the best seed of a search, which goes on where the folder has some of it, and draws nothing."""
    begun = (folder / "config.json").exists()
    try:
        return search(config, folder, resume=begun, quiet=True, report=False).genotype
    except StorageError:
        if not begun:
            raise
        shutil.rmtree(folder)  # what an earlier attempt left cannot be gone on with
        return search(config, folder, quiet=True, report=False).genotype
