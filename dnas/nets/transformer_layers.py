"""The parts of a transformer, of which sizes and kinds are decisions whose options share their weights.

    h = place_read(norm(x), x),  z = x + m * f(h),  x' = place_written(z, norm(z))       f: mixer, then feed-forward

A smaller option has the first entries of every array of the largest (Chen, Peng, Fu and Ling 2021, AutoFormer,
arXiv:2107.00651; Wang et al. 2020, HAT, arXiv:2005.14187). Here all options are computed in the shapes of the largest,
and masks, 1 in the entries that an option has, are summed as a row of a mix weighs them: m of the embedding, and those
of heads and hidden values. Where options are functions (ReLU or GELU, attention or convolution, norm before or after)
their values are summed. So a one-hot mix gives what the network of those options gives, to rounding, and a mixture is
that of sliced weights (TangleNAS, arXiv:2312.10440). A network is the same module with one option for each decision.

Axis letters: B batch, T tokens or patches, S those that are looked at, C embedding, H heads, D width of a head, I all
heads, F hidden values, O options.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dnas.architectures.topology import Paths
from dnas.kernels.conv import depthwise_conv
from dnas.nets.layers import uniform, uniform_fan_in
from dnas.nets.tabular import Dense, LayerNorm
from dnas.nets.transformer_options import HIDDEN, KINDS, MIXERS, SMALL, Around, Past, Plan, Row, chosen, dropped, first
from dnas.types import Noise


class Relative(nnx.Module):
    """Embeddings of relative positions (Shaw, Uszkoreit and Vaswani 2018, arXiv:1803.02155): a table for texts, two,
    vertical and horizontal, for images."""

    def __init__(self, tables: int, places: int, width: int, *, rngs: nnx.Rngs):
        self.tables = nnx.List([uniform(rngs, (places, width), SMALL) for _ in range(tables)])

    def __call__(self, distances: Sequence[jax.Array], dtype: Any) -> jax.Array:
        """[T, S, D]."""
        found = [table[...][index] for table, index in zip(self.tables, distances, strict=True)]
        return jnp.asarray(sum(found)).astype(dtype)


class Attention(nnx.Module):
    """Multi-head attention of h [B, T, C] to itself, or to a memory [B, S, C] (Vaswani et al. 2017, arXiv:1706.03762).

    Queries, keys and values of fewer heads have the first columns of the kernel [C, 3, I] each, and together the first
    entries of the bias [3 I], which the original code divides among them after it has cut it.
    """

    def __init__(
        self,
        heads: Sequence[int],
        widths: Sequence[int],
        plan: Plan,
        tables: int,
        paths: Paths = "all",
        *,
        rngs: nnx.Rngs,
    ):
        self.heads, self.widths, self.plan, self.paths = tuple(heads), tuple(widths), plan, paths
        self.spans = tuple(plan.head * count or plan.full for count in heads)
        channels, inner = max(widths), max(self.spans)
        self.qkv = uniform_fan_in(rngs, (channels, 3, inner), channels)
        self.bias = uniform_fan_in(rngs, (3 * inner,), channels)
        self.project = Dense(inner, channels, bias=True, rngs=rngs)
        width, has = plan.head or plan.full // max(heads), bool(plan.distance and tables)
        self.keys, self.values = (Relative(tables, plan.places, width, rngs=rngs) if has else None for _ in range(2))

    def __call__(self, h: jax.Array, row: Row, width: Row, around: Around) -> jax.Array:
        """row: of the heads; width: of the embedding -> [B, T, C]."""
        if around.memory is None:
            q, k, v = self.projected(h, row, 0, 3)
        else:
            (q,), (k, v) = self.projected(h, row, 0, 1), self.projected(around.memory, row, 1, 3)
        return self.looked(q, k, v, row, width, around)

    def projected(self, h: jax.Array, row: Row, start: int, stop: int) -> list[jax.Array]:
        """Of queries, keys and values, [B, T, I] each, those from `start` to before `stop`."""
        inner, count = self.qkv.shape[-1], stop - start
        kernel = self.qkv[...][:, start:stop].astype(h.dtype)
        cut = [self.bias[...][: 3 * span].reshape(3, span) for span in self.spans]
        bias = chosen(row, [jnp.pad(b, ((0, 0), (0, inner - b.shape[1]))) for b in cut], self.paths).astype(h.dtype)
        found = (h @ kernel.reshape(len(kernel), -1)).reshape(*h.shape[:-1], count, inner) + bias[start:stop]
        return [found[:, :, i] for i in range(count)]

    def looked(self, q: jax.Array, k: jax.Array, v: jax.Array, row: Row, width: Row, around: Around) -> jax.Array:
        """q [B, T, I], k, v [B, S, I] -> [B, T, C]."""
        inner = q.shape[-1]
        if self.plan.head:  # heads are alike, and the mask says which there are
            found = self._attended(q, k, v, max(self.heads), self.plan.head**-0.5, around)
            factors = [self.plan.full / span for span in self.spans] if self.plan.rescaled else ()
            found = found * chosen(row, first(self.spans, inner, q.dtype, factors), self.paths)
        else:  # other numbers of heads divide the same values
            found = chosen(row, [self._divided(q, k, v, count, width, around) for count in self.heads], self.paths)
        return self.project(found)

    def _divided(self, q: jax.Array, k: jax.Array, v: jax.Array, heads: int, width: Row, around: Around) -> jax.Array:
        """The original scales by the width of the embedding, not of what is divided."""
        scales = [jnp.asarray(max(channels // heads, 1) ** -0.5, q.dtype) for channels in self.widths]
        return self._attended(q, k, v, heads, chosen(width, scales, self.paths), around)

    def _attended(
        self, q: jax.Array, k: jax.Array, v: jax.Array, heads: int, scale: jax.Array | float, around: Around
    ) -> jax.Array:
        """q [B, T, I], k, v [B, S, I] -> [B, T, I]."""
        split = [x.reshape(*x.shape[:2], heads, -1) for x in (q, k, v)]
        logits = jnp.einsum("bthd,bshd->bhts", *split[:2])
        if self.keys is not None:
            logits += jnp.einsum("bthd,tsd->bhts", split[0], self.keys(around.distances, q.dtype))
        logits = logits * scale
        logits = logits.astype(jnp.promote_types(q.dtype, jnp.float32))
        if around.shown is not None:
            logits = jnp.where(around.shown, logits, HIDDEN)
        shares = jax.nn.softmax(logits, -1).astype(q.dtype)
        found = jnp.einsum("bhts,bshd->bthd", shares, split[2])
        if self.values is not None:
            found += jnp.einsum("bhts,tsd->bthd", shares, self.values(around.distances, q.dtype))
        return found.reshape(q.shape)


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
    times a third product (Shazeer 2020, arXiv:2002.05202). Hidden values: int(embedding times ratio)."""

    def __init__(
        self,
        ratios: Sequence[float],
        kinds: Sequence[str],
        widths: Sequence[int],
        plan: Plan,
        paths: Paths = "all",
        *,
        rngs: nnx.Rngs,
    ):
        self.ratios, self.kinds, self.widths = tuple(ratios), tuple(kinds), tuple(widths)
        self.plan, self.paths = plan, paths
        channels = max(widths)
        self.hidden = max(int(width * ratio) for width in widths for ratio in ratios)
        self.enter = Dense(channels, self.hidden, bias=True, rngs=rngs)
        self.gate = Dense(channels, self.hidden, bias=True, rngs=rngs) if "gated" in kinds else None
        self.leave = Dense(self.hidden, channels, bias=True, rngs=rngs)

    def __call__(self, h: jax.Array, ratio: Row, kind: Row, width: Row) -> jax.Array:
        """h [B, T, C] -> [B, T, C]."""
        z = self.enter(h)
        y = chosen(kind, [self._activated(name, z, h) for name in self.kinds], self.paths)
        masks = [
            chosen(width, first([int(channels * one) for channels in self.widths], self.hidden, h.dtype), self.paths)
            for one in self.ratios
        ]
        y = self.leave(y * chosen(ratio, masks, self.paths))
        if not self.plan.rescaled:
            return y
        return y * chosen(ratio, [jnp.asarray(self.plan.ratio / one, h.dtype) for one in self.ratios], self.paths)

    def _activated(self, name: str, z: jax.Array, h: jax.Array) -> jax.Array:
        return KINDS["gelu"](z) * self.gate(h) if name == "gated" and self.gate is not None else KINDS[name](z)


