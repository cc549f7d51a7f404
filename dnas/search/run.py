"""One search from a config to a run folder: data, space, supernet, method, bilevel steps, genotypes, pictures."""

import dataclasses
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dnas import data as datasets
from dnas import devices, find, loop, programs, records, report
from dnas.config import Config, to_dict
from dnas.data.augment import augment, normalise
from dnas.errors import UserError
from dnas.nets.supernet import Supernet
from dnas.search.bilevel import Levels, Method, Search, StepMetrics, cross_entropy, learning_rate, make_search
from dnas.spaces import diagram
from dnas.spaces.genotype import Genotype, to_json, to_text
from dnas.spaces.topology import Body, Space
from dnas.types import Batch, Mix, Tree

EVALUATION_BATCH = 256


@dataclass(frozen=True)
class Result:
    """What a search leaves: its folder and, per seed, the genotype and the supernet's last validation accuracy."""

    folder: Path
    config: Config
    genotypes: tuple[Genotype, ...]
    accuracies: tuple[float, ...]

    @property
    def genotype(self) -> Genotype:
        """The genotype of the seed with the best validation accuracy."""
        return self.genotypes[int(np.argmax(self.accuracies))]


def run(
    config: Config,
    out: str | Path | None = None,
    *,
    data: Any = None,
    resume: bool = False,
    quiet: bool = False,
    profile: str | Path | None = None,
) -> Result:
    """Search as the config says, in the folder `out` (default: runs/ and a name made of the config and the time).

    data: a `Dataset` or arrays (x, y) or (x, y, test_x, test_y) instead of the config's data set.
    profile: a folder for a trace of a few steps.
    Errors: `UserError` for anything wrong with the input; `loop.Interrupted` when told to stop.
    """
    loop.prepare_process()
    space, method = find.resolve("space", config.space), find.resolve("method", config.method)
    dataset = datasets.load(config.data if data is None else data)
    splits = datasets.split(dataset, config.search.valid_portion, config.seed % 2**32)
    check_sizes(config, splits)
    if config.dtype == "float64":
        jax.config.update("jax_enable_x64", True)
    job = _Job(config, space, method, splits, quiet)  # before the folder: what cannot be built leaves none
    folder = Path(out) if out is not None else default_folder(config)
    opened = (records.resume if resume else records.create)(folder, config, loop.typed_command())
    with opened as record:
        sizes = {"train": len(splits.train_x), "valid": len(splits.valid_x)}
        record.data({"name": splits.name, "note": splits.note} | sizes)
        return job.go(record, resume, None if profile is None else Path(profile))


def check_sizes(config: Config, splits: datasets.Splits) -> None:
    """Refuse a search that its data cannot feed."""
    size, what = config.search.batch_size, {"train": splits.train_x, "validation": splits.valid_x}
    for part, images in what.items():
        if len(images) < size:
            raise UserError(
                f"search.batch_size is {size}, but the {part} part of '{splits.name}' has {len(images)} images: "
                f"choose a batch of at most {len(images)}."
            )


def default_folder(config: Config) -> Path:
    """runs/darts-first_order-digits-0-20260131-120000, say."""
    parts = [config.method, config.space, config.data, str(config.seed), time.strftime("%Y%m%d-%H%M%S")]
    return Path("runs") / "-".join(part.replace(":", "-").replace("/", "-") for part in parts)


