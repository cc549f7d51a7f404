"""Train: every architecture is trained, as `dnas retrain` does, and measured on the validation part.

What is trained how, a config says, of an experiment file, say; the settings here stand above it. Seconds are measured,
compilation and all. Cheaper evaluations are shorter trainings with the schedule of their own length: a third of the
epochs, a third of that, and so on, which is what Hyperband wants (Li et al. 2018, arXiv:1603.06560).
"""

import time
from dataclasses import replace
from itertools import count
from typing import Annotated, Any

import jax
import numpy as np

from dnas import data as datasets
from dnas import find, retrain
from dnas.architectures.choices import decode
from dnas.architectures.genotype import Genotype
from dnas.architectures.topology import Space
from dnas.config import Config, RetrainConfig, load
from dnas.errors import UserError
from dnas.evaluators import truths
from dnas.evaluators.protocol import HostEvaluator, one_by_one
from dnas.ranges import Portion, Range, Whole
from dnas.runs import loop
from dnas.tasks import binding
from dnas.tasks.task import Score, Task
from dnas.training.job import Job, Watch, priced_as

REDUCTION = 3  # of the epochs, from one fidelity to the next cheaper one
VALID_PORTION = 0.2  # of the train part, where neither a setting nor the config says it
FORGET = 10  # evaluations between which compiled programs pile up


def evaluator(
    *,
    config: str = "",
    space: str = "",
    data: str = "",
    task: str = "",
    epochs: Whole = 0,
    batch_size: Whole = 0,
    cells: Annotated[int, Range(0, 1000)] = 0,
    channels: Annotated[int, Range(0, 4096)] = 0,
    valid_portion: Portion = 0.0,
) -> HostEvaluator:
    """`config`, an experiment file, FILE.py:SETTING, a JSON file or a run folder; empty: the defaults. The others
    replace what it says, empty or 0: they do not; `valid_portion` of the train part is measured on and not trained on.

    Errors: `UserError` for a config that cannot be trained.
    """
    base = load(config) if config else Config()
    if base.weights_from:
        raise UserError(
            f"The config '{config}' has weights_from, and each architecture has weights of its own: drop it."
        )
    plan = replace(
        base.retrain,
        epochs=epochs or base.retrain.epochs,
        batch_size=batch_size or base.retrain.batch_size,
        cells=cells or base.retrain.cells,
        channels=channels or base.retrain.channels,
    )
    words: dict[str, Any] = {"space": space or base.space, "data": data or base.data, "task": task or base.task}
    base = replace(base, **words, seeds=1, retrain=plan)
    built, dataset = find.resolve("space", base.space), datasets.load(base.data)
    bound, plan = bound_of(base, dataset, built, valid_portion)
    fit, numbers = replace(base, retrain=plan), count(1)

    def evaluate(architecture: np.ndarray, fidelity: float, seed: int) -> tuple[dict[str, float], float]:
        began = time.perf_counter()
        shorter = replace(plan, epochs=max(1, round(fidelity * plan.epochs)))
        trained = replace(fit, seed=seed, retrain=shorter)
        found = retrain.validation_measures(trained, built, decode(architecture, built), bound)
        if next(numbers) % FORGET == 0:
            loop.forget_programs()
        return {name: found[name] for name in measures}, time.perf_counter() - began

    def multiply_adds(architecture: np.ndarray, fidelity: float) -> int:
        shorter = replace(fit, retrain=replace(plan, epochs=max(1, round(fidelity * plan.epochs))))
        return retrain.multiply_adds(shorter, built, decode(architecture, built), bound)

    score = bound.score
    measures = {score.name: score.more, "loss": False, "parameters": False}
    return HostEvaluator(
        built,
        measures,
        evaluate,
        fidelities(plan.epochs),
        **truths.of_space(built, find.parse_choice(base.data)[0]),
        multiply_adds=one_by_one(multiply_adds),
        data=base.data,
        network=priced_as(plan, built, bound.shape),
    )


def measured(config: Config, genotype: Genotype, watch: Watch | None = None) -> dict[str, float]:
    """What a training of any genotype of the config's space measures on the validation part, and `parameters`.
    watch: as of `retrain.validation_measures`.

    Errors: `UserError` for what cannot be trained.
    """
    return retrain.validation_measures(*_prepared(config, genotype), watch)


def check(config: Config, genotype: Genotype) -> Score:
    """The measure by which such a training is chosen. Errors: `UserError` for what `measured` could not train; nothing
    is compiled."""
    fit, space, _, task = _prepared(config, genotype)
    retrain.check_network(genotype, space, fit.retrain.cells, allow_constant=True)
    with jax.enable_x64(config.dtype == "float64"):
        job = Job(fit, space, genotype, task, quiet=True)
        retrain.check_weights(job)
    return job.task.score


def _prepared(config: Config, genotype: Genotype) -> tuple[Config, Space, Genotype, Task]:
    built, dataset = find.resolve("space", config.space), datasets.load(config.data)
    bound, plan = bound_of(config, dataset, built, 0.0)
    return replace(config, seeds=1, retrain=plan), built, genotype, bound


def fidelities(epochs: int) -> tuple[float, ...]:
    """Portions of so many epochs, ascending: whole epochs, each a third of the next."""
    lengths = [epochs]
    while lengths[-1] >= REDUCTION:
        lengths.append(lengths[-1] // REDUCTION)
    return tuple(length / epochs for length in reversed(lengths))


def bound_of(config: Config, dataset: Any, space: Space, valid_portion: float) -> tuple[Task, RetrainConfig]:
    """The task, with a validation part, and the plan as the data bear it."""
    chosen = valid_portion or config.retrain.valid_portion
    tried = replace(config, retrain=replace(config.retrain, valid_portion=chosen))
    task, plan = binding.bind(dataset, tried, "retrain", space)
    if not task.steps("valid", 1):
        tried = replace(config, retrain=replace(config.retrain, valid_portion=VALID_PORTION))
        task, plan = binding.bind(dataset, tried, "retrain", space)
    return task, plan
