"""A whole training of a derived network: its steps, what is measured after every epoch, and what it costs.

Searches have the like in `dnas/search/job.py`; `dnas.retrain` runs it, in a folder or without.
"""

import dataclasses
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dnas import find, grid, keys
from dnas.architectures import flow
from dnas.architectures.genotype import Genotype, to_json
from dnas.architectures.topology import NetworkSize, Space
from dnas.config import Config, RetrainConfig, to_dict
from dnas.errors import UserError
from dnas.nets.functional import Functional
from dnas.reports import diagram, grids
from dnas.reports import page as report
from dnas.runs import devices, diverged, loop, programs, records
from dnas.runs.weights import started_from
from dnas.tasks.task import Level, Score, Shape, Sums, Task
from dnas.training.buckets import grouped, in_buckets
from dnas.training.epoch import SHORT, evaluated, measured, no_sums, train_batches
from dnas.training.feed import advanced, feed_of, measured_part, summed
from dnas.training.selection import loaded
from dnas.training.step import make_training
from dnas.training.weights import rate_of
from dnas.types import Tree

Watch = Callable[[int, dict[str, float]], None]  # (epoch, means over the seeds of what was measured); may raise


@dataclass(frozen=True)
class Result:
    """What a training leaves: per seed, the score on the test part of the weights that it is loaded with, those after
    the last epoch unless an average or the best epoch is kept; NaN where it diverged. measure: which score that is.
    diverged: seeds whose loss became NaN or infinite, and at which step."""

    folder: Path
    genotype: Genotype
    scores: tuple[float, ...]
    parameters: int
    measure: Score = Score("accuracy")
    diverged: Mapping[int, int] = field(default_factory=dict)

    @property
    def score(self) -> float:
        """Mean over the seeds that did not diverge."""
        return float(np.nanmean(self.scores))