class _Job:
    """The pieces of one search, put together once."""

    def __init__(self, config: Config, space: Space, method: Method, splits: datasets.Splits, quiet: bool):
        self.config, self.space, self.method, self.splits, self.quiet = config, space, method, splits, quiet
        search = config.search
        self.steps = -(-len(splits.train_x) // search.batch_size)
        body = Body(search.cells, search.channels, len(splits.classes), splits.train_x.shape[-1], remat=search.remat)
        self.network = programs.deferred(lambda rngs: Supernet(space, body, rngs=rngs))
        self.search: Search = make_search(self.network, space.mix_shapes, method, search, self.steps)
        self.layout = layout = devices.layout(config.seeds, search.batch_size)
        moments = splits.mean, splits.std
        self.arrays = layout.replicate((splits.train_x, splits.train_y, splits.valid_x, splits.valid_y, moments))
        self.dtype = jnp.dtype(config.dtype)
        self.genotypes: list[Genotype] = []
        self.accuracies: list[float] = []

        def evaluate(state, mix, batches):
            return layout.over_seeds(self._evaluate)((state.weights, state.stats, mix), batches)

        def mix(state):
            return self.search.mix(state.alphas, state.key, state.step)

        valid = loop.padded_batches(splits.valid_x, splits.valid_y, min(EVALUATION_BATCH, len(splits.valid_x)))
        self.valid_batches = layout.replicate((valid, moments))
        description = {"command": "search", "config": to_dict(dataclasses.replace(config, seed=0))}
        kept = programs.Programs(layout, description | facts(splits))
        self.init = kept.jit("init", self._init)
        self.advance = kept.jit("advance", layout.over_seeds(self._advance), donate_argnums=0)
        self.evaluate = kept.jit("evaluate", evaluate)
        self.mixes = kept.jit("mixes", layout.over_seeds(mix))
        self.seeds = np.arange(config.seed, config.seed + config.seeds)
        self.shapes = self.init.shapes(self.seeds)  # what cannot be built fails here

    def go(self, record: records.Run, resume: bool, profile: Path | None) -> Result:
        config, self.record = self.config, record
        progress = self._restored(resume)
        loop.say(self._headline(progress.state.weights), self.quiet)
        progress = loop.drive(
            self.record,
            progress,
            lambda p, count: self.advance(p, count, self.arrays),
            self._finish_epoch,
            epochs=config.search.epochs,
            steps_per_epoch=self.steps,
            title=f"search {config.method}",
            command="search",
            quiet=self.quiet,
            profile=profile,
        )
        if not self.genotypes:  # resumed after the last epoch
            self._discretise(progress.state)
        self._draw()
        return Result(self.record.folder, config, tuple(self.genotypes), tuple(self.accuracies))

    def _init(self, seeds: jax.Array) -> loop.Progress:
        state = self.layout.over_seeds(self.search.init)(jax.vmap(jax.random.key)(seeds))
        zero = jnp.zeros(self.config.seeds, state.alphas[next(iter(state.alphas))].dtype)
        return loop.start(state, StepMetrics(zero, zero, zero, zero))

    def _restored(self, resume: bool) -> loop.Progress:
        found = self.record.restore(self.layout.placed(self.shapes)) if resume else None
        if found is None:
            return self.init(self.seeds)
        progress, extra = found
        loop.say(f"Resuming at step {extra['step']}.", self.quiet)
        return progress

    def _advance(self, progress: loop.Progress, count: jax.Array, arrays) -> loop.Progress:
        """`count` steps of one seed, all in one epoch."""
        train_x, train_y, valid_x, valid_y, moments = arrays
        size, augmenting = self.config.search.batch_size, self.config.search.augment
        epoch = progress.state.step // self.steps
        order_key = jax.random.fold_in(jax.random.fold_in(progress.state.key, 1), epoch)
        train_key, valid_key = jax.random.split(order_key)
        train_order = loop.epoch_order(train_key, len(train_x), self.steps * size)
        valid_order = loop.epoch_order(valid_key, len(valid_x), self.steps * size)

        def batch(x, y, order, step, key):
            rows = jax.lax.dynamic_slice_in_dim(order, (step % self.steps) * size, size)
            options: dict[str, Any] = {**dataclasses.asdict(augmenting), "dtype": self.dtype}
            return self.layout.split_batch(Batch(augment(key, x[rows], *moments, **options), y[rows]))

        def one(_, progress):
            state = progress.state
            train_key, valid_key = jax.random.split(jax.random.fold_in(jax.random.fold_in(state.key, 2), state.step))
            levels = Levels(
                batch(train_x, train_y, train_order, state.step, train_key),
                batch(valid_x, valid_y, valid_order, state.step, valid_key),
            )
            state, metrics = self.search.step(state, levels)
            metrics = jax.tree.map(lambda m, s: m.astype(s.dtype), metrics, progress.sums)
            return loop.accumulate(progress, state, metrics, [metrics.train_loss, metrics.valid_loss])

        return jax.lax.fori_loop(0, count, one, progress)

    def _evaluate(self, network, data):
        """Accuracy and mean loss over all batches, in evaluation mode; one seed."""
        (weights, stats, mix), (batches, (mean, std)) = network, data

        def one(carry, batch):
            x, y, mask = batch
            x = normalise(x, mean, std, self.dtype)
            logits, _ = self.network.apply(weights, stats, x, mix, train=False)
            losses = jax.vmap(cross_entropy)(logits[:, None], y[:, None])
            hits, loss = carry
            right = ((logits.argmax(-1) == y) & mask).sum(dtype=jnp.int32)
            return (hits + right, loss + (losses * mask).sum()), None

        zero = jnp.zeros((), stats_dtype(stats))
        (hits, loss), _ = jax.lax.scan(one, (jnp.int32(0), zero), batches)
        count = batches[2].sum()
        return hits / count, loss / count

    def _finish_epoch(self, epoch: int, progress: loop.Progress) -> float:
        state, sums = progress.state, devices.fetch(progress.sums)
        mixes, losses = self._discretise(state)
        step = epoch * self.steps
        rate = float(learning_rate(self.config.search.weights, self.config.search.epochs, self.steps)(step - 1))
        images = self.steps * self.config.search.batch_size
        for i in range(self.config.seeds):
            entropy = {f"entropy_{kind}": entropy_of(m[i]) for kind, m in mixes.items()}
            self.record.log(
                {
                    "step": step,
                    "epoch": epoch,
                    "seed": self.config.seed + i,
                    "train_loss": sums.train_loss[i] / self.steps,
                    "train_accuracy": sums.train_correct[i] / images,
                    "search_loss": sums.valid_loss[i] / self.steps,
                    "search_accuracy": sums.valid_correct[i] / images,
                    "valid_loss": losses[i],
                    "valid_accuracy": self.accuracies[i],
                    "learning_rate": rate,
                }
                | entropy
            )
        shown = mixes if self.config.seeds > 1 else {kind: m[0] for kind, m in mixes.items()}
        self.record.log_mix(step, shown, self.space, epoch)
        self.record.genotype(epoch, [to_json(g) for g in self.genotypes])
        self.record.text("genotype", "\n\n".join(to_text(g) for g in self.genotypes), step)
        return float(np.mean(self.accuracies))

    def _discretise(self, state) -> tuple[Mix, list[float]]:
        """Set the genotypes and validation accuracies of all seeds; gives the mixes [S, E, O] and the losses."""
        mixes = devices.fetch(self.mixes(state))
        accuracies, losses = devices.fetch(self.evaluate(state, mixes, self.valid_batches))
        self.accuracies = [float(a) for a in accuracies]

        def genotype(i: int) -> Genotype:
            def accuracy(mix: Mix) -> float:
                everywhere = jax.tree.map(lambda m: np.broadcast_to(m, (self.config.seeds, *m.shape)), mix)
                return float(devices.fetch(self.evaluate(state, everywhere, self.valid_batches))[0][i])

            return self.method.discretise(self.space, {k: m[i] for k, m in mixes.items()}, accuracy)

        self.genotypes = [genotype(i) for i in range(self.config.seeds)]
        return mixes, [float(loss) for loss in losses]

    def _headline(self, weights: Tree) -> str:
        splits, seeds = self.splits, self.config.seeds
        count = sum(leaf.size for leaf in jax.tree.leaves(weights)) // seeds
        return (
            f"Searching '{self.config.space}' with '{self.config.method}' on {splits.name}: "
            f"{len(splits.train_x)} images for the weights, {len(splits.valid_x)} for the alphas, "
            f"supernet of {count:,} parameters"
            + (f", {seeds} seeds" if seeds > 1 else "")
            + f" -> {self.record.folder}"
        )

    def _draw(self) -> None:
        if not devices.is_first_host():
            return
        for i, genotype in enumerate(self.genotypes):
            name = "cells.png" if len(self.genotypes) == 1 else f"cells_seed_{self.config.seed + i}.png"
            diagram.draw(genotype, self.record.folder / name)
        report.page(self.record.folder)


def facts(splits: datasets.Splits) -> dict[str, Any]:
    """What a program knows of the data besides its arguments."""
    return {"images": splits.train_x.shape, "classes": len(splits.classes)}


def entropy_of(mix: np.ndarray) -> float:
    """Mean entropy of the rows of a mix [E, O], each normalised to one; log(O) when nothing is decided."""
    p = np.clip(mix, 1e-12, None)
    p = p / p.sum(-1, keepdims=True)
    return float(-(p * np.log(p)).sum(-1).mean())


def stats_dtype(stats) -> Any:
    """The float type the statistics are kept in."""
    return jax.tree.leaves(stats)[0].dtype
