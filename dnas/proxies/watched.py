"""Layers in the place of others, by which a proxy looks into a network or changes it. The others stay as they are.

A network is built as always, then the classes of some of its modules are exchanged (`exchanged`), so that its weights
keep their places. What such a layer learns it writes to a statistic, and what it takes it reads from one: statistics
pass through the scans over cells and through the choice of a path, in both directions.
"""

from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dnas.errors import UserError
from dnas.kernels.conv import depthwise_conv
from dnas.kernels.norm import ACTIVATIONS
from dnas.nets.functional import looped_map
from dnas.nets.layers import BatchNorm, Conv, GlobalPool, Linear, ReluConvNorm, SeparableConv, pointwise_conv
from dnas.nets.supernet import Candidate

Path = tuple[Any, ...]
RANKS: dict[type, dict[str, int]] = {  # the kernels of a layer, and how many axes one of them has
    Conv: {"kernel": 4},
    SeparableConv: {"depthwise": 3, "pointwise": 2},
    Linear: {"kernel": 2},
}
OTHERS = ("scale", "bias")  # parameters that are no kernels


class Kernel(NamedTuple):
    """lead: the axes of its copies, cells and edges. shape: of one of them; its last axis are the channels that leave,
    those of a depthwise kernel too."""

    lead: tuple[int, ...]
    shape: tuple[int, ...]


class WatchedConv(Conv):
    """Its output times a gate [B, C] of ones, by which the loss is differentiated."""

    def __call__(self, x):
        return seen(self, "kernel", super().__call__(x))


class WatchedLinear(Linear):
    """As `WatchedConv`."""

    def __call__(self, x):
        return seen(self, "kernel", super().__call__(x))


class WatchedSeparableConv(SeparableConv):
    """Two convolutions, each with a gate."""

    def __call__(self, x):
        between = depthwise_conv(x, self.depthwise[...].astype(x.dtype), self.stride, self.dilation)
        gated = seen(self, "depthwise", between)
        return seen(self, "pointwise", pointwise_conv(gated, self.pointwise[...].astype(x.dtype)))


class Unnormalised(BatchNorm):
    """The activation of x itself."""

    def __call__(self, x, activation="linear"):
        return ACTIVATIONS[activation](x)


class Unpooled(GlobalPool):
    """x [B, H, W, C] itself."""

    def __call__(self, x):
        return x


class Unclassified(Linear):
    """x itself."""

    def __call__(self, x):
        return x


class ActivatedTwice(ReluConvNorm):
    """One more ReLU, which changes nothing but what is counted."""

    def __call__(self, x):
        return super().__call__(jax.nn.relu(x))


class Blocked(Candidate):
    """In a supernet that computes all operations: those without weight see zeros, and copies run one after the other:
    images are the first axis of whatever is inside."""

    def weighed(self, x, mix, noise):
        weights = self.weights(mix)
        if self.shared:
            return weights, self(x, noise)
        graphdef, state = nnx.split(self.operation)

        def one(state, weight):
            copy = nnx.merge(graphdef, state)
            return copy(x * (weight != 0).astype(x.dtype)), nnx.as_pure(nnx.state(copy, nnx.BatchStat))

        y, stats = looped_map(one, axis_size=len(self.edges))(nnx.as_pure(state), weights)
        nnx.update(self.operation, stats)
        return weights, y


WATCHED: dict[type, type] = {Conv: WatchedConv, Linear: WatchedLinear, SeparableConv: WatchedSeparableConv}


def seen(layer: Any, name: str, y: jax.Array) -> jax.Array:
    """y [B, ..., C] through the gate of a layer's kernel, which is used."""
    used, gate = (getattr(layer, place(name, what)) for what in ("used", "gate"))
    used.set_value(jnp.ones_like(used[...]))
    factors = gate[...].astype(y.dtype)
    return y * factors.reshape(factors.shape[0], *(1,) * (y.ndim - 2), factors.shape[1])


def place(kernel: str, what: str) -> str:
    """The name of the gate of a kernel ("gate"), and of what says whether it is used ("used")."""
    return f"{kernel}_{what}"


def exchanged(network: nnx.Module, classes: Mapping[type, type]) -> nnx.Module:
    """The network with other classes for its modules; `WATCHED` ones get their statistics."""
    for _, module in nnx.iter_modules(network):
        new = classes.get(type(module))
        if new is None:
            continue
        if new in WATCHED.values():
            for name, rank in RANKS[type(module)].items():
                shape = getattr(module, name).get_value().shape
                lead = shape[: len(shape) - rank]
                setattr(module, place(name, "used"), nnx.BatchStat(np.zeros(lead, np.float32)))
                setattr(module, place(name, "gate"), nnx.BatchStat(np.ones((*lead, 1, shape[-1]), np.float32)))
        object.__setattr__(module, "__class__", new)
    return network


def kernels(network: nnx.Module) -> dict[Path, Kernel]:
    """The kernels of all convolutions and linear layers, by their places in the weights.

    Errors: `UserError` for a network with weights that are of neither.
    """
    found: dict[Path, Kernel] = {}
    for path, module in nnx.iter_modules(network):
        for name, rank in RANKS.get(type(module), {}).items():
            shape = getattr(module, name).get_value().shape
            cut = len(shape) - rank
            found[(*path, name)] = Kernel(shape[:cut], shape[cut:])
    for path, _ in nnx.to_flat_state(nnx.state(network, nnx.Param)):
        if path not in found and path[-1] not in OTHERS:
            raise UserError(
                f"The weights '{'.'.join(map(str, path))}' are of no convolution and no linear layer, and proxies know "
                "no others: give the layer that holds them a place in dnas/proxies/watched.py."
            )
    return found
