"""One epoch, as search and retraining share it: its batches, the sums of its measures, and the evaluation of a part."""

from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp

from dnas.nets.functional import Functional, forward
from dnas.tasks.task import Sums, Task
from dnas.training.buckets import cuts, in_buckets, number_of
from dnas.types import Batch, Tree

SHORT = 1000  # steps of a run: up to here less compilation is worth more than a faster step


def no_sums(task: Task, seeds: int, dtype: Any) -> Sums:
    """The sums of the measures of a step before the first one, for each seed [S]."""
    zero = jnp.zeros(seeds, dtype)
    return {name: (zero, zero) for name in task.trained}


def evaluated(network: Functional, task: Task, state: tuple[Tree, Tree], data: Tree, *args: Any, train: bool) -> Sums:
    """The sums of the measures over all batches of a part; a recurrent state goes on from one to the next.

    state: (weights, statistics). data: what `Task.evaluation` gives. args: what the network takes beside its inputs.
    train: normalised by the batch.
    """
    batches, constants = data

    def add(sums, batch):
        total, carry = sums
        outputs, _, carry = forward(network, *state, batch.inputs, *args, carry=carry, train=train)
        here = task.evaluate(outputs, batch)
        return jax.tree.map(lambda t, h: t + jnp.asarray(h, t.dtype), total, here), carry

    added = in_buckets(task, add)

    def one(sums, row):
        number = number_of(task, row).max() if cuts(task) else jnp.int32(0)
        return added(number, sums, task.evaluation_batch(row, constants)), None

    zero = jnp.zeros((), float)
    zeros = {name: (zero, zero) for name in task.measured}
    (sums, _), _ = jax.lax.scan(one, (zeros, first_state(network, data)), batches)
    return sums


def first_state(network: Functional, data: Tree) -> Tree:
    """The recurrent state before the first batch of a part."""
    return () if network.carry is None else network.carry(jax.tree.leaves(data[0])[0].shape[1])


def train_batches(task: Task, split: Callable[[Batch], Batch], arrays: Tree, order: Any, size: int, inner: int):
    """(number, key) -> the batch of a step; for `inner` > 1 that many batches on a first axis."""

    def one(number, key):
        return split(task.batch(arrays, order, number, size, key))

    def several(number, key):
        rows = number * inner + jnp.arange(inner), jax.random.split(key, inner)
        return jax.lax.map(lambda row: one(*row), rows)

    return one if inner == 1 else several


def measured(task: Task, sums: Sums, seed: int, part: str) -> dict[str, float]:
    """The measures of one seed, named after the part: {"train_loss": ...}. sums: on the host, leaves [S]."""
    own: Mapping[str, Any] = {name: (total[seed], count[seed]) for name, (total, count) in sums.items()}
    return {f"{part}_{name}": value for name, value in task.measures(own).items()}
