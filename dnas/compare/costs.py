"""What searches cost, in floating-point operations: two for each multiply-add of a convolution or a matrix product.

Those of a search with gradients are read off the program of its step (`dnas.nets.count`), forward and backward passes
with all that a method adds, and off that of the validation after every epoch; XLA's own analysis sees nothing of the
kernels, and only one round of a loop. What a method asked of its supernet beside that, between epochs and for a
selection, counts as often as the rows of the run say (`dnas.search.asked`; those of earlier versions do not), and so do
epochs that it went back before. Of branches the dearest counts, and a step of the warm-up as any other. Norms, pools
and additions are not counted.

Those of a searcher on a table are those of the trainings that the table accounts for: epochs x images x 3 passes, and
one validation.
"""

import csv
from dataclasses import replace
from functools import partial
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from dnas import data as datasets
from dnas import find
from dnas.architectures.topology import with_operations
from dnas.blackbox.config import BlackboxConfig
from dnas.config import Config
from dnas.nets.count import multiply_adds
from dnas.runs import records
from dnas.search.asked import KINDS
from dnas.search.method import adapted
from dnas.search.plan import spans
from dnas.search.stage import Stage
from dnas.tables import nasbench201 as tabular
from dnas.tasks import binding

FLOP = 2  # of a multiply-add
PASSES = 3  # one forward, and a backward one of twice its cost


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
                said = {kind: sum(row.get(kind, 0) for row in rows if row["epoch"] in done) for kind in KINDS}
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
    if not count:
        return 0.0
    if kind == "scored":
        assert stage.scoring is not None
        return float(FLOP * count * multiply_adds(stage.scoring.traced))
    one = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), stage.shapes.state)
    if kind == "hessians":
        traced = jax.make_jaxpr(stage.hessian_one)(one, stage.valid_batches)
    else:
        rows, constants = stage.valid_batches
        mix = jax.tree.map(
            lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype),
            jax.eval_shape(stage.mixes.function, stage.shapes.state),
        )
        batch = jax.tree.map(lambda leaf: leaf[:1], rows), constants
        traced = jax.make_jaxpr(partial(stage.evaluate_one, train=True))((one.weights, one.stats, mix), batch)
    return float(FLOP * count * multiply_adds(traced.jaxpr))


def of_training(epochs: int) -> np.ndarray:
    """Of a training of each cell of NAS-Bench-201 for so many epochs on CIFAR-10, as its table has it, and of one
    validation [N]."""
    forward = FLOP * 1e6 * tabular.table().column("cifar10", "mflops")
    images = PASSES * epochs * tabular.TRAINING_IMAGES["cifar10"] + tabular.VALIDATION_IMAGES["cifar10"]
    return forward * images


def of_trials(folder: Path, config: BlackboxConfig) -> float | None:
    """Of all runs of a searcher on the table; None with another evaluator."""
    name, settings = find.parse_choice(config.evaluator)
    if name != "table" or settings.get("table", "nasbench201") != "nasbench201":
        return None
    epochs = int(settings.get("epochs", 0)) or tabular.EPOCHS[0]
    with open(folder / "trials.csv", newline="") as file:
        rows = [(row["architecture"].split("-"), float(row.get("fidelity", 1))) for row in csv.DictReader(file)]
    cells, portions = np.array([cell for cell, _ in rows], np.int64), np.array([portion for _, portion in rows])
    return float((of_training(epochs)[tabular.place(cells, tabular.OPTIONS)] * portions).sum())


def _left(folder: Path, epoch: int) -> dict[str, list[list[str]]]:
    """The operations on every edge {kind: [E][O]} in an epoch."""
    mix = next(row["mix"] for row in records.read_mix(folder) if row["epoch"] == epoch)
    return {kind: [[*names] for names in edges.values()] for kind, edges in mix.items()}
