"""One search from a config to a run folder: data, space, supernet, method, bilevel steps, genotypes, pictures."""

import dataclasses
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dnas import data as datasets
from dnas import find, keys
from dnas.architectures.genotype import Genotype, as_mix, from_json, to_json, to_text
from dnas.architectures.topology import Body, Space, with_operations
from dnas.config import Config, SearchConfig, to_dict
from dnas.data.augment import augment, fitted, normalise
from dnas.errors import UserError
from dnas.nets.functional import Deferred
from dnas.nets.supernet import Supernet
from dnas.reports import diagram
from dnas.reports import page as report
from dnas.runs import devices, loop, programs, records
from dnas.search.bilevel import (
    Levels,
    Search,
    Span,
    StepMetrics,
    check,
    cross_entropy,
    make_search,
    phase_rate,
    stats_dtype,
)
from dnas.search.method import Method, Outcome, Phase, View, adapted
from dnas.search.phases import carry_over, prune, prune_alphas
from dnas.search.stops import hessian
from dnas.types import Batch, Mix, SearchState, Tree

EVALUATION_BATCH = 256


@dataclass(frozen=True)
class Result:
    """What a search leaves: its folder and, per seed, the genotype and the supernet's validation accuracy: the last,
    that of the epoch that counts, or with the genotype that was selected."""

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
    records.check(out, resume)
    space, method = find.resolve("space", config.space), find.resolve("method", config.method)
    if isinstance(data, (tuple, list)):  # which no name stands for
        config = dataclasses.replace(config, data=datasets.ARRAYS)
    dataset = datasets.load(config.data if data is None else data)
    splits = datasets.split(dataset, config.search.valid_portion, config.seed % 2**32)
    check_sizes(config, splits)
    recipe, splits = fitted(config.search.augment, splits)
    fit = dataclasses.replace(config, search=dataclasses.replace(config.search, augment=recipe))
    with jax.enable_x64(config.dtype == "float64"):
        job = _Job(fit, space, method, splits, quiet)  # before the folder: what cannot be built leaves none
        folder = Path(out) if out is not None else default_folder(config)
        with (records.resume if resume else records.create)(folder, config, loop.typed_command()) as record:
            record.data(datasets.described(splits))
            loop.say(f"Data: {splits.note}.", quiet or not splits.note)
            return job.go(record, resume, None if profile is None else Path(profile))


def check_sizes(config: Config, splits: datasets.Splits) -> None:
    """Refuse a search that its data cannot feed."""
    size, what = config.search.batch_size, {"train": splits.train_x, "validation": splits.valid_x}
    inner = config.search.inner_steps
    if size <= len(splits.train_x) < size * inner:
        raise UserError(
            f"search.inner_steps is {inner}, each with a batch of {size}, but the train part of '{splits.name}' has "
            f"{len(splits.train_x)} images: choose at most {len(splits.train_x) // size}."
        )
    if not len(splits.valid_x):
        raise UserError(
            "search.valid_portion is 0, but cells are chosen by the accuracy on validation images, also where a single "
            "level does not train on them: choose a portion above 0, say 0.1."
        )
    for part, images in what.items():
        if len(images) < size:
            raise UserError(
                f"search.batch_size is {size}, but the {part} part of '{splits.name}' has {len(images)} images: "
                f"choose a batch of at most {len(images)}."
            )


def default_folder(config: Config) -> Path:
    """runs/darts-darts-digits-0-20260131-120000, say: a new folder."""
    return records.default_folder(config.method, config.space, config.data, str(config.seed))


