"""Elastic layers of once-for-all: kernel, hidden width and depth are decisions whose options share their weights.

    kernel   centre crop of the next larger one, times a learnt matrix: w_5 = M_75 crop_5(w_7), w_3 = M_53 crop_3(w_5)
    width    the first channels of the hidden layer: y * mask, mask = 1 for channels below the width
    depth    the first d blocks of a stage: x_d, what block d gives

Cai, Gan, Wang, Zhang and Han, "Once-for-All: Train One Network and Specialize it for Efficient Deployment", ICLR 2020,
arXiv:1908.09791 (section 3.3); as in mit-han-lab/once-for-all there is a matrix for every layer, shared by channels.
Where all paths are computed, each is so in the shapes of the largest: smaller kernels are filled with zeros, and masks
cut the channels, so that a mix is a sum of options and a one-hot one gives what the narrow network gives, to rounding.
How one path is computed: `elastic_blocks`. What an option leaves out keeps its running statistics.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dnas.architectures.blocks import Block, parse, placed, rounded
from dnas.architectures.topology import NetworkSize, Space
from dnas.errors import UserError
from dnas.nets import blocks
from dnas.nets.chain import applied, check_size
from dnas.nets.elastic_blocks import ElasticBlock, narrows
from dnas.nets.functional import run
from dnas.nets.layers import checked_images
from dnas.nets.supernet import check_mix
from dnas.nets.tabular import weighted_sum
from dnas.types import Mix, Noise, Tree


@dataclass(frozen=True)
class Plan:
    """An elastic network as data: the words of its fixed blocks, and its stages of elastic ones.

    stages: of each the words of its blocks in the largest network, without a hidden width, and how many blocks each
    option of its depth has. channels: that enter the first stage, and that each gives. kernels, expansions: the options
    of every elastic block. resolutions: pixels of a side; empty: images are as they come.
    """

    before: tuple[str, ...]
    stages: tuple[tuple[str, ...], ...]
    after: tuple[str, ...]
    channels: tuple[int, ...]
    kernels: tuple[int, ...]
    expansions: tuple[float, ...]
    depths: tuple[int, ...]
    resolutions: tuple[int, ...] = ()

    def largest(self) -> list[Block]:
        """The blocks of the network with all of them, hidden widths left out."""
        return [parse(word) for words in (self.before, *self.stages, self.after) for word in words]


class Supernet(nnx.Module):
    """`supernet(x, mix)`: normalised images x [B, H, W, C], mix {"kernel": [blocks, O], "depth": [stages, O],
    "expansion": [blocks, O], "resolution": [1, O] if that is a decision} -> logits [B, classes].

    Of a mix of resolutions the largest weight counts, and multiplies nothing. Training and evaluation are as in
    `network.Network`. Errors: `UserError` for images and mixes of other shapes than it was built for.
    """

    def __init__(self, space: Space, size: NetworkSize, *, plan: Plan, rngs: nnx.Rngs):
        check_size(space, size)
        if space.partial_channels != 1 or space.entangled:
            raise UserError(
                f"Partial channels and entangled weights are those of cells, and the space '{space.name}' has none: "
                "use a method, or settings of it, without them."
            )
        norm, chain = space.search_norm, placed(plan.largest(), size.image_channels)
        parts = list[Any]()
        for number, place in enumerate(chain):
            if 0 <= number - len(plan.before) < sum(map(len, plan.stages)):
                widths = widths_of(place.inputs, plan.expansions)
                part: Any = ElasticBlock(place.block, place.inputs, plan.kernels, widths, norm, space.paths, rngs=rngs)
            else:
                part = blocks.build(place.block, place.inputs, size.classes, norm, rngs=rngs)
            parts.append(part)
        ends = [len(plan.before)]
        for words in plan.stages:
            ends.append(ends[-1] + len(words))
        self.before, self.after = nnx.List(parts[: ends[0]]), nnx.List(parts[ends[-1] :])
        self.stages = nnx.List([nnx.List(parts[a:b]) for a, b in pairwise(ends)])
        self.plan, self.paths, self.remat = plan, space.paths, size.remat
        self.image_channels, self.use_running_average = size.image_channels, False
        self.mix_shapes = tuple(space.mix_shapes.items())

    def set_view(self, use_running_average: bool | None = None) -> None:
        """Called by `nnx.view`: True in evaluation."""
        if use_running_average is not None:
            self.use_running_average = use_running_average

    def __call__(self, x: jax.Array, mix: Mix, noise: Noise | None = None) -> jax.Array:
        classifier: Any = self.after[-1]
        x = checked_images(x, self.image_channels, classifier.kernel[...].dtype)
        check_mix(mix, dict(self.mix_shapes))
        mix = {kind: jnp.asarray(table) for kind, table in mix.items()}
        if not self.plan.resolutions:
            return run(self._through, x, mix, evaluates=False)
        return run(self._resized, x, mix, evaluates=False)

    def _resized(self, x: jax.Array, mix: Mix) -> jax.Array:
        """At the resolution with the largest weight."""
        graph, state = nnx.split(self)

        def at(pixels: int, state, x, mix):
            copy = nnx.merge(graph, state)
            y = copy._through(blocks.resized(x, pixels), mix)
            return y, nnx.as_pure(nnx.state(copy, nnx.BatchStat))

        branches = [partial(at, pixels) for pixels in self.plan.resolutions]
        y, moments = jax.lax.switch(mix["resolution"][0].argmax(), branches, nnx.as_pure(state), x, mix)
        if not self.use_running_average:
            nnx.update(self, moments)
        return y

    def _through(self, x: jax.Array, mix: Mix) -> jax.Array:
        def call(part, x, *more):
            return applied(part, x, more, self.remat, self.use_running_average)

        for part in self.before:
            x = call(part, x)
        number = 0
        for stage, row in zip(self.stages, mix["depth"], strict=True):
            given = []
            counts = row != 0
            if self.paths != "all":
                counts &= jnp.arange(len(row)) == row.argmax()
            for place, block in enumerate(stage):
                used = jnp.any(counts & np.array([depth > place for depth in self.plan.depths]))
                x = call(block, x, mix["kernel"][number], mix["expansion"][number], used)
                given.append(x)
                number += 1
            if narrows(self.paths):  # blocks beyond the depth have given what they read
                x = x * row[row.argmax()].astype(x.dtype)
            else:
                x = weighted_sum(row, [given[depth - 1] for depth in self.plan.depths], self.paths)
        for part in self.after:
            x = call(part, x)
        return x


def widths_of(channels: int, expansions: Sequence[float]) -> tuple[int, ...]:
    """Hidden widths of a block that reads so many channels, multiples of 8."""
    return tuple(rounded(round(channels * expansion)) for expansion in expansions)


def reorganised(weights: Tree, stats: Tree, plan: Plan, opened: int) -> tuple[Tree, Tree]:
    """Weights and statistics of the supernet of a plan with the hidden channels of every elastic block in the order of
    their importance, the sum of the absolute weights of the last convolution that read a channel, so that a width has
    the most important ones. What the largest network computes stays the same.

    opened: how many of the largest widths are in use already. The channels between two of these stay between them.
    """
    weights, stats = jax.tree.map(lambda leaf: leaf, (weights, stats))  # new dictionaries, the same arrays
    places = iter(placed(plan.largest())[len(plan.before) :])
    for number, words in enumerate(plan.stages):
        for block in range(len(words)):
            widths = sorted(widths_of(next(places).inputs, plan.expansions), reverse=True)
            sort_block(weights["stages"][number][block], stats["stages"][number][block], widths[: max(opened, 1)])
    return weights, stats


def by_importance(importance: jax.Array, limits: Sequence[int]) -> jax.Array:
    """The order [C], the most important first; limits: descending, the first is C; no channel goes over one of them."""
    group = sum((np.arange(len(importance)) >= limit).astype(int) for limit in limits)
    return jnp.lexsort((-importance, jnp.broadcast_to(jnp.asarray(group), importance.shape)))


def sort_block(own: Tree, moments: Tree, limits: Sequence[int]) -> None:
    """Put the hidden channels of a block into their order, in its weights and statistics, and those of its squeeze into
    the order of the absolute weights that read these."""
    order = by_importance(jnp.abs(own["project"]["kernel"]).sum((0, 1, 3)), limits)
    own["project"]["kernel"] = own["project"]["kernel"][:, :, order]
    own["depthwise"]["kernel"] = own["depthwise"]["kernel"][..., order]
    if "expand" in own:
        own["expand"]["kernel"] = own["expand"]["kernel"][..., order]
    for name in {"expand_norm", "depthwise_norm"} & {*own}:
        own[name] = jax.tree.map(lambda leaf: leaf[order], own[name])
    for name in {"expand_norm", "depthwise_norm"} & {*moments}:
        moments[name] = jax.tree.map(lambda leaf: leaf[order], moments[name])
    if "squeeze" in own:
        reduce, expand = own["squeeze"]["reduce"], own["squeeze"]["expand"]
        expand["kernel"], expand["bias"] = expand["kernel"][:, order], expand["bias"][order]
        inner = by_importance(jnp.abs(expand["kernel"]).sum(1), [len(expand["kernel"])])
        expand["kernel"] = expand["kernel"][inner]
        reduce["kernel"], reduce["bias"] = reduce["kernel"][order][:, inner], reduce["bias"][inner]
