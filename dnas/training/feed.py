"""Where programs get their examples from: arrays that stay on the devices, or what a task reads from files meanwhile, a
few batches at a time (`task.Streaming`). Search and retraining share it.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from dnas.runs import devices
from dnas.runs.devices import Layout
from dnas.runs.loop import Progress
from dnas.tasks.task import EVALUATION_BATCH, Level, Streaming, Sums, Task
from dnas.types import Tree


class Feed(NamedTuple):
    """arrays: what a program of steps takes, by level; of what is read from files these are shapes.

    calls(step [S], count) -> (steps, arrays), one for each call that `count` steps from a step on take.
    """

    arrays: tuple[Tree, ...]
    calls: Callable[[jax.Array, int], Iterable[tuple[int, tuple[Tree, ...]]]]


class Measured(NamedTuple):
    """What a program of evaluation takes of a part, in `calls` calls whose sums add up; like: the first, or shapes."""

    like: Tree
    calls: int
    pieces: Callable[[], Iterable[Tree]]


def feed_of(task: Task, layout: Layout, levels: Sequence[Level], last: int, seed: int) -> Feed:
    """levels: of a step. last: the step before which they end. seed: of the order of files."""
    if isinstance(task, Streaming):
        return _streamed(task, layout, levels, last, seed)
    arrays = layout.replicate(tuple(task.arrays(level.part) for level in levels))
    return Feed(arrays, lambda step, count: [(count, arrays)])


def advanced(program: Callable[..., Progress], feed: Feed, progress: Progress, count: Any) -> Progress:
    """After `count` more steps, all in one epoch. A step waits for the one before when its batches lie on the devices:
    these work while batches are read, and hold two at most."""
    for steps, arrays in feed.calls(progress.state.step, int(count)):
        jax.block_until_ready(progress.bad_step)
        progress = program(progress, np.int32(steps), arrays)
    return progress


def measured_part(task: Task, layout: Layout, part: str) -> Measured:
    """A part for evaluation."""
    if not isinstance(task, Streaming):
        whole = layout.replicate(task.evaluation(part))
        return Measured(whole, 1, lambda: [whole])
    size, constants = piece_size(task, part, layout.parts_of_batch), layout.replicate(task.arrays(part))

    def pieces() -> Iterator[Tree]:
        for rows in task.pieces(part, size):
            yield layout.gathered(rows, 1), constants

    like = (*task.rows(Level(part, size)), jax.ShapeDtypeStruct((1, size), bool)), constants
    return Measured(like, task.steps(part, size), pieces)


def piece_size(task: Task, part: str, divisor: int = 1) -> int:
    """Examples of a batch of evaluation that so many devices share."""
    return -(-min(EVALUATION_BATCH, task.steps(part, 1)) // divisor) * divisor


def summed(sums: Iterable[Sums]) -> Sums:
    """Of the pieces of a part, on the host: each is waited for, so that not all of them lie on the devices."""
    first, *others = sums
    for one in others:
        first = jax.tree.map(np.add, first, one)
    return first


def _streamed(task: Any, layout: Layout, levels: Sequence[Level], last: int, seed: int) -> Feed:
    """Of a task that is `Streaming` too; one step a call."""
    constants = [layout.replicate(task.arrays(level.part)) for level in levels]
    shapes = tuple((task.rows(level), constant) for level, constant in zip(levels, constants, strict=True))
    reading: list[Iterator[Tree]] = []
    place = -1

    def calls(step: jax.Array, count: int) -> Iterator[tuple[int, tuple[Tree, ...]]]:
        nonlocal reading, place
        first = int(devices.fetch(step).max())
        if first != place:  # before the first step, and where a search goes back
            reading, place = [task.updates(level, first, last, seed) for level in levels], first
        for _ in range(count):
            rows = [layout.gathered(next(one), 1) for one in reading]
            place += 1
            yield 1, tuple(zip(rows, constants, strict=True))

    return Feed(shapes, calls)
