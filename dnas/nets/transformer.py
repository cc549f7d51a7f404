"""Transformers: of texts, pooled or predicting the next token, of frames, pooled, and of images cut into patches; as
networks, and as supernets of entangled weights. The layers, and how options share weights, are in
`nets/transformer_layers.py`.

Decisions: embedding width and depth once for a network; heads, feed-forward ratio, or number of hidden values, and
kind, mixer and place of the norm for every layer. Of the deepest network a shallower one has the first layers; in a
supernet the values that each depth ends with are summed. An encoder of texts (Vaswani et al. 2017, arXiv:1706.03762)
takes token 0 for padding, which changes nothing: no token looks at it, convolutions read zeros, the mean leaves it out,
and positions begin at the first token. So it does with frames, such as spectra (`nets/sequences.py`). A decoder of
texts is causal, its output is tied to its embedding, and all tokens are words. An encoder of images is a vision
transformer (Dosovitskiy et al. 2021, arXiv:2010.11929), as AutoFormer has it (arXiv:2107.00651).

Axis letters: B batch, T tokens or patches, C embedding, V vocabulary, L layers, O options.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dnas.architectures.genotype import Genotype
from dnas.architectures.genotype_data import shown
from dnas.architectures.topology import NetworkSize, Norm, Paths, Space
from dnas.errors import UserError, unknown
from dnas.keys import stream
from dnas.nets import sequences
from dnas.nets.layers import Linear, Outputs, checked_images
from dnas.nets.supernet import check_mix
from dnas.nets.tabular import LayerNorm
from dnas.nets.transformer_fronts import Patches, Tokens
from dnas.nets.transformer_layers import Layer
from dnas.nets.transformer_options import KINDS, MIXERS, PLACES, Around, Past, Plan, Row, chosen, dropped, first
from dnas.types import Mix, Noise

ONCE = ("width", "depth")
WORDS: dict[str, tuple[str, ...]] = {
    "feed_forward": (*KINDS, "gated"),
    "mixer": tuple(MIXERS),
    "norm": PLACES,
}
LAYERED = ("heads", "ratio", *WORDS)  # "hidden" may stand in the place of "ratio"
ACROSS = ("cross_heads", "memory")  # of a decoder behind an encoder there may be
Options = Mapping[str, Sequence[Sequence[str]]]  # {decision: the candidates of every network or layer}
Rows = Mapping[str, jax.Array] | None  # of a mix, those of one layer; None: a network
Through = Callable[[int, Layer, jax.Array, Rows], jax.Array]


class Transformer(nnx.Module):
    """Embedding, layers, norm and head. options: of one layer each, and one for `ONCE`. memory: widths of the encoder
    that layers look at. shows: how many last layers of it are looked at, of an encoder that has no head for it; 0: it
    has one."""

    def __init__(
        self,
        options: Options,
        size: NetworkSize,
        plan: Plan,
        reads: str,
        paths: Paths = "all",
        *,
        memory: Sequence[int] = (),
        shows: int = 0,
        rngs: nnx.Rngs,
    ):
        self.widths, self.depths = (tuple(map(int, options[kind][0])) for kind in ONCE)
        self.plan, self.paths, self.remat, self.shows, channels = plan, paths, size.remat, shows, max(self.widths)
        image, self.causal = reads == "images", reads == "decoder"
        if image:
            self.front: Any = Patches(self.widths, size, plan, rngs=rngs)
        else:
            self.front = Tokens(self.widths, size, plan, self.causal, rngs=rngs)
        self.layered = tuple(kind for kind in options if kind not in ONCE)
        rows = [{kind: options[kind][number] for kind in self.layered} for number in range(max(self.depths))]
        self.layers = nnx.List(
            [Layer(row, self.widths, plan, paths, image=image, memory=memory, rngs=rngs) for row in rows]
        )
        self.ends = frozenset(depth - back for depth in self.depths for back in range(max(shows, 1)))
        last = [rows[end - 1]["norm"] for end in self.ends]
        self.norm = LayerNorm(channels, affine=True) if any("pre" in places for places in last) else None
        self.bias = nnx.Param(np.zeros(size.classes, np.float32)) if self.causal else None
        pools = not shows and not self.causal
        self.classifier = Linear(channels, size.classes, rngs=rngs) if pools else None

    @property
    def dtype(self) -> Any:
        """Of weights."""
        return (self.front.kernel if isinstance(self.front, Patches) else self.front.embedding)[...].dtype

    def __call__(self, inputs: Any, tables: Mix | None, noise: Noise | None) -> jax.Array:
        """Images, frames, or tokens [B, T] -> logits [B, classes], of a decoder [B, T, V]."""
        return self.answer(*self.read(inputs, tables, noise))

    def read(
        self,
        inputs: Any,
        tables: Mix | None,
        noise: Noise | None,
        memory: jax.Array | None = None,
        remembered: jax.Array | None = None,
    ) -> tuple[jax.Array, Around]:
        """What the layers give [B, T, C], of an encoder that is looked at [B, L, T, C], and what they read beside.
        memory: of an encoder [B, L, S, C]; remembered: which tokens of it there are, bool [B, 1, 1, S]."""
        width, kept = self._width(tables)
        if isinstance(self.front, Patches):
            kept = kept.astype(inputs.dtype)
        x, around = self.front(inputs, kept)
        around = around._replace(memory=memory, remembered=remembered)

        def through(number: int, layer: Layer, x: jax.Array, rows: Rows) -> jax.Array:
            own = None if noise is None else Noise(stream(noise.key, "layer", number))
            return self._applied(layer, x, kept, width, rows, around, own)

        return self._layered(dropped(x, self.plan, noise, "embedded"), kept, tables, through), around

    def step(
        self,
        tokens: jax.Array,
        tables: Mix | None,
        past: Sequence[Past],
        number: jax.Array,
        length: int,
        across: Sequence[Sequence[jax.Array]] = (),
        remembered: jax.Array | None = None,
    ) -> tuple[jax.Array, tuple[Past, ...]]:
        """Of a decoder: logits [N, V] of what follows the tokens [N] with this number, and the past with them. length:
        T, of texts at most. past: see `past`; across: see `keys_and_values`; remembered: see `read`."""
        width, kept = self._width(tables)
        x, around = self.front.step(tokens[:, None], kept, number, length)
        around, after = around._replace(remembered=remembered), list[Past]()

        def through(number_of_layer: int, layer: Layer, x: jax.Array, rows: Rows) -> jax.Array:
            looked = across[number_of_layer] if across else ()
            x, own = layer.step(x, kept, width, rows, around, past[number_of_layer], looked, number)
            after.append(own)
            return x

        return self.answer(self._layered(x, kept, tables, through), around)[:, 0], tuple(after)

    def past(self, count: int, length: int) -> tuple[Past, ...]:
        """Of every layer before the first token of `count` texts of at most `length`."""
        return tuple(layer.past(count, length, self.dtype) for layer in self.layers)

    def keys_and_values(self, memory: jax.Array, tables: Mix | None) -> list[list[jax.Array]]:
        """What every layer looks at in a memory [B, L, S, C]: keys and values [B, L, S, I]."""
        return [layer.remembered(memory, self._rows(tables, number)) for number, layer in enumerate(self.layers)]

    def _width(self, tables: Mix | None) -> tuple[Row, jax.Array]:
        """The row of the width, and the mask [C]."""
        width: Row = None if tables is None else tables["width"][0]
        return width, chosen(width, first(self.widths, max(self.widths), self.dtype), self.paths)

    def _rows(self, tables: Mix | None, number: int) -> Rows:
        return None if tables is None else {kind: tables[kind][number] for kind in self.layered}

    def _layered(self, x: jax.Array, kept: jax.Array, tables: Mix | None, through: Through) -> jax.Array:
        """x through all layers, the values that each depth ends with summed; of an encoder that is looked at also those
        of the layers before, [B, L, T, C]."""
        ends = dict[int, jax.Array]()
        for number, layer in enumerate(self.layers):
            rows = self._rows(tables, number)
            x = through(number, layer, x, rows)
            if number + 1 in self.ends:
                ends[number + 1] = self._ended(layer, x, kept, rows)
        row: Row = None if tables is None else tables["depth"][0]
        found = [
            chosen(row, [ends[depth - back] for depth in self.depths], self.paths) for back in range(max(self.shows, 1))
        ]
        return jnp.stack(found, 1) if self.shows else found[0]

    def answer(self, x: jax.Array, around: Around) -> jax.Array:
        """Logits, of what the layers give [B, T, C]."""
        if self.bias is not None:
            return x @ self.front.embedding[...].astype(x.dtype).T + self.bias[...].astype(x.dtype)
        assert self.classifier is not None
        return self.classifier(self.pooled(x, around))

    def pooled(self, x: jax.Array, around: Around) -> jax.Array:
        """Features [B, C] of the tokens or patches that there are, or of the class token."""
        if around.present is not None:
            return (x * around.present).sum(1) / jnp.maximum(around.present.sum(1), 1)
        return x[:, 0] if self.plan.pool == "class" else x[:, int(self.plan.class_token) :].mean(1)

    def _applied(self, layer: Layer, x: jax.Array, *more: Any) -> jax.Array:
        if not self.remat:
            return layer(x, *more)
        graph, state = nnx.split(layer)

        @jax.checkpoint
        def inside(state, x):
            return nnx.merge(graph, state)(x, *more)

        return inside(nnx.as_pure(state), x)

    def _ended(self, layer: Layer, x: jax.Array, kept: jax.Array, rows: Mapping[str, jax.Array] | None) -> jax.Array:
        """What norms last is the layer itself where it norms behind its parts, else a norm of its own."""
        if self.norm is None or layer.places == ("post",):
            return x
        normed = self.norm(x, kept) * kept
        values = [normed if place == "pre" else x for place in layer.places]
        return chosen(None if rows is None else rows["norm"], values, self.paths)


class Supernet(nnx.Module):
    """`supernet(x, mix, noise)`: images, tokens or `types.Frames`, a mix {decision: [1 or L, O]} -> logits [B,
    classes], of a decoder `Outputs` with logits [B, T, V].

    noise: of dropout, in training; without it, and in evaluation, nothing is dropped. Weights are entangled whether
    `Space.entangled` asks for it or not. Errors: `UserError` for inputs and mixes of other shapes.
    """

    def __init__(self, space: Space, size: NetworkSize, *, plan: Plan, reads: str, rngs: nnx.Rngs):
        reads = reading(space, size, reads)
        if space.partial_channels != 1:
            raise UserError(
                f"Partial channels are for cells of images, and the space '{space.name}' has none: use a method, or a "
                "setting partial=1, that takes all channels."
            )
        options = {kind: cell.operations for kind, cell in space.cells.items()}
        self.body = Transformer(options, size, plan, reads, space.paths, rngs=rngs)
        self.mix_shapes, self.use_running_average = tuple(space.mix_shapes.items()), False
        self.size = size

    def set_view(self, use_running_average: bool | None = None) -> None:
        """Called by `nnx.view`: True in evaluation."""
        if use_running_average is not None:
            self.use_running_average = use_running_average

    def __call__(self, x: Any, mix: Mix, noise: Noise | None = None) -> jax.Array | Outputs:
        x = checked(self.body, x, self.size)
        check_mix(mix, dict(self.mix_shapes))
        tables = {kind: jnp.asarray(mix[kind]) for kind, _ in self.mix_shapes}
        logits = self.body(x, tables, None if self.use_running_average else noise)
        return Outputs(logits) if self.body.causal else logits


class Network(nnx.Module):
    """`network(x)`: images, tokens or `types.Frames` -> `Outputs` with logits [B, classes], of a decoder [B, T, V].

    noise: of dropout; training needs it where there is any. drop_path: None; there are no paths to drop.
    Errors: `UserError` for a genotype that is none of layers, and for inputs of other shapes.
    """

    def __init__(
        self,
        genotype: Genotype,
        space: Space,
        size: NetworkSize,
        *,
        plan: Plan,
        reads: str,
        norm: Norm | None = None,
        rngs: nnx.Rngs,
    ):
        reads = reading(space, size, reads)
        self.body = Transformer(decided(genotype, space.name), size, plan, reads, rngs=rngs)
        self.size, self.use_running_average = size, False

    def set_view(self, use_running_average: bool | None = None) -> None:
        """Called by `nnx.view`: True in evaluation."""
        if use_running_average is not None:
            self.use_running_average = use_running_average

    def __call__(self, x: Any, drop_path: jax.Array | None = None, noise: Noise | None = None) -> Outputs:
        x = checked(self.body, x, self.size)
        check_whole(drop_path, noise, self.body.plan, self.use_running_average)
        return Outputs(self.body(x, None, None if self.use_running_average else noise))


def check_whole(drop_path: Any, noise: Noise | None, plan: Plan, evaluates: bool) -> None:
    """Errors: `UserError` for what a network takes beside its input, and for noise that is missing."""
    if drop_path is not None:
        raise UserError("A transformer has no paths to drop, it drops values: use --retrain.drop_path 0.")
    if plan.dropout and noise is None and not evaluates:
        raise UserError("In training this network draws noise: call it with noise=dnas.types.Noise(key).")


def decided(genotype: Genotype, name: str, more: Sequence[str] = ()) -> dict[str, list[tuple[str, ...]]]:
    """The options of the network of a genotype, one each, of the layers that it has. more: decisions that it may have
    beside the usual ones. Errors: `UserError`."""
    found = {kind: [edge.operation for edge in cell.edges] for kind, cell in genotype.cells}
    lengths = {kind: len(options) for kind, options in found.items()}
    usual = {*ONCE, *LAYERED} if "hidden" not in found else {*ONCE, *LAYERED, "hidden"} - {"ratio"}
    if {*found} - {*more} != usual or any(lengths[kind] != 1 for kind in ONCE):
        raise UserError(
            f"A genotype of '{name}' decides {' and '.join(ONCE)} once, and {', '.join(LAYERED)} for every layer, and "
            f"this one {shown(lengths)}: give one of this space."
        )
    for kind, options in found.items():
        for option in options:
            if kind in WORDS and option not in WORDS[kind]:
                raise unknown(f"{kind} of '{name}':", option, WORDS[kind])
            if kind not in WORDS and not (option.replace(".", "", kind == "ratio").isdecimal() and float(option) > 0):
                raise UserError(f"The {kind} of a network of '{name}' is a number above 0, not '{option}'.")
    depth = int(found["depth"][0])
    if any(lengths[kind] < depth for kind in found if kind not in ONCE):
        raise UserError(f"A network of '{name}' of {depth} layers needs as many options for each decision, not fewer.")
    return {kind: [(option,) for option in options[: 1 if kind in ONCE else depth]] for kind, options in found.items()}


def reading(space: Space, size: NetworkSize, reads: str) -> str:
    """What inputs are read by; "auto": a decoder where outputs are tokens, else an encoder, as of frames. Errors:
    `UserError` for sizes of which there is no transformer."""
    if size.stem != "cifar" or size.auxiliary:
        raise UserError(f"Networks of '{space.name}' have one head, and no stem but their embedding: leave others out.")
    if reads == "images":
        return reads
    predicts = size.vocabulary == size.classes
    if sequences.has_frames(size) and reads != "decoder":
        return "encoder"
    if size.vocabulary < 2:
        raise UserError(f"A network of '{space.name}' reads at least 2 different tokens, not {size.vocabulary:,}.")
    if reads != "auto" and predicts != (reads == "decoder"):
        expected = "as many outputs as tokens, to predict the next" if reads == "decoder" else "outputs of other things"
        raise UserError(
            f"The {reads} of '{space.name}' has {expected}, and here are {size.vocabulary:,} tokens and "
            f"{size.classes:,} outputs: leave out reads={reads}."
        )
    return "decoder" if predicts else "encoder"


def checked(body: Transformer, x: Any, size: NetworkSize) -> Any:
    """Images, tokens or frames as a network takes them. Errors: `UserError` for other shapes and types."""
    if isinstance(body.front, Patches):
        return checked_images(x, size.image_channels, body.dtype)
    return sequences.checked(x, size)
