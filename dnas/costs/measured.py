"""Latency as it is measured on this machine: every operation by itself, once compiled, warm, and whole networks.

All programs are compiled first and then called in turns, again and again, so that whatever else slows the machine for a
while slows all of them. An operation's time is the median of its calls, each right after one that does not count, less
that of a call that does next to nothing. What all networks share (stem, reductions, head) is timed with nothing in the
place of the cells. Sums of these leave out what cells add up, what a compiler makes of neighbours and how cold a memory
is that all layers use: a factor makes up for them, the median of what some networks take over their sums. `Checked`
says how good that is. What a cell computes for nothing no compiler keeps, and branches of a cell can run at once on
several cores: sums are of one.
"""

import os
import platform
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dnas.architectures.genotype import Genotype, random
from dnas.architectures.topology import NetworkSize, Space
from dnas.costs.latency import of_table, sizes_of
from dnas.costs.latency_blocks import by_blocks, every
from dnas.costs.latency_table import LatencyTable
from dnas.costs.predictors import Accuracy, accuracy
from dnas.errors import UserError
from dnas.nets import blocks
from dnas.nets.count import Place, blocks_of_chain, check_own_costs, first_of_chain, image_of, places
from dnas.nets.functional import functionalize

Program = Callable[[], Any]
Shown = Callable[[Sequence[Any], str], Iterable[Any]]


class Timing(NamedTuple):
    """Milliseconds of a call: the median, and the interquartile range."""

    median: float
    spread: float


NO_TIME = Timing(0.0, 0.0)


class Checked(NamedTuple):
    """Milliseconds of whole networks: as the table says, as measured [N], and how they agree."""

    predicted: np.ndarray
    measured: np.ndarray
    accuracy: Accuracy


def measure(
    space: Space,
    size: NetworkSize,
    image_size: int,
    *,
    batch: int = 1,
    calls: int = 100,
    fitted: int = 0,
    networks: int = 0,
    cores: int = 0,
    shown: Shown = lambda items, _: items,
) -> tuple[LatencyTable, Checked | None]:
    """The table of a space on this machine, and how well it predicts so many random networks.

    fitted: of how many others the factor is; 0: it is 1. cores: what the process has been pinned to, see `pinned`.
    shown: wraps what is compiled and the rounds of calls, with a word on what they are, to show how far it is. Errors:
    `UserError` for a space of which neither single options nor blocks have costs.
    """
    parts = (_by_blocks if by_blocks(space) else _by_operations)(space, size, image_size, batch)
    drawn = [random(space, seed) for seed in range(networks + fitted)]
    wanted = [*parts.builds.values(), *parts.around, *_wholes(drawn, space, size, image_size, batch)]
    programs = [one and compiled(*one) for one in shown(wanted, "compiling")]
    timings = in_turns(programs, calls, shown)
    known, first = dict(zip(parts.builds, timings, strict=False)), len(timings) - len(drawn)
    around = sum(timing.median for timing in timings[len(parts.builds) : first])
    true = np.array([timing.median for timing in timings[first:]])

    def table(factor: float) -> LatencyTable:
        how = f"dnas latency: the median of {calls} calls of each {parts.word} by itself"
        if fitted:
            how += f", times {factor:.4g}, the median of {fitted} networks over their sums"
        sizes = sizes_of(space, size, image_size)
        times = parts.times(known, factor)
        return LatencyTable(
            space.name, device(cores), how=how, constant=factor * around, batch=batch, sizes=sizes, **times
        )

    def sums(table: LatencyTable) -> np.ndarray:
        cost = of_table(table, space, size, image_size)
        return np.array([cost.of(genotype) for genotype in drawn])

    written = table(float(np.median((true / sums(table(1.0)))[networks:])) if fitted else 1.0)
    if not networks:
        return written, None
    predicted, true = sums(written)[:networks], true[:networks]
    return written, Checked(predicted, true, accuracy(predicted, true))