class _Stage:
    """One phase, compiled: the supernet and the functions of its state; every leaf has the seeds as first axis.

    method: adapted to this phase's space and config.
    """

    def __init__(
        self,
        config: Config,
        method: Method,
        phase: Phase,
        space: Space,
        splits: datasets.Splits,
        span: Span,
        index: int,
    ):
        self.config, self.plan, self.space, self.splits, self.span = config, phase.config, space, splits, span
        self.steps = steps_per_epoch(phase.config, splits)
        if phase.drop_rate is not None:
            method = dataclasses.replace(method, drop_rate=phase.drop_rate)
        self.method, plan = method, phase.config
        self.single_path = method.single_path or phase.supernet(method.supernet(space)).paths != "all"
        self.build = supernet_of(phase, method, space, splits)
        self.search: Search = make_search(programs.deferred(self.build), space, method, plan, self.steps, span)
        self.network = self.search.network
        self.layout = layout = devices.layout(config.seeds, plan.batch_size)
        moments = splits.mean, splits.std
        self.arrays = layout.replicate((splits.train_x, splits.train_y, splits.valid_x, splits.valid_y, moments))
        self.dtype = jnp.dtype(config.dtype)
        valid = loop.padded_batches(splits.valid_x, splits.valid_y, min(EVALUATION_BATCH, len(splits.valid_x)))
        self.valid_batches = layout.replicate((valid, moments))

        def evaluate(state, mix, batches):
            return layout.over_seeds(partial(self._evaluate, train=False))((state.weights, state.stats, mix), batches)

        kept = programs.Programs(layout, self._description(index))
        self.init = kept.jit("init", self._init)
        self.advance = kept.jit("advance", layout.over_seeds(self._advance), donate_argnums=0)
        self.evaluate = kept.jit("evaluate", evaluate)
        self.mixes = kept.jit("mixes", layout.over_seeds(self.search.mix))
        self.evaluate_one = jax.jit(self._evaluate, static_argnames="train")
        self.hessian_one = jax.jit(self._hessian)
        self.seeds = np.arange(config.seed, config.seed + config.seeds)
        self.shapes = self.init.shapes(self.seeds)  # what cannot be built fails here
        loop.check_memory(self.shapes)

    def _description(self, index: int) -> dict[str, Any]:
        """All that goes into the programs beside their arguments: of a phase also what pruning has left. Of the data
        only sizes; where they come from, how often the run is saved and the seed change no program."""
        left = {kind: cell.operations for kind, cell in self.space.cells.items()}
        config = to_dict(dataclasses.replace(self.config, seed=0, data="", checkpoint_epochs=1))
        return {"command": "search", "config": config, "phase": index, "operations": left} | facts(self.splits)

    def _init(self, seeds: jax.Array) -> loop.Progress:
        seeded = jax.vmap(jax.random.key)(seeds)
        if self.span.start:  # what begins anew in a later phase draws other numbers than the first
            seeded = jax.vmap(lambda key: keys.stream(key, "phase", self.span.start))(seeded)
        state = self.layout.over_seeds(self.search.init)(seeded)
        zero = jnp.zeros(self.config.seeds, jax.tree.leaves(state.alphas)[0].dtype)
        return loop.start(state, StepMetrics(zero, zero, zero, zero))

    def begin(self, progress: loop.Progress, mask: Any) -> loop.Progress:
        """A new progress, with another mask."""
        return progress._replace(state=progress.state._replace(mask=mask)) if mask else progress

    def target(self, masked: bool) -> Any:
        """The shapes of a progress, for a checkpoint."""
        shapes = self.shapes
        if masked and not shapes.state.mask:
            seeds = self.config.seeds
            dtype = jnp.result_type(float)
            mask = {kind: jax.ShapeDtypeStruct((seeds, *s), dtype) for kind, s in self.space.mix_shapes.items()}
            shapes = shapes._replace(state=shapes.state._replace(mask=mask))
        return self.layout.placed(shapes)

    def counted(self, mix: Mix) -> Mix:
        """What evaluation multiplies by: where training sees one path, the strongest operation alone."""
        return {kind: hard(m) for kind, m in mix.items()} if self.single_path else mix

    def _advance(self, progress: loop.Progress, count: jax.Array, arrays) -> loop.Progress:
        """`count` steps of one seed, all in one epoch."""
        train_x, train_y, valid_x, valid_y, moments = arrays
        size, inner, augmenting = self.plan.batch_size, self.plan.inner_steps, self.plan.augment
        done = progress.state.step - self.span.start
        epoch = self.span.epoch + done // self.steps
        train_key, valid_key = jax.random.split(keys.stream(progress.state.key, "order", epoch))
        train_order = loop.epoch_order(train_key, len(train_x), self.steps * size * inner)
        valid_order = loop.epoch_order(valid_key, len(valid_x), self.steps * size)

        def batch(x, y, order, number, key):
            rows = jax.lax.dynamic_slice_in_dim(order, number * size, size)
            options: dict[str, Any] = {**dataclasses.asdict(augmenting), "dtype": self.dtype}
            return self.layout.split_batch(Batch(augment(key, x[rows], *moments, **options), y[rows]))

        def train_batches(number, key):
            if inner == 1:
                return batch(train_x, train_y, train_order, number, key)
            rows = number * inner + jnp.arange(inner), jax.random.split(key, inner)
            return jax.lax.map(lambda row: batch(train_x, train_y, train_order, *row), rows)

        def one(_, progress):
            state = progress.state
            number = (state.step - self.span.start) % self.steps
            train_key, valid_key = jax.random.split(keys.stream(state.key, "augment", state.step))
            levels = Levels(train_batches(number, train_key), batch(valid_x, valid_y, valid_order, number, valid_key))
            state, metrics = self.search.step(state, levels)
            metrics = jax.tree.map(lambda m, s: m.astype(s.dtype), metrics, progress.sums)
            return loop.accumulate(progress, state, metrics, [metrics.train_loss, metrics.valid_loss])

        return jax.lax.fori_loop(0, count, one, progress)

    def _evaluate(self, network, data, train: bool):
        """Accuracy and mean loss over all batches; one seed. train: normalised by the batch, not by running moments."""
        (weights, stats, mix), (batches, (mean, std)) = network, data

        def one(carry, batch):
            x, y, mask = batch
            x = normalise(x, mean, std, self.dtype)
            logits, _ = self.network.apply(weights, stats, x, self.counted(mix), train=train)
            losses = jax.vmap(cross_entropy)(logits[:, None], y[:, None])
            hits, loss = carry
            right = ((logits.argmax(-1) == y) & mask).sum(dtype=jnp.int32)
            return (hits + right, loss + (losses * mask).sum()), None

        zero = jnp.zeros((), stats_dtype(stats))
        (hits, loss), _ = jax.lax.scan(one, (jnp.int32(0), zero), batches)
        count = batches[2].sum()
        return hits / count, loss / count

    def _hessian(self, state, data):
        """Of the loss on one batch, normalised by the batch, with respect to the alphas: [N, N]; one seed."""
        batches, (mean, std) = data
        x, y, mask = jax.tree.map(lambda leaf: leaf[0], batches)
        x = normalise(x, mean, std, self.dtype)

        def loss(alphas):
            mix = self.search.mix(state._replace(alphas=alphas))
            logits, _ = self.network.apply(state.weights, state.stats, x, mix, train=True)
            losses = jax.vmap(cross_entropy)(logits[:, None], y[:, None])
            return (losses * mask).sum() / mask.sum()

        return hessian(loss, state.alphas, self.plan.alphas.decay)


