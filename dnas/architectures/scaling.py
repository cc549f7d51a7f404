"""Compound scaling: a network made wider and deeper, and its images larger, by one number (Tan and Le 2019,
EfficientNet, arXiv:1905.11946).

    depth d = alpha^phi,  width w = beta^phi,  resolution r = gamma^phi,   alpha beta^2 gamma^2 = 2,  all at least 1

so that multiply-adds double with every phi. Of a chain of blocks

    channels -> the nearest multiple of 8 of w c, a multiple more below 90 %;   blocks of a stage -> ceil(d r)

A stage are neighbouring blocks of equal width, of which only the first may stride. Convolutions, and what stands behind
the mean over the image, are made wider and not repeated. Of a network of cells what is scaled are the channels of its
first cell and the number of its cells, nothing inside of them:

    channels -> the nearest multiple of 4, one more below 90 %;   cells -> ceil(d cells);   sides of images -> of 4
"""

import math
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from dnas.architectures.blocks import Block, blocks_of, genotype_of, placed, rounded, write
from dnas.architectures.genotype_data import Genotype
from dnas.architectures.topology import NetworkSize
from dnas.errors import UserError

SIDES = 4  # what sides of images are multiples of, as all published ones
CHANNELS = 4  # and channels of first cells
DOUBLES = 2.0  # alpha beta^2 gamma^2
MOST_BLOCKS = 1000


class Factors(NamedTuple):
    """By how much a network is wider and deeper, and its images larger."""

    width: float
    depth: float
    resolution: float


class Coefficients(NamedTuple):
    """What the factors are powers of. The defaults are the paper's, found around EfficientNet-B0."""

    alpha: float = 1.2
    beta: float = 1.1
    gamma: float = 1.15

    @property
    def growth(self) -> float:
        """By how much multiply-adds grow with every phi, but for rounding."""
        return self.alpha * self.beta**2 * self.gamma**2

    def at(self, phi: float) -> Factors:
        """The factors of a phi."""
        return Factors(self.beta**phi, self.alpha**phi, self.gamma**phi)


class Network(NamedTuple):
    """A network with its images: a whole chain of blocks, or a cell and the size of what is built of it."""

    genotype: Genotype
    size: NetworkSize
    pixels: int


def grid(step: float) -> list[Coefficients]:
    """All alpha and beta in steps from 1, the gamma that alpha beta^2 gamma^2 = 2 leaves to them, where it is at
    least 1."""
    found = list[Coefficients]()
    for i in range(math.floor((DOUBLES - 1) / step + 1e-9) + 1):
        for j in range(math.floor((math.sqrt(DOUBLES) - 1) / step + 1e-9) + 1):
            alpha, beta = round(1 + i * step, 9), round(1 + j * step, 9)
            square = DOUBLES / (alpha * beta**2)
            if square > 1 - 1e-9:
                found.append(Coefficients(alpha, beta, math.sqrt(max(square, 1.0))))
    return found


def scaled_network(network: Network, factors: Factors, chain: bool) -> Network:
    """The network by these factors. chain: whether its genotype is all of it.

    Errors: `UserError` for images whose sides are no multiple of 4, and for a network of more than 1,000 blocks or
    cells.
    """
    pixels = scaled_side(network.pixels, factors.resolution)
    if chain:
        found = scaled(blocks_of(network.genotype), *factors)
        _check_depth(len(found), "blocks")
        return Network(genotype_of("chain", [*map(write, found)]), network.size, pixels)
    cells = deeper(network.size.cells, factors.depth)
    _check_depth(cells, "cells")
    wide = factors.width * network.size.channels
    channels = network.size.channels if factors.width == 1 else rounded(wide, CHANNELS)
    return Network(network.genotype, replace(network.size, channels=channels, cells=cells), pixels)


def scaled_side(pixels: int, resolution: float) -> int:
    """The side of the images. Errors: `UserError` for one that is no multiple of 4."""
    if pixels % SIDES:
        raise UserError(
            f"A resolution of {pixels} pixels is not divisible by {SIDES}, as those of scaled networks are: choose "
            f"{max(SIDES, pixels // SIDES * SIDES)} or {pixels // SIDES * SIDES + SIDES}."
        )
    return max(SIDES, math.floor(pixels * resolution / SIDES + 0.5) * SIDES)


def deeper(count: int, depth: float) -> int:
    """Of so many blocks or cells; what rounding adds to a whole number makes none."""
    return math.ceil(depth * count - 1e-9)


def scaled(blocks: Sequence[Block], width: float, depth: float, resolution: float = 1.0) -> list[Block]:
    """The blocks of the scaled chain; what a stage lacks are copies of its last block. A block that resizes the image
    is of the scaled resolution. Errors: `UserError`, see `scaled_side`."""
    stages, pools = list[list[Block]](), any(block.kind == "pool" for block in blocks)
    written = [place for place in placed(blocks) if pools or place.block.kind != "pool"][: len(blocks)]
    for place in written:
        block = replace(place.block, channels=place.block.outputs(place.inputs))
        before = stages[-1][-1] if stages else block
        alike = before.channels == block.channels and block.stride == 1
        if stages and alike and {before.kind, block.kind} <= REPEATED:
            stages[-1].append(block)
        else:
            stages.append([block])
    found = list[Block]()
    for stage in stages:
        count = deeper(len(stage), depth) if stage[0].kind in REPEATED else len(stage)
        copies = [replace(stage[-1], stride=1)] * (count - len(stage))
        found += [_larger(block, width, resolution) for block in [*stage, *copies][:count]]
    return found


REPEATED = {"mb", "shuffle", "xception", "skip"}


def _larger(block: Block, width: float, resolution: float) -> Block:
    if block.kind == "resize":
        return replace(block, channels=0, kernel=scaled_side(block.kernel, resolution))
    if block.kind in ("skip", "pool", "logits"):
        return replace(block, channels=0)
    if width == 1:  # also where channels are no multiple of 8
        return block
    hidden = rounded(block.hidden * width) if block.hidden else 0
    return replace(block, channels=rounded(block.channels * width), hidden=hidden)


def _check_depth(count: int, what: str) -> None:
    if count > MOST_BLOCKS:
        raise UserError(f"The scaled network has {count:,} {what}, more than {MOST_BLOCKS:,}: choose a smaller phi.")
