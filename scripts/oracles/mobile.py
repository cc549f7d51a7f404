"""Blocks, parameters and multiply-adds of published networks for phones."""

from collections.abc import Iterator

import numpy as np

from dnas.architectures import blocks, zoo
from dnas.architectures.blocks import Placed
from dnas.architectures.topology import NetworkSize
from dnas.nets.count import count
from dnas.spaces import chain
from oracles.common import Comparison, Oracle

NAMES = {"mobilenetv2-1.0": "mobilenet_v2"}  # where ours differs by more than a sign
CLASSES, IMAGE = 1000, 3


def compare(oracle: Oracle) -> Iterator[Comparison]:
    for name, record in list(oracle.table("table.json").items())[:: oracle.every]:
        entry = zoo.entry(NAMES.get(name, name))
        counts = count(entry.genotype, chain.space(), NetworkSize(1, 1, CLASSES), record["resolution"])
        yield Comparison(f"{name}/params", counts.parameters, oracle[f"{name}/params"], 0)
        yield Comparison(f"{name}/macs", counts.multiply_adds, oracle[f"{name}/macs"], 0)
        yield Comparison(f"{name}/blocks", rows(entry.genotype, record["resolution"]), oracle[f"{name}/blocks"], 0)


def rows(genotype, pixels: int) -> np.ndarray:
    """One row a block: what enters and leaves, and what it is made of."""
    found, size = list[list[int]](), pixels
    for place in blocks.placed(blocks.blocks_of(genotype), IMAGE):
        if place.block.kind == "mb":
            found.append(row(place, size))
        size = -(-size // place.block.stride)
    return np.array(found)


def row(place: Placed, size: int) -> list[int]:
    block, inputs, _ = place
    hidden = block.inner(inputs)
    return [
        inputs,
        block.outputs(inputs),
        block.kernel,
        block.stride,
        round(hidden / inputs),
        hidden,
        block.squeezed(inputs),
        int(block.shortcut(inputs)),
        block.groups,
        size,
    ]
