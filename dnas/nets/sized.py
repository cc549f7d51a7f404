"""Networks whose layers choose their numbers of channels: derived, and as a supernet that masks channels.

    m_l = sum_o mix[l, o] [channel < c_o],   what layer l gives is multiplied by m_l

Of the widest layers a narrower one has the first channels, weights included, so a one-hot mix gives the network that is
derived of it. Masks: Wan et al. 2020 (FBNetV2, arXiv:2004.05565); the search for widths: Dong and Yang 2019 (TAS,
arXiv:1905.09717). The network is that of NATS-Bench (Dong et al. 2021, arXiv:2009.00437; D-X-Y/AutoDL-Projects
`DynamicShapeTinyNet`): stem, then five layers, a cell, a residual block of stride 2, a cell, such a block, a cell. The
cell is |nor_conv_3x3~0|+|nor_conv_3x3~0|nor_conv_3x3~1|+|skip_connect~0|nor_conv_3x3~1|nor_conv_3x3~2|, whose skip is a
1x1 convolution where its input is not as wide as its output. Axis letters: L layers, O options.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dnas.architectures.genotype import Genotype, as_mix
from dnas.architectures.topology import NetworkSize, Norm, Space
from dnas.errors import UserError
from dnas.nets.functional import run
from dnas.nets.layers import (
    BatchNorm,
    Chain,
    Conv,
    GlobalPool,
    Linear,
    Outputs,
    ReluConvNorm,
    checked_images,
)
from dnas.nets.supernet import check_mix
from dnas.types import Mix, Noise

KIND = "channels"
LAYERS = 5

Mask = jax.Array | None  # [C], None: 1


class Cell(nnx.Module):
    """x [B, H, W, C] -> [B, H, W, D]. projects: whether it may have another width than x."""

    def __init__(self, c_in: int, c_out: int, projects: bool, norm: Norm, *, rngs: nnx.Rngs):
        edges = {"1<-0": c_in, "2<-0": c_in, "2<-1": c_out, "3<-1": c_out, "3<-2": c_out}
        self.convolutions = nnx.Dict(
            {edge: ReluConvNorm(c, c_out, 3, affine=norm.affine, rngs=rngs) for edge, c in edges.items()}
        )
        pair = Conv(c_in, c_out, 1, rngs=rngs), BatchNorm(c_out, affine=norm.affine, rngs=rngs)
        self.projection = Chain(*pair) if projects else None

    def __call__(self, x: jax.Array, mask: Mask, same: jax.Array | float) -> jax.Array:
        """same: how much of x is added as it is; the rest is projected."""
        conv = self.convolutions
        first = masked(conv["1<-0"](x), mask)
        second = masked(conv["2<-0"](x) + conv["2<-1"](first), mask)
        third = conv["3<-1"](first) + conv["3<-2"](second)
        if self.projection is None:
            return masked(third + x, mask)
        projected = self.projection(x)
        if isinstance(same, jax.Array):
            return masked(third + same.astype(x.dtype) * x + (1 - same).astype(x.dtype) * projected, mask)
        return masked(third + projected, mask)


class Reduction(nnx.Module):
    """A basic residual block of stride 2; the shortcut averages 2x2 pixels, then a 1x1 convolution."""

    def __init__(self, c_in: int, c_out: int, norm: Norm, *, rngs: nnx.Rngs):
        self.first = ReluConvNorm(c_in, c_out, 3, stride=2, affine=norm.affine, rngs=rngs)
        self.second = ReluConvNorm(c_out, c_out, 3, affine=norm.affine, rngs=rngs)
        self.shortcut = Conv(c_in, c_out, 1, rngs=rngs)

    def __call__(self, x: jax.Array, mask: Mask) -> jax.Array:
        b, h, w, c = x.shape
        even = jnp.pad(x, ((0, 0), (0, h % 2), (0, w % 2), (0, 0)), mode="edge")  # odd sizes round up
        halved = even.reshape(b, (h + 1) // 2, 2, (w + 1) // 2, 2, c).mean((2, 4))
        return masked(self.second(masked(self.first(x), mask)) + self.shortcut(halved), mask)


class Layers(nnx.Module):
    """Stem, layers and head with these channels [L]. mixed: of a supernet, where all layers are equally wide."""

    def __init__(self, channels: Sequence[int], size: NetworkSize, norm: Norm, mixed: bool, *, rngs: nnx.Rngs):
        before = [channels[0], *channels[:-1]]
        stem = (
            Conv(size.image_channels, channels[0], 3, rngs=rngs),
            BatchNorm(channels[0], affine=norm.affine, rngs=rngs),
        )
        self.stem = Chain(*stem)
        layers: list[Any] = []
        for number, (c_in, c_out) in enumerate(zip(before, channels, strict=True)):
            if number % 2:
                layers.append(Reduction(c_in, c_out, norm, rngs=rngs))
            else:
                projects = mixed if number and mixed else c_in != c_out
                layers.append(Cell(c_in, c_out, projects, norm, rngs=rngs))
        self.layers = nnx.List(layers)
        self.last_norm, self.pool = BatchNorm(channels[-1], affine=norm.affine, rngs=rngs), GlobalPool()
        self.classifier = Linear(channels[-1], size.classes, rngs=rngs)

    def __call__(self, x: jax.Array, masks: Sequence[Mask], same: Sequence[jax.Array | float]) -> jax.Array:
        """masks, same: of every layer, see `Cell`."""
        x = masked(self.stem(x), masks[0])
        for layer, mask, equal in zip(self.layers, masks, same, strict=True):
            x = layer(x, mask, equal) if isinstance(layer, Cell) else layer(x, mask)
        return self.classifier(self.pool(masked(jax.nn.relu(self.last_norm(x)), masks[-1])))


class Network(nnx.Module):
    """`network(x)`: normalised images x [B, H, W, C] of any size -> `Outputs`. Training and evaluation are as in
    `network.Network`. Errors: `UserError` for a genotype of another space, and for other images."""

    def __init__(
        self, genotype: Genotype, space: Space, size: NetworkSize, *, norm: Norm | None = None, rngs: nnx.Rngs
    ):
        check_size(space, size)
        chosen = as_mix(genotype, space)[KIND].argmax(-1)
        widths = [int(names[o]) for names, o in zip(space.cells[KIND].operations, chosen, strict=True)]
        self.image_channels, self.use_running_average = size.image_channels, False
        self.body = Layers(widths, size, space.network_norm if norm is None else norm, False, rngs=rngs)

    def set_view(self, use_running_average: bool | None = None) -> None:
        """Called by `nnx.view`: True in evaluation."""
        if use_running_average is not None:
            self.use_running_average = use_running_average

    def __call__(self, x: jax.Array, drop_path: jax.Array | None = None, noise: Noise | None = None) -> Outputs:
        x = checked_images(x, self.image_channels, self.body.classifier.kernel[...].dtype)
        if drop_path is not None:
            raise UserError("A network of layers with widths has no paths to drop: use --retrain.drop_path 0.")
        nothing: list[Any] = [None] * LAYERS
        return Outputs(run(self.body, x, nothing, [1.0] * LAYERS, evaluates=self.use_running_average))


class Supernet(nnx.Module):
    """`supernet(x, mix)`: normalised images x [B, H, W, C], mix {"channels": [L, O]} -> logits [B, classes].

    Training and evaluation are as in `network.Network`. With `Space.paths` "one" only the largest weight of each layer
    counts; masks cost the same for all. Errors: `UserError` for images and mixes of other shapes than it was built for.
    """

    def __init__(self, space: Space, size: NetworkSize, *, rngs: nnx.Rngs):
        check_size(space, size)
        if space.partial_channels != 1 or space.entangled:
            raise UserError(
                f"Partial channels and entangled weights are those of cells, and '{space.name}' chooses widths: use a "
                "method, or a setting of it, without them."
            )
        self.widths = tuple(tuple(map(int, names)) for names in space.cells[KIND].operations)
        largest = max(map(max, self.widths))
        self.paths, self.mix_shapes = space.paths, tuple(space.mix_shapes.items())
        self.image_channels, self.use_running_average = size.image_channels, False
        self.body = Layers([largest] * LAYERS, size, space.search_norm, True, rngs=rngs)

    def set_view(self, use_running_average: bool | None = None) -> None:
        """Called by `nnx.view`: True in evaluation."""
        if use_running_average is not None:
            self.use_running_average = use_running_average

    def __call__(self, x: jax.Array, mix: Mix, noise: Noise | None = None) -> jax.Array:
        x = checked_images(x, self.image_channels, self.body.classifier.kernel[...].dtype)
        check_mix(mix, dict(self.mix_shapes))
        rows = jnp.asarray(mix[KIND])
        if self.paths == "one":
            rows = jnp.where(jnp.arange(rows.shape[1]) == rows.argmax(-1, keepdims=True), rows, 0)
        widths = np.array(self.widths)[..., None]
        first = np.arange(widths.max()) < widths  # [L, O, C]
        masks = jnp.einsum("lo,loc->lc", rows, first.astype(rows.dtype))
        same = jnp.concatenate([jnp.ones(1, rows.dtype), (rows[1:] * rows[:-1]).sum(-1)])
        return run(self.body, x, list(masks), list(same), evaluates=self.use_running_average)


def masked(x: jax.Array, mask: Mask) -> jax.Array:
    """x [B, H, W, C] times mask [C]."""
    return x if mask is None else x * mask.astype(x.dtype)


def check_size(space: Space, size: NetworkSize) -> None:
    """Errors: `UserError` for sizes of which there is no such network."""
    if size.stem != "cifar" or size.auxiliary:
        raise UserError(f"Networks of '{space.name}' have the stem 'cifar' and no auxiliary head: leave others out.")
