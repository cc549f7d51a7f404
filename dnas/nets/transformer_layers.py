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
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dnas.architectures.topology import Paths
from dnas.kernels.conv import depthwise_conv
from dnas.keys import stream
from dnas.nets.layers import uniform, uniform_fan_in
from dnas.nets.tabular import Dense, LayerNorm, weighted_sum
from dnas.types import Noise

KINDS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "relu": jax.nn.relu,
    "gelu": lambda z: jax.nn.gelu(z, approximate=False),
    "relu2": lambda z: jnp.square(jax.nn.relu(z)),
}  # and "gated", which has weights of its own
MIXERS = {"attention": (True, False), "convolution": (False, True), "both": (True, True)}
PLACES = ("pre", "post")
SMALL = 0.02 * np.sqrt(3)  # bound of tables of positions, whose standard deviation is 0.02
HIDDEN = -1e30  # logit of what is not looked at; finite, so that a text without tokens gives numbers

Row = jax.Array | None  # [O] of a mix; None: there is one option


@dataclass(frozen=True)
class Plan:
    """What all networks of a space share.

    full, ratio: the largest embedding width and feed-forward ratio. head: width of a head; 0: all heads together are
    `full` wide, however many they are. distance: the largest relative position that is told apart; 0: none is.
    rescaled: whether what an option has less of is multiplied by as much (AutoFormer's `scale`). kernel: tokens that a
    convolution reads, of images the side of a square of patches. dropout: of the embedding and of what every part adds.

    Of images: patch, pixels: sides of a patch, and of the images that positions are made for. positions: whether
    there are learnt ones. class_token, pool: "mean" of the patches, or the "class" token.
    """

    full: int
    ratio: float
    head: int = 64
    distance: int = 0
    rescaled: bool = False
    kernel: int = 3
    dropout: float = 0.0
    patch: int = 16
    pixels: int = 224
    positions: bool = True
    class_token: bool = False
    pool: str = "mean"

    @property
    def places(self) -> int:
        """Relative positions that are told apart, and the one of whatever the class token looks at or is seen by."""
        return 2 * self.distance + 1 + self.class_token

    def places_of(self, differences: jax.Array) -> jax.Array:
        """Their numbers, by how far S is behind T."""
        return jnp.clip(differences, -self.distance, self.distance) + self.distance + self.class_token


class Around(NamedTuple):
    """What the layers read beside x. shown: which tokens are looked at, bool [B or 1, 1, T or 1, S]; None: all.
    present: 1 for tokens, 0 for padding [B, T, 1]; None: all are. distances: indices of relative positions [T, S], one
    array for each table. grid: rows and columns of patches, behind the class token; None: a text. causal: whether
    convolutions read earlier tokens only. memory: what an encoder gave [B, S, C], remembered: which tokens of it are
    looked at."""

    shown: jax.Array | None = None
    present: jax.Array | None = None
    distances: tuple[jax.Array, ...] = ()
    grid: tuple[int, int] | None = None
    causal: bool = False
    memory: jax.Array | None = None
    remembered: jax.Array | None = None


def chosen(row: Row, values: Sequence[jax.Array], paths: Paths) -> jax.Array:
    """The sum of values of options by a row, or the only one."""
    return values[0] if row is None else weighted_sum(row, values, paths)


def first(counts: Sequence[int], of: int, dtype: Any, factors: Sequence[float] = ()) -> list[jax.Array]:
    """Masks [of], 1 in the first so many entries; factors: instead of 1."""
    return [
        jnp.asarray((np.arange(of) < count) * factor, dtype)
        for count, factor in zip(counts, factors or [1.0] * len(counts), strict=True)
    ]


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
        kernel, inner = self.qkv[...].astype(h.dtype), self.qkv.shape[-1]
        cut = [self.bias[...][: 3 * span].reshape(3, span) for span in self.spans]
        bias = chosen(row, [jnp.pad(b, ((0, 0), (0, inner - b.shape[1]))) for b in cut], self.paths).astype(h.dtype)
        if around.memory is None:
            qkv = (h @ kernel.reshape(len(kernel), -1)).reshape(*h.shape[:-1], 3, inner) + bias
            q, k, v = (qkv[:, :, i] for i in range(3))
        else:
            q = h @ kernel[:, 0] + bias[0]
            kv = around.memory @ kernel[:, 1:].reshape(len(kernel), -1)
            kv = kv.reshape(*kv.shape[:-1], 2, inner) + bias[1:]
            k, v = kv[:, :, 0], kv[:, :, 1]
        if self.plan.head:  # heads are alike, and the mask says which there are
            found = self._attended(q, k, v, max(self.heads), self.plan.head**-0.5, around)
            factors = [self.plan.full / span for span in self.spans] if self.plan.rescaled else ()
            found = found * chosen(row, first(self.spans, inner, h.dtype, factors), self.paths)
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
        shown = around.shown if around.memory is None else around.remembered
        logits = logits * scale
        logits = logits.astype(jnp.promote_types(q.dtype, jnp.float32))
        if shown is not None:
            logits = jnp.where(shown, logits, HIDDEN)
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
        row: dict[str, Any] = dict.fromkeys(("heads", "ratio", "feed_forward", "mixer", "norm")) | dict(rows or {})

        def added(norm: LayerNorm, name: str, part: Callable[[jax.Array], jax.Array], x: jax.Array) -> jax.Array:
            def normed(x: jax.Array) -> jax.Array:
                return norm(x, kept) * kept

            h = chosen(row["norm"], [normed(x) if place == "pre" else x for place in self.places], self.paths)
            z = x + dropped(part(h) * kept, self.plan, noise, name)
            return chosen(row["norm"], [normed(z) if place == "post" else z for place in self.places], self.paths)

        own = around._replace(memory=None)
        x = added(self.mixer_norm, "mixer", lambda h: self._mixed(h, kept, width, row, own), x)
        if self.across is not None and self.across_norm is not None:
            across = self.across
            x = added(self.across_norm, "across", lambda h: across(h, row["heads"], width, around), x)
        ratio, kind = row["ratio"], row["feed_forward"]
        return added(self.feed_forward_norm, "ff", lambda h: self.feed_forward(h, ratio, kind, width), x)

    def _mixed(self, h: jax.Array, kept: jax.Array, width: Row, row: Mapping[str, Any], around: Around) -> jax.Array:
        nothing = jnp.zeros_like(h)
        a = nothing if self.attention is None else self.attention(h, row["heads"], width, around)
        c = nothing if self.convolution is None else self.convolution(h, kept, around)
        values = {"attention": a, "convolution": c, "both": a + c}
        return chosen(row["mixer"], [values[name] for name in self.mixers], self.paths)


def dropped(x: jax.Array, plan: Plan, noise: Noise | None, name: str) -> jax.Array:
    """Dropout of x [B, T, C], drawn for the largest embedding, so that a narrow one drops what the widest drops, and
    token by token, so that what is drawn does not depend on how far texts are filled up."""
    if noise is None or not plan.dropout:
        return x
    batch, count, channels = x.shape
    drawn = jax.random.uniform(stream(noise.key, name), (count, batch, plan.full), jnp.float32)
    drawn = drawn.swapaxes(0, 1)[..., :channels]
    return x * jnp.where(drawn >= plan.dropout, 1 / (1 - plan.dropout), 0).astype(x.dtype)
