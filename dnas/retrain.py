"""Train a derived network from scratch, by default as the DARTS paper does (METHODS: their `cnn/train.py`).

Auxiliary head, drop-path that rises linearly, cutout, label smoothing where wanted, SGD with a cosine schedule unless
told otherwise; test accuracy after every epoch. Several seeds are several trainings in one program.
"""

import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dnas import data as datasets
from dnas import find, keys
from dnas.architectures.genotype import Genotype, check, to_json
from dnas.architectures.topology import Body, Space
from dnas.config import Config, RetrainConfig, to_dict
from dnas.data.augment import augment, fitted, normalise
from dnas.errors import UserError
from dnas.nets.functional import Functional
from dnas.nets.layers import absorb
from dnas.nets.network import Network, drop_path_factors
from dnas.reports import diagram
from dnas.reports import page as report
from dnas.runs import devices, loop, programs, records
from dnas.search.bilevel import SHORT, correct
from dnas.search.run import EVALUATION_BATCH, facts
from dnas.training.weights import clip, rate_of, transformation
from dnas.types import Batch, Noise, Tree


class TrainState(NamedTuple):
    """All that changes in a training."""

    step: jax.Array
    key: jax.Array
    weights: Tree
    stats: Tree
    opt: Tree


class Sums(NamedTuple):
    """Loss and number of correct images of a step."""

    loss: jax.Array
    correct: jax.Array


class Training(NamedTuple):
    """init(key) -> TrainState;  step(state, batch) -> (state, Sums)."""

    init: Callable[[jax.Array], TrainState]
    step: Callable[[TrainState, Batch], tuple[TrainState, Sums]]


@dataclass(frozen=True)
class Result:
    """What a training leaves: per seed, the test accuracy after the last epoch."""

    folder: Path
    genotype: Genotype
    accuracies: tuple[float, ...]
    parameters: int

    @property
    def accuracy(self) -> float:
        """Mean over the seeds."""
        return float(np.mean(self.accuracies))


def run(
    config: Config,
    genotype: Genotype,
    out: str | Path | None = None,
    *,
    data: Any = None,
    resume: bool = False,
    quiet: bool = False,
) -> Result:
    """Train the genotype's network on the whole train set, in the folder `out` (default: one in runs/).

    data: a `Dataset` or arrays (x, y) or (x, y, test_x, test_y) instead of the config's data set.
    Errors: `UserError` for anything wrong with the input; `loop.Interrupted` when told to stop.
    """
    loop.prepare_process()
    records.check(out, resume)
    space = find.resolve("space", config.space)
    check(genotype, space, config.retrain.cells)
    if isinstance(data, (tuple, list)):  # which no name stands for
        config = dataclasses.replace(config, data=datasets.ARRAYS)
    dataset = datasets.load(config.data if data is None else data)
    splits = datasets.split(dataset, 0.0, 0)  # the same for every seed: seeds differ in what they draw, not in the data
    if len(splits.train_x) < config.retrain.batch_size:
        raise UserError(
            f"retrain.batch_size is {config.retrain.batch_size}, but '{splits.name}' has {len(splits.train_x)} "
            f"train images: choose a batch of at most {len(splits.train_x)}."
        )
    recipe, splits = fitted(config.retrain.augment, splits)
    fit = dataclasses.replace(config, retrain=dataclasses.replace(config.retrain, augment=recipe))
    with jax.enable_x64(config.dtype == "float64"):
        job = _Job(fit, space, genotype, splits, quiet)  # before the folder: what cannot be built leaves none
        folder = Path(out) if out is not None else default_folder(config)
        with (records.resume if resume else records.create)(folder, config, loop.typed_command()) as record:
            if resume and (kept := _kept_genotype(folder)) not in (None, to_json(genotype)):
                raise UserError(f"{folder} trains another genotype ({kept}): choose another --out.")
            record.data(datasets.described(splits))
            loop.say(f"Data: {splits.note}.", quiet or not splits.note)
            return job.go(record, resume)


def default_folder(config: Config) -> Path:
    """runs/retrain-darts-digits-0-20260131-120000, say: a new folder."""
    return records.default_folder("retrain", config.space, config.data, str(config.seed))


def _kept_genotype(folder: Path) -> Any:
    try:
        return records.read_genotypes(folder)[0]
    except UserError:
        return None