class Job:
    """The pieces of one training, put together once."""

    def __init__(
        self,
        config: Config,
        space: Space,
        genotype: Genotype,
        task: Task,
        quiet: bool,
        points: tuple[RetrainConfig, ...] = (),
    ):
        """points: `config.retrain` at every point of the grid."""
        self.config, self.space, self.genotype, self.quiet = config, space, genotype, quiet
        self.task, self.pure = task, task.pure  # with data, and what traced functions may hold
        plan = config.retrain
        batches = task.steps("train", plan.batch_size)
        self.steps = -(-batches // plan.accumulate)
        size = network_size_of(plan, space, task.shape)
        size = dataclasses.replace(size, unroll=plan.epochs * self.steps > SHORT)
        self.network = programs.deferred(network_of(genotype, space, size), space.recurrent)
        self.rates = [rate_of(point.weights, plan.epochs, self.steps) for point in points or (plan,)]
        paths = None
        if space.takes == "images" and not space.own_size:
            paths = space.cell_count(plan.cells), max(len(cell.edges) for _, cell in space.pictured(genotype).cells)
        draws = space.draws or bool(space.random)
        self.training = make_training(self.network, self.pure, plan, self.steps, paths, draws, points)
        self.layout = layout = devices.layout(config.seeds, plan.batch_size)
        level = Level("train", plan.batch_size, plan.accumulate)
        self.feed = feed_of(task, layout, [level], plan.epochs * self.steps, config.seed)
        (self.arrays,) = self.feed.arrays
        names = (*("valid",) * (task.steps("valid", 1) > 0), "test")
        self.parts = {name: measured_part(task, layout, name) for name in names}
        self.points, self.scores = grid.of_seeds(config, "retrain"), list[float]()
        self.diverged: dict[int, int] = {}  # number of a seed -> the step

        check_selection(plan, "valid" in self.parts)
        check_accumulation(plan, batches)
        network, pure, selection = self.network, self.pure, self.training.selection

        def evaluate(state, batches):
            return layout.over_seeds(partial(evaluate_one, network, pure))(tuple(loaded(state)), batches)

        def validate(state, batches):
            candidates = layout.over_seeds(selection.candidate)(state)
            return layout.over_seeds(partial(evaluate_one, network, pure))(tuple(candidates), batches)

        def judge(state, scores, losses, epoch):
            one = layout.over_seeds(lambda row, epoch: selection.judged(row[0], epoch, *row[1:]))
            return one((state, scores, losses), epoch)

        description = {
            "command": "retrain",
            "config": to_dict(dataclasses.replace(config, seed=0, data="", weights_from="", checkpoint_epochs=1)),
        }
        kept = programs.Programs(layout, description | {"genotype": to_json(genotype), "shape": task.shape})
        self.init = kept.jit("init", self._init)
        self.advance = kept.jit("advance", layout.over_seeds(self._advance), donate_argnums=0)
        self.evaluate = {"test": kept.jit("evaluate", evaluate), "valid": kept.jit("validate", validate)}
        self.judge = kept.jit("judge", judge, donate_argnums=0)
        self.seeds = np.arange(config.seed, config.seed + config.seeds)
        self.shapes = self.init.shapes(self.seeds)  # what cannot be built fails here
        loop.check_memory(self.shapes)

    def go(self, record: records.Run, resume: bool, watch: Watch | None = None, until: float = math.inf) -> Result:
        config, self.record, self.watch = self.config, record, watch
        found = self.record.restore(self.layout.placed(self.shapes)) if resume else None
        self.record.genotype(0, [to_json(self.genotype)])  # after `restore`, which cuts the folder back
        if found is not None:
            noted = diverged.of_rows(records.read_metrics(record.folder))
            self.diverged = {seed - config.seed: step for seed, step in noted.items()}
        progress = found[0] if found is not None else self.first()
        self.parameters = sum(leaf.size for leaf in jax.tree.leaves(progress.state.weights)) // config.seeds
        loop.say(
            f"Training {self.parameters:,} parameters on {self.task.sizes} -> {self.record.folder}",
            self.quiet,
        )
        if cut := flow.warning(self.genotype, self.space, config.retrain.cells):
            loop.say(cut, self.quiet)
        for kind in {kind for kind, _ in self.genotype.cells} - set(self.space.contained(config.retrain.cells)):
            loop.say(
                f"A network of {config.retrain.cells} cell(s) contains no {kind} cell: it is not trained.", self.quiet
            )
        if not self._ended(progress):
            progress = self._driven(progress, until)
        if self.stopped(progress).all():
            loop.say(f"The last {config.retrain.patience} epochs were no better: stopped, with the best.", self.quiet)
        if not self.scores:  # resumed after the last epoch
            self.scores = self._scores("test", self.measure("test", progress))
        if devices.is_first_host():
            diagram.draw(self.space.pictured(self.genotype), self.record.folder / "cells.png")
            if config.grid:
                grids.write(self.record.folder, config, "retrain", self.scores, self.task.score)
            report.page(self.record.folder)
        return Result(
            self.record.folder,
            self.genotype,
            tuple(self.scores),
            self.parameters,
            self.task.score,
            {config.seed + i: step for i, step in self.diverged.items()},
        )

    def _driven(self, progress: loop.Progress, until: float) -> loop.Progress:
        return loop.drive(
            self.record,
            progress,
            self.advanced,
            self._finish_epoch,
            epochs=self.config.retrain.epochs,
            steps_per_epoch=self.steps,
            title="retrain",
            command="retrain",
            quiet=self.quiet,
            until=until,
        )

    def advanced(self, progress: loop.Progress, count: Any) -> loop.Progress:
        """After `count` more steps, all in one epoch."""
        return advanced(
            lambda progress, count, arrays: self.advance(progress, count, *arrays), self.feed, progress, count
        )

    def first(self) -> loop.Progress:
        progress, source = self.init(self.seeds), self.config.weights_from
        return started_from(source, progress) if source else progress

    def _init(self, seeds: jax.Array) -> loop.Progress:
        state = self.layout.over_seeds(self.training.init)(jax.vmap(jax.random.key)(seeds))
        if self.points:
            state = state._replace(knobs={grid.POINT: jnp.asarray(self.points, float)})
        return loop.start(state, no_sums(self.pure, self.config.seeds, jnp.float32))

    def _advance(self, progress: loop.Progress, count: jax.Array, arrays) -> loop.Progress:
        """`count` steps of one seed, all in one epoch."""
        plan, epoch = self.config.retrain, progress.state.step // self.steps
        size, inner = plan.batch_size, plan.accumulate
        order = self.pure.order(keys.stream(progress.state.key, "order", epoch), arrays, self.steps * size * inner)
        order, buckets = grouped(self.pure, arrays, order, self.steps)
        step = in_buckets(self.pure, self.training.step)
        batch_of = train_batches(self.pure, self.layout.split_batch, arrays, order, size, inner)

        def one(_, progress):
            state = progress.state
            number = state.step % self.steps
            batch = batch_of(number, keys.stream(state.key, "augment", state.step))
            state, sums = step(self.layout.largest(buckets[number]), state, batch)
            return loop.accumulate(progress, state, sums, [sums["loss"][0]])

        return jax.lax.fori_loop(0, count, one, progress)

    def sums(self, program: str, part: str, progress: loop.Progress) -> Sums:
        """Of the measures on a part, on the host, leaves [S]. program: "test", of the weights that are loaded, or
        "valid", of those that may be kept."""
        evaluate, state = self.evaluate[program], progress.state
        return summed(devices.fetch(evaluate(state, piece)) for piece in self.parts[part].pieces())

    def measure(self, part: str, progress: loop.Progress) -> list[dict[str, float]]:
        """The measures of every seed on a part."""
        sums = self.sums(part, part, progress)
        return [measured(self.task, sums, i, part) for i in range(self.config.seeds)]

    def _finish_epoch(self, epoch: int, progress: loop.Progress) -> loop.Epoch:
        step, sums, valid = epoch * self.steps, devices.fetch(progress.sums), None
        going = set(np.flatnonzero(~self.stopped(progress)).tolist()) - self.diverged.keys()
        ended = set(range(self.config.seeds)) - going
        self.diverged |= (new := diverged.since(devices.fetch(progress.bad_step), self.diverged, ended))
        if "valid" in self.parts:
            valid = self.measure("valid", progress)
        if progress.state.kept:
            progress = self.judged(epoch, progress, valid)
        test = self.measure("test", progress)
        self.scores = self._scores("test", test)
        for i in sorted(going):
            place = {"step": step, "epoch": epoch, "seed": self.config.seed + i}
            if i in new:
                self.record.log(place | grid.row(self.config, "retrain", i) | {diverged.NAME: new[i]})
                continue
            self.record.log(
                place
                | measured(self.task, sums, i, "train")
                | (valid[i] if valid else {})
                | test[i]
                | {"learning_rate": float(self.rates[i % len(self.rates)](step - 1)), "parameters": self.parameters}
                | grid.row(self.config, "retrain", i)
                | self._best(i, progress)
            )
        if self.watch is not None and (well := [row for i, row in enumerate(test) if i not in self.diverged]):
            self.watch(epoch, {name: float(np.mean([row[name] for row in well])) for name in well[0]})
        metric = self.task.score.signed(np.nanmean(self._scores("valid", valid))) if valid else None
        return loop.Epoch(metric, progress, self._ended(progress))

    def _ended(self, progress: loop.Progress) -> bool:
        """Whether no seed is trained any more."""
        stopped = np.flatnonzero(self.stopped(progress)).tolist()
        return len({*stopped, *self.diverged}) == self.config.seeds

    def judged(self, epoch: int, progress: loop.Progress, valid: list[dict[str, float]] | None) -> loop.Progress:
        """With the weights that are kept after this epoch; valid: the measures of every seed, where there are any."""
        nothing = np.zeros(self.config.seeds)
        scores = [self.task.score.signed(score) for score in self._scores("valid", valid)] if valid else nothing
        losses = [row["valid_loss"] for row in valid] if valid else nothing
        seen = (np.asarray(values, np.float32) for values in (scores, losses))
        return progress._replace(state=self.judge(progress.state, *seen, np.int32(epoch)))

    def stopped(self, progress: loop.Progress) -> np.ndarray:
        """Of which seeds patience has ended [S]."""
        watched = self.config.retrain.patience > 0
        return devices.fetch(progress.state.watch.stopped) if watched else np.zeros(self.config.seeds, bool)

    def _best(self, seed: int, progress: loop.Progress) -> dict[str, Any]:
        """Of one seed, whose weights it is that its test measures are of, and whether it ends here."""
        if not self.config.retrain.patience:
            return {}
        watch = devices.fetch(progress.state.watch)
        return {"best_epoch": int(watch.epoch[seed]), "stopped": bool(watch.stopped[seed])}

    def _scores(self, part: str, rows: list[dict[str, float]]) -> list[float]:
        """Of every seed, of its measures on a part; NaN where it diverged."""
        name = f"{part}_{self.task.score.name}"
        return [np.nan if i in self.diverged else row[name] for i, row in enumerate(rows)]


def check_selection(plan: RetrainConfig, validates: bool) -> None:
    """Refuse what reads the validation part where there is none. Errors: `UserError`."""
    if validates:
        return
    waits = find.resolve("average", plan.average).trigger is not None
    for name, value, reads in (("patience", plan.patience, plan.patience > 0), ("average", plan.average, waits)):
        if reads:
            raise UserError(
                f"retrain.{name} is {value}, which reads the validation part, and there is none: set "
                "retrain.valid_portion to 0.1, say, or leave it out."
            )


def check_accumulation(plan: RetrainConfig, batches: int) -> None:
    """Errors: `UserError` for updates that take more batches than an epoch has."""
    if plan.accumulate > batches:
        raise UserError(
            f"retrain.accumulate is {plan.accumulate}, each with a batch of {plan.batch_size}, but the train part has "
            f"{batches} of them: choose at most {batches}."
        )


def network_of(genotype: Genotype, space: Space, size: NetworkSize) -> Callable[[nnx.Rngs], nnx.Module]:
    """What builds the derived network."""
    build = space.network
    assert build is not None
    return lambda rngs: build(genotype, space, size, rngs=rngs)


def network_size_of(plan: RetrainConfig, space: Space, shape: Shape) -> NetworkSize:
    """The size of the network that a plan trains."""
    return NetworkSize(
        plan.cells,
        plan.channels,
        shape.outputs,
        shape.inputs[-1],
        plan.stem,
        plan.auxiliary > 0 and space.has_auxiliary,
        inputs=shape.inputs,
        vocabulary=shape.vocabulary,
        remat=plan.remat,
    )


def priced_as(plan: RetrainConfig, space: Space, shape: Shape) -> tuple[NetworkSize, int]:
    """The same without an auxiliary head, and the pixels of a side of its images: what costs are of."""
    return dataclasses.replace(network_size_of(plan, space, shape), auxiliary=False), shape.inputs[0]


def evaluate_one(network: Functional, task: Task, state: tuple[Tree, Tree], data: Any) -> Sums:
    """Sums of the measures over a part, of one seed; state: (weights, stats), data: `Task.evaluation`."""
    return evaluated(network, task, state, data, train=False)
