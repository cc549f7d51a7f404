"""One step of training a derived network: any task, drop-path where the network has paths, recurrent state."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from dnas import keys
from dnas.config import RetrainConfig
from dnas.nets.functional import Functional, forward
from dnas.nets.layers import absorb
from dnas.nets.network import drop_path_factors
from dnas.tasks.task import Sums, Task
from dnas.training.weights import clip, rate_of, transformation
from dnas.types import Batch, Noise, Tree


class TrainState(NamedTuple):
    """All that changes in a training. carry: recurrent state, empty for most."""

    step: jax.Array
    key: jax.Array
    weights: Tree
    stats: Tree
    opt: Tree
    carry: Tree = ()


class Training(NamedTuple):
    """init(key) -> TrainState;  step(state, batch) -> (state, Sums)."""

    init: Callable[[jax.Array], TrainState]
    step: Callable[[TrainState, Batch], tuple[TrainState, Sums]]


def make_training(
    network: Functional,
    task: Task,
    plan: RetrainConfig,
    steps: int,
    paths: tuple[int, int] | None = None,
    draws: bool = False,
) -> Training:
    """Build the pure functions of a training.

    steps: of an epoch. paths: (cells, edges of a cell) for drop-path; None: the network has none. draws: whether it
    takes `types.Noise`.
    """
    tx = optax.chain(clip(plan.weights.clip), transformation(plan.weights, rate_of(plan.weights, plan.epochs, steps)))

    def init(key: jax.Array) -> TrainState:
        weights, stats = network.init(keys.stream(key, "weights"))
        carry = () if network.carry is None else network.carry(plan.batch_size)
        return TrainState(jnp.zeros((), jnp.int32), keys.stream(key, "run"), weights, stats, tx.init(weights), carry)

    def step(state: TrainState, batch: Batch) -> tuple[TrainState, Sums]:
        more: dict[str, Any] = {}
        if draws:
            more["noise"] = Noise(keys.stream(state.key, "noise", state.step))
        if paths is not None and plan.drop_path:
            probability = plan.drop_path * (state.step // steps) / plan.epochs
            drop_key = keys.stream(state.key, "drop path", state.step)
            count = jax.tree.leaves(batch.inputs)[0].shape[0]
            more["drop_path"] = drop_path_factors(drop_key, probability, (*paths, count))
        first = state.step % steps == 0  # an epoch begins with an empty memory
        before = jax.tree.map(lambda leaf: jnp.where(first, 0, leaf), state.carry)

        def loss(weights):
            outputs, moments, carry = forward(
                network, weights, state.stats, batch.inputs, carry=before, train=True, **more
            )
            total, sums = task.loss(outputs, batch)
            return total, (moments, sums, carry)

        (value, (moments, sums, carry)), gradient = jax.value_and_grad(loss, has_aux=True)(state.weights)
        updates, opt = tx.update(gradient, state.opt, state.weights)
        weights = optax.apply_updates(state.weights, updates)
        carry = jax.lax.stop_gradient(carry)
        state = TrainState(state.step + 1, state.key, weights, absorb(state.stats, moments), opt, carry)
        sums = {**sums, "loss": (value, 1)}
        return state, {name: (as_float(sums[name][0]), as_float(sums[name][1])) for name in task.trained}

    return Training(init, step)


def as_float(value: Any) -> jax.Array:
    """As a sum is kept."""
    return jnp.asarray(value, jnp.float32)
