"""The blocks of mobile networks as modules: x [B, H, W, C] -> [B, H', W', D], made of `architectures/blocks.Block`.

Inverted residual: Sandler et al. 2018 (MobileNetV2, arXiv:1801.04381), with the squeeze-excite of MnasNet
(arXiv:1807.11626) and MobileNetV3 (arXiv:1905.02244) and the groups of FBNet (arXiv:1812.03443). Shuffle blocks: Ma et
al. 2018 (ShuffleNetV2, arXiv:1807.11164) in the form of Guo et al. 2020 (SPOS, arXiv:1904.00420). Norms are those
of the house, with its epsilon and momentum.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dnas.architectures.blocks import Block
from dnas.architectures.topology import Norm
from dnas.kernels.conv import dense_conv, depthwise_conv, scaled
from dnas.kernels.norm import ACTIVATIONS as FUSED
from dnas.kernels.norm import hard_sigmoid
from dnas.kernels.pooling import avg_pool_3x3, global_avg_pool
from dnas.nets.layers import BatchNorm, Chain, Conv, GlobalPool, Linear, uniform_fan_in
from dnas.nets.ops import Identity

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {**FUSED, "swish": jax.nn.silu}


class Depthwise(nnx.Module):
    """Depthwise convolution, kernel [k, k, C]."""

    def __init__(self, channels: int, size: int, stride: int, *, rngs: nnx.Rngs):
        self.stride = stride
        self.kernel = uniform_fan_in(rngs, (size, size, channels), size * size)

    def __call__(self, x: jax.Array) -> jax.Array:
        return depthwise_conv(x, self.kernel[...].astype(x.dtype), self.stride)


class GroupedPointwise(nnx.Module):
    """1x1 convolution in groups, kernel [groups, C / groups, D / groups], the channels shuffled before it."""

    def __init__(self, c_in: int, c_out: int, groups: int, *, rngs: nnx.Rngs):
        self.kernel = uniform_fan_in(rngs, (groups, c_in // groups, c_out // groups), c_in // groups)

    def __call__(self, x: jax.Array) -> jax.Array:
        """One dense convolution, with zeros between the groups, rather than three copies of the image."""
        kernel = self.kernel[...].astype(x.dtype)
        groups, inputs, outputs = kernel.shape
        apart = kernel[:, :, None] * jnp.eye(groups, dtype=x.dtype)[:, None, :, None]  # [G, C / G, G, D / G]
        wide = shuffled_back(apart.reshape(groups * inputs, groups * outputs), groups)
        return dense_conv(x, wide[None, None], multiply_adds=kernel.size)


def shuffled_back(kernel: jax.Array, groups: int) -> jax.Array:
    """The kernel [C, D] of unshuffled channels, from that of channels in `groups` runs, dealt out: that number i of
    every run, for each i (Zhang et al. 2018, ShuffleNet, arXiv:1707.01083)."""
    return jnp.swapaxes(kernel.reshape(-1, groups, kernel.shape[-1]), 0, 1).reshape(kernel.shape)


class SqueezeExcite(nnx.Module):
    """x times a gate for each image and channel (Hu et al. 2018, arXiv:1709.01507); both layers have biases."""

    def __init__(self, channels: int, squeezed: int, inner: str, hard: bool, *, rngs: nnx.Rngs):
        self.inner, self.hard = inner, hard
        self.reduce = Linear(channels, squeezed, rngs=rngs)
        self.expand = Linear(squeezed, channels, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        pooled = global_avg_pool(x)[:, None, None]  # images of one pixel, for which there are kernels
        gate = self.expand(ACTIVATIONS[self.inner](self.reduce(pooled)))
        return scaled(x, (hard_sigmoid(gate) if self.hard else jax.nn.sigmoid(gate)).astype(x.dtype))


class Activation(nnx.Module):
    """A function of every value by itself, by its name."""

    def __init__(self, name: str):
        self.name = name

    def __call__(self, x: jax.Array) -> jax.Array:
        return ACTIVATIONS[self.name](x)


class Normed(Chain):
    """Layers one after the other, of which a norm computes the activation that stands behind it, if it can."""

    def __call__(self, x: jax.Array) -> jax.Array:
        done = False
        for layer, behind in zip(self.layers, [*self.layers[1:], None], strict=True):
            if done:
                done = False
                continue
            fused = behind.name if isinstance(layer, BatchNorm) and isinstance(behind, Activation) else ""
            done = fused in FUSED
            x = layer(x, fused) if done else layer(x)
        return x


class Residual(nnx.Module):
    """`layers`, plus x where the shape stays, or plus the mean of x over 3x3 pixels, or plus that over the stride
    through `projection`, a 1x1 convolution where channels change.

    `factor` [B] multiplies what is added to x: drop-path.
    """

    def __init__(self, block: Block, c_in: int, norm: Norm, *, rngs: nnx.Rngs):
        self.shortcut, self.pooled, self.stride = block.shortcut(c_in), block.pooled, block.stride
        layers = _inverted if block.kind == "mb" else _regular
        self.layers, self.projected = Normed(*layers(block, c_in, norm, rngs)), block.projected
        changes = block.projected and block.outputs(c_in) != c_in
        self.projection = Conv(c_in, block.outputs(c_in), 1, rngs=rngs) if changes else None

    def __call__(self, x: jax.Array, factor: jax.Array | None = None) -> jax.Array:
        y = self.layers(x)
        if not self.shortcut:
            return y
        carried = avg_pool_3x3(x, self.stride) if self.pooled else x
        if self.projected and self.stride == 2:
            carried = halved(x)
        if self.projection is not None:
            carried = self.projection(carried)
        return carried + (y if factor is None else y * factor[:, None, None, None].astype(y.dtype))


def halved(x: jax.Array) -> jax.Array:
    """The mean over 2x2 pixels, x [B, H, W, C] -> [B, H / 2, W / 2, C]; an odd side has zeros before it."""
    odd = x.shape[1] % 2, x.shape[2] % 2
    x = jnp.pad(x, ((0, 0), (odd[0], 0), (odd[1], 0), (0, 0)))
    rows, height, width, channels = x.shape
    return x.reshape(rows, height // 2, 2, width // 2, 2, channels).mean((2, 4))


class Resize(nnx.Module):
    """x [B, H, W, C] -> [B, pixels, pixels, C], bilinear."""

    def __init__(self, pixels: int):
        self.pixels = pixels

    def __call__(self, x: jax.Array) -> jax.Array:
        return resized(x, self.pixels)


def resized(x: jax.Array, pixels: int) -> jax.Array:
    """x [B, H, W, C] -> [B, pixels, pixels, C]: of every new pixel the two nearest old ones on each axis, by their
    distance to it (bilinear, pixels as areas, without a filter against aliasing)."""
    for axis in (1, 2):
        old = x.shape[axis]
        place = np.clip((np.arange(pixels) + 0.5) * old / pixels - 0.5, 0, old - 1)
        low = np.floor(place).astype(int)
        share = jnp.asarray(place - low, x.dtype).reshape(-1, *[1] * (3 - axis))
        x = jnp.take(x, low, axis) * (1 - share) + jnp.take(x, np.minimum(low + 1, old - 1), axis) * share
    return x


class ShuffleBlock(nnx.Module):
    """Half of the channels, at stride 2 all of them, go through `main`, the others are carried; then concatenated. The
    next block splits them by even and odd numbers, which is the shuffle."""

    def __init__(self, block: Block, c_in: int, norm: Norm, *, rngs: nnx.Rngs):
        c_out, self.stride = block.outputs(c_in), block.stride
        own = c_in if self.stride == 2 else c_in // 2
        middle, last = c_out // 2, c_out - own

        def pointwise(a: int, b: int) -> list[Any]:
            return [*_conv_norm(a, b, 1, 1, norm, rngs), Activation("relu")]

        def depthwise(channels: int, size: int, stride: int) -> list[Any]:
            return [Depthwise(channels, size, stride, rngs=rngs), _norm(channels, norm, rngs)]

        if block.kind == "shuffle":
            main = [*pointwise(own, middle), *depthwise(middle, block.kernel, self.stride), *pointwise(middle, last)]
        else:
            main = [*depthwise(own, 3, self.stride), *pointwise(own, middle)]
            main += [*depthwise(middle, 3, 1), *pointwise(middle, middle)]
            main += [*depthwise(middle, 3, 1), *pointwise(middle, last)]
        self.main = Normed(*main)
        size = block.kernel if block.kind == "shuffle" else 3
        carried = [*depthwise(own, size, 2), *pointwise(own, own)] if self.stride == 2 else None
        self.carried = Normed(*carried) if carried else None

    def __call__(self, x: jax.Array) -> jax.Array:
        if self.carried is not None:
            return jnp.concatenate([self.carried(x), self.main(x)], -1)
        return jnp.concatenate([x[..., ::2], self.main(x[..., 1::2])], -1)


class Dense(nnx.Module):
    """x [B, C] -> [B, D]: a linear layer and an activation, in float32 or better."""

    def __init__(self, block: Block, c_in: int, *, rngs: nnx.Rngs):
        self.activation = block.activation
        self.linear = Linear(c_in, block.outputs(c_in), bias=block.bias, rngs=rngs)

    def __call__(self, x: jax.Array) -> jax.Array:
        return ACTIVATIONS[self.activation](self.linear(x))


def build(block: Block, c_in: int, classes: int, norm: Norm, *, rngs: nnx.Rngs) -> Any:
    """The module of a block that reads `c_in` channels; classes: what a classifier tells apart."""
    match block.kind:
        case "mb":
            return Residual(block, c_in, norm, rngs=rngs)
        case "conv":
            with_shortcut = block.added or block.pooled
            return (
                Residual(block, c_in, norm, rngs=rngs) if with_shortcut else Normed(*_regular(block, c_in, norm, rngs))
            )
        case "shuffle" | "xception":
            return ShuffleBlock(block, c_in, norm, rngs=rngs)
        case "dense":
            return Dense(block, c_in, rngs=rngs)
        case "logits":
            return Linear(c_in, classes, bias=block.bias, rngs=rngs)
        case "resize":
            return Resize(block.kernel)
    return GlobalPool() if block.kind == "pool" else Identity()


def _norm(channels: int, norm: Norm, rngs: nnx.Rngs) -> BatchNorm:
    return BatchNorm(channels, affine=norm.affine, rngs=rngs)


def _conv_norm(c_in: int, c_out: int, size: int, stride: int, norm: Norm, rngs: nnx.Rngs) -> list[Any]:
    return [Conv(c_in, c_out, size, stride=stride, rngs=rngs), _norm(c_out, norm, rngs)]


def _inverted(block: Block, c_in: int, norm: Norm, rngs: nnx.Rngs) -> list[Any]:
    """1x1 convolution, if there are other hidden channels than those of x, depthwise, squeeze-excite, 1x1 convolution.

    A norm stands after each, and no activation after the last."""
    hidden, c_out, squeezed = block.inner(c_in), block.outputs(c_in), block.squeezed(c_in)
    layers: list[Any] = []
    if hidden != c_in:
        layers += [*_conv_norm(c_in, hidden, 1, 1, norm, rngs), Activation(block.activation)]
    layers += [Depthwise(hidden, block.kernel, block.stride, rngs=rngs), _norm(hidden, norm, rngs)]
    layers.append(Activation(block.activation))
    if squeezed:
        layers.append(_squeeze(block, hidden, squeezed, rngs))
    if block.groups > 1:
        layers += [GroupedPointwise(hidden, c_out, block.groups, rngs=rngs), _norm(c_out, norm, rngs)]
    else:
        layers += _conv_norm(hidden, c_out, 1, 1, norm, rngs)
    return layers


def _regular(block: Block, c_in: int, norm: Norm, rngs: nnx.Rngs) -> list[Any]:
    """Convolution, norm, activation, squeeze-excite."""
    c_out, squeezed = block.outputs(c_in), block.squeezed(c_in)
    layers = [*_conv_norm(c_in, c_out, block.kernel, block.stride, norm, rngs), Activation(block.activation)]
    if squeezed:
        layers.append(_squeeze(block, c_out, squeezed, rngs))
    return layers


def _squeeze(block: Block, channels: int, squeezed: int, rngs: nnx.Rngs) -> SqueezeExcite:
    inner = "relu" if block.of_hidden else block.activation
    return SqueezeExcite(channels, squeezed, inner, block.of_hidden, rngs=rngs)