class Layer(nnx.Module):
    """One layer. options: {decision: its candidates}. widths: of the embedding. image: whether it reads patches.
    across: whether it looks at the memory of an encoder as well."""

    def __init__(
        self,
        options: Mapping[str, Sequence[str]],
        widths: Sequence[int],
        plan: Plan,
        paths: Paths = "all",
        *,
        image: bool = False,
        across: bool = False,
        rngs: nnx.Rngs,
    ):
        self.mixers, self.places = tuple(options["mixer"]), tuple(options["norm"])
        self.plan, self.paths, channels = plan, paths, max(widths)
        heads, ratios = [*map(int, options["heads"])], [*map(float, options["ratio"])]
        attends, convolves = (any(MIXERS[name][i] for name in self.mixers) for i in (0, 1))
        tables = 2 if image else 1
        self.attention = Attention(heads, widths, plan, tables, paths, rngs=rngs) if attends else None
        self.convolution = Convolution(widths, plan, image, rngs=rngs) if convolves else None
        self.mixer_norm = LayerNorm(channels, affine=True)
        self.across = Attention(heads, widths, plan, 0, paths, rngs=rngs) if across else None
        self.across_norm = LayerNorm(channels, affine=True) if across else None
        self.feed_forward = FeedForward(ratios, options["feed_forward"], widths, plan, paths, rngs=rngs)
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
        own, row = around._replace(memory=None), _rows(rows)

        def mixed(h: jax.Array) -> jax.Array:
            a = None if self.attention is None else self.attention(h, row["heads"], width, own)
            c = None if self.convolution is None else self.convolution(h, kept, own)
            return self._mixed(h, a, c, row)

        def looked(h: jax.Array) -> jax.Array:
            assert self.across is not None
            return self.across(h, row["heads"], width, around._replace(shown=around.remembered))

        return self._parts(x, kept, width, row, noise, mixed, looked)

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
        alone. across: keys and values of the memory, see `remembered`."""
        row, after = _rows(rows), past._asdict()

        def mixed(h: jax.Array) -> jax.Array:
            a = c = None
            if self.attention is not None:
                q, k, v = self.attention.projected(h, row["heads"], 0, 3)
                for name, new in (("keys", k), ("values", v)):
                    after[name] = jax.lax.dynamic_update_slice_in_dim(after[name], new, number, 1)
                a = self.attention.looked(q, after["keys"], after["values"], row["heads"], width, around)
            if self.convolution is not None:
                c, after["recent"] = self.convolution.step(h, kept, after["recent"])
            return self._mixed(h, a, c, row)

        def looked(h: jax.Array) -> jax.Array:
            assert self.across is not None
            (q,) = self.across.projected(h, row["heads"], 0, 1)
            shown = around._replace(shown=around.remembered)
            return self.across.looked(q, across[0], across[1], row["heads"], width, shown)

        return self._parts(x, kept, width, row, None, mixed, looked), Past(**after)

    def past(self, count: int, length: int, dtype: Any) -> Past:
        """Before the first token of `count` texts of at most `length`."""
        inner = None if self.attention is None else self.attention.qkv.shape[-1]
        kernel = None if self.convolution is None else self.convolution.kernel.shape
        keys, values = (None if inner is None else jnp.zeros((count, length, inner), dtype) for _ in range(2))
        return Past(keys, values, None if kernel is None else jnp.zeros((count, kernel[0] - 1, kernel[1]), dtype))

    def remembered(self, memory: jax.Array, rows: Mapping[str, jax.Array] | None) -> list[jax.Array]:
        """Keys and values [B, S, I] of a memory, for all that is written behind it."""
        return [] if self.across is None else self.across.projected(memory, _rows(rows)["heads"], 1, 3)

    def _parts(
        self,
        x: jax.Array,
        kept: jax.Array,
        width: Row,
        row: Mapping[str, Any],
        noise: Noise | None,
        mixed: Callable[[jax.Array], jax.Array],
        looked: Callable[[jax.Array], jax.Array],
    ) -> jax.Array:
        """The parts one behind the other. mixed, looked: what a token makes of its text, and of a memory."""

        def added(norm: LayerNorm, name: str, part: Callable[[jax.Array], jax.Array], x: jax.Array) -> jax.Array:
            def normed(x: jax.Array) -> jax.Array:
                return norm(x, kept) * kept

            h = chosen(row["norm"], [normed(x) if place == "pre" else x for place in self.places], self.paths)
            z = x + dropped(part(h) * kept, self.plan, noise, name)
            return chosen(row["norm"], [normed(z) if place == "post" else z for place in self.places], self.paths)

        x = added(self.mixer_norm, "mixer", mixed, x)
        if self.across_norm is not None:
            x = added(self.across_norm, "across", looked, x)
        ratio, kind = row["ratio"], row["feed_forward"]
        return added(self.feed_forward_norm, "ff", lambda h: self.feed_forward(h, ratio, kind, width), x)

    def _mixed(self, h: jax.Array, a: jax.Array | None, c: jax.Array | None, row: Mapping[str, Any]) -> jax.Array:
        """What attention and convolution give, weighed; None: there is none."""
        a, c = (jnp.zeros_like(h) if one is None else one for one in (a, c))
        values = {"attention": a, "convolution": c, "both": a + c}
        return chosen(row["mixer"], [values[name] for name in self.mixers], self.paths)


def _rows(rows: Mapping[str, jax.Array] | None) -> dict[str, Any]:
    """Of a layer's decisions; None: each has one option."""
    return dict.fromkeys(("heads", "ratio", "feed_forward", "mixer", "norm")) | dict(rows or {})