class _Job:
    """A whole search: its phases one after the other, and what is logged and decided between epochs."""

    def __init__(self, config: Config, space: Space, method: Method, splits: datasets.Splits, quiet: bool):
        self.config, self.splits, self.quiet = config, splits, quiet
        self.lacking = [kind for kind in space.cells if kind not in space.contained(config.search.cells)]
        self.unlimited, self.space = space, space.within(config.search.cells)
        space = self.space
        self.unadapted, method = method, adapted(method, space, config.search)
        self.method, self.phases = method, method.phases(space, config.search)
        if method.reach and (config.seeds > 1 or config.checkpoint_epochs > 1):
            raise UserError(
                f"Method '{config.method}' goes back to checkpoints of a search: set seeds and checkpoint_epochs to 1."
            )
        self._check_phases()
        self.index, self.spans = 0, spans(self.phases, splits)
        for phase, span in zip(self.phases, self.spans, strict=True):
            phase_rate(phase.config, steps_per_epoch(phase.config, splits), span)  # no later than now
        self.stage = self._stage(0, space)  # before the folder: what cannot be built leaves none
        self.genotypes: list[Genotype] = []
        self.accuracies: list[float] = []
        self.notes: list[list[dict]] = [[] for _ in range(config.seeds)]  # of every seed, one per epoch
        self.stopped: dict[int, int] = {}  # seed -> the epoch whose genotype counts

    def _adapted(self, index: int, space: Space) -> Method:
        """The method for the space that is left in a phase."""
        plan = self.phases[index].config
        known = space is self.space and plan == self.config.search
        return self.method if known else adapted(self.unadapted, space, plan)

    def _check_phases(self) -> None:
        """Build the later phases, too, with all operations: what none of them can be is said now, not in hours."""
        for index, phase in enumerate(self.phases):
            method, cells = self._adapted(index, self.space), phase.config.cells
            check(method, phase.config)
            if method.hypergrad is not None and not phase.config.alphas.learning_rate:
                raise UserError("search.alphas.learning_rate is 0, so no alphas would be trained: choose one above 0.")
            missing = set(self.space.cells) ^ set(self.unlimited.contained(cells))
            if missing:
                raise UserError(
                    f"search.cells is {self.config.search.cells}, and phase {index + 1} of '{self.config.method}' has "
                    f"{cells}: not both contain the {min(missing)} cell; choose more cells."
                )
            if index:
                changes = phase.keep or phase.supernet != self.phases[index - 1].supernet
                if method.gate is not None and changes and not phase.restart:
                    raise UserError(
                        f"Method '{self.config.method}' stops operations by their gradients, and the supernet of its "
                        f"phase {index + 1} has others: use one phase, or phases that begin anew."
                    )
                supernet_of(phase, method, self.space, self.splits)(Deferred(params=jax.random.key(0)))

    def _stage(self, index: int, space: Space) -> _Stage:
        method, phase = self._adapted(index, space), self.phases[index]
        return _Stage(self.config, method, phase, space, self.splits, self.spans[index], index)

    def go(self, record: records.Run, resume: bool, profile: Path | None) -> Result:
        self.record = record
        record.reach = self.method.reach
        progress = self._restored(resume)
        loop.say(self._headline(progress.state.weights), self.quiet)
        if self.lacking:
            cells = f"{self.config.search.cells} cell" + "s" * (self.config.search.cells > 1)
            kinds = " and no ".join(self.lacking)
            loop.say(f"A supernet of {cells} contains no {kinds} cell: none is searched (--search.cells).", self.quiet)
        while True:
            stage, span = self.stage, self.spans[self.index]
            number = f" {self.index + 1}/{len(self.phases)}" if len(self.phases) > 1 else ""
            if not self._ended():
                progress = loop.drive(
                    self.record,
                    progress,
                    partial(_advanced, stage),
                    self._finish_epoch,
                    epochs=stage.plan.epochs,
                    steps_per_epoch=stage.steps,
                    title=f"search {self.config.method}{number}",
                    command="search",
                    quiet=self.quiet,
                    profile=profile,
                    first=(span.start, span.epoch),
                    extra=self._extra,
                )
            if self._ended() or self.index + 1 == len(self.phases):
                break
            progress = self._next_phase(progress)
        self._conclude(progress)
        self._draw()
        return Result(self.record.folder, self.config, tuple(self.genotypes), tuple(self.accuracies))

    def _ended(self) -> bool:
        return len(self.stopped) == self.config.seeds

    def _extra(self) -> dict[str, Any]:
        """What a checkpoint notes beside the state."""
        kept = {kind: [list(names) for names in cell.operations] for kind, cell in self.stage.space.cells.items()}
        stopped = {str(seed): epoch for seed, epoch in self.stopped.items()}
        return {"phase": self.index, "operations": kept, "notes": self.notes, "stopped": stopped}

    def _restored(self, resume: bool) -> loop.Progress:
        first = self.stage

        def target(extra):  # again for an older checkpoint, where the newest is damaged
            self.index = extra.get("phase", 0)
            if not self.index:
                self.stage = first
                return first.target(False)
            self.stage = self._stage(self.index, with_operations(first.space, extra["operations"]))
            return self.stage.target(any(p.keep for p in self.phases[: self.index + 1]))

        found = self.record.restore(target) if resume else None
        if found is None:
            return self.stage.init(self.stage.seeds)
        progress, extra = found
        self.notes = extra.get("notes", self.notes)
        self.stopped = {int(seed): epoch for seed, epoch in extra.get("stopped", {}).items()}
        loop.say(f"Resuming at step {extra['step']}.", self.quiet)
        return progress

    def _next_phase(self, progress: loop.Progress) -> loop.Progress:
        """Prune, build the next supernet, and carry the state over or begin anew."""
        old, self.index = self.stage, self.index + 1
        phase = self.phases[self.index]
        state = devices.fetch(progress.state._replace(key=jax.random.key_data(progress.state.key)))
        mixes = devices.fetch(old.mixes(progress.state))
        keep = phase.keep or max(max(map(len, cell.operations)) for cell in old.space.cells.values())
        pruned = prune(old.space, mixes, keep)
        self.stage = new = self._stage(self.index, pruned.space)
        fresh = new.init(new.seeds)
        mask = pruned.mask if phase.keep else state.mask
        if phase.restart:
            return new.begin(fresh, jax.tree.map(jnp.asarray, mask))
        shapes = devices.fetch(fresh.state._replace(key=jax.random.key_data(fresh.state.key)))
        carried = carry_over(state, shapes, (old.build, new.build), pruned, self.config.seed)
        carried = carried._replace(
            key=progress.state.key,
            alphas=prune_alphas(state.alphas, old.space, pruned.columns),
            alpha_opt=prune_alphas(state.alpha_opt, old.space, pruned.columns),
            mask=mask,
        )
        placed = jax.tree.map(
            lambda leaf, like: jax.device_put(leaf, like.sharding),
            carried._replace(mask=()),
            fresh.state._replace(mask=()),
        )
        return new.begin(progress._replace(state=placed), jax.tree.map(jnp.asarray, mask))

    def _finish_epoch(self, epoch: int, progress: loop.Progress) -> loop.Epoch:
        state, sums = progress.state, devices.fetch(progress.sums)
        mixes, losses = self._discretise(state)
        stage, span = self.stage, self.spans[self.index]
        own = {kind: mixes[kind][..., : shape[1]] for kind, shape in stage.space.mix_shapes.items()}
        in_phase = epoch - span.epoch
        step = span.start + in_phase * stage.steps
        rate = float(phase_rate(stage.plan, stage.steps, span)(step - 1))
        images, outcomes = stage.steps * stage.plan.batch_size, []
        searching = in_phase > stage.plan.alphas.warmup_epochs  # else no image of the alphas was looked at
        for i in range(self.config.seeds):
            outcome = self._look(i, epoch, in_phase, state, mixes) if stage.method.after_epoch else Outcome()
            self.notes[i].append(dict(outcome.notes))
            outcomes.append(outcome)
            if outcome.stop is not None and i not in self.stopped:
                self.stopped[i] = outcome.stop
                loop.say(f"Seed {self.config.seed + i} stops; the genotype of epoch {outcome.stop} counts.", self.quiet)
            entropy = {f"entropy_{kind}": entropy_of(m[i]) for kind, m in own.items()}
            self.record.log(
                {
                    "step": step,
                    "epoch": epoch,
                    "seed": self.config.seed + i,
                    "train_loss": sums.train_loss[i] / stage.steps,
                    "train_accuracy": sums.train_correct[i] / images,
                    "search_loss": sums.valid_loss[i] / stage.steps if searching else None,
                    "search_accuracy": sums.valid_correct[i] / images if searching else None,
                    "valid_loss": losses[i],
                    "valid_accuracy": self.accuracies[i],
                    "learning_rate": rate,
                }
                | entropy
                | {name: value for name, value in outcome.notes.items() if isinstance(value, (int, float))}
            )
        shown = own if self.config.seeds > 1 else {kind: m[0] for kind, m in own.items()}
        self.record.log_mix(step, shown, stage.space, epoch)
        self.record.genotype(epoch, [to_json(g) for g in self.genotypes])
        with suppress(UserError):  # some cells have no text form
            self.record.text("genotype", "\n\n".join(to_text(g) for g in self.genotypes), step)
        if any(outcome.restart is not None for outcome in outcomes):
            return loop.Epoch(None, self._restarted(outcomes[0]))
        return loop.Epoch(float(np.mean(self.accuracies)), self._turned(progress, outcomes), self._ended())

    def _look(self, i: int, epoch: int, in_phase: int, state: SearchState, mixes: Mix) -> Outcome:
        """What the method makes of one seed after an epoch."""
        stage = self.stage
        assert stage.method.after_epoch is not None
        one: SearchState = jax.tree.map(lambda leaf: leaf[i], state)

        view = View(
            space=stage.space,
            phase=self.index,
            epoch=in_phase,
            epochs=stage.plan.epochs,
            total=epoch,
            seed=self.config.seed + i,
            alphas=devices.fetch(one.alphas),
            mix={kind: m[i] for kind, m in mixes.items()},
            mask=devices.fetch(one.mask),
            knobs={name: float(value) for name, value in one.knobs.items()},
            notes=self.notes[i],
            evaluate=self._evaluator(state, i),
            hessian=lambda: np.asarray(stage.hessian_one(one, stage.valid_batches)),
        )
        return stage.method.after_epoch(view)

    @staticmethod
    def _turned(progress: loop.Progress, outcomes: list[Outcome]) -> loop.Progress:
        """The progress with the masks and knobs that the method wants from now on."""
        if not any(outcome.mask is not None or outcome.knobs for outcome in outcomes):
            return progress
        state = progress.state
        mask = {
            kind: jnp.stack(
                [old[i] if o.mask is None else jnp.asarray(o.mask[kind], old.dtype) for i, o in enumerate(outcomes)]
            )
            for kind, old in (state.mask or {}).items()
        }
        knobs = {
            name: jnp.stack([jnp.asarray(o.knobs.get(name, old[i]), old.dtype) for i, o in enumerate(outcomes)])
            for name, old in state.knobs.items()
        }
        return progress._replace(state=state._replace(mask=mask or state.mask, knobs=knobs))

    def _restarted(self, outcome: Outcome) -> loop.Progress:
        """The progress at the end of an earlier epoch of this phase, with the knobs turned."""
        assert outcome.restart is not None
        stage, span = self.stage, self.spans[self.index]
        step = span.start + (outcome.restart - span.epoch) * stage.steps
        progress, extra = self.record.rewind(step, stage.target(False))
        self.notes = extra["notes"]
        turned = ", ".join(f"{name} {value:g}" for name, value in outcome.knobs.items())
        loop.say(f"Back to epoch {outcome.restart}, with {turned}.", self.quiet)
        return self._turned(progress, [outcome._replace(mask=None)])

    def _discretise(self, state: SearchState) -> tuple[Mix, list[float]]:
        """Set the genotypes and validation accuracies of all seeds; gives the mixes [S, E, O] and the losses."""
        stage = self.stage
        mixes = devices.fetch(stage.mixes(state))
        accuracies, losses = devices.fetch(stage.evaluate(state, mixes, stage.valid_batches))
        self.accuracies = [float(a) for a in accuracies]

        def genotype(i: int) -> Genotype:
            mix = {kind: m[i] for kind, m in mixes.items()}
            return stage.method.discretise(stage.space, mix, self._accuracy(state, i))

        self.genotypes = [genotype(i) for i in range(self.config.seeds)]
        return mixes, [float(loss) for loss in losses]

    def _evaluator(self, state: SearchState, i: int) -> Callable[..., tuple[float, float]]:
        """(mix, train=False, batches=None) -> accuracy and loss with the weights of one seed, on the validation part or
        its first `batches` batches; train: normalised by the batch."""
        stage = self.stage
        one = cache(lambda: jax.tree.map(lambda leaf: leaf[i], (state.weights, state.stats)))

        def evaluate(mix: Mix, train: bool = False, batches: int | None = None) -> tuple[float, float]:
            rows, moments = stage.valid_batches
            rows = jax.tree.map(lambda leaf: leaf[:batches], rows)
            accuracy, loss = stage.evaluate_one((*one(), mix), (rows, moments), train=train)
            return float(accuracy), float(loss)

        return evaluate

    def _accuracy(self, state: SearchState, i: int) -> Callable[..., float]:
        """The same, without the loss: what a discretiser and a selector take."""
        evaluate = self._evaluator(state, i)
        return lambda *args, **options: evaluate(*args, **options)[0]

    def _select(self, state: SearchState) -> None:
        """Set the genotypes that the method chooses by trying several."""
        select = self.stage.method.select
        assert select is not None
        mixes = devices.fetch(self.stage.mixes(state))
        for i in range(self.config.seeds):
            seed, evaluate = self.config.seed + i, self._accuracy(state, i)
            mix = {kind: m[i] for kind, m in mixes.items()}
            with loop.counting(f"selection for seed {seed}", "architectures tried", self.quiet) as count:
                self.genotypes[i] = select(self.stage.space, mix, count(evaluate), seed)
            chosen = as_mix(self.genotypes[i], self.stage.space)
            for kind, rows in chosen.items():  # a supernet may have operations beside the space's
                chosen[kind] = np.pad(rows, ((0, 0), (0, mix[kind].shape[1] - rows.shape[1])))
            self.accuracies[i] = evaluate(chosen, train=True)

    def _conclude(self, progress: loop.Progress) -> None:
        """The genotypes that count: those of the last epoch, of the epoch that a seed went back to, or a selection."""
        if not self.genotypes:  # resumed after the last epoch
            self._discretise(progress.state)
        if self.stage.method.select:
            self._select(progress.state)
        for i, epoch in self.stopped.items():
            rows = records.read_metrics(self.record.folder)
            self.genotypes[i] = from_json(records.read_genotypes(self.record.folder, epoch)[i])
            self.accuracies[i] = next(
                row["valid_accuracy"] for row in rows if (row["seed"], row["epoch"]) == (self.config.seed + i, epoch)
            )
        if not (self.stopped or self.stage.method.select):
            return
        last = self.spans[-1].epoch + self.phases[-1].config.epochs if not self._ended() else len(self.notes[0])
        self.record.genotype(last, [to_json(g) for g in self.genotypes])
        step = int(devices.fetch(progress.state.step).max())
        for seed, accuracy in enumerate(self.accuracies, self.config.seed):
            self.record.log({"step": step, "epoch": last, "seed": seed, "selected_accuracy": accuracy})

    def _headline(self, weights: Tree) -> str:
        splits, seeds = self.splits, self.config.seeds
        count = sum(leaf.size for leaf in jax.tree.leaves(weights)) // seeds
        return (
            f"Searching '{self.config.space}' with '{self.config.method}' on {splits.name}: "
            f"{len(splits.train_x)} images for the weights, {len(splits.valid_x)} for the alphas, "
            f"supernet of {count:,} parameters"
            + (f", {seeds} seeds" if seeds > 1 else "")
            + (f", {len(self.phases)} phases" if len(self.phases) > 1 else "")
            + f" -> {self.record.folder}"
        )

    def _draw(self) -> None:
        if not devices.is_first_host():
            return
        for i, genotype in enumerate(self.genotypes):
            name = "cells.png" if len(self.genotypes) == 1 else f"cells_seed_{self.config.seed + i}.png"
            diagram.draw(genotype, self.record.folder / name)
        report.page(self.record.folder)


