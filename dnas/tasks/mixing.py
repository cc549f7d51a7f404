"""Mixup and CutMix: training on pairs of images, their targets mixed by the same share.

    mixup:   x = share x_i + (1 - share) x_j      CutMix:  x = x_i, but x_j in a box of 1 - share of the area
    targets: y = share y_i + (1 - share) y_j,     share ~ Beta(alpha, alpha), one for the batch; j a permutation of i

Zhang et al., ICLR 2018, arXiv:1710.09412; Yun et al., ICCV 2019, arXiv:1905.04899. As in their codes a CutMix box is
cut at the border, and its share is what is left of it. Pure functions for inside jit. Axis letters: B batch, H W C.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp

Mixing = Callable[[jax.Array, jax.Array, jax.Array], tuple[jax.Array, jax.Array]]
"""(key, inputs [B, ...] of floats, targets [B, classes] that sum to one) -> the same, mixed."""


def mixup(alpha: float) -> Mixing:
    """alpha: above 0; the larger, the more equal the shares. Inputs have any axes after the first."""

    def mixed(key, inputs, targets):
        share, order, _ = _drawn(key, alpha, len(inputs))
        return _blend(share, inputs, inputs[order]), _blend(share, targets, targets[order])

    return mixed


def cutmix(alpha: float) -> Mixing:
    """alpha: above 0; 1 in the paper. Inputs [B, H, W, C]."""

    def mixed(key, inputs, targets):
        share, order, centre_key = _drawn(key, alpha, len(inputs))
        inside = _box(centre_key, share, inputs.shape[1:3])
        left = 1 - inside.mean(dtype=targets.dtype)
        pasted = jnp.where(inside[None, :, :, None], inputs[order], inputs)
        return pasted, _blend(left, targets, targets[order])

    return mixed


def chosen(mixup_alpha: float, cutmix_alpha: float) -> Mixing | None:
    """What these make, 0 standing for none; of both every batch has one, with equal chance, as in timm."""
    if not (mixup_alpha and cutmix_alpha):
        return mixup(mixup_alpha) if mixup_alpha else cutmix(cutmix_alpha) if cutmix_alpha else None
    first, second = mixup(mixup_alpha), cutmix(cutmix_alpha)

    def mixed(key, inputs, targets):
        choice_key, rest = jax.random.split(key)
        return jax.lax.cond(jax.random.bernoulli(choice_key), first, second, rest, inputs, targets)

    return mixed


def _drawn(key: jax.Array, alpha: float, batch: int) -> tuple[jax.Array, jax.Array, jax.Array]:
    """The share of the first of each pair, the second ones [B], and a key that is left."""
    share_key, order_key, rest = jax.random.split(key, 3)
    return jax.random.beta(share_key, alpha, alpha), jax.random.permutation(order_key, batch), rest


def _blend(share: jax.Array, first: jax.Array, second: jax.Array) -> jax.Array:
    share = share.astype(first.dtype)
    return share * first + (1 - share) * second


def _box(key: jax.Array, share: jax.Array, size: tuple[int, int]) -> jax.Array:
    """[H, W]: what a box of 1 - share of the area covers, its centre anywhere in the image."""
    sides = []
    for axis_key, length in zip(jax.random.split(key), size, strict=True):
        half = jnp.floor(length * jnp.sqrt(1 - share)).astype(jnp.int32) // 2
        centre, position = jax.random.randint(axis_key, (), 0, length), jnp.arange(length)
        sides.append((position >= centre - half) & (position < centre + half))
    return sides[0][:, None] & sides[1][None]
