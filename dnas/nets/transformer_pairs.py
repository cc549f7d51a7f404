"""Encoder and decoder: one text read whole, another written behind it, as of a translation (Vaswani et al. 2017).

The input is a pair (source [B, S], target [B, T]); logits [B, T, V] are of the token after each of the target, which
sees the tokens before it and the whole source but its padding, 0. Both have decisions of their own, the decoder's with
the prefix `decoder_`, among them, as in HAT (Wang et al. 2020, arXiv:2005.14187), where the space says so, its width,
the heads of its attention to the source, `decoder_cross_heads`, and `decoder_memory`: of how many of the encoder's last
layers, side by side, a layer looks at the tokens. Without these there is one width, as many heads, and the last layer.
Source and target have vocabularies of their own, `NetworkSize.vocabulary` and `NetworkSize.classes`; the output is tied
to the embedding of the target.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from dnas.architectures.genotype import Genotype
from dnas.architectures.topology import NetworkSize, Norm, Paths, Space
from dnas.errors import UserError
from dnas.keys import stream
from dnas.nets.layers import Outputs
from dnas.nets.sequences import checked_tokens
from dnas.nets.supernet import check_mix
from dnas.nets.transformer import ACROSS, Options, Transformer, check_whole, decided
from dnas.nets.transformer_options import Plan
from dnas.types import Mix, Noise

DECODER = "decoder_"


class Pair(nnx.Module):
    """An encoder and a decoder. options: of both."""

    def __init__(self, options: Options, size: NetworkSize, plan: Plan, paths: Paths = "all", *, rngs: nnx.Rngs):
        own, other = parted(options)
        self.encoder = Transformer(own, size, plan, "encoder", paths, shows=looked_at(options), rngs=rngs)
        target = replace(size, vocabulary=size.classes)
        self.decoder = Transformer(other, target, plan, "decoder", paths, memory=self.encoder.widths, rngs=rngs)

    def __call__(self, source: jax.Array, target: jax.Array, tables: Mix | None, noise: Noise | None) -> jax.Array:
        """[B, T, V]."""
        own, other = (None, None) if tables is None else parted(tables)
        noises = [None if noise is None else Noise(stream(noise.key, name)) for name in ("encoder", "decoder")]
        return self.written(target, *self.encoded(source, own, noises[0]), other, noises[1])

    def encoded(
        self, source: jax.Array, tables: Mix | None = None, noise: Noise | None = None
    ) -> tuple[jax.Array, jax.Array | None]:
        """What the decoder looks at, the last layers [B, L, S, C], and where there is anything [B, 1, 1, S]: once for
        all that is written behind a source."""
        memory, around = self.encoder.read(source, tables, noise)
        return memory, around.shown

    def written(
        self,
        target: jax.Array,
        memory: jax.Array,
        remembered: jax.Array | None,
        tables: Mix | None = None,
        noise: Noise | None = None,
    ) -> jax.Array:
        """Logits [B, T, V] of the token after each of the target."""
        return self.decoder.answer(*self.decoder.read(target, tables, noise, memory, remembered))


def looked_at(options: Options) -> int:
    """How many of the encoder's last layers a decoder looks at. Errors: `UserError` for more than there are."""
    most = max((int(one) for row in options.get(f"{DECODER}memory", ()) for one in row), default=1)
    least = min(map(int, options["depth"][0]))
    if most > least:
        raise UserError(
            f"The decoder looks at the last {most} layers of its encoder, which may have {least}: choose another depth "
            "or memory."
        )
    return most


def parted(tables: Mapping[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """What an encoder and what a decoder has of the same decisions: the width is one where no other is said."""
    own = {kind: table for kind, table in tables.items() if not kind.startswith(DECODER)}
    other = {kind.removeprefix(DECODER): table for kind, table in tables.items() if kind.startswith(DECODER)}
    return own, {"width": tables["width"], **other}


class PairSupernet(nnx.Module):
    """`supernet((source, target), mix, noise)` -> `Outputs` with logits [B, T, V]. noise, errors: as of
    `transformer.Supernet`."""

    def __init__(self, space: Space, size: NetworkSize, *, plan: Plan, rngs: nnx.Rngs):
        check_pair(space, size)
        self.body = Pair({k: cell.operations for k, cell in space.cells.items()}, size, plan, space.paths, rngs=rngs)
        self.mix_shapes, self.use_running_average = tuple(space.mix_shapes.items()), False

    def set_view(self, use_running_average: bool | None = None) -> None:
        """Called by `nnx.view`: True in evaluation."""
        if use_running_average is not None:
            self.use_running_average = use_running_average

    def __call__(self, x: Any, mix: Mix, noise: Noise | None = None) -> Outputs:
        check_mix(mix, dict(self.mix_shapes))
        tables = {kind: jnp.asarray(mix[kind]) for kind, _ in self.mix_shapes}
        return Outputs(self.body(*checked_pair(x), tables, None if self.use_running_average else noise))


class PairNetwork(nnx.Module):
    """`network((source, target))` -> `Outputs` with logits [B, T, V]. noise, drop_path, errors: as of
    `transformer.Network`."""

    def __init__(
        self,
        genotype: Genotype,
        space: Space,
        size: NetworkSize,
        *,
        plan: Plan,
        norm: Norm | None = None,
        rngs: nnx.Rngs,
    ):
        check_pair(space, size)
        cells = dict(genotype.cells)
        if "width" not in cells or not any(kind.startswith(DECODER) for kind in cells):
            raise UserError(f"This space '{space.name}' has an encoder and a decoder, and the genotype has not both.")
        parts = [Genotype(genotype.space, tuple(part.items())) for part in parted(cells)]
        own, other = (decided(one, space.name, more) for one, more in zip(parts, ((), ACROSS), strict=True))
        options = own | {f"{DECODER}{kind}": names for kind, names in other.items()}
        self.body, self.use_running_average = Pair(options, size, plan, rngs=rngs), False

    def set_view(self, use_running_average: bool | None = None) -> None:
        """Called by `nnx.view`: True in evaluation."""
        if use_running_average is not None:
            self.use_running_average = use_running_average

    def __call__(self, x: Any, drop_path: jax.Array | None = None, noise: Noise | None = None) -> Outputs:
        check_whole(drop_path, noise, self.body.encoder.plan, self.use_running_average)
        return Outputs(self.body(*checked_pair(x), None, None if self.use_running_average else noise))


def check_pair(space: Space, size: NetworkSize) -> None:
    """Errors: `UserError` for sizes of which there is no encoder with a decoder."""
    if space.partial_channels != 1:
        raise UserError(f"Partial channels are for cells of images, and the space '{space.name}' has none.")
    if min(size.vocabulary, size.classes) < 2 or size.stem != "cifar" or size.auxiliary:
        raise UserError(
            f"A network of '{space.name}' reads pairs of texts, each of at least 2 different tokens, not "
            f"{size.vocabulary:,} and {size.classes:,}, and has no stem and no auxiliary head."
        )


def checked_pair(x: Any) -> tuple[jax.Array, jax.Array]:
    """Errors: `UserError` for anything but two texts for every example."""
    if not isinstance(x, tuple | list) or len(x) != 2:
        raise UserError("This network reads pairs of tokens: give it (source [B, S], target [B, T]).")
    source, target = map(checked_tokens, x)
    if len(source) != len(target):
        raise UserError(f"There are {len(source)} sources and {len(target)} targets: every source needs its target.")
    return source, target
