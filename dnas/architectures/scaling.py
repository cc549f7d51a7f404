"""Compound scaling: a chain of blocks made wider and deeper (Tan and Le 2019, EfficientNet, arXiv:1905.11946).

    channels -> the nearest multiple of 8 of w c, a multiple more below 90 %;   blocks of a stage -> ceil(d r)

A stage are neighbouring blocks of equal width, of which only the first may stride. Convolutions, and what stands behind
the mean over the image, are made wider and not repeated.
"""

import math
from collections.abc import Sequence
from dataclasses import replace

from dnas.architectures.blocks import Block, placed, rounded


def scaled(blocks: Sequence[Block], width: float, depth: float) -> list[Block]:
    """The blocks of the scaled chain; what a stage lacks are copies of its last block."""
    stages = list[list[Block]]()
    for place in placed(blocks)[: len(blocks)]:
        block = replace(place.block, channels=place.block.outputs(place.inputs))
        before = stages[-1][-1] if stages else None
        alike = before is not None and before.channels == block.channels and block.stride == 1
        if alike and {before.kind, block.kind} <= REPEATED:
            stages[-1].append(block)
        else:
            stages.append([block])
    found = list[Block]()
    for stage in stages:
        count = math.ceil(depth * len(stage)) if stage[0].kind in REPEATED else len(stage)
        copies = [replace(stage[-1], stride=1)] * (count - len(stage))
        found += [_wider(block, width) for block in [*stage, *copies][:count]]
    return found


REPEATED = {"mb", "shuffle", "xception", "skip"}


def _wider(block: Block, width: float) -> Block:
    if block.kind in ("skip", "pool", "logits"):
        return replace(block, channels=0)
    hidden = rounded(block.hidden * width) if block.hidden else 0
    return replace(block, channels=rounded(block.channels * width), hidden=hidden)
