"""NAS-Bench-201: one cell of 4 nodes, 6 edges and 5 operations; three stages of N cells, halved in between.

Dong and Yang, "NAS-Bench-201: Extending the Scope of Reproducible Neural Architecture Search", ICLR 2020,
arXiv:2001.00326; the network follows D-X-Y/AutoDL-Projects `TinyNetwork`. A genotype keeps every edge, and an edge may
be `none`.
"""

from collections.abc import Callable
from functools import partial
from typing import Annotated

import jax
import jax.numpy as jnp
from flax import nnx

from dnas.architectures.topology import Cell, NetworkSize, Norm, Space, all_edges
from dnas.errors import UserError
from dnas.nets.functional import looped_scan, rematerialised, stack
from dnas.nets.layers import BatchNorm, Chain, Conv, GlobalPool, Linear, Outputs, ReluConvNorm
from dnas.nets.network import Network
from dnas.nets.ops import OPERATIONS
from dnas.nets.supernet import Supernet
from dnas.ranges import Range
from dnas.spaces import candidates

PRIMITIVES = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
STAGES = 3


def space(*, nodes: Annotated[int, Range(2, 16)] = 4, operations: str = "+".join(PRIMITIVES)) -> Space:
    """The space with cells of `nodes` nodes (the input counts) and the candidates `a+b+c` on every edge."""
    names, edges = candidates.named(operations), all_edges(1, nodes - 1)
    return Space(
        name="nasbench201",
        cells={"cell": Cell(inputs=1, nodes=nodes - 1, edges=edges, operations=(names,) * len(edges))},
        operations=OPERATIONS,
        backbone=Backbone,
        search_norm=Norm(affine=False, pools=False),
        network_norm=Norm(affine=True, pools=False),
        supernet=Supernet,
        network=Network,
        stages=STAGES,
        random=candidates.random(names),
    )


class Residual(nnx.Module):
    """Basic residual block of stride 2; the shortcut averages 2x2 pixels, then a 1x1 convolution. No ReLU after."""

    def __init__(self, c_in: int, c_out: int, *, rngs: nnx.Rngs):
        self.first = ReluConvNorm(c_in, c_out, 3, stride=2, rngs=rngs)
        self.second = ReluConvNorm(c_out, c_out, 3, rngs=rngs)
        self.shortcut = Conv(c_in, c_out, 1, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        b, h, w, c = x.shape
        even = jnp.pad(x, ((0, 0), (0, h % 2), (0, w % 2), (0, 0)), mode="edge")  # odd sizes round up
        halved = even.reshape(b, (h + 1) // 2, 2, (w + 1) // 2, 2, c).mean((2, 4))
        return self.second(self.first(x)) + self.shortcut(halved)


class Backbone(nnx.Module):
    """Stem, three stages of `size.cells` equal cells with residual blocks between, norm, ReLU, head."""

    def __init__(self, core: Callable, size: NetworkSize, norm: Norm, *, rngs: nnx.Rngs):
        if size.stem != "cifar":
            raise UserError(f"The space 'nasbench201' has the stem 'cifar' only, not '{size.stem}'.")
        channels = size.channels
        self.cells, self.loop, self.remat = size.cells, size.loop, size.remat
        # unrolled, what the backward pass needs is not copied into and out of stacks; for a few cells, compiling takes
        # little longer
        self.unroll = 1 if size.remat else size.cells if size.unroll else min(size.cells, 5)
        self.stem = Chain(
            Conv(size.image_channels, channels, 3, rngs=rngs), BatchNorm(channels, affine=True, rngs=rngs)
        )
        self.stages: nnx.List = nnx.List([])
        self.reductions: nnx.List = nnx.List([])
        for stage in range(STAGES):
            if stage:
                self.reductions.append(Residual(channels, 2 * channels, rngs=rngs))
                channels *= 2
            self.stages.append(stack(partial(core, "cell", channels), size.cells, rngs))
        self.last_norm = BatchNorm(channels, affine=True, rngs=rngs)
        self.pool = GlobalPool()
        self.classifier = Linear(channels, size.classes, rngs=rngs)

    def __call__(self, x: jax.Array, argument: Callable) -> Outputs:
        x = self.stem(x)
        for index, stage in enumerate(self.stages):
            if index:
                x = self.reductions[index - 1](x)
            x = self._run(stage, x, argument("cell", range(index * self.cells, (index + 1) * self.cells)))
        return Outputs(self.classifier(self.pool(jax.nn.relu(self.last_norm(x)))))

    def _run(self, stage: nnx.Module, x: jax.Array, argument) -> jax.Array:
        graphdef, state = nnx.split(stage)

        @rematerialised(self.remat)
        def body(x, row):
            state, extra, _ = row
            cell = nnx.merge(graphdef, state)
            return cell([x], extra), nnx.as_pure(nnx.state(cell, nnx.BatchStat))

        scan = looped_scan if self.loop else partial(jax.lax.scan, unroll=self.unroll)
        count = jax.numpy.arange(self.cells)  # a cell of pools and skips has nothing else to scan over
        x, moments = scan(body, x, (nnx.as_pure(state), argument, count))
        nnx.update(stage, moments)
        return x
