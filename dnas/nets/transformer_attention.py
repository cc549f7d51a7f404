"""Attention of a transformer's layers, of which the number of heads is a decision; see `nets/transformer_layers.py`.

Axis letters: B batch, T tokens or patches, S those that are looked at, L layers of an encoder, C embedding, D width of
a head, I all heads.
"""

from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from dnas.architectures.topology import Paths
from dnas.nets.layers import uniform, uniform_fan_in
from dnas.nets.tabular import Dense
from dnas.nets.transformer_options import HIDDEN, SMALL, Around, Plan, Row, chosen, first


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
    """Multi-head attention of h [B, T, C] to itself, or to a memory of other widths (Vaswani et al. 2017,
    arXiv:1706.03762).

    Queries, keys and values of fewer heads have the first columns of the kernel [C, 3, I] each, and together the first
    entries of the bias [3 I], which the original code divides among them after it has cut it. Of a memory keys and
    values have a kernel of their own. memory: its widths; none: it looks at itself.
    """

    def __init__(
        self,
        heads: Sequence[int],
        widths: Sequence[int],
        plan: Plan,
        tables: int,
        paths: Paths = "all",
        *,
        memory: Sequence[int] = (),
        rngs: nnx.Rngs,
    ):
        self.heads, self.widths, self.plan, self.paths = tuple(heads), tuple(widths), plan, paths
        self.spans = tuple(plan.head * count or plan.together for count in heads)
        channels, inner = max(widths), max(self.spans)
        self.qkv = uniform_fan_in(rngs, (channels, 1 if memory else 3, inner), channels)
        self.kv = uniform_fan_in(rngs, (max(memory), 2, inner), max(memory)) if memory else None
        self.bias = uniform_fan_in(rngs, (3 * inner,), channels)
        self.project = Dense(inner, channels, bias=True, rngs=rngs)
        width, has = plan.head or plan.together // max(heads), bool(plan.distance and tables)
        self.keys, self.values = (Relative(tables, plan.places, width, rngs=rngs) if has else None for _ in range(2))

    def __call__(self, h: jax.Array, row: Row, width: Row, around: Around) -> jax.Array:
        """Of one without a memory. row: of the heads; width: of the embedding -> [B, T, C]."""
        q, k, v = self.projected(h, row)
        return self.looked(q, k, v, row, width, around)

    def projected(self, h: jax.Array, row: Row) -> list[jax.Array]:
        """Queries [B, T, I], and without a memory keys and values."""
        return self._projected(h, row, self.qkv[...], 0)

    def remembered(self, memory: jax.Array, row: Row) -> list[jax.Array]:
        """Keys and values [B, L, S, I] of a memory [B, L, S, C]."""
        assert self.kv is not None
        return self._projected(memory, row, self.kv[...], 1)

    def _projected(self, x: jax.Array, row: Row, kernel: jax.Array, start: int) -> list[jax.Array]:
        """kernel [C, K, I], of the K from `start` on among queries, keys and values."""
        _, count, inner = kernel.shape
        cut = [self.bias[...][: 3 * span].reshape(3, span) for span in self.spans]
        bias = chosen(row, [jnp.pad(b, ((0, 0), (0, inner - b.shape[1]))) for b in cut], self.paths).astype(x.dtype)
        flat = kernel.astype(x.dtype).reshape(len(kernel), -1)
        found = (x @ flat).reshape(*x.shape[:-1], count, inner) + bias[start : start + count]
        return [found[..., i, :] for i in range(count)]

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
        """Scaled by the width of a head, or as AutoFormer's code by that of the embedding."""
        if self.plan.inner:
            return self._attended(q, k, v, heads, (self.plan.inner // heads) ** -0.5, around)
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
