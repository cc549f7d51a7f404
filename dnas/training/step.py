"""One step of training a derived network: any task, drop-path where the network has paths, recurrent state."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from dnas import find, grid, keys
from dnas.config import RetrainConfig
from dnas.nets.functional import Functional, forward
from dnas.nets.layers import absorb
from dnas.nets.network import drop_path_factors
from dnas.tasks.task import Sums, Task
from dnas.training.selection import Selection, make_selection
from dnas.training.weights import clip, optimiser_of, rate_of
from dnas.types import Batch, Noise, Tree


class TrainState(NamedTuple):
    """All that changes in a training. carry: recurrent state; average, kept, watch: see `selection`. knobs: of a
    grid. Empty for most."""

    step: jax.Array
    key: jax.Array
    weights: Tree
    stats: Tree
    opt: Tree
    carry: Tree = ()
    average: Tree = ()
    kept: Tree = ()
    watch: Tree = ()
    knobs: Tree = ()


class Training(NamedTuple):
    """init(key) -> TrainState;  step(state, batch) -> (state, Sums);  selection: what happens between epochs."""

    init: Callable[[jax.Array], TrainState]
    step: Callable[[TrainState, Batch], tuple[TrainState, Sums]]
    selection: Selection


class Seen(NamedTuple):
    """What a batch gives: a gradient, statistics and recurrent state after it, the sums of its measures."""

    gradient: Tree
    stats: Tree
    carry: Tree
    sums: Sums


GradientOf = Callable[[TrainState, Tree, Tree, Batch, jax.Array], Seen]
"""(state, statistics, recurrent state, batch, its number in the training) -> what it gives."""


def make_training(
    network: Functional,
    task: Task,
    plan: RetrainConfig,
    steps: int,
    paths: tuple[int, int] | None = None,
    draws: bool = False,
    points: Sequence[RetrainConfig] = (),
) -> Training:
    """Build the pure functions of a training. A step makes one update; with `plan.accumulate` > 1 its batch has that
    many on a first axis.

    steps: of an epoch. paths: (cells, edges of a cell) for drop-path; None: the network has none. draws: whether it
    takes `types.Noise`. points: the plan at every point of a grid.
    """
    selection = make_selection(find.resolve("average", plan.average), plan.patience)
    configs = [point.weights for point in points or (plan,)]
    rates = [rate_of(config, plan.epochs, steps) for config in configs]
    clipped, optimiser = clip(plan.weights.clip), optimiser_of(plan.weights)

    def tx(knobs: Tree) -> optax.GradientTransformation:
        decay = grid.at([config.decay for config in configs], knobs)
        return optax.chain(clipped, optimiser.make(grid.rate_at(rates, knobs), decay))

    gradient_of = make_gradient(network, task, plan, steps, paths, draws)
    several = accumulated(gradient_of, plan.accumulate, task.trained)

    def init(key: jax.Array) -> TrainState:
        knobs = {grid.POINT: jnp.zeros((), float)} if points else ()
        weights, stats = network.init(keys.stream(key, "weights"))
        carry = () if network.carry is None else network.carry(plan.batch_size)
        begun = jnp.zeros((), jnp.int32), keys.stream(key, "run"), weights, stats, tx(knobs).init(weights), carry
        return TrainState(*begun, **selection.init(weights, stats), knobs=knobs)

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Sums]:
        first = state.step % steps == 0  # an epoch begins with an empty memory
        carry = jax.tree.map(lambda leaf: jnp.where(first, 0, leaf), state.carry)
        if plan.accumulate == 1:
            seen = gradient_of(state, state.stats, carry, batch, state.step)
        else:
            seen = several(state, carry, batch)
        updates, opt = tx(state.knobs).update(seen.gradient, state.opt, state.weights)
        if batch.pace is not None:
            pace = batch.pace.mean()  # of all that an update reads
            updates = jax.tree.map(lambda update: pace.astype(update.dtype) * update, updates)
        weights = optax.apply_updates(state.weights, updates)
        state = state._replace(step=state.step + 1, weights=weights, stats=seen.stats, opt=opt, carry=seen.carry)
        return state._replace(average=selection.update(state)), seen.sums

    return Training(init, step, selection)


def make_gradient(
    network: Functional, task: Task, plan: RetrainConfig, steps: int, paths: tuple[int, int] | None, draws: bool
) -> GradientOf:
    """Of the loss of one batch; arguments as of `make_training`."""

    def gradient_of(state: TrainState, stats: Tree, carry: Tree, batch: Batch, number: jax.Array) -> Seen:
        more: dict[str, Any] = {}
        if draws:
            more["noise"] = Noise(keys.stream(state.key, "noise", number))
        if paths is not None and plan.drop_path:
            probability = plan.drop_path * (state.step // steps) / plan.epochs
            drop_key = keys.stream(state.key, "drop path", number)
            count = jax.tree.leaves(batch.inputs)[0].shape[0]
            more["drop_path"] = drop_path_factors(drop_key, probability, (*paths, count))

        def loss(weights):
            outputs, moments, after = forward(
                network, weights, stats, batch.inputs, carry=carry, last=batch.last, train=True, **more
            )
            total, sums = task.loss(outputs, batch)
            return total, (moments, sums, after)

        (value, (moments, sums, after)), gradient = jax.value_and_grad(loss, has_aux=True)(state.weights)
        sums = {**sums, "loss": (value, 1)}
        kept = {name: (as_float(sums[name][0]), as_float(sums[name][1])) for name in task.trained}
        return Seen(gradient, absorb(stats, moments), jax.lax.stop_gradient(after), kept)

    return gradient_of


def accumulated(gradient_of: GradientOf, count: int, measures: Sequence[str]) -> Callable[..., Seen]:
    """(state, recurrent state, `count` batches on a first axis) -> what they give together.

    The gradient is that of the mean over all that counts in any of them, as of one batch of all. The statistics have
    absorbed one batch after the other, and the recurrent state goes on from one to the next.
    """

    def several(state: TrainState, carry: Tree, batches: Batch) -> Seen:
        def add(before: tuple[Seen, jax.Array], row: tuple[Batch, jax.Array]) -> tuple[tuple[Seen, jax.Array], None]:
            (gradient, stats, carry, sums), total = before
            batch, number = row
            seen, weight = gradient_of(state, stats, carry, batch, number), counted(batch)
            gradient = jax.tree.map(lambda old, new: old + weight.astype(new.dtype) * new, gradient, seen.gradient)
            share = {**seen.sums, "loss": (as_float(weight) * seen.sums["loss"][0], as_float(weight))}
            sums = jax.tree.map(jnp.add, sums, {name: share[name] for name in measures})
            return (Seen(gradient, seen.stats, seen.carry, sums), total + weight), None

        zeros = {name: (as_float(0), as_float(0)) for name in measures}
        begun = Seen(jax.tree.map(jnp.zeros_like, state.weights), state.stats, carry, zeros), jnp.zeros((), float)
        (seen, total), _ = jax.lax.scan(add, begun, (batches, state.step * count + jnp.arange(count)))
        total = jnp.where(total > 0, total, 1)
        loss = seen.sums["loss"][0] / as_float(total), as_float(1)
        mean = jax.tree.map(lambda leaf: leaf / total.astype(leaf.dtype), seen.gradient)
        return seen._replace(gradient=mean, sums={**seen.sums, "loss": loss})

    return several


def counted(batch: Batch) -> jax.Array:
    """How much of a batch counts: of its examples or words; 1 for one of which all do, like others of its size."""
    return jnp.ones((), float) if batch.weights is None else batch.weights.sum().astype(float)


def as_float(value: Any) -> jax.Array:
    """As a sum is kept."""
    return jnp.asarray(value, jnp.float32)
