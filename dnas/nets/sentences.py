"""Networks of sentences: layers of which the operation and the input are decisions (TextNAS, arXiv:1912.10729).

    h_0 = ReLU(norm(E[tokens] K)),    h_l = o_l(h_{l - i_l}),    logits = W mean_t(sum_l softmax(w)_l h_l) + b

with the operation o_l and the input i_l of layer l, counted backwards; before h_0 there is h_0 again. In the supernet
the input of a layer is the sum of the last ones, weighted by a row of the mix, and its output that of all operations,
weighted by another: fed a one-hot mix it is the derived network. Means are over tokens, of which padding is none. Of
frames, such as spectra, x E stands in the place of E[tokens] (`nets/sequences.py`). Dropout is variational (Gal and
Ghahramani 2016, arXiv:1512.05287), with the same masks at all times.

Axis letters: B batch, T time, C channels, L layers, O options, I inputs.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dnas.architectures.genotype import Genotype
from dnas.architectures.genotype_data import decisions, shown
from dnas.architectures.topology import NetworkSize, Norm, Space
from dnas.errors import UserError, unknown
from dnas.keys import stream
from dnas.nets import sequences
from dnas.nets.functional import looped_scan, rematerialised, run, stack
from dnas.nets.layers import Linear, Outputs, pointwise_conv, uniform_fan_in
from dnas.nets.sentence_ops import SENTENCE_OPERATIONS, TokenNorm
from dnas.nets.sequences import Inputs
from dnas.nets.supernet import check_mix
from dnas.nets.tabular import weighted_sum
from dnas.types import Mix, Noise

OPERATION, INPUT = "operation", "input"  # the decisions of a layer
BOUND = 0.25  # of new embeddings, as of words without a vector in Kim 2014, arXiv:1408.5882


class Dropout(NamedTuple):
    """How much is dropped in training: channels of embedded tokens, and of what operations that `drops` give."""

    embedded: float = 0.5
    operations: float = 0.5


class Layer(nnx.Module):
    """All operations of these names. x [B, T, C] -> their sum, weighted by a row [O] of a mix; None: there is one."""

    def __init__(self, names: Sequence[str], channels: int, norm: Norm, paths: Any, *, rngs: nnx.Rngs):
        self.names, self.paths = tuple(names), paths
        built = {name: SENTENCE_OPERATIONS[name](channels, 1, norm, rngs=rngs) for name in names}
        self.operations = nnx.Dict({name: one for name, one in built.items() if one is not None})

    def __call__(self, x: jax.Array, mask: jax.Array, row: jax.Array | None, dropped: jax.Array) -> jax.Array:
        if row is None or self.paths == "all":
            values = [_value(self.operations, name, x, mask, dropped) for name in self.names]
            return values[0] if row is None else weighted_sum(row, values, "all")
        return self._one_path(x, mask, row, dropped)

    def _one_path(self, x: jax.Array, mask: jax.Array, row: jax.Array, dropped: jax.Array) -> jax.Array:
        """The operation with the largest weight, and no other is computed, whose statistics stay as they are."""
        graphdef, state = nnx.split(self.operations)

        def branch(name: str) -> Any:
            def compute(state, x):
                operations = nnx.merge(graphdef, state)
                y = _value(operations, name, x, mask, dropped)
                return y, nnx.as_pure(nnx.state(operations, nnx.BatchStat))

            return compute

        chosen = row.argmax()
        y, stats = jax.lax.switch(chosen, [branch(name) for name in self.names], nnx.as_pure(state), x)
        nnx.update(self.operations, stats)
        is_chosen = jnp.arange(len(row)) == chosen
        y = y * jnp.where(is_chosen, row, 0).sum().astype(y.dtype)
        if self.paths == "one_with_scalars":
            y += jnp.where(is_chosen, 0, row).sum().astype(y.dtype)
        return y


def _value(operations: Any, name: str, x: jax.Array, mask: jax.Array, dropped: jax.Array) -> jax.Array:
    """What one operation of a layer gives; zeros where nothing flows."""
    if name not in operations:
        return jnp.zeros_like(x)
    y = operations[name](x, mask)
    return y * dropped if operations[name].drops else y


class Ends(nnx.Module):
    """What stands around the layers: embedding, stem, the shares of all layers in the sum, classifier."""

    def __init__(self, layers: int, size: NetworkSize, norm: Norm, rates: Dropout, *, rngs: nnx.Rngs):
        width, self.rates = size.channels, rates
        self.embedding = sequences.table(rngs, size, width, BOUND)
        self.kernel = uniform_fan_in(rngs, (width, width), width)
        self.norm = TokenNorm(width, affine=norm.affine)
        self.shares = nnx.Param(np.zeros(layers + 1, np.float32))
        self.classifier = Linear(width, size.classes, rngs=rngs)

    def enter(self, x: Inputs, noise: Noise | None) -> tuple[jax.Array, jax.Array]:
        """Tokens or frames of T times -> h_0 [B, T, C], mask [B, T, 1]."""
        embedding = self.embedding[...]
        mask = sequences.present(x)[..., None].astype(embedding.dtype)
        x = sequences.embedded(embedding, x) * mask
        x = x * self.dropped(noise, "dropped embeddings", 0, self.rates.embedded, x.shape[0])
        return jax.nn.relu(self.norm(pointwise_conv(x, self.kernel[...]), mask)), mask

    def weights(self) -> jax.Array:
        """Of h_0 and of every layer in the sum [L + 1]."""
        return jax.nn.softmax(self.shares[...])

    def leave(self, total: jax.Array, mask: jax.Array) -> jax.Array:
        """The sum [B, T, C] -> logits."""
        return self.classifier((total * mask).sum(1) / jnp.maximum(mask.sum(1), 1))

    def dropped(self, noise: Noise | None, name: str, number: Any, rate: float, batch: int) -> jax.Array:
        """What multiplies channels, 0 or 1 / (1 - rate) [B, 1, C]; 1 where nothing is dropped."""
        dtype, width = self.kernel[...].dtype, self.kernel.shape[0]
        if noise is None or not rate:
            return jnp.ones((), dtype)
        kept = jax.random.bernoulli(stream(noise.key, name, number), 1 - rate, (batch, 1, width))
        return kept.astype(dtype) / (1 - rate)


class MixedLayers(nnx.Module):
    """Layers of mixed operations and inputs, as one scan."""

    def __init__(self, space: Space, size: NetworkSize, rates: Dropout, *, rngs: nnx.Rngs):
        self.operations, self.inputs = (space.cells[kind].operations for kind in (OPERATION, INPUT))
        self.names = tuple(dict.fromkeys(name for row in self.operations for name in row))  # that any layer has
        self.reach = max(int(back) for row in self.inputs for back in row)
        self.paths, self.remat, self.scan = space.paths, size.remat, looped_scan if size.loop else jax.lax.scan
        self.ends = Ends(len(self.operations), size, space.search_norm, rates, rngs=rngs)

        def layer(rngs: nnx.Rngs) -> Layer:
            return Layer(self.names, size.channels, space.search_norm, space.paths, rngs=rngs)

        self.layers = stack(layer, len(self.operations), rngs)

    def __call__(self, x: Inputs, mix: Mix, noise: Noise | None) -> jax.Array:
        """Tokens or frames, mix {"operation": [L, O], "input": [L, I]} -> logits [B, classes]."""
        start, mask = self.ends.enter(x, noise)
        operations = in_columns(mix[OPERATION], self.operations, self.names)
        inputs = in_columns(mix[INPUT], self.inputs, [str(back + 1) for back in range(self.reach)])
        graphdef, state = nnx.split(self.layers)
        shares, rate = self.ends.weights(), self.ends.rates.operations

        @rematerialised(self.remat)
        def body(carry, row):
            (window, total), (state, operation, back, share, number) = carry, row
            layer = nnx.merge(graphdef, state)
            dropped = self.ends.dropped(noise, "dropped operations", number, rate, mask.shape[0])
            y = layer(weighted_sum(back, [*window], self.paths), mask, operation, dropped)
            window = jnp.concatenate([y[None], window[:-1]])
            return (window, total + share * y), nnx.as_pure(nnx.state(layer, nnx.BatchStat))

        carry = jnp.broadcast_to(start, (self.reach, *start.shape)), shares[0] * start
        rows = nnx.as_pure(state), operations, inputs, shares[1:], jnp.arange(len(self.operations))
        (_, total), stats = self.scan(body, carry, rows)
        nnx.update(self.layers, stats)
        return self.ends.leave(total, mask)


def in_columns(table: Any, rows: Sequence[Sequence[str]], names: Sequence[str]) -> jax.Array:
    """A table [L, O] whose rows have options of their own, as one with a column for each of these names [L, N]."""
    table = jnp.asarray(table)
    places = np.zeros((*table.shape, len(names)))
    for number, row in enumerate(rows):
        places[number, range(len(row)), [names.index(name) for name in row]] = 1
    return jnp.einsum("lo,lon->ln", table, jnp.asarray(places, table.dtype))


class DerivedLayers(nnx.Module):
    """Layers of one operation and one input each; decided: (operation, how far back the input is) of every layer."""

    def __init__(
        self,
        decided: Sequence[tuple[str, int]],
        size: NetworkSize,
        norm: Norm,
        rates: Dropout,
        *,
        rngs: nnx.Rngs,
    ):
        self.backwards, self.remat = tuple(back for _, back in decided), size.remat
        self.ends = Ends(len(decided), size, norm, rates, rngs=rngs)
        self.layers = nnx.List([Layer([name], size.channels, norm, "all", rngs=rngs) for name, _ in decided])

    def __call__(self, x: Inputs, noise: Noise | None) -> jax.Array:
        """Tokens or frames -> logits [B, classes]."""
        start, mask = self.ends.enter(x, noise)
        shares, rate = self.ends.weights(), self.ends.rates.operations
        values, total = [start], shares[0] * start
        for number, (layer, back) in enumerate(zip(self.layers, self.backwards, strict=True)):
            dropped = self.ends.dropped(noise, "dropped operations", number, rate, mask.shape[0])
            graphdef, state = nnx.split(layer)

            @rematerialised(self.remat)
            def inside(state, x, dropped, graphdef=graphdef):
                copy = nnx.merge(graphdef, state)
                return copy(x, mask, None, dropped), nnx.as_pure(nnx.state(copy, nnx.BatchStat))

            y, stats = inside(nnx.as_pure(state), values[max(0, number + 1 - back)], dropped)
            nnx.update(layer, stats)
            values.append(y)
            total += shares[number + 1] * y
        return self.ends.leave(total, mask)


class Supernet(nnx.Module):
    """`supernet(x, mix, noise)`: tokens int32 [B, T] or `types.Frames`, {"operation": [L, O], "input": [L, I]} ->
    logits [B, classes].

    noise: of dropout, in training; without it nothing is dropped. Training and evaluation are as in `network.Network`.
    Errors: `UserError` for a space or a size that no such network has, inputs and mixes of other shapes.
    """

    def __init__(self, space: Space, size: NetworkSize, *, rates: Dropout, rngs: nnx.Rngs):
        if space.partial_channels != 1:
            raise UserError(
                f"Partial channels are for cells of images, and the space '{space.name}' has none: use a method, or a "
                "setting partial=1, that takes all channels."
            )
        if space.entangled:
            raise UserError(f"Entangled weights are those of convolutions of images, not of those in '{space.name}'.")
        check_network_size(space, size)
        self.mix_shapes, self.use_running_average = tuple(space.mix_shapes.items()), False
        self.body, self.size = MixedLayers(space, size, rates, rngs=rngs), size

    def set_view(self, use_running_average: bool | None = None) -> None:
        """Called by `nnx.view`: True in evaluation."""
        if use_running_average is not None:
            self.use_running_average = use_running_average

    def __call__(self, x: Any, mix: Mix, noise: Noise | None = None) -> jax.Array:
        x = sequences.checked(x, self.size)
        check_mix(mix, dict(self.mix_shapes))
        noise = None if self.use_running_average else noise
        return run(self.body, x, mix, noise, evaluates=self.use_running_average)


class Network(nnx.Module):
    """`network(x)`: tokens int32 [B, T] or `types.Frames` -> `Outputs`.

    noise: of dropout; training needs it where there is any. drop_path: None; there are no paths to drop.
    Training and evaluation are as in `network.Network`. Errors: `UserError` for a genotype that is none of such layers,
    and for inputs of other shapes.
    """

    def __init__(
        self,
        genotype: Genotype,
        space: Space,
        size: NetworkSize,
        *,
        rates: Dropout,
        norm: Norm | None = None,
        rngs: nnx.Rngs,
    ):
        check_network_size(space, size)
        self.use_running_average, self.drops, self.size = False, any(rates), size
        self.body = DerivedLayers(decided(genotype), size, norm or space.network_norm, rates, rngs=rngs)

    def set_view(self, use_running_average: bool | None = None) -> None:
        """Called by `nnx.view`: True in evaluation."""
        if use_running_average is not None:
            self.use_running_average = use_running_average

    def __call__(self, x: Any, drop_path: jax.Array | None = None, noise: Noise | None = None) -> Outputs:
        x = sequences.checked(x, self.size)
        if drop_path is not None:
            raise UserError("A network of sentences has no paths to drop: call it without such factors.")
        if self.use_running_average:
            noise = None
        elif self.drops and noise is None:
            raise UserError("In training this network draws noise: call it with noise=dnas.types.Noise(key).")
        return Outputs(run(self.body, x, noise, evaluates=self.use_running_average))


def decided(genotype: Genotype) -> list[tuple[str, int]]:
    """(operation, how far back the input is) of every layer. Errors: `UserError` for a genotype of anything else."""
    layers = decisions(genotype)
    if layers is None or any({*layer} != {OPERATION, INPUT} for layer in layers):
        raise UserError(
            f"A genotype of sentences decides {OPERATION} and {INPUT} once for each layer, and this one has "
            f"{shown({kind: len(cell.edges) for kind, cell in genotype.cells})}: give one of the space 'text'."
        )
    for number, layer in enumerate(layers, 1):
        if layer[OPERATION] not in SENTENCE_OPERATIONS:
            raise unknown(f"{OPERATION} of layer {number}:", layer[OPERATION], SENTENCE_OPERATIONS)
        if not layer[INPUT].isdecimal() or not int(layer[INPUT]):
            raise UserError(
                f"The {INPUT} of layer {number} is '{layer[INPUT]}', expected how many layers back it is: 1, say."
            )
    return [(layer[OPERATION], int(layer[INPUT])) for layer in layers]


def check_network_size(space: Space, size: NetworkSize) -> None:
    """Errors: `UserError` for sizes of which there is no network of sentences."""
    if not sequences.has_frames(size) and (size.vocabulary < 1 or size.vocabulary == size.classes):
        raise UserError(
            f"A network of '{space.name}' says one thing of a text, not what follows each token, and here are "
            f"{size.vocabulary:,} tokens and {size.classes:,} outputs: give it data of the task 'text_classification'."
        )
    if size.stem != "cifar":
        raise UserError(f"The space '{space.name}' has no stem for images: leave out the stem '{size.stem}'.")
