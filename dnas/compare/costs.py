"""What searches cost, in floating-point operations: two for each multiply-add of a convolution or a matrix product.

Those of a search with gradients are read off the program of its step (`dnas.nets.work`), forward and backward passes
with all that a method adds, and off that of the validation after every epoch; XLA's own analysis sees nothing of the
kernels, and only one round of a loop. What a method asked of its supernet beside that, between epochs and for a
selection, counts as often as the rows of the run say (`dnas.search.asked`; those of earlier versions do not), and so do
epochs that it went back before. Of branches the dearest counts, and a step of the warm-up as any other. Norms, pools
and additions are not counted.

Those of a searcher are what its evaluator says of each of its evaluations; a table accounts for trainings: epochs x
images x 3 passes, and one validation. A search whose supernet evaluates counts for every run of the searcher.
"""

import csv
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from dnas import data as datasets
from dnas import find
from dnas.architectures.topology import with_operations
from dnas.config import Config
from dnas.evaluators.protocol import Evaluator, HostEvaluator
from dnas.nets.work import multiply_adds
from dnas.runs import records
from dnas.search import asked
from dnas.search.method import adapted
from dnas.search.plan import spans
from dnas.search.stage import Stage
from dnas.tables import nasbench201 as tabular
from dnas.tasks import binding

FLOP = 2  # of a multiply-add


def of_search(folder: Path, config: Config) -> float:
    """Of all seeds of a finished search with gradients, whose phases and epochs its folder knows."""
    space = find.resolve("space", config.space)
    task, plan = binding.bind(datasets.load(config.data), config, "search", space)
    fit, space, method = replace(config, search=plan), space.within(plan.cells), find.resolve("method", config.method)
    phases = adapted(method, space, plan).phases(space, plan)
    rows = records.read_metrics(folder)
    epochs = {row["epoch"] for row in rows}
    total = 0.0
    with jax.enable_x64(config.dtype == "float64"):
        for index, (phase, span) in enumerate(zip(phases, spans(phases, task), strict=True)):
            done = [epoch for epoch in range(span.epoch + 1, span.epoch + phase.config.epochs + 1) if epoch in epochs]
            if done:
                left = with_operations(space, _left(folder, done[0])) if index else space
                stage = Stage(fit, adapted(method, left, phase.config), phase, left, task, span, index)
                said = {kind: sum(row.get(kind, 0) for row in rows if row["epoch"] in done) for kind in asked.KINDS}
                total += (len(done) + said.pop("undone")) * of_epoch(stage)
                total += sum(of_questions(stage, kind, count) for kind, count in said.items())
    return total


def of_epoch(stage: Stage) -> float:
    """Of all seeds, in one epoch of a phase: its steps, and the validation."""
    state = stage.shapes.state
    mixes = jax.eval_shape(stage.mixes.function, state)
    validation = jax.make_jaxpr(stage.evaluate.function)(state, mixes, stage.valid_batches)
    return of_steps(stage) + float(FLOP * multiply_adds(validation.jaxpr))


def of_steps(stage: Stage) -> float:
    """Of all seeds, in the steps of one epoch."""
    one = jax.ShapeDtypeStruct((), jnp.int32)
    step = jax.make_jaxpr(stage.advance.function)(stage.shapes, one, stage.arrays)
    return float(FLOP * stage.steps * multiply_adds(step.jaxpr))


def of_questions(stage: Stage, kind: str, count: int) -> float:
    """Of so many questions of a method to the supernet of one seed; kind: see `dnas.search.asked`."""
    return float(FLOP * count * asked.multiply_adds(stage, kind)) if count else 0.0


def of_training(epochs: int) -> np.ndarray:
    """Of a training of each cell of NAS-Bench-201 for so many epochs on CIFAR-10, as its table has it, and of one
    validation [N]."""
    known = tabular.table().multiply_adds("cifar10", epochs)
    assert known is not None
    return FLOP * known


def of_trials(folder: Path, evaluator: Evaluator | HostEvaluator) -> float | None:
    """Of all runs of a searcher; None where its evaluator does not know."""
    if evaluator.multiply_adds is None:
        return None
    with open(folder / "trials.csv", newline="") as file:
        rows = [(row["architecture"].split("-"), float(row.get("fidelity", 1))) for row in csv.DictReader(file)]
    cells, portions = np.array([cell for cell, _ in rows], np.int32), np.array([portion for _, portion in rows])
    return float(FLOP * evaluator.multiply_adds(cells, portions).sum())


def _left(folder: Path, epoch: int) -> dict[str, list[list[str]]]:
    """The operations on every edge {kind: [E][O]} in an epoch."""
    mix = next(row["mix"] for row in records.read_mix(folder) if row["epoch"] == epoch)
    return {kind: [[*names] for names in edges.values()] for kind, edges in mix.items()}
