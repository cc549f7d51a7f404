"""Batches cut to the length of their longest example: one program with a branch for each of a few lengths.

Search, retraining and evaluation share it. The examples of a step are of like length, and steps of all lengths
alternate, alike in all epochs; of a batch of other lengths the longest counts. Tasks that are not `task.Bucketed`, or
have one length, compute as if this were not here. Axis letters: N examples.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp

from dnas.tasks.task import Bucketed, Task
from dnas.types import Batch, Tree


def cuts(task: Task) -> bool:
    """Whether batches are cut at all."""
    return isinstance(task, Bucketed) and len(task.buckets) > 1


def whole(task: Any) -> Any:
    """The same task without its buckets."""
    return replace(task, buckets=()) if cuts(task) else task


def grouped(task: Task, arrays: Tree, order: jax.Array, steps: int) -> tuple[jax.Array, jax.Array]:
    """An order of so many steps [N], in which the examples of each are of like length, and the number of the bucket of
    every step [steps]."""
    if not cuts(task):
        return order, jnp.zeros(steps, jnp.int32)
    numbers = number_of(task, arrays)[order]
    turns = jax.random.permutation(jax.random.key(0), steps)
    by_length = jnp.argsort(numbers, stable=True)
    taken = by_length.reshape(steps, -1)[turns]
    return order[taken].ravel(), numbers[taken].max(1)


def number_of(task: Any, rows: Tree) -> jax.Array:
    """Of examples the number of the shortest bucket that holds each."""
    lengths = task.lengths(rows)
    return sum((lengths > length).astype(jnp.int32) for length in task.buckets[:-1])


def shortened(task: Any, inputs: Tree) -> Tree:
    """NumPy: texts [B, T] that are still to be answered, cut to the shortest bucket that holds them."""
    if not cuts(task):
        return inputs
    longest = int(task.lengths((inputs,)).max())
    return inputs[:, : next(length for length in task.buckets if length >= longest)]


def in_buckets(task: Any, function: Callable[[Any, Tree], Any]) -> Callable[[Any, Any, Tree], Any]:
    """function(state, batches) -> (number of a bucket, state, batches) -> the same of batches that are cut to it."""
    if not cuts(task):
        return lambda number, state, batches: function(state, batches)

    def of(length: int) -> Callable[[Any, Tree], Any]:
        def run(state: Any, batches: Tree) -> Any:
            cut = jax.tree.map(
                lambda batch: task.cut_to(batch, length), batches, is_leaf=lambda leaf: isinstance(leaf, Batch)
            )
            return function(state, cut)

        return run

    branches = [of(length) for length in task.buckets]
    return lambda number, state, batches: jax.lax.switch(number, branches, state, batches)
