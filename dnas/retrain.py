"""Train a derived network from scratch, images by default as the DARTS paper does (METHODS: their `cnn/train.py`):
auxiliary head, drop-path that rises linearly, cutout, label smoothing where wanted, SGD with a cosine schedule.

The test part is measured after every epoch and selects nothing; what selects reads the validation part, where there is
one. Several seeds are several trainings in one program.
"""

import dataclasses
import math
import operator
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from dnas import data as datasets
from dnas import find
from dnas.architectures import flow
from dnas.architectures.genotype import Genotype, check, to_json
from dnas.architectures.topology import Space
from dnas.config import Config
from dnas.errors import UserError
from dnas.nets import work
from dnas.runs import devices, loop, records, weights
from dnas.tasks import binding
from dnas.tasks.task import Task
from dnas.training.job import Job, Result, Watch


def run(
    config: Config,
    genotype: Genotype,
    out: str | Path | None = None,
    *,
    data: Any = None,
    resume: bool = False,
    quiet: bool = False,
    allow_constant: bool = False,
    watch: Watch | None = None,
    until: float = math.inf,
) -> Result:
    """Train the genotype's network on the train set, in the folder `out` (default: one in runs/).

    data: a data set or arrays (x, y) or (x, y, test_x, test_y) instead of the config's data set.
    allow_constant: train also a network whose answer does not depend on the image, as a comparison counts it.
    watch: is told after every epoch what was measured, the means of all seeds, and may raise. until: of
    `time.monotonic`, when it is told to stop as by Ctrl-C.
    Errors: `UserError` for anything wrong with the input; `loop.Interrupted` when told to stop.
    """
    loop.prepare_process()
    records.check(out, resume)
    if isinstance(data, (tuple, list)):  # which no name stands for
        config = dataclasses.replace(config, data=datasets.ARRAYS)
    with jax.enable_x64(config.dtype == "float64"):  # before the folder: what cannot be built leaves none
        job = build(config, genotype, data=data, resume=resume, quiet=quiet, allow_constant=allow_constant)
        task, folder = job.task, Path(out) if out is not None else default_folder(config)
        with records.opened(folder, config, loop.typed_command(), resume, grows="retrain") as record:
            if resume and (kept := _kept_genotype(folder)) not in (None, to_json(genotype)):
                raise UserError(f"{folder} trains another genotype ({kept}): choose another --out.")
            record.data(task.described() | {"score": task.score._asdict()})
            loop.say(f"Data: {task.note}.", quiet or not task.note)
            return job.go(record, resume, watch, until)


def build(
    config: Config,
    genotype: Genotype,
    *,
    data: Any = None,
    resume: bool = False,
    quiet: bool = True,
    allow_constant: bool = False,
) -> Job:
    """A training that is put together and not begun; nothing is compiled. Errors: `UserError` for what cannot be."""
    space = find.resolve("space", config.space)
    check_network(genotype, space, config.retrain.cells, allow_constant)
    dataset = datasets.load(config.data if data is None else data)
    task, plan = binding.bind(dataset, config, "retrain", space)
    points = binding.points_of(config, plan, "retrain")
    with jax.enable_x64(config.dtype == "float64"):
        job = Job(dataclasses.replace(config, retrain=plan), space, genotype, task, quiet, points)
        if not resume:
            check_weights(job)
    return job


def check_network(genotype: Genotype, space: Space, cells: int, allow_constant: bool = False) -> None:
    """Errors: `UserError` for a genotype of which the space builds no network of so many cells, or, unless that is
    allowed, one whose answer does not depend on the image."""
    check(genotype, space, cells)
    if not allow_constant and flow.is_constant(genotype, space, cells):
        raise UserError(f"{flow.warning(genotype, space, cells)[:-1]}; train another cell.")


def check_weights(job: Job) -> None:
    """Errors: `UserError` for first weights, where the config has some, of another network."""
    if source := job.config.weights_from:
        weights.check(source, job.shapes)
        _check_source(source, job.genotype)


def validation_measures(
    config: Config,
    space: Space,
    genotype: Genotype,
    task: Task,
    watch: Watch | None = None,
) -> dict[str, float]:
    """What a training of one seed measures on the validation part at its end, and `parameters`; it leaves no files.
    config, task: of `binding.bind`. watch: is told after every epoch what that would be now, and may raise.
    Errors: `UserError` for what cannot be trained, and for a loss of NaN."""
    one = None if watch is None else lambda epoch, rows: watch(epoch, rows[0])
    return held_out(config, space, genotype, task, watch=one)[0]


def held_out(
    config: Config,
    space: Space,
    genotype: Genotype,
    task: Task,
    part: str = "valid",
    watch: Callable[[int, list[dict[str, float]]], None] | None = None,
) -> list[dict[str, float]]:
    """The same of every seed, on a part that is not trained on."""

    def measures() -> list[dict[str, float]]:
        sums = job.sums("test", part, progress)
        return [task.measures(jax.tree.map(operator.itemgetter(i), sums)) for i in range(config.seeds)]

    with jax.enable_x64(config.dtype == "float64"):
        job = Job(config, space, genotype, task, quiet=True)
        progress = job.first()
        for epoch in range(1, config.retrain.epochs + 1):
            progress = job.advanced(progress, job.steps)
            if (bad := int(devices.fetch(progress.bad_step).max())) >= 0:
                raise UserError(f"The loss became NaN or infinite at step {bad}.")
            if progress.state.kept:
                progress = job.judged(epoch, progress, job.measure("valid", progress))
            if watch is not None:
                watch(epoch, measures())
            if job.stopped(progress).all():
                break
        size = sum(leaf.size for leaf in jax.tree.leaves(progress.state.weights)) // config.seeds
        return [row | {"parameters": size} for row in measures()]


def multiply_adds(config: Config, space: Space, genotype: Genotype, task: Task) -> int:
    """What `validation_measures` computes, read off its programs; a training that ends early counts as a whole one.
    config, task: as there. Errors: as there."""
    with jax.enable_x64(config.dtype == "float64"):
        job = Job(config, space, genotype, task, quiet=True)
        one = jax.ShapeDtypeStruct((), np.int32)
        step = jax.make_jaxpr(job.advance.function)(job.shapes, one, job.arrays)
        validation = jax.make_jaxpr(job.evaluate["test"].function)(job.shapes.state, job.parts["valid"].like)
    epochs = config.retrain.epochs
    validations = (epochs + 1 if job.shapes.state.kept else 1) * job.parts["valid"].calls
    trained = epochs * job.steps * work.multiply_adds(step.jaxpr)
    return trained + validations * work.multiply_adds(validation.jaxpr)


def default_folder(config: Config) -> Path:
    """runs/retrain-darts-digits-0-20260131-120000, say: a new folder."""
    return records.default_folder("retrain", config.space, config.data, str(config.seed))


def _check_source(text: str, genotype: Genotype) -> None:
    """Refuse first weights of another genotype's network, also where all shapes are the same. Errors: `UserError`."""
    folder = weights.source_of(text).folder
    if (theirs := _kept_genotype(folder)) not in (None, to_json(genotype)):
        raise UserError(
            f"The network of {folder} is of another genotype ({theirs}) than this run trains: check --from."
        )


def _kept_genotype(folder: Path) -> Any:
    try:
        return records.read_genotypes(folder)[0]
    except UserError:
        return None