def _advanced(stage: _Stage, progress: loop.Progress, count: Any) -> loop.Progress:
    return stage.advance(progress, count, stage.arrays)


def supernet_of(
    phase: Phase, method: Method, space: Space, splits: datasets.Splits
) -> Callable[[nnx.Rngs], nnx.Module]:
    """What builds the supernet of a phase; method: adapted."""
    plan, supernet = phase.config, phase.supernet(method.supernet(space))
    classes, image_channels = len(splits.classes), splits.train_x.shape[-1]
    body = Body(plan.cells, plan.channels, classes, image_channels, remat=plan.remat, unroll=plan.unroll_cells)
    return lambda rngs: Supernet(supernet, body, rngs=rngs)


def steps_per_epoch(plan: SearchConfig, splits: datasets.Splits) -> int:
    """Steps of one pass over the training part."""
    return -(-len(splits.train_x) // (plan.batch_size * plan.inner_steps))


def spans(phases: tuple[Phase, ...], splits: datasets.Splits) -> list[Span]:
    """Where every phase begins, in steps and epochs, and where its learning rate's schedule does."""
    found, step, epoch = list[Span](), 0, 0
    for i, phase in enumerate(phases):
        settled = phases[i - 1].config.epochs if phase.settled else 0
        if phase.continues and i:
            found.append(found[-1]._replace(start=step, epoch=epoch, settled=settled))
        else:
            together = [phase]
            for later in phases[i + 1 :]:
                if not later.continues:
                    break
                together.append(later)
            found.append(Span(step, epoch, step, sum(p.config.epochs for p in together), settled))
        step += phase.config.epochs * steps_per_epoch(phase.config, splits)
        epoch += phase.config.epochs
    return found


def facts(splits: datasets.Splits) -> dict[str, Any]:
    """What a program knows of the data besides its arguments."""
    return {"images": splits.train_x.shape, "classes": len(splits.classes)}


def hard(mix: jax.Array) -> jax.Array:
    """The strongest operation of every edge alone, [E, O] of ones and zeros; rows of zeros stay."""
    strongest = jax.nn.one_hot(mix.argmax(-1), mix.shape[-1], dtype=mix.dtype)
    return jnp.where(mix.max(-1, keepdims=True) > 0, strongest, 0)


def entropy_of(mix: np.ndarray) -> float:
    """Mean entropy of the rows of a mix [E, O], each normalised to one; log(O) when nothing is decided."""
    p = np.clip(mix, 1e-12, None)
    p = p / p.sum(-1, keepdims=True)
    return float(-(p * np.log(p)).sum(-1).mean())
