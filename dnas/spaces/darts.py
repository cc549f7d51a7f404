"""DARTS: normal and reduction cells of 4 nodes, 14 edges and 8 operations, repeated to any depth.

Liu, Simonyan and Yang, "DARTS: Differentiable Architecture Search", ICLR 2019, arXiv:1806.09055; the networks follow
quark0/darts `cnn/model_search.py` and `cnn/model.py`. Cell k reads the outputs of cells k-2 and k-1, each projected to
the cell's channels; cells at 1/3 and 2/3 of the depth halve the image and double the channels.
"""

from collections.abc import Callable
from functools import partial
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dnas.architectures.topology import Cell, NetworkSize, Norm, Space, all_edges
from dnas.errors import UserError
from dnas.kernels.pooling import global_avg_pool
from dnas.nets.functional import rematerialised, stack, unstack
from dnas.nets.layers import BatchNorm, Chain, Conv, FactorizedReduce, GlobalPool, Linear, Outputs, ReluConvNorm
from dnas.nets.network import Network
from dnas.nets.ops import OPERATIONS
from dnas.nets.supernet import Supernet
from dnas.ranges import Range
from dnas.spaces import candidates

PRIMITIVES = (
    "none",
    "max_pool_3x3",
    "avg_pool_3x3",
    "skip_connect",
    "sep_conv_3x3",
    "sep_conv_5x5",
    "dil_conv_3x3",
    "dil_conv_5x5",
)


def space(*, nodes: Annotated[int, Range(1, 16)] = 4, operations: str = "+".join(PRIMITIVES)) -> Space:
    """The space with `nodes` intermediate nodes and the candidates `a+b+c` on every edge."""
    names, edges = candidates.named(operations), all_edges(2, nodes)

    def cell(reduction: bool) -> Cell:
        return Cell(
            inputs=2,
            nodes=nodes,
            edges=edges,
            operations=(names,) * len(edges),
            reduction=reduction,
            concat=tuple(range(2, 2 + nodes)),
            kept=2,
        )

    return Space(
        name="darts",
        cells={"normal": cell(False), "reduce": cell(True)},
        operations=OPERATIONS,
        backbone=Backbone,
        search_norm=Norm(affine=False, pools=True),
        network_norm=Norm(affine=True, pools=False),
        supernet=Supernet,
        network=Network,
        has_auxiliary=True,
        order=lambda cells: [kind for kind, run in plan(cells) for _ in run],
        random=candidates.random(names),
    )


