"""Networks of features: layers of which width, activation, skip, normalisation and dropout are decisions.

    h_l = m_l * (drop_l(act_l(norm_l(h_{l-1} K_l + b_l))) + skip_l(h_{l-1}))

In the supernet every layer is as wide as its widest candidate. Norm, activation and skip are sums of their candidates,
weighted by a row of the mix; m_l is the same sum of masks, each 1 in the channels that a width has (after FBNetV2,
arXiv:2004.05565), and drop_l of the factors of dropout. Layer norm takes its moments over the channels as far as m_l
keeps them. So a one-hot mix gives what the derived network gives, whose layers are that narrow.

Axis letters: B rows, F features, C channels of a layer, O options.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dnas.architectures.genotype import Genotype
from dnas.architectures.genotype_data import decisions, shown
from dnas.architectures.topology import NetworkSize, Norm, Paths, Space
from dnas.errors import UserError, unknown
from dnas.kernels.axes import FLOATS
from dnas.kernels.norm import EPSILON
from dnas.keys import stream
from dnas.nets.functional import run
from dnas.nets.layers import BatchNorm, Linear, Outputs, pointwise_conv, shape_and_type, uniform_fan_in
from dnas.nets.supernet import check_mix
from dnas.types import Mix, Noise

ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": jax.nn.relu,
    "silu": jax.nn.silu,
    "gelu": jax.nn.gelu,
    "tanh": jnp.tanh,
    "elu": jax.nn.elu,
    "selu": jax.nn.selu,
    "leaky_relu": jax.nn.leaky_relu,
}
WIDTHS = ("0.125", "0.25", "0.5", "0.75", "1", "1.5", "2", "3", "4", "8")  # of `NetworkSize.channels`
OPTIONS: dict[str, tuple[str, ...]] = {  # decision: all options that there are
    "width": WIDTHS,
    "activation": tuple(ACTIVATIONS),
    "skip": ("none", "identity", "projection"),
    "norm": ("none", "batch", "layer"),
    "dropout": ("0", "0.05", "0.1", "0.2", "0.3", "0.4", "0.5"),
}

Rows = Mapping[str, jax.Array] | None  # of one layer, {decision: [O]}; None: it has one option for each decision


class Dense(nnx.Module):
    """x [B, C_in] -> [B, C_out], in the type of x."""

    def __init__(self, c_in: int, c_out: int, *, bias: bool, rngs: nnx.Rngs):
        self.kernel = uniform_fan_in(rngs, (c_in, c_out), c_in)
        self.bias = uniform_fan_in(rngs, (c_out,), c_in) if bias else None

    def __call__(self, x: jax.Array) -> jax.Array:
        y = pointwise_conv(x, self.kernel[...].astype(x.dtype))
        return y if self.bias is None else y + self.bias[...].astype(x.dtype)


class LayerNorm(nnx.Module):
    """Layer norm over the channels that are kept (Ba, Kiros and Hinton 2016, arXiv:1607.06450)."""

    def __init__(self, channels: int, *, affine: bool):
        self.scale = nnx.Param(np.ones(channels, np.float32)) if affine else None
        self.bias = nnx.Param(np.zeros(channels, np.float32)) if affine else None

    def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
        """x [B, C], mask [C]: how far each channel is kept."""
        wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
        kept = mask.astype(wide.dtype)
        total = kept.sum()
        share = kept / jnp.where(total > 0, total, 1)
        centred = wide - (wide * share).sum(-1, keepdims=True)
        variance = (jnp.square(centred) * share).sum(-1, keepdims=True)
        y = (centred * jax.lax.rsqrt(jnp.maximum(variance, 0) + EPSILON)).astype(x.dtype)
        if self.scale is None or self.bias is None:
            return y
        return y * self.scale[...].astype(x.dtype) + self.bias[...].astype(x.dtype)


class Layer(nnx.Module):
    """One layer. options: {decision: its candidates}. widths: channels of each candidate of "width". drawn: channels
    for which dropout is drawn, so that a narrow layer drops what the widest one drops."""

    def __init__(
        self,
        options: Mapping[str, Sequence[str]],
        c_in: int,
        widths: Sequence[int],
        channels: int,
        drawn: int,
        *,
        affine: bool,
        paths: Paths = "all",
        rngs: nnx.Rngs,
    ):
        self.activations, self.skips, self.norms = (tuple(options[name]) for name in ("activation", "skip", "norm"))
        self.rates = tuple(float(rate) for rate in options["dropout"])
        self.widths, self.channels, self.drawn, self.paths = tuple(widths), channels, drawn, paths
        self.dense = Dense(c_in, channels, bias=True, rngs=rngs)
        self.batch = BatchNorm(channels, affine=affine, rngs=rngs) if "batch" in self.norms else None
        self.layer = LayerNorm(channels, affine=affine) if "layer" in self.norms else None
        self.projection = Dense(c_in, channels, bias=False, rngs=rngs) if "projection" in self.skips else None

    def __call__(self, x: jax.Array, rows: Rows, noise: Noise | None) -> jax.Array:
        """x [B, C_in] -> [B, C]."""

        def sum_of(decision: str, values: Sequence[Any]) -> Any:
            return values[0] if rows is None else weighted_sum(rows[decision], values, self.paths)

        mask = sum_of("width", [jnp.asarray(np.arange(self.channels) < width, x.dtype) for width in self.widths])
        z = self.dense(x)
        y = sum_of("norm", [self._normalised(name, z, mask) for name in self.norms])
        y = sum_of("activation", [ACTIVATIONS[name](y) for name in self.activations])
        if noise is not None and any(self.rates):
            chance = jax.random.uniform(noise.key, (x.shape[0], self.drawn), jnp.float32)[:, : self.channels]
            kept = [jnp.where(chance >= rate, 1 / (1 - rate), 0).astype(x.dtype) for rate in self.rates]
            y = y * sum_of("dropout", kept)
        return mask * (y + sum_of("skip", [self._skipped(name, x) for name in self.skips]))

    def _normalised(self, name: str, z: jax.Array, mask: jax.Array) -> jax.Array:
        if name == "batch" and self.batch is not None:
            return self.batch(z[:, None, None])[:, 0, 0]
        return self.layer(z, mask) if name == "layer" and self.layer is not None else z

    def _skipped(self, name: str, x: jax.Array) -> jax.Array:
        """Identity between layers of different widths: channel by channel, cut or filled with zeros (He et al. 2016,
        arXiv:1512.03385, option A)."""
        if name == "projection" and self.projection is not None:
            return self.projection(x)
        if name == "identity":
            return jnp.pad(x, ((0, 0), (0, max(self.channels - x.shape[1], 0))))[:, : self.channels]
        return jnp.zeros((x.shape[0], self.channels), x.dtype)


def weighted_sum(row: jax.Array, values: Sequence[jax.Array], paths: Paths) -> jax.Array:
    """The sum of values, weighted by a row [O] of a mix, as `topology.Space.paths` says."""
    row = row[: len(values)]  # of a table whose other layers have more options
    chosen = jnp.arange(len(row)) == row.argmax()
    used = row if paths == "all" else jnp.where(chosen, row, 0)
    total = sum(weight.astype(value.dtype) * value for weight, value in zip(used, values, strict=True))
    if paths == "one_with_scalars":
        total += jnp.where(chosen, 0, row).sum().astype(values[0].dtype)
    return jnp.asarray(total)


class Layers(nnx.Module):
    """Layers, one after the other, and a linear head."""

    def __init__(self, layers: Sequence[Layer], outputs: int, *, rngs: nnx.Rngs):
        self.layers = nnx.List(layers)
        self.classifier = Linear(layers[-1].channels, outputs, rngs=rngs)

    def __call__(self, x: jax.Array, tables: Mix | None, noise: Noise | None) -> jax.Array:
        for number, layer in enumerate(self.layers):
            rows = None if tables is None else {name: jnp.asarray(table)[number] for name, table in tables.items()}
            own = None if noise is None else Noise(stream(noise.key, "dropout", number))
            x = layer(x, rows, own)
        return self.classifier(x)


class Supernet(nnx.Module):
    """`supernet(x, mix, noise)`: features x [B, F], mix {decision: [layers, O]} -> outputs [B, outputs].

    noise: of dropout, in training; without it nothing is dropped. largest: the widest candidate, as the space was made:
    what pruning leaves keeps the shapes of its weights.
    Training and evaluation are as in `network.Network`. Errors: `UserError` for inputs and mixes of other shapes.
    """

    def __init__(self, space: Space, size: NetworkSize, *, largest: float, rngs: nnx.Rngs):
        if space.partial_channels != 1:
            raise UserError(
                f"Partial channels are for cells of images, and the space '{space.name}' has none: use a method, or a "
                "setting partial=1, that takes all channels."
            )
        if space.entangled:
            raise UserError(f"Entangled weights are those of convolutions, and the space '{space.name}' has none.")
        check_network_size(space, size)
        layers: list[Layer] = []
        channels = channels_of(largest, size)
        for number in range(space.cells["width"].nodes):
            options = {decision: cell.operations[number] for decision, cell in space.cells.items()}
            widths = [channels_of(float(width), size) for width in options["width"]]
            c_in = channels if layers else size.inputs[0]
            layer = Layer(options, c_in, widths, channels, channels, affine=space.search_norm.affine,
                          paths=space.paths, rngs=rngs)  # fmt: skip
            layers.append(layer)
        self.features, self.use_running_average = size.inputs[0], False
        self.mix_shapes = tuple(space.mix_shapes.items())
        self.layers = Layers(layers, size.classes, rngs=rngs)

    def set_view(self, use_running_average: bool | None = None) -> None:
        """Called by `nnx.view`: True in evaluation."""
        if use_running_average is not None:
            self.use_running_average = use_running_average

    def __call__(self, x: jax.Array, mix: Mix, noise: Noise | None = None) -> jax.Array:
        x = checked_features(x, self.features, self.layers.classifier.kernel[...].dtype)
        check_mix(mix, dict(self.mix_shapes))
        noise = None if self.use_running_average else noise
        return run(self.layers, x, mix, noise, evaluates=self.use_running_average)


class Network(nnx.Module):
    """`network(x)`: features x [B, F] -> `Outputs`.

    noise: of dropout; training needs it where there is any. drop_path: None; there are no paths to drop.
    Training and evaluation are as in `network.Network`. Errors: `UserError` for a genotype that is none of layers, and
    for inputs of other shapes.
    """

    def __init__(
        self,
        genotype: Genotype,
        space: Space,
        size: NetworkSize,
        *,
        largest: float,
        norm: Norm | None = None,
        rngs: nnx.Rngs,
    ):
        check_network_size(space, size)
        affine, layers = (space.network_norm if norm is None else norm).affine, list[Layer]()
        for options in decided(genotype):
            channels = channels_of(float(options["width"]), size)
            drawn = max(channels, channels_of(largest, size))
            c_in, single = layers[-1].channels if layers else size.inputs[0], {k: (o,) for k, o in options.items()}
            layers.append(Layer(single, c_in, [channels], channels, drawn, affine=affine, rngs=rngs))
        self.features, self.use_running_average = size.inputs[0], False
        self.drops = any(rate for layer in layers for rate in layer.rates)
        self.layers = Layers(layers, size.classes, rngs=rngs)

    def set_view(self, use_running_average: bool | None = None) -> None:
        """Called by `nnx.view`: True in evaluation."""
        if use_running_average is not None:
            self.use_running_average = use_running_average

    def __call__(self, x: jax.Array, drop_path: jax.Array | None = None, noise: Noise | None = None) -> Outputs:
        x = checked_features(x, self.features, self.layers.classifier.kernel[...].dtype)
        if drop_path is not None:
            raise UserError("A network of features has no paths to drop: use --retrain.drop_path 0.")
        if self.use_running_average:
            noise = None
        elif self.drops and noise is None:
            raise UserError("In training this network draws noise: call it with noise=dnas.types.Noise(key).")
        return Outputs(run(self.layers, x, None, noise, evaluates=self.use_running_average))


def channels_of(width: float, size: NetworkSize) -> int:
    """Channels of a layer that is `width` times as wide as the network."""
    return max(1, round(width * size.channels))


def decided(genotype: Genotype) -> tuple[dict[str, str], ...]:
    """{decision: option} of every layer. Errors: `UserError` for a genotype of anything else."""
    layers = decisions(genotype)
    if layers is None or any(set(layer) != set(OPTIONS) for layer in layers):
        raise UserError(
            f"A genotype of layers decides {', '.join(OPTIONS)} once for each layer, and this one has "
            f"{shown({kind: len(cell.edges) for kind, cell in genotype.cells})}: give one of the space 'tabular'."
        )
    for number, options in enumerate(layers, 1):
        for decision, option in options.items():
            if option not in OPTIONS[decision]:
                raise unknown(f"{decision} of layer {number}:", option, OPTIONS[decision])
    return layers


def check_network_size(space: Space, size: NetworkSize) -> None:
    """Errors: `UserError` for sizes of which there is no network of features."""
    if len(size.inputs) != 1:
        raise UserError(f"A network of '{space.name}' reads features [F], not inputs {list(size.inputs)}.")
    if size.stem != "cifar":
        raise UserError(f"The space '{space.name}' has no stem for images: leave out the stem '{size.stem}'.")


def checked_features(x: Any, features: int, dtype: Any) -> jax.Array:
    """A batch of features [B, F] as a network takes it; what is not a JAX array becomes one of type `dtype`.

    Errors: `UserError` for other shapes and types.
    """
    shape, given = shape_and_type("The batch of features", x)
    if len(shape) != 2 or shape[1] != features or not shape[0]:
        advice = "add the axis of the batch, x[None]" if shape == (features,) else "prepare rows as the task does"
        raise UserError(f"This network was built for features [B, {features}], got {list(shape)}: {advice}.")
    if given.name not in FLOATS:
        expected = f"{', '.join(FLOATS[:-1])} or {FLOATS[-1]}"
        raise UserError(f"This network takes features of {expected}, got {given.name}: prepare rows as the task does.")
    return x if isinstance(x, jax.Array) else jnp.asarray(x, dtype)