def of_networks(
    genotypes: Sequence[Genotype], space: Space, size: NetworkSize, image_size: int, batch: int = 1, calls: int = 100
) -> list[Timing]:
    """What whole networks take here, of a batch, timed in turns."""
    return in_turns([compiled(*one) for one in _wholes(genotypes, space, size, image_size, batch)], calls)


def pinned(cores: int) -> None:
    """Keep this process to so many of its cores, 0: all; before anything computes.

    Errors: `UserError` where there are fewer, and for a system, such as macOS, that does not let it.
    """
    if not cores:
        return
    if not hasattr(os, "sched_setaffinity"):
        raise UserError(f"--cores is {cores}, and this system keeps no process to some of its cores: give --cores 0.")
    allowed = sorted(os.sched_getaffinity(0))
    if cores > len(allowed):
        raise UserError(f"--cores is {cores}, and there are {len(allowed)} here: choose at most as many, or 0 for all.")
    os.sched_setaffinity(0, allowed[-cores:])


def compiled(build: Callable[[nnx.Rngs], Any], x: jax.Array) -> Program:
    """A call of the module that `build` gives, in evaluation, with new weights."""
    network = functionalize(build)
    weights, stats = jax.jit(network.init)(jax.random.key(0))
    program = partial(jax.jit(partial(_apply, network)), weights, stats, x)
    jax.block_until_ready(program())
    return program


def in_turns(programs: Sequence[Program | None], calls: int, shown: Shown = lambda items, _: items) -> list[Timing]:
    """Of programs that are called in turns, less what a call takes anyhow; None takes no time."""
    nothing = partial(jax.jit(lambda x: x.ravel()[0]), jnp.zeros(8))
    all_programs = [nothing, *programs]
    times = np.zeros((calls, len(all_programs)))
    for row in shown(list(times), "measuring"):
        for number, program in enumerate(all_programs):
            if program is not None:
                jax.block_until_ready(program())
                began = time.perf_counter()
                jax.block_until_ready(program())
                row[number] = 1e3 * (time.perf_counter() - began)
    low, middle, high = np.percentile(times, [25, 50, 75], axis=0)
    return [
        NO_TIME if program is None else Timing(max(float(half - middle[0]), 0.0), float(three - one))
        for program, one, half, three in zip(programs, low[1:], middle[1:], high[1:], strict=True)
    ]


def device(cores: int = 0) -> str:
    """What computes here: the accelerator, or the processor and its cores, or of these so many."""
    first = jax.devices()[0]
    if first.platform != "cpu":
        return first.device_kind
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    of = f"{cores} of " if cores else ""
    return f"{name or platform.processor() or platform.machine()}, {of}{os.cpu_count()} cores"


def _apply(network: Any, weights: Any, stats: Any, x: jax.Array) -> jax.Array:
    return network.apply(weights, stats, x, train=False)[0]


def _wholes(
    genotypes: Sequence[Genotype], space: Space, size: NetworkSize, image_size: int, batch: int
) -> list[tuple[Any, jax.Array]]:
    assert space.network is not None
    x = jnp.zeros(image_of(size, image_size, batch))
    return [(partial(_built, space.network, genotype, space, size), x) for genotype in genotypes]


def _built(network: Any, genotype: Genotype, space: Space, size: NetworkSize, rngs: nnx.Rngs) -> Any:
    return network(genotype, space, size, rngs=rngs)


class _Parts(NamedTuple):
    """What is timed for a table. builds: what makes a part, and its input, by the part; None for what does nothing.
    around: the same of what all networks share. times: what was timed, times a factor -> fields of the table. word:
    what a part is called."""

    builds: dict[Any, Any]
    around: list[Any]
    times: Callable[[Mapping[Any, Timing], float], dict[str, Any]]
    word: str