class Stage(nnx.Module):
    """Consecutive cells with equal cores, run as one scan.

    Only what enters the stage is special: both projections of the first cell, and the second cell's projection of the
    output before the stage. These are computed ahead and selected inside the scan, so that the expensive cores are
    traced and compiled once per stage.
    """

    def __init__(
        self, core: Callable, count: int, channels: int, entry: list[nnx.Module], affine: bool, size: NetworkSize, rngs
    ):
        self.count, self.affine, self.remat = count, affine, size.remat
        # two cells are compiled as two: what the backward pass needs is then not copied into and out of stacks
        self.unroll = count if (size.unroll or count == 2) and not size.remat else 1
        self.entry = nnx.List(entry)  # first cell: projections of s0 and s1; second cell: of s0
        self.core: Any = stack(core, count, rngs)
        self.width = self.core.width * channels

        def projection(rngs: nnx.Rngs) -> nnx.Module:
            return ReluConvNorm(self.width, channels, 1, affine=affine, rngs=rngs)

        self.older = stack(projection, count - 2, rngs) if count > 2 else None
        self.newer = stack(projection, count - 1, rngs) if count > 1 else None

    def __call__(self, s0: jax.Array, s1: jax.Array, argument, loop: bool) -> tuple[jax.Array, jax.Array]:
        """The outputs of the two cells before the stage -> those of its last two cells."""
        first0, first1 = self.entry[0](s0), self.entry[1](s1)
        if self.count == 1:
            return s1, self._single(first0, first1, argument)
        second0 = self.entry[2](s1)
        if loop:
            return self._looped(first0, first1, second0, s1, argument)
        return self._scanned(first0, first1, second0, argument)

    def _single(self, p0, p1, argument):
        graph, state = nnx.split(self.core)

        @rematerialised(self.remat)
        def run(state, inputs, extra):
            core = nnx.merge(graph, jax.tree.map(lambda leaf: jax.lax.squeeze(leaf, (0,)), state))
            return core(list(inputs), extra), nnx.as_pure(nnx.state(core, nnx.BatchStat))

        out, moments = run(nnx.as_pure(state), (p0, p1), jax.tree.map(lambda leaf: leaf[0], argument))
        nnx.update(self.core, jax.tree.map(lambda leaf: jax.lax.expand_dims(leaf, (0,)), moments))
        return out

    def _scanned(self, first0, first1, second0, argument):
        modules = (self.core, self.older, self.newer)
        graphs, states = zip(*(nnx.split(m) if m is not None else (None, {}) for m in modules), strict=True)
        lacking = (0, 2, 1)  # how many leading cells have no such module: zeros stand in and are never read
        xs = [
            jax.tree.map(lambda leaf, k=k: jnp.concatenate([jnp.zeros((k, *leaf.shape[1:]), leaf.dtype), leaf]), s)
            for s, k in zip(map(nnx.as_pure, states), lacking, strict=True)
        ]

        @rematerialised(self.remat)
        def body(carry, row):
            s0, s1 = carry
            i, (core, older, newer), extra = row
            core = nnx.merge(graphs[0], core)
            newer = nnx.merge(graphs[2], newer)
            p0 = jnp.where(i == 0, first0, second0)
            if older:
                older = nnx.merge(graphs[1], older)
                p0 = jnp.where(i < 2, p0, older(s0))
            p1 = jnp.where(i == 0, first1, newer(s1))
            out = core([p0, p1], extra)
            moments = [nnx.as_pure(nnx.state(m, nnx.BatchStat)) if m else {} for m in (core, older, newer)]
            return (s1, out), moments

        nothing = jnp.zeros((*first0.shape[:-1], self.width), first0.dtype)
        # a constant, so that of unrolled cells only what is selected is computed
        rows = np.arange(self.count), tuple(xs), argument
        carry, moments = jax.lax.scan(body, (nothing, nothing), rows, unroll=self.unroll)
        for module, seen, k in zip(modules, moments, lacking, strict=True):
            if module is not None:
                nnx.update(module, jax.tree.map(lambda leaf, k=k: leaf[k:], seen))
        return carry

    def _looped(self, first0, first1, second0, s1, argument):
        modules: tuple[Any, ...] = (self.core, self.older, self.newer)
        seen: list[list] = [[], [], []]

        def run(which: int, index: int, *args):
            copy = unstack(modules[which], index)
            value = copy(*args)
            seen[which].append(nnx.as_pure(nnx.state(copy, nnx.BatchStat)))
            return value

        outs = [s1]
        for i in range(self.count):
            p0 = (first0, second0)[i] if i < 2 else run(1, i - 2, outs[-2])
            p1 = first1 if i == 0 else run(2, i - 1, outs[-1])
            outs.append(run(0, i, [p0, p1], jax.tree.map(lambda leaf, i=i: leaf[i], argument)))
        for module, rows in zip(modules, seen, strict=True):
            if rows:
                nnx.update(module, jax.tree.map(lambda *leaves: jnp.stack(leaves), *rows))
        return outs[-2], outs[-1]


