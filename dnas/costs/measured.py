"""Latency as it is measured on this machine: every operation by itself, once compiled, warm, and whole networks.

An operation's time is the median of calls of its program, less that of a program with the same arguments that does
next to nothing. What all networks share (stem, reductions, head) is timed with nothing in the place of the cells. Sums
of these leave out what cells add up and what a compiler makes of neighbours: `check` says how good they are.
"""

import os
import platform
import time
from collections.abc import Callable, Iterable, Sequence
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
from dnas.costs.latency import sizes_of
from dnas.costs.latency_table import LatencyTable
from dnas.costs.predictors import Accuracy, accuracy
from dnas.nets.count import Place, blocks_of_chain, check_own_costs, first_of_chain, places
from dnas.nets.functional import functionalize

WARM = 3  # calls before the first that counts


class Timing(NamedTuple):
    """Milliseconds of a call: the median, and the interquartile range."""

    median: float
    spread: float


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
    calls: int = 30,
    shown: Callable[[Sequence[Any]], Iterable[Any]] = iter,
) -> LatencyTable:
    """The table of a space on this machine. shown: wraps what is measured, to show how far it is.

    Errors: `UserError` for a space whose single options have no costs.
    """
    check_own_costs(space)
    found = places(space, size, image_size)
    known = {
        operation: _of_operation(space, operation, batch, calls)
        for operation in shown([*dict.fromkeys(place.operation for place in found)])
    }
    around = _around(space, size, image_size, batch, calls)
    rows = {kind: [dict[str, float]() for _ in cell.edges] for kind, cell in space.cells.items()}
    spreads = {kind: [dict[str, float]() for _ in cell.edges] for kind, cell in space.cells.items()}
    for place in found:
        _add(rows, place, known[place.operation].median)
        _add(spreads, place, known[place.operation].spread)
    how = f"dnas latency: the median of {calls} calls of each operation by itself"
    sizes = sizes_of(space, size, image_size)
    return LatencyTable(space.name, device(), rows, how, around, batch, sizes, spreads)


def check(
    table: LatencyTable,
    space: Space,
    size: NetworkSize,
    networks: int,
    calls: int = 30,
    shown: Callable[[Sequence[Any]], Iterable[Any]] = iter,
) -> Checked:
    """Whole random networks, timed beside what the table of their size says."""
    additive, pixels = table.of_space(space), int(table.sizes["image_size"])
    drawn = [random(space, seed) for seed in range(networks)]
    x = jnp.zeros((table.batch, pixels, pixels, size.image_channels))
    assert space.network is not None
    wholes = (partial(_built, space.network, genotype, space, size) for genotype in shown(drawn))
    measured = np.array([timed(whole, x, calls).median for whole in wholes])
    predicted = np.array([additive.of(genotype, space) for genotype in drawn])
    return Checked(predicted, measured, accuracy(predicted, measured))


def timed(build: Callable[[nnx.Rngs], Any], x: jax.Array, calls: int) -> Timing:
    """Of the module that `build` gives, in evaluation, with new weights."""
    network = functionalize(build)
    weights, stats = jax.jit(network.init)(jax.random.key(0))
    program = jax.jit(lambda weights, stats, x: network.apply(weights, stats, x, train=False)[0])
    nothing = jax.jit(lambda weights, stats, x: x.ravel()[0])
    whole, call = (_calls(partial(one, weights, stats, x), calls) for one in (program, nothing))
    low, middle, high = np.percentile(whole, [25, 50, 75])
    return Timing(max(float(middle - np.median(call)), 0.0), float(high - low))


def device() -> str:
    """What computes here: the accelerator, or the processor and its cores."""
    first = jax.devices()[0]
    if first.platform != "cpu":
        return first.device_kind
    about = Path("/proc/cpuinfo")
    lines = about.read_text().splitlines() if about.exists() else []
    name = next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "")
    return f"{name or platform.processor() or platform.machine()}, {os.cpu_count()} cores"


def _calls(program: Callable[[], Any], calls: int) -> np.ndarray:
    """Milliseconds of each."""
    times = []
    for _ in range(WARM + calls):
        began = time.perf_counter()
        jax.block_until_ready(program())
        times.append(1e3 * (time.perf_counter() - began))
    return np.array(times[WARM:])


def _built(network: Any, genotype: Genotype, space: Space, size: NetworkSize, rngs: nnx.Rngs) -> Any:
    return network(genotype, space, size, rngs=rngs)


def _around(space: Space, size: NetworkSize, image_size: int, batch: int, calls: int) -> float:
    """Milliseconds of what all networks share: with nothing in the place of cells; of a chain, of the other blocks."""
    if not space.chain:
        x = jnp.zeros((batch, image_size, image_size, size.image_channels))
        return timed(_shared(space, size), x, calls).median
    first, total = first_of_chain(space), 0.0
    ((_, cell),) = space.cells.items()
    for number, (layer, shape, _) in enumerate(blocks_of_chain(first, space, size, image_size)):
        if not 0 <= layer < len(cell.edges):
            build = partial(_block, space, first, size, number)
            total += timed(build, jnp.zeros((batch, *shape[1:])), calls).median
    return total


def _block(space: Space, genotype: Genotype, size: NetworkSize, number: int, rngs: nnx.Rngs) -> Any:
    assert space.network is not None
    return space.network(genotype, space, size, rngs=rngs).blocks[number]


def _of_operation(space: Space, operation: tuple[str, int, int, tuple[int, int]], batch: int, calls: int) -> Timing:
    name, channels, stride, at = operation
    build = partial(space.operations[name], channels, stride, space.network_norm)
    if build(rngs=nnx.Rngs(0)) is None:
        return Timing(0.0, 0.0)
    return timed(lambda rngs: build(rngs=rngs), jnp.zeros((batch, *at, channels)), calls)


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