def _by_operations(space: Space, size: NetworkSize, image_size: int, batch: int) -> _Parts:
    """Of a space whose options have times of their own. Errors: `UserError` for any other."""
    check_own_costs(space)
    found = places(space, size, image_size)

    def times(known: Mapping[Any, Timing], factor: float) -> dict[str, Any]:
        rows = {kind: [dict[str, float]() for _ in cell.edges] for kind, cell in space.cells.items()}
        spreads = {kind: [dict[str, float]() for _ in cell.edges] for kind, cell in space.cells.items()}
        for place in found:
            _add(rows, place, factor * known[place.operation].median)
            _add(spreads, place, factor * known[place.operation].spread)
        return {"cells": rows, "spread": spreads}

    builds = {place.operation: _of_operation(space, place.operation, batch) for place in found}
    return _Parts(builds, _around(space, size, image_size, batch), times, "operation")


def _by_blocks(space: Space, size: NetworkSize, image_size: int, batch: int) -> _Parts:
    """Of a space whose networks are chains of blocks that follow from several decisions each."""

    def times(known: Mapping[Any, Timing], factor: float) -> dict[str, Any]:
        return {"cells": {}, "blocks": {name: factor * timing.median for name, timing in known.items()}}

    builds = {}
    for name, part in every(space, size, image_size).items():
        classes = size.classes if part.block.kind == "logits" else 0
        build = partial(blocks.build, part.block, part.shape[-1], classes, space.network_norm)
        builds[name] = partial(_called, build), jnp.zeros((batch, *part.shape[1:]))
    return _Parts(builds, [], times, "block")


def _called(build: Any, rngs: nnx.Rngs) -> Any:
    return build(rngs=rngs)


def _around(space: Space, size: NetworkSize, image_size: int, batch: int) -> list[tuple[Any, jax.Array]]:
    """What all networks share: one with nothing in the place of cells; of a chain, the blocks around its layers."""
    if not space.chain:
        return [(_shared(space, size), jnp.zeros(image_of(size, image_size, batch)))]
    first, found = first_of_chain(space), []
    ((_, cell),) = space.cells.items()
    for number, part in enumerate(blocks_of_chain(first, space, size, image_size)):
        if not 0 <= part.layer < len(cell.edges):
            found.append((partial(_block, space, first, size, number), jnp.zeros((batch, *part.shape[1:]))))
    return found


def _block(space: Space, genotype: Genotype, size: NetworkSize, number: int, rngs: nnx.Rngs) -> Any:
    assert space.network is not None
    return space.network(genotype, space, size, rngs=rngs).blocks[number]


def _of_operation(space: Space, operation: tuple[str, int, int, tuple[int, int]], batch: int) -> Any:
    """What builds it, and what it is given; None for one that does nothing."""
    name, channels, stride, at = operation
    build = partial(space.operations[name], channels, stride, space.network_norm)
    if build(rngs=nnx.Rngs(0)) is None:
        return None
    return partial(_called, build), jnp.zeros((batch, *at, channels))


def _add(rows: dict[str, list[dict[str, float]]], place: Place, milliseconds: float) -> None:
    row, name = rows[place.kind][place.edge], place.operation[0]
    row[name] = row.get(name, 0.0) + milliseconds


class _Through(nnx.Module):
    """In the place of a cell: its last input, cut and repeated to the shape of what the cell gives."""

    def __init__(self, width: int, stride: int):
        self.width, self.stride = width, stride

    def __call__(self, inputs: list[jax.Array], _: Any) -> jax.Array:
        return jnp.concatenate([inputs[-1][:, :: self.stride, :: self.stride]] * self.width, -1)


class _Shared(nnx.Module):
    def __init__(self, backbone: nnx.Module):
        self.backbone = backbone

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.backbone(x, lambda _, cells: jnp.zeros(len(cells))).logits  # type: ignore[operator]


def _shared(space: Space, size: NetworkSize) -> Callable[[nnx.Rngs], nnx.Module]:
    def core(kind: str, channels: int, rngs: nnx.Rngs) -> nnx.Module:
        cell = space.cells[kind]
        return _Through(len(cell.concat) if cell.concat is not None else 1, cell.stride(0))

    whole = replace(size, loop=True)
    return lambda rngs: _Shared(space.backbone(core, whole, space.network_norm, rngs=rngs))
