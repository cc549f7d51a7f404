"""One phase of a search, compiled: the supernet, and the functions of its state."""

import dataclasses
from collections.abc import Callable
from functools import cache, cached_property, partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dnas import grid, keys
from dnas.architectures.topology import NetworkSize, Space
from dnas.config import Config, SearchConfig, to_dict
from dnas.errors import UserError
from dnas.nets.calibration import calibrated_over, calibrating
from dnas.nets.functional import Functional, ensemble, forward
from dnas.proxies.protocol import thinned
from dnas.runs import devices, loop, programs
from dnas.search import tradeoff
from dnas.search.bilevel import Search, make_search
from dnas.search.levels import Levels, Span, StepMetrics, check_alike
from dnas.search.method import Method, Phase
from dnas.search.scoring import Scoring
from dnas.search.stops import hessian
from dnas.tasks.task import Level, Streaming, Sums, Task
from dnas.training.buckets import grouped, in_buckets, whole
from dnas.training.epoch import evaluated, first_state, no_sums, train_batches
from dnas.training.feed import advanced, feed_of
from dnas.types import Mix, SearchState, Tree


class Stage:
    """Every leaf of its states has the seeds as first axis. method: adapted to this phase's space and config. points:
    the phase's config at every point of the grid."""

    in_turn: dict[str, tuple[float, ...]]
    """Knobs of which every seed has its own value."""

    def __init__(
        self,
        config: Config,
        method: Method,
        phase: Phase,
        space: Space,
        task: Task,
        span: Span,
        index: int,
        points: tuple[SearchConfig, ...] = (),
    ):
        self.config, self.plan, self.space, self.span = config, phase.config, space, span
        self.task, self.pure = task, task.pure  # with data, and what traced functions may hold
        plan = phase.config
        self.steps = steps_per_epoch(phase, task)
        method = phase.method(method)
        if phase.drop_rate is not None:
            method = dataclasses.replace(method, drop_rate=phase.drop_rate)
        self.method = method
        reads = "asks proxies about" if method.proxies or not phase.trains else "calibrates norms on"
        if isinstance(task, Streaming) and (method.proxies or method.calibration or not phase.trains):
            raise UserError(
                f"Method '{config.method}' {reads} training images, which must lie in memory, and those of "
                f"'{config.data}' stay in their files: choose other data, or another method or setting of it."
            )
        self.single_path = method.single_path or phase.supernet(method.supernet(space)).paths != "all"
        self.build = supernet_of(phase, method, space, task)
        self.thin = supernet_of(phase, method, space, task, thin=True)
        network = programs.deferred(self.build, space.recurrent)
        self.search: Search = make_search(network, space, method, plan, self.steps, span, points, task=self.pure)
        self.network = self.search.network
        self.layout = layout = devices.layout(config.seeds, plan.batch_size)
        levels = [Level("train", plan.batch_size, plan.inner_steps), Level("valid", plan.batch_size)]
        self.feed = feed_of(task, layout, levels, span.start + plan.epochs * self.steps, config.seed)
        self.arrays = self.feed.arrays
        in_turn = {"expense": tradeoff.weights(config), grid.POINT: grid.of_seeds(config, "search")}
        self.in_turn = {name: values for name, values in in_turn.items() if values}
        self.valid_batches = layout.replicate(task.evaluation("valid"))
        self.batches = jax.tree.leaves(self.valid_batches[0])[0].shape[0]  # of the validation part
        if method.gradient_filter is not None:
            first = jax.random.key(0), jnp.int32(0)
            levels = jax.eval_shape(lambda arrays: self._levels(*first, arrays)[0](0, *first), self.arrays)
            check_alike(method.gradient_filter, levels)

        def evaluate(state, mix, batches):
            return layout.over_seeds(partial(self._evaluate, train=False))((state.weights, state.stats, mix), batches)

        kept = programs.Programs(layout, self._description(index))
        self.init = kept.jit("init", self._init)
        advance = self._advance if phase.trains else _counted
        self.advance = kept.jit("advance", layout.over_seeds(advance), donate_argnums=0)
        self.evaluate = kept.jit("evaluate", evaluate)
        self.mixes = kept.jit("mixes", layout.over_seeds(self.search.mix))
        self.evaluate_one = jax.jit(self._evaluate, static_argnames="train")
        self.hessian_one = jax.jit(self._hessian)
        self.calibrate_one = jax.jit(self._calibrate, static_argnames="count")
        self.seeds = np.arange(config.seed, config.seed + config.seeds)
        self.shapes = self.init.shapes(self.seeds)  # what cannot be built fails here
        loop.check_memory(self.shapes)
        self.scoring = self._scoring() if method.proxies else None

    def _scoring(self) -> Scoring:
        one = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape[1:], leaf.dtype), self.shapes.state)
        train, _ = self.arrays
        size, method = self.plan.batch_size, self.method
        return Scoring(
            self.build, self.thin, self.space, self.task, method.proxies, one, train, size, method.new_weights
        )

    def _description(self, index: int) -> dict[str, Any]:
        """All that goes into the programs beside their arguments: of a phase also what pruning has left. Of the data
        only sizes; where they come from, how often the run is saved and the seed change no program."""
        left = {kind: cell.operations for kind, cell in self.space.cells.items()}
        config = to_dict(dataclasses.replace(self.config, seed=0, data="", weights_from="", checkpoint_epochs=1))
        made_for = {"shape": self.task.shape, "steps": self.steps}
        return {"command": "search", "config": config, "phase": index, "operations": left} | made_for

    def _init(self, seeds: jax.Array) -> loop.Progress:
        seeded = jax.vmap(jax.random.key)(seeds)
        if self.span.start:  # what begins anew in a later phase draws other numbers than the first
            seeded = jax.vmap(lambda key: keys.stream(key, "phase", self.span.start))(seeded)
        state = self.layout.over_seeds(self.search.init)(seeded)
        if self.in_turn:
            own = {name: jnp.asarray(values, float) for name, values in self.in_turn.items()}
            state = state._replace(knobs={**state.knobs, **own})
        sums = no_sums(self.pure, self.config.seeds, jax.tree.leaves(state.alphas)[0].dtype)
        return loop.start(state, StepMetrics(sums, sums))

    def advanced(self, progress: loop.Progress, count: Any) -> loop.Progress:
        """After `count` more steps, all in one epoch."""
        return advanced(self.advance, self.feed, progress, count)

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
        done = progress.state.step - self.span.start
        levels, buckets = self._levels(progress.state.key, self.span.epoch + done // self.steps, arrays)
        step = in_buckets(self.pure, self.search.step)

        def one(_, progress):
            state = progress.state
            number = (state.step - self.span.start) % self.steps
            bucket = self.layout.largest(buckets[number])
            state, metrics = step(bucket, state, levels(number, state.key, state.step))
            metrics = jax.tree.map(lambda m, s: m.astype(s.dtype), metrics, progress.sums)
            return loop.accumulate(progress, state, metrics, [metrics.train["loss"][0], metrics.valid["loss"][0]])

        return jax.lax.fori_loop(0, count, one, progress)

    def _levels(self, key: jax.Array, epoch: jax.Array, arrays) -> tuple[Callable[..., Levels], jax.Array]:
        """(number in the epoch, key, step of the search) -> what a step reads, in the order of an epoch; and the number
        of the bucket of every step."""
        train, valid = arrays
        size, inner, task = self.plan.batch_size, self.plan.inner_steps, self.pure
        train_key, valid_key = jax.random.split(keys.stream(key, "order", epoch))
        split = self.layout.split_batch
        train_order = task.order(train_key, train, self.steps * size * inner)
        valid_order = task.order(valid_key, valid, self.steps * size)
        (train_order, of_train), (valid_order, of_valid) = (
            grouped(task, part, order, self.steps) for part, order in ((train, train_order), (valid, valid_order))
        )
        train_batch = train_batches(task, split, train, train_order, size, inner)
        valid_batch = train_batches(task, split, valid, valid_order, size, 1)

        def levels(number, key, step):
            train_key, valid_key = jax.random.split(keys.stream(key, "augment", step))
            return Levels(train_batch(number, train_key), valid_batch(number, valid_key))

        return levels, jnp.maximum(of_train, of_valid)

    def _evaluate(self, network, data, train: bool) -> Sums:
        """Sums of the measures over all batches, none of them cut, as methods look at single ones and these must be of
        all lengths; one seed. train: normalised by the batch, not by running moments."""
        weights, stats, mix = network
        return evaluated(self.network, whole(self.pure), (weights, stats), data, self.counted(mix), train=train)

    @cached_property
    def calibrating(self) -> Functional:
        """The supernet, as `calibrated_over` takes it."""
        return ensemble(calibrating(self.build), self.method.members)

    def calibration_batches(self, examples: int) -> int:
        """Training batches with so many examples, of one pass over the part at most; 0 where networks have no norms."""
        size = self.plan.batch_size
        if not (examples and jax.tree.leaves(self.shapes.state.stats)):
            return 0
        return max(1, min(-(-examples // size), self.task.steps("train", size)))

    def _calibrate(self, network, key: jax.Array, train, count: int) -> Tree:
        """The statistics of a mix over `count` training batches, of one seed always the same ones."""
        weights, stats, mix = network
        size, task = self.plan.batch_size, self.pure
        of_order, of_images = jax.random.split(keys.stream(key, "calibration"))
        order, images = task.order(of_order, train, count * size), jax.random.split(of_images, count)

        def inputs(number: jax.Array) -> Tree:
            return task.batch(train, order, number, size, images[number]).inputs

        return calibrated_over(self.calibrating, weights, stats, inputs, count, self.counted(mix))

    def evaluator(self, state: SearchState, i: int) -> Callable[..., tuple[float, float]]:
        """(mix, train=False, batches=None, first=0, calibrate=0) -> score (more is better) and loss with the weights of
        one seed, on the validation part or on `batches` of its batches in a row, by default the first ones: see
        `method.View`."""
        one = cache(lambda: jax.tree.map(lambda leaf: leaf[i], (state.weights, state.stats)))

        def evaluate(
            mix: Mix, train: bool = False, batches: int | None = None, first: int = 0, calibrate: int = 0
        ) -> tuple[float, float]:
            rows, constants = self.valid_batches
            if batches is not None:
                start = first % max(1, self.batches - batches + 1)
                rows = jax.tree.map(lambda leaf: leaf[start : start + batches], rows)
            weights, stats = one()
            if count := self.calibration_batches(calibrate):
                stats = self.calibrate_one((weights, stats, mix), state.key[i], self.arrays[0], count=count)
            sums = devices.fetch(self.evaluate_one((weights, stats, mix), (rows, constants), train=train))
            found = self.task.measures(sums)
            return self.task.score.signed(found[self.task.score.name]), found["loss"]

        return evaluate

    def scorer(self, state: SearchState, i: int) -> Callable[..., float]:
        """The same, without the loss: what a discretiser and a selector take."""
        evaluate = self.evaluator(state, i)
        return lambda *args, **options: evaluate(*args, **options)[0]

    def scores(self, state: SearchState) -> Callable[[Mix, int], dict[str, float]]:
        """(mix, number) -> the values of the method's proxies, see `method.View`; state: of one seed."""
        return self.scoring(state) if self.scoring is not None else lambda mix, number: {}

    def _hessian(self, state, data):
        """Of the loss on one batch, normalised by the batch, with respect to the alphas: [N, N]; one seed."""
        batches, constants = data
        batch = self.pure.evaluation_batch(jax.tree.map(lambda leaf: leaf[0], batches), constants)

        def loss(alphas):
            mix = self.search.mix(state._replace(alphas=alphas))
            before = first_state(self.network, data)
            outputs, *_ = forward(self.network, state.weights, state.stats, batch.inputs, mix, carry=before, train=True)
            total, count = self.pure.evaluate(outputs, batch)["loss"]
            return total / count

        return hessian(loss, state.alphas, self.plan.alphas.decay)


def supernet_of(
    phase: Phase, method: Method, space: Space, task: Task, thin: bool = False
) -> Callable[[nnx.Rngs], nnx.Module]:
    """What builds the supernet of a phase; method: adapted. thin: of one channel, for proxies of images."""
    plan, supernet, shape = phase.config, phase.supernet(method.supernet(space)), task.shape
    size = NetworkSize(
        plan.cells,
        plan.channels,
        shape.outputs,
        shape.inputs[-1],
        inputs=shape.inputs,
        vocabulary=shape.vocabulary,
        remat=plan.remat,
        unroll=plan.unroll_cells,
    )
    size, build = thinned(space, size) if thin else size, supernet.supernet
    assert build is not None
    return lambda rngs: build(supernet, size, rngs=rngs)


def _counted(progress: loop.Progress, count: jax.Array, arrays: Any) -> loop.Progress:
    """`count` steps of one seed that do nothing."""
    return progress._replace(state=progress.state._replace(step=progress.state.step + count))


def steps_per_epoch(phase: Phase, task: Task) -> int:
    """Steps of one pass over the training part; one where nothing is trained."""
    return task.steps("train", phase.config.batch_size * phase.config.inner_steps) if phase.trains else 1


def hard(mix: jax.Array) -> jax.Array:
    """The strongest operation of every edge alone, [E, O] of ones and zeros; rows of zeros stay."""
    strongest = jax.nn.one_hot(mix.argmax(-1), mix.shape[-1], dtype=mix.dtype)
    return jnp.where(mix.max(-1, keepdims=True) > 0, strongest, 0)
