"""What a transformer begins with: tokens or frames with sinusoidal positions, or patches of images with learnt ones.

Axis letters: B batch, T tokens or patches, S those that are looked at, C embedding.
"""

from collections.abc import Sequence

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dnas.architectures.topology import NetworkSize
from dnas.errors import UserError
from dnas.nets import sequences
from dnas.nets.layers import uniform, uniform_fan_in
from dnas.nets.sequences import Inputs
from dnas.nets.transformer_options import SMALL, Around, Plan


class Tokens(nnx.Module):
    """Embedded tokens, or frames, with sinusoidal positions, times the root of the largest width as Vaswani et al. have
    it."""

    def __init__(self, widths: Sequence[int], size: NetworkSize, plan: Plan, causal: bool, *, rngs: nnx.Rngs):
        self.plan, self.causal = plan, causal
        self.embedding = sequences.table(rngs, size, max(widths), float(np.sqrt(3 / plan.full)))

    def __call__(self, given: Inputs, kept: jax.Array) -> tuple[jax.Array, Around]:
        """kept [C] -> [B, T, C]."""
        there = sequences.present(given)
        there, at = jnp.ones_like(there) if self.causal else there, jnp.arange(there.shape[1])
        x = self._placed(given, jnp.maximum(jnp.cumsum(there, 1) - 1, 0), kept)
        distances = (self.plan.places_of(at[None] - at[:, None]),) if self.plan.distance else ()
        if self.causal:
            return x, Around((at[None] <= at[:, None])[None, None], None, distances, None, True)
        return x, Around(there[:, None, None], there[..., None].astype(x.dtype), distances)

    def step(self, tokens: jax.Array, kept: jax.Array, number: jax.Array, length: int) -> tuple[jax.Array, Around]:
        """The same of the tokens [B, 1] with this number, of texts of at most `length` that are read causally."""
        at = jnp.arange(length)
        distances = (self.plan.places_of(at - number)[None],) if self.plan.distance else ()
        x = self._placed(tokens, jnp.full((1, 1), number), kept)
        return x, Around((at <= number)[None, None, None], None, distances, None, True)

    def _placed(self, given: Inputs, places: jax.Array, kept: jax.Array) -> jax.Array:
        """places: their numbers in the text [B or 1, T] -> [B, T, C]."""
        embedding, full = self.embedding[...], self.plan.full
        rates = 10_000.0 ** (-np.arange(0, full, 2) / full)
        angles = places[..., None] * jnp.asarray(rates, jnp.promote_types(embedding.dtype, jnp.float32))
        waves = jnp.stack([jnp.sin(angles), jnp.cos(angles)], -1).reshape(*places.shape, -1)[..., : len(kept)]
        root = jnp.asarray(np.sqrt(full), embedding.dtype)
        return (sequences.embedded(embedding, given) * root + waves.astype(embedding.dtype)) * kept


class Patches(nnx.Module):
    """Images cut into squares, each one product, behind a class token where there is one, and learnt positions.

    The positions are those of images of `Plan.pixels`; for others they are interpolated.
    """

    def __init__(self, widths: Sequence[int], size: NetworkSize, plan: Plan, *, rngs: nnx.Rngs):
        self.plan, channels, side = plan, max(widths), plan.patch
        shape = side, side, size.image_channels, channels
        self.kernel = uniform_fan_in(rngs, shape, int(np.prod(shape[:3])))
        self.bias = uniform_fan_in(rngs, (channels,), int(np.prod(shape[:3])))
        self.token = uniform(rngs, (1, channels), SMALL) if plan.class_token else None
        count = (plan.pixels // side) ** 2 + plan.class_token
        self.positions = uniform(rngs, (count, channels), SMALL) if plan.positions else None

    def __call__(self, x: jax.Array, kept: jax.Array) -> tuple[jax.Array, Around]:
        """[B, H, W, image channels], kept [C] -> [B, T, C]."""
        b, h, w, c = x.shape
        side, kernel = self.plan.patch, self.kernel[...].astype(x.dtype)
        if h % side or w % side:
            raise UserError(
                f"This network cuts images into patches of {side}x{side} pixels, and these have {h}x{w}: choose images "
                f"of a multiple of {side}, or another patch."
            )
        grid = h // side, w // side
        cut = x.reshape(b, grid[0], side, grid[1], side, c).swapaxes(2, 3).reshape(b, grid[0] * grid[1], -1)
        y = cut @ kernel.reshape(-1, kernel.shape[-1]) + self.bias[...].astype(x.dtype)
        if self.token is not None:
            y = jnp.concatenate([jnp.broadcast_to(self.token[...].astype(y.dtype), (b, 1, y.shape[2])), y], 1)
        if self.positions is not None:
            y = y + self._placed(grid).astype(y.dtype)
        return y * kept, Around(distances=self._distances(grid) if self.plan.distance else (), grid=grid)

    def _placed(self, grid: tuple[int, int]) -> jax.Array:
        assert self.positions is not None
        table, more, side = self.positions[...], int(self.plan.class_token), self.plan.pixels // self.plan.patch
        if grid == (side, side):
            return table
        resized = jax.image.resize(table[more:].reshape(side, side, -1), (*grid, table.shape[1]), "linear")
        return jnp.concatenate([table[:more], resized.reshape(grid[0] * grid[1], -1)])

    def _distances(self, grid: tuple[int, int]) -> tuple[jax.Array, jax.Array]:
        """Rows, then columns, between patches; 0 where one of two is the class token."""
        at, more = jnp.arange(grid[0] * grid[1]), int(self.plan.class_token)
        both = [self.plan.places_of(of[None] - of[:, None]) for of in (at // grid[1], at % grid[1])]
        rows, columns = (jnp.pad(one, ((more, 0), (more, 0))) for one in both)
        return rows, columns
