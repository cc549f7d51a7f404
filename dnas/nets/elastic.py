"""Elastic layers of once-for-all: kernel, hidden width and depth are decisions whose options share their weights.

    kernel   centre crop of the next larger one, times a learnt matrix: w_5 = M_75 crop_5(w_7), w_3 = M_53 crop_3(w_5)
    width    the first channels of the hidden layer: y * mask, mask = 1 for channels below the width
    depth    the first d blocks of a stage: x_d, what block d gives

Cai, Gan, Wang, Zhang and Han, "Once-for-All: Train One Network and Specialize it for Efficient Deployment", ICLR 2020,
arXiv:1908.09791 (section 3.3); as in mit-han-lab/once-for-all there is a matrix for every layer, shared by channels.
Here every option is computed in the shapes of the largest: smaller kernels are filled with zeros, and masks cut the
channels, so that a mix is a sum of options and a one-hot one gives what the narrow network gives, to rounding. What an
option leaves out keeps its running statistics. Axis letters: B H W C, O options.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import pairwise
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dnas.architectures.blocks import Block, parse, placed, rounded
from dnas.architectures.topology import NetworkSize, Norm, Paths, Space
from dnas.errors import UserError
from dnas.kernels.conv import depthwise_conv
from dnas.kernels.pooling import global_avg_pool
from dnas.nets import blocks
from dnas.nets.chain import applied, check_size
from dnas.nets.functional import run
from dnas.nets.layers import BatchNorm, Conv, checked_images, uniform_fan_in
from dnas.nets.supernet import check_mix
from dnas.nets.tabular import weighted_sum
from dnas.types import Mix, Noise, Tree


class Depthwise(nnx.Module):
    """Depthwise convolution whose kernel is one of several sizes; kernel [K, K, C] of the largest, matrices [k^2, k^2]
    of the others, largest first, as flax multiplies them: from the second axis to the first."""

    def __init__(self, channels: int, sizes: Sequence[int], stride: int, *, rngs: nnx.Rngs):
        self.sizes, self.stride = tuple(sorted(sizes)), stride
        largest = self.sizes[-1]
        self.kernel = uniform_fan_in(rngs, (largest, largest, channels), largest**2)
        self.matrices = nnx.List([nnx.Param(np.eye(size**2, dtype=np.float32)) for size in self.sizes[-2::-1]])

    def kernels(self) -> list[jax.Array]:
        """[k, k, C] of every size, smallest first."""
        found = [self.kernel[...]]
        for size, matrix in zip(self.sizes[-2::-1], self.matrices, strict=True):
            edge = (len(found[-1]) - size) // 2
            crop = found[-1][edge : edge + size, edge : edge + size]
            found.append((matrix[...] @ crop.reshape(size**2, -1)).reshape(crop.shape))
        return found[::-1]

    def __call__(self, x: jax.Array, row: jax.Array, paths: Paths = "all") -> jax.Array:
        """x [B, H, W, C], row [O] -> [B, H', W', C]."""
        edges = [(self.sizes[-1] - size) // 2 for size in self.sizes]
        filled = [jnp.pad(k, ((e, e), (e, e), (0, 0))) for k, e in zip(self.kernels(), edges, strict=True)]
        return depthwise_conv(x, weighted_sum(row, filled, paths).astype(x.dtype), self.stride)


class ElasticBlock(nnx.Module):
    """An inverted residual, as `blocks.Residual`, of one of several kernels and hidden widths.

    block: the largest. sizes: of kernels. widths: of the hidden layer. Whether there is a first convolution is that of
    the largest.
    """

    def __init__(
        self,
        block: Block,
        c_in: int,
        sizes: Sequence[int],
        widths: Sequence[int],
        norm: Norm,
        paths: Paths = "all",
        *,
        rngs: nnx.Rngs,
    ):
        hidden, c_out, self.paths = max(widths), block.outputs(c_in), paths
        self.widths, self.activation = tuple(widths), block.activation
        self.squeezed = tuple(replace(block, hidden=width).squeezed(c_in) for width in widths)
        self.shortcut = block.shortcut(c_in)
        self.expand = Conv(c_in, hidden, 1, rngs=rngs) if hidden != c_in else None
        self.expand_norm = BatchNorm(hidden, affine=norm.affine, rngs=rngs) if hidden != c_in else None
        self.depthwise = Depthwise(hidden, sizes, block.stride, rngs=rngs)
        self.depthwise_norm = BatchNorm(hidden, affine=norm.affine, rngs=rngs)
        squeeze = blocks.SqueezeExcite(hidden, max(self.squeezed), "relu", True, rngs=rngs) if block.squeeze else None
        self.squeeze = squeeze
        self.project = Conv(hidden, c_out, 1, rngs=rngs)
        self.project_norm = BatchNorm(c_out, affine=norm.affine, rngs=rngs)

    def __call__(self, x: jax.Array, kernel: jax.Array, width: jax.Array, used: jax.Array) -> jax.Array:
        """x [B, H, W, C]; kernel, width: rows [O]; used: whether statistics move, bool [] -> [B, H', W', D]."""
        activation, paths = blocks.ACTIVATIONS[self.activation], self.paths
        mask = weighted_sum(width, self._masks(self.widths, x.dtype), paths)
        active = used & (mask != 0)
        y = x
        if self.expand is not None and self.expand_norm is not None:
            y = activation(normed(self.expand_norm, self.expand(y), active))
        y = activation(normed(self.depthwise_norm, self.depthwise(y, kernel, paths), active)) * mask
        if self.squeeze is not None:
            own = weighted_sum(width, self._masks(self.squeezed, y.dtype), paths)
            inner = jax.nn.relu(self.squeeze.reduce(global_avg_pool(y)))
            gate = blocks.hard_sigmoid(self.squeeze.expand(inner * own.astype(inner.dtype)))
            y = y * gate[:, None, None].astype(y.dtype)
        y = normed(self.project_norm, self.project(y), used)
        return x + y if self.shortcut else y

    @staticmethod
    def _masks(widths: Sequence[int], dtype) -> list[jax.Array]:
        """1 for the channels that each width has [max(widths)]."""
        return [jnp.asarray(np.arange(max(widths)) < width, dtype) for width in widths]


def normed(norm: BatchNorm, x: jax.Array, active: jax.Array) -> jax.Array:
    """norm(x), whose statistics stay as they are but for the channels that are active, bool [C] or []."""
    before = norm.mean[...], norm.var[...]
    y = norm(x)
    if not norm.use_running_average:
        norm.mean.set_value(jnp.where(active, norm.mean[...], before[0]))
        norm.var.set_value(jnp.where(active, norm.var[...], before[1]))
    return y


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
            for place, block in enumerate(stage):
                longer = np.array([depth > place for depth in self.plan.depths])
                used = jnp.any((row != 0) & longer)
                x = call(block, x, mix["kernel"][number], mix["expansion"][number], used)
                given.append(x)
                number += 1
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