class _Job:
    """The pieces of one training, put together once."""

    def __init__(self, config: Config, space, genotype: Genotype, splits: datasets.Splits, quiet: bool):
        self.config, self.space, self.genotype, self.splits, self.quiet = config, space, genotype, splits, quiet
        plan = config.retrain
        self.steps = -(-len(splits.train_x) // plan.batch_size)
        body = body_of(plan, space, len(splits.classes), splits.train_x.shape[-1])
        body = dataclasses.replace(body, unroll=plan.epochs * self.steps > SHORT)
        edges = space.cell_count(plan.cells), max(len(cell.edges) for _, cell in genotype.cells)
        self.network = programs.deferred(lambda rngs: Network(genotype, space, body, rngs=rngs))
        self.training = make_training(self.network, edges, plan, self.steps)
        self.rate = rate_of(plan.weights, plan.epochs, self.steps)
        self.dtype = jnp.dtype(config.dtype)
        self.layout = layout = devices.layout(config.seeds, plan.batch_size)
        moments = splits.mean, splits.std
        self.arrays = layout.replicate((splits.train_x, splits.train_y, moments))
        test = loop.padded_batches(splits.test_x, splits.test_y, min(EVALUATION_BATCH, len(splits.test_x)))
        self.test_batches = layout.replicate((test, moments))
        self.accuracies: list[float] = []

        def evaluate(state, batches):
            one = partial(evaluate_one, self.network, self.dtype)
            return layout.over_seeds(one)((state.weights, state.stats), batches)

        description = {
            "command": "retrain",
            "config": to_dict(dataclasses.replace(config, seed=0, data="", checkpoint_epochs=1)),
        }
        kept = programs.Programs(layout, description | {"genotype": to_json(genotype)} | facts(splits))
        self.init = kept.jit("init", self._init)
        self.advance = kept.jit("advance", layout.over_seeds(self._advance), donate_argnums=0)
        self.evaluate = kept.jit("evaluate", evaluate)
        self.seeds = np.arange(config.seed, config.seed + config.seeds)
        self.shapes = self.init.shapes(self.seeds)  # what cannot be built fails here
        loop.check_memory(self.shapes)

    def go(self, record: records.Run, resume: bool) -> Result:
        config, self.record = self.config, record
        found = self.record.restore(self.layout.placed(self.shapes)) if resume else None
        self.record.genotype(0, [to_json(self.genotype)])  # after `restore`, which cuts the folder back
        progress = self.init(self.seeds) if found is None else found[0]
        self.parameters = sum(leaf.size for leaf in jax.tree.leaves(progress.state.weights)) // config.seeds
        loop.say(
            f"Training {self.parameters:,} parameters on {self.splits.name} ({len(self.splits.train_x)} images) "
            f"-> {self.record.folder}",
            self.quiet,
        )
        for kind in {kind for kind, _ in self.genotype.cells} - set(self.space.contained(config.retrain.cells)):
            loop.say(
                f"A network of {config.retrain.cells} cell(s) contains no {kind} cell: it is not trained.", self.quiet
            )
        progress = loop.drive(
            self.record,
            progress,
            lambda p, count: self.advance(p, count, self.arrays),
            self._finish_epoch,
            epochs=config.retrain.epochs,
            steps_per_epoch=self.steps,
            title="retrain",
            command="retrain",
            quiet=self.quiet,
        )
        if not self.accuracies:  # resumed after the last epoch
            self.accuracies = [float(a) for a in devices.fetch(self.evaluate(progress.state, self.test_batches))[0]]
        if devices.is_first_host():
            diagram.draw(self.genotype, self.record.folder / "cells.png")
            report.page(self.record.folder)
        return Result(self.record.folder, self.genotype, tuple(self.accuracies), self.parameters)

    def _init(self, seeds: jax.Array) -> loop.Progress:
        zero = jnp.zeros(self.config.seeds)
        return loop.start(self.layout.over_seeds(self.training.init)(jax.vmap(jax.random.key)(seeds)), Sums(zero, zero))

    def _advance(self, progress: loop.Progress, count: jax.Array, arrays) -> loop.Progress:
        """`count` steps of one seed, all in one epoch."""
        x, y, moments = arrays
        plan = self.config.retrain
        epoch = progress.state.step // self.steps
        order = loop.epoch_order(keys.stream(progress.state.key, "order", epoch), len(x), self.steps * plan.batch_size)
        options: dict[str, Any] = {**dataclasses.asdict(plan.augment), "dtype": self.dtype}

        def one(_, progress):
            state = progress.state
            augment_key = keys.stream(state.key, "augment", state.step)
            rows = jax.lax.dynamic_slice_in_dim(order, (state.step % self.steps) * plan.batch_size, plan.batch_size)
            batch = self.layout.split_batch(Batch(augment(augment_key, x[rows], *moments, **options), y[rows]))
            state, sums = self.training.step(state, batch)
            return loop.accumulate(progress, state, sums, [sums.loss])

        return jax.lax.fori_loop(0, count, one, progress)

    def _finish_epoch(self, epoch: int, progress: loop.Progress) -> loop.Epoch:
        accuracies, top5, losses = devices.fetch(self.evaluate(progress.state, self.test_batches))
        self.accuracies = [float(a) for a in accuracies]
        step, sums = epoch * self.steps, devices.fetch(progress.sums)
        for i in range(self.config.seeds):
            # with five classes or fewer every answer is among the first five
            row = {"test_top5_accuracy": float(top5[i])} if len(self.splits.classes) > 5 else {}
            self.record.log(
                {
                    "step": step,
                    "epoch": epoch,
                    "seed": self.config.seed + i,
                    "train_loss": sums.loss[i] / self.steps,
                    "train_accuracy": sums.correct[i] / (self.steps * self.config.retrain.batch_size),
                    "test_loss": float(losses[i]),
                    "test_accuracy": self.accuracies[i],
                    "learning_rate": float(self.rate(step - 1)),
                    "parameters": self.parameters,
                }
                | row
            )
        return loop.Epoch(float(np.mean(self.accuracies)))


def body_of(plan: RetrainConfig, space: Space, classes: int, image_channels: int) -> Body:
    """The size of the network that a plan trains."""
    auxiliary = plan.auxiliary > 0 and space.has_auxiliary
    return Body(plan.cells, plan.channels, classes, image_channels, plan.stem, auxiliary, remat=plan.remat)


def evaluate_one(network: Functional, dtype: Any, state: tuple[Tree, Tree], data: Any) -> tuple[jax.Array, ...]:
    """Accuracy, top-5 accuracy and mean loss; state: (weights, stats), data: (`loop.padded_batches`, (mean, std))."""
    batches, (mean, std) = data

    def one(sums, batch):
        x, y, mask = batch
        outputs, _ = network.apply(*state, normalise(x, mean, std, dtype), train=False)
        losses = optax.softmax_cross_entropy_with_integer_labels(outputs.logits, y)
        own = jnp.take_along_axis(outputs.logits, y[:, None], -1)
        rank = (outputs.logits > own).sum(-1)
        rows = jnp.stack([outputs.logits.argmax(-1) == y, rank < 5, losses])
        return sums + (rows * mask).sum(-1), None

    sums, _ = jax.lax.scan(one, jnp.zeros(3), batches)
    return tuple(sums / batches[2].sum())


def make_training(network: Functional, edges: tuple[int, int], plan: RetrainConfig, steps: int) -> Training:
    """Build the pure functions of a training; `edges`: cells and edges per cell, `steps`: steps per epoch."""
    rate = rate_of(plan.weights, plan.epochs, steps)
    tx = optax.chain(clip(plan.weights.clip), transformation(plan.weights, rate))

    def init(key: jax.Array) -> TrainState:
        weights, stats = network.init(keys.stream(key, "weights"))
        return TrainState(jnp.zeros((), jnp.int32), keys.stream(key, "run"), weights, stats, tx.init(weights))

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Sums]:
        factors, noise = None, Noise(keys.stream(state.key, "noise", state.step))
        if plan.drop_path:
            probability = plan.drop_path * (state.step // steps) / plan.epochs
            drop_key = keys.stream(state.key, "drop path", state.step)
            factors = drop_path_factors(drop_key, probability, (*edges, len(batch.y)))

        def loss(weights):
            outputs, moments = network.apply(weights, state.stats, batch.x, factors, noise, train=True)
            total = smoothed_cross_entropy(outputs.logits, batch.y, plan.label_smoothing)
            if outputs.auxiliary is not None:
                total += plan.auxiliary * smoothed_cross_entropy(outputs.auxiliary, batch.y, plan.label_smoothing)
            return total, (moments, outputs.logits)

        (value, (moments, logits)), gradient = jax.value_and_grad(loss, has_aux=True)(state.weights)
        updates, opt = tx.update(gradient, state.opt, state.weights)
        weights = optax.apply_updates(state.weights, updates)
        state = TrainState(state.step + 1, state.key, weights, absorb(state.stats, moments), opt)
        return state, Sums(value.astype(jnp.float32), correct(logits, batch.y).astype(jnp.float32))

    return Training(init, step)


def smoothed_cross_entropy(logits: jax.Array, labels: jax.Array, smoothing: float) -> jax.Array:
    """Mean cross-entropy with this share of each label spread over all classes."""
    targets = optax.smooth_labels(jax.nn.one_hot(labels, logits.shape[-1], dtype=logits.dtype), smoothing)
    return optax.softmax_cross_entropy(logits, targets).mean()
