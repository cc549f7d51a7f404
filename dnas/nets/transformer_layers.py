"""The parts of a transformer, of which sizes and kinds are decisions whose options share their weights.

    h = place_read(norm(x), x),  z = x + m * f(h),  x' = place_written(z, norm(z))       f: mixer, then feed-forward

A smaller option has the first entries of every array of the largest (Chen, Peng, Fu and Ling 2021, AutoFormer,
arXiv:2107.00651; Wang et al. 2020, HAT, arXiv:2005.14187). Here all options are computed in the shapes of the largest,
and masks, 1 in the entries that an option has, are summed as a row of a mix weighs them: m of the embedding, and those
of heads and hidden values. Where options are functions (ReLU or GELU, attention or convolution, norm before or after)
their values are summed. So a one-hot mix gives what the network of those options gives, to rounding, and a mixture is
that of sliced weights (TangleNAS, arXiv:2312.10440). A network is the same module with one option for each decision.

Axis letters: B batch, T tokens or patches, S those that are looked at, L layers of an encoder, C embedding, H heads,
I all heads, F hidden values, O options.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dnas.architectures.topology import Paths
from dnas.kernels.conv import depthwise_conv
from dnas.nets.layers import uniform_fan_in
from dnas.nets.tabular import Dense, LayerNorm
from dnas.nets.transformer_attention import Attention
from dnas.nets.transformer_options import KINDS, MIXERS, Around, Past, Plan, Row, chosen, dropped, first
from dnas.types import Noise


class Convolution(nnx.Module):
    """A mixer without attention: product, depthwise convolution, GELU, product. Padding is zero to it."""

    def __init__(self, widths: Sequence[int], plan: Plan, image: bool, *, rngs: nnx.Rngs):
        channels, side = max(widths), plan.kernel
        shape = (side, side, channels) if image else (side, channels)
        self.enter = Dense(channels, channels, bias=True, rngs=rngs)
        self.kernel = uniform_fan_in(rngs, shape, int(np.prod(shape[:-1])))
        self.leave = Dense(channels, channels, bias=True, rngs=rngs)

    def step(self, h: jax.Array, kept: jax.Array, recent: jax.Array) -> tuple[jax.Array, jax.Array]:
        """Of a token h [B, 1, C] behind others, of a causal one: what it gives, and what it reads next time."""
        window = jnp.concatenate([recent, self.enter(h) * kept], 1)
        y = (window * self.kernel[...].astype(h.dtype)).sum(1, keepdims=True)
        return self.leave(KINDS["gelu"](y)), window[:, 1:]

    def __call__(self, h: jax.Array, kept: jax.Array, around: Around) -> jax.Array:
        """h [B, T, C], kept [C] -> [B, T, C]."""
        u = self.enter(h) * kept
        if around.present is not None:
            u = u * around.present
        kernel = self.kernel[...].astype(h.dtype)
        if around.grid is None:
            y = _over_time(u, kernel, around.causal)
        else:
            more = u.shape[1] - around.grid[0] * around.grid[1]  # a class token has no place among the patches
            patches = u[:, more:].reshape(len(u), *around.grid, -1)
            y = jnp.pad(depthwise_conv(patches, kernel).reshape(u[:, more:].shape), ((0, 0), (more, 0), (0, 0)))
        return self.leave(KINDS["gelu"](y))


def _over_time(u: jax.Array, kernel: jax.Array, causal: bool) -> jax.Array:
    """u [B, T, C], kernel [k, C]: as the middle column of a square kernel, whose other columns meet nothing; of a
    causal one the later half is zero."""
    later = len(kernel) - 1 if causal else 0
    middle = (len(kernel) + later) // 2
    square = jnp.pad(kernel[:, None], ((0, later), (middle, middle), (0, 0)))
    return depthwise_conv(u[:, :, None], square, multiply_adds=kernel.size)[:, :, 0]


class FeedForward(nnx.Module):
    """Two products with a function between them: ReLU, GELU, squared ReLU (So et al. 2021, arXiv:2109.08668), or GELU
    times a third product (Shazeer 2020, arXiv:2002.05202). sizes: hidden values, or where they follow the embedding
    ratios, of which there are int(embedding times ratio)."""

    def __init__(
        self,
        sizes: Sequence[float],
        follow: bool,
        kinds: Sequence[str],
        widths: Sequence[int],
        plan: Plan,
        paths: Paths = "all",
        *,
        rngs: nnx.Rngs,
    ):
        self.sizes, self.kinds, self.plan, self.paths = tuple(sizes), tuple(kinds), plan, paths
        channels = max(widths)
        self.counts = tuple(tuple(int(width * size if follow else size) for width in widths) for size in sizes)
        self.hidden = max(map(max, self.counts))
        self.enter = Dense(channels, self.hidden, bias=True, rngs=rngs)
        self.gate = Dense(channels, self.hidden, bias=True, rngs=rngs) if "gated" in kinds else None
        self.leave = Dense(self.hidden, channels, bias=True, rngs=rngs)

    def __call__(self, h: jax.Array, size: Row, kind: Row, width: Row) -> jax.Array:
        """h [B, T, C] -> [B, T, C]."""
        z = self.enter(h)
        y = chosen(kind, [self._activated(name, z, h) for name in self.kinds], self.paths)
        masks = [chosen(width, first(counts, self.hidden, h.dtype), self.paths) for counts in self.counts]
        y = self.leave(y * chosen(size, masks, self.paths))
        if not self.plan.rescaled:
            return y
        return y * chosen(size, [jnp.asarray(self.plan.ratio / one, h.dtype) for one in self.sizes], self.paths)

    def _activated(self, name: str, z: jax.Array, h: jax.Array) -> jax.Array:
        return KINDS["gelu"](z) * self.gate(h) if name == "gated" and self.gate is not None else KINDS[name](z)


class Layer(nnx.Module):
    """One layer. options: {decision: its candidates}. widths: of the embedding. image: whether it reads patches.
    memory: widths of the encoder that it looks at as well; none: there is no such."""

    def __init__(
        self,
        options: Mapping[str, Sequence[str]],
        widths: Sequence[int],
        plan: Plan,
        paths: Paths = "all",
        *,
        image: bool = False,
        memory: Sequence[int] = (),
        rngs: nnx.Rngs,
    ):
        self.mixers, self.places = tuple(options["mixer"]), tuple(options["norm"])
        self.plan, self.paths, channels = plan, paths, max(widths)
        self.sized = "hidden" if "hidden" in options else "ratio"
        self.memories = tuple(map(int, options.get("memory", ("1",))))
        heads, cross = ([*map(int, options.get(kind, options["heads"]))] for kind in ("heads", "cross_heads"))
        attends, convolves = (any(MIXERS[name][i] for name in self.mixers) for i in (0, 1))
        tables = 2 if image else 1
        self.attention = Attention(heads, widths, plan, tables, paths, rngs=rngs) if attends else None
        self.convolution = Convolution(widths, plan, image, rngs=rngs) if convolves else None
        self.mixer_norm = LayerNorm(channels, affine=True)
        self.across = Attention(cross, widths, plan, 0, paths, memory=memory, rngs=rngs) if memory else None
        self.across_norm = LayerNorm(channels, affine=True) if memory else None
        sizes, kinds = [*map(float, options[self.sized])], options["feed_forward"]
        self.feed_forward = FeedForward(sizes, self.sized == "ratio", kinds, widths, plan, paths, rngs=rngs)
        self.feed_forward_norm = LayerNorm(channels, affine=True)

    def __call__(
        self,
        x: jax.Array,
        kept: jax.Array,
        width: Row,
        rows: Mapping[str, jax.Array] | None,
        around: Around,
        noise: Noise | None,
    ) -> jax.Array:
        """x [B, T, C], kept: mask of the embedding [C] -> [B, T, C]."""
        row = _rows(rows)
        seen = [] if around.memory is None else self.remembered(around.memory, rows)

        def mixed(h: jax.Array) -> jax.Array:
            a = None if self.attention is None else self.attention(h, row["heads"], width, around)
            c = None if self.convolution is None else self.convolution(h, kept, around)
            return self._mixed(h, a, c, row)

        return self._parts(x, kept, width, row, noise, mixed, around, seen)

    def step(
        self,
        x: jax.Array,
        kept: jax.Array,
        width: Row,
        rows: Mapping[str, jax.Array] | None,
        around: Around,
        past: Past,
        across: Sequence[jax.Array],
        number: jax.Array,
    ) -> tuple[jax.Array, Past]:
        """What `__call__` gives of the token x [B, 1, C] with this number, and the past with it. around: of this token
        alone. across: see `remembered`."""
        row, after = _rows(rows), past._asdict()

        def mixed(h: jax.Array) -> jax.Array:
            a = c = None
            if self.attention is not None:
                q, k, v = self.attention.projected(h, row["heads"])
                for name, new in (("keys", k), ("values", v)):
                    after[name] = jax.lax.dynamic_update_slice_in_dim(after[name], new, number, 1)
                a = self.attention.looked(q, after["keys"], after["values"], row["heads"], width, around)
            if self.convolution is not None:
                c, after["recent"] = self.convolution.step(h, kept, after["recent"])
            return self._mixed(h, a, c, row)

        return self._parts(x, kept, width, row, None, mixed, around, across), Past(**after)

    def past(self, count: int, length: int, dtype: Any) -> Past:
        """Before the first token of `count` texts of at most `length`."""
        inner = None if self.attention is None else self.attention.qkv.shape[-1]
        kernel = None if self.convolution is None else self.convolution.kernel.shape
        keys, values = (None if inner is None else jnp.zeros((count, length, inner), dtype) for _ in range(2))
        return Past(keys, values, None if kernel is None else jnp.zeros((count, kernel[0] - 1, kernel[1]), dtype))

    def remembered(self, memory: jax.Array, rows: Mapping[str, jax.Array] | None) -> list[jax.Array]:
        """Keys and values [B, L, S, I] of a memory [B, L, S, C], for all that is written behind it."""
        return [] if self.across is None else self.across.remembered(memory, _rows(rows)["cross_heads"])

    def _parts(
        self,
        x: jax.Array,
        kept: jax.Array,
        width: Row,
        row: Mapping[str, Any],
        noise: Noise | None,
        mixed: Callable[[jax.Array], jax.Array],
        around: Around,
        across: Sequence[jax.Array],
    ) -> jax.Array:
        """The parts one behind the other. mixed: what a token makes of its text. across: see `remembered`."""

        def added(norm: LayerNorm, name: str, part: Callable[[jax.Array], jax.Array], x: jax.Array) -> jax.Array:
            def normed(x: jax.Array) -> jax.Array:
                return norm(x, kept) * kept

            h = chosen(row["norm"], [normed(x) if place == "pre" else x for place in self.places], self.paths)
            z = x + dropped(part(h) * kept, self.plan, noise, name)
            return chosen(row["norm"], [normed(z) if place == "post" else z for place in self.places], self.paths)

        x = added(self.mixer_norm, "mixer", mixed, x)
        if self.across_norm is not None:
            x = added(self.across_norm, "across", lambda h: self._looked(h, width, row, around, across), x)
        size, kind = row[self.sized], row["feed_forward"]
        return added(self.feed_forward_norm, "ff", lambda h: self.feed_forward(h, size, kind, width), x)

    def _looked(
        self, h: jax.Array, width: Row, row: Mapping[str, Any], around: Around, across: Sequence[jax.Array]
    ) -> jax.Array:
        """h [B, T, C] at the tokens of as many last layers of an encoder as each option says, side by side."""
        assert self.across is not None
        heads = row["cross_heads"]
        (q,) = self.across.projected(h, heads)
        values = []
        for count in self.memories:
            k, v = (one[:, :count].reshape(one.shape[0], count * one.shape[2], one.shape[3]) for one in across)
            shown = None if around.remembered is None else jnp.tile(around.remembered, count)
            values.append(self.across.looked(q, k, v, heads, width, around._replace(shown=shown)))
        return chosen(row["memory"], values, self.paths)

    def _mixed(self, h: jax.Array, a: jax.Array | None, c: jax.Array | None, row: Mapping[str, Any]) -> jax.Array:
        """What attention and convolution give, weighed; None: there is none."""
        a, c = (jnp.zeros_like(h) if one is None else one for one in (a, c))
        values = {"attention": a, "convolution": c, "both": a + c}
        return chosen(row["mixer"], [values[name] for name in self.mixers], self.paths)


def _rows(rows: Mapping[str, jax.Array] | None) -> dict[str, Any]:
    """Of a layer's decisions; None: each has one option. Heads across are as many as others if nothing else is said."""
    row = dict.fromkeys(("heads", "ratio", "hidden", "feed_forward", "mixer", "norm", "memory")) | dict(rows or {})
    return {"cross_heads": row["heads"]} | row