class Backbone(nnx.Module):
    """Stem, stages of cells, head, and the auxiliary head on the second reduction cell where wanted."""

    def __init__(self, core: Callable, size: NetworkSize, norm: Norm, *, rngs: nnx.Rngs):
        channels, imagenet = size.channels, size.stem == "imagenet"
        self.loop = size.loop
        self.stem = nnx.List(stem(size, rngs))
        older = newer = channels if imagenet else 3 * channels
        reduced = imagenet  # whether s0 has twice the resolution of s1
        self.plan = plan(size.cells)
        self.stages: nnx.List = nnx.List([])
        auxiliary, self.auxiliary_after = None, -1
        for kind, cells in self.plan:
            if kind == "reduce":
                channels *= 2

            def project(c_in, halve=False, channels=channels):
                if halve:
                    return FactorizedReduce(c_in, channels, affine=norm.affine, rngs=rngs)
                return ReluConvNorm(c_in, channels, 1, affine=norm.affine, rngs=rngs)

            entry = [project(older, reduced), project(newer)] + ([project(newer)] if len(cells) > 1 else [])
            stage = Stage(partial(core, kind, channels), len(cells), channels, entry, norm.affine, size, rngs)
            self.stages.append(stage)
            older, newer = (newer if len(cells) == 1 else stage.width), stage.width
            reduced = kind == "reduce"
            if size.auxiliary and 2 * size.cells // 3 in cells:
                auxiliary = AuxiliaryHead(stage.width, size.classes, second_norm=not imagenet, rngs=rngs)
                self.auxiliary_after = len(self.stages) - 1
        self.auxiliary = auxiliary  # once: flax decides at the first assignment whether it is a module
        self.pool = GlobalPool()
        self.classifier = Linear(newer, size.classes, rngs=rngs)

    def __call__(self, x: jax.Array, argument: Callable) -> Outputs:
        s0 = self.stem[0](x)
        s1 = self.stem[1](s0) if len(self.stem) > 1 else s0
        auxiliary = None
        for index, (stage, (kind, cells)) in enumerate(zip(self.stages, self.plan, strict=True)):
            s0, s1 = stage(s0, s1, argument(kind, cells), self.loop)
            if index == self.auxiliary_after and self.auxiliary is not None:
                auxiliary = self.auxiliary(s1)
        return Outputs(self.classifier(self.pool(s1)), auxiliary)


def stem(size: NetworkSize, rngs: nnx.Rngs) -> list[nnx.Module]:
    """What makes s0 of the image and, for ImageNet, s1 of s0."""
    channels = size.channels
    if size.stem == "cifar":
        conv = Conv(size.image_channels, 3 * channels, 3, rngs=rngs)
        return [Chain(conv, BatchNorm(3 * channels, affine=True, rngs=rngs))]

    def half(c_in: int, c_out: int) -> list[Callable]:
        return [Conv(c_in, c_out, 3, stride=2, rngs=rngs), BatchNorm(c_out, affine=True, rngs=rngs)]

    return [
        Chain(*half(size.image_channels, channels // 2), jax.nn.relu, *half(channels // 2, channels)),
        Chain(jax.nn.relu, *half(channels, channels)),
    ]


class AuxiliaryHead(nnx.Module):
    """A second classifier for deep supervision; the ImageNet one has no norm after its second convolution."""

    def __init__(self, channels: int, classes: int, *, second_norm: bool, rngs: nnx.Rngs):
        self.first = Conv(channels, 128, 1, rngs=rngs)
        self.first_norm = BatchNorm(128, affine=True, rngs=rngs)
        self.second = Conv(128, 768, 2, padding=0, rngs=rngs)
        self.second_norm = BatchNorm(768, affine=True, rngs=rngs) if second_norm else None
        self.classifier = Linear(768, classes, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        size = min(x.shape[1:3])
        if size < 2:
            raise UserError(
                "The auxiliary head needs images of at least 8x8 pixels: use larger images or --retrain.auxiliary 0."
            )
        # 8 pixels (CIFAR) are pooled by windows of 5 at stride 3, 7 (ImageNet) at stride 2; smaller ones to 2x2 too
        stride = min(max(size - 5, 1), 3)
        window = min(5, size - stride)
        x = jax.lax.reduce_window(
            jax.nn.relu(x), 0.0, jax.lax.add, (1, window, window, 1), (1, stride, stride, 1), "VALID"
        ) / (window * window)
        x = jax.nn.relu(self.first_norm(self.first(x)))
        x = self.second(x)
        x = jax.nn.relu(x if self.second_norm is None else self.second_norm(x))
        return self.classifier(global_avg_pool(x))


def plan(cells: int) -> tuple[tuple[str, range], ...]:
    """Runs of equal cells: (kind, which cells). Cells at 1/3 and 2/3 of the depth reduce."""
    runs: list[tuple[str, range]] = []
    for i in range(cells):
        kind = "reduce" if i in (cells // 3, 2 * cells // 3) else "normal"
        if runs and kind == "normal" == runs[-1][0]:
            runs[-1] = (kind, range(runs[-1][1].start, i + 1))
        else:
            runs.append((kind, range(i, i + 1)))
    return tuple(runs)
