"""RandAugment: so many operations on each image, drawn from fourteen, all of one magnitude.

Cubuk et al., NeurIPS 2020, arXiv:1909.13719. Operations, ranges and signs as in torchvision's `RandAugment`; pixels as
in Pillow: geometry takes the nearest pixel and fills with black, in Pillow's fixed point. Pure functions of uint8
images for inside jit. Axis letters: B batch, H W C (1 or 3).
"""

import math
from collections.abc import Callable, Sequence
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from dnas.errors import UserError

LARGEST = 30  # of 31 magnitudes from 0
SHEAR, ROTATION, TRANSLATION, ENHANCEMENT = 0.3, 30.0, 150 / 331, 0.9  # at the largest; degrees, shares of the side
ONE = 65536  # in fixed point
CHANNELS = (1, 3)  # of its images

Operation = Callable[[jax.Array, jax.Array], jax.Array]
"""(image [H, W, C] of uint8, whether the magnitude is negative) -> image."""


def rand_augment(operations: int = 2, magnitude: int = 9) -> Callable[[jax.Array, jax.Array], jax.Array]:
    """(key, images [B, H, W, C] of uint8) -> images. operations: per image. magnitude: 0 to 30.

    Errors: `UserError` for a magnitude or channels that there are not.
    """

    def augmented(key, images):
        batch, height, width, channels = images.shape
        if channels not in CHANNELS:
            raise UserError(f"RandAugment takes images of 1 or 3 channels, not of {channels}: leave it out.")
        branches = tuple(made(magnitude, height, width).values())
        choice_key, sign_key = jax.random.split(key)
        choices = jax.random.randint(choice_key, (operations, batch), 0, len(branches))
        negative = jax.random.bernoulli(sign_key, 0.5, (operations, batch))
        for drawn in zip(choices, negative, strict=True):
            # 96 images of 32x32 pixels twice, on two CPU cores: in turns 2 ms, together 50 ms
            images = jax.lax.platform_dependent(
                images, *drawn, cpu=partial(in_turns, branches), default=partial(together, branches)
            )
        return images

    return augmented


def in_turns(branches: Sequence[Operation], images: jax.Array, choices: jax.Array, negative: jax.Array) -> jax.Array:
    """One image after the other, each by its operation alone."""
    return jax.lax.map(lambda row: jax.lax.switch(row[1], branches, row[0], row[2]), (images, choices, negative))


def together(branches: Sequence[Operation], images: jax.Array, choices: jax.Array, negative: jax.Array) -> jax.Array:
    """The same for all at once, which computes every operation for every image."""
    one = jax.vmap(lambda image, choice, sign: jax.lax.switch(choice, branches, image, sign))
    return one(images, choices, negative)


def made(magnitude: int, height: int, width: int) -> dict[str, Operation]:
    """The operations of one magnitude by name, for images of one size. Errors: `UserError`, see `rand_augment`."""
    if not 0 <= magnitude <= LARGEST:
        raise UserError(f"The magnitude of RandAugment is 0 to {LARGEST}, not {magnitude}.")
    share = magnitude / LARGEST
    shear, across, down = SHEAR * share, int(TRANSLATION * width * share), int(TRANSLATION * height * share)
    products = _products(ENHANCEMENT * share)
    bits = 8 - round(4 * share)
    return {
        "identity": lambda image, negative: image,
        "auto_contrast": lambda image, negative: auto_contrast(image),
        "equalise": lambda image, negative: equalise(image),
        "rotate": _affine([_rotation(sign * ROTATION * share, height, width) for sign in (1, -1)]),
        "posterise": lambda image, negative: image & np.uint8(256 - 2 ** (8 - bits)),
        "solarise": lambda image, negative: jnp.where(image < 255 * (1 - share), image, 255 - image),
        "colour": partial(_enhanced, _grey, products),
        "contrast": partial(_enhanced, _mean_grey, products),
        "brightness": partial(_enhanced, jnp.zeros_like, products),
        "sharpness": partial(_enhanced, _smooth, products),
        "shear_x": _affine([(1, sign * shear, 0, 0, 1, 0) for sign in (1, -1)]),
        "shear_y": _affine([(1, 0, 0, sign * shear, 1, 0) for sign in (1, -1)]),
        "translate_x": _affine([(1, 0, sign * across, 0, 1, 0) for sign in (1, -1)]),
        "translate_y": _affine([(1, 0, 0, 0, 1, sign * down) for sign in (1, -1)]),
    }


def auto_contrast(image: jax.Array) -> jax.Array:
    """Each channel stretched to 0..255. In whole numbers: Pillow's floats are one lower where they round 3 to 2.99."""
    values = image.astype(jnp.int32)
    low, high = values.min((0, 1)), values.max((0, 1))
    stretched = (values - low[None, None]) * 255 // jnp.maximum(high - low, 1)[None, None]
    return jnp.where((high > low)[None, None], stretched, values).astype(jnp.uint8)


def equalise(image: jax.Array) -> jax.Array:
    """Each channel with a flat histogram."""

    def one(channel):
        counts = jnp.zeros(256, jnp.int32).at[channel].add(1)
        step = (channel.size - counts[channel.max()]) // 255
        below = jnp.cumsum(counts) - counts
        table = jnp.minimum((step // 2 + below) // jnp.maximum(step, 1), 255)
        return jnp.where(step > 0, table[channel], channel).astype(jnp.uint8)

    return jax.vmap(one, -1, -1)(image)


def _rotation(degrees: float, height: int, width: int) -> tuple[float, ...]:
    """Pillow's matrix of a rotation about the centre, from where a pixel goes to where it comes from."""
    angle, x, y = -math.radians(degrees % 360), width / 2, height / 2
    cosine, sine = round(math.cos(angle), 15), round(math.sin(angle), 15)
    return cosine, sine, cosine * -x + sine * -y + x, -sine, cosine, -sine * -x + cosine * -y + y


def _affine(matrices: list[tuple[float, ...]]) -> Operation:
    """The pixel at (x, y) comes from (a x + b y + c, d x + e y + f); matrices: for both signs of the magnitude."""
    rows = [(a, b, c + a / 2 + b / 2, d, e, f + d / 2 + e / 2) for a, b, c, d, e, f in matrices]
    fixed = np.floor(np.array(rows) * ONE + 0.5).astype(np.int32)

    def moved(image, negative):
        height, width, _ = image.shape
        a, b, c, d, e, f = jnp.asarray(fixed)[negative.astype(jnp.int32)]
        x, y = jnp.arange(width)[None], jnp.arange(height)[:, None]
        column, row = (c + a * x + b * y) >> 16, (f + d * x + e * y) >> 16
        inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
        found = image[jnp.clip(row, 0, height - 1), jnp.clip(column, 0, width - 1)]
        return jnp.where(inside[..., None], found, jnp.uint8(0))

    return moved


def _products(change: float) -> np.ndarray:
    """[2, 511]: the factors 1 + change and 1 - change times -255..255, as floats of 32 bits like Pillow's. A table, as
    a product and a sum might be fused, and rounded otherwise."""
    factors = np.array([1 + change, 1 - change], np.float32)
    return factors[:, None] * np.arange(-255, 256, dtype=np.float32)


def _enhanced(
    degenerate: Callable[[jax.Array], jax.Array], products: np.ndarray, image: jax.Array, negative: jax.Array
) -> jax.Array:
    """degenerate + factor (image - degenerate), cut to 0..255, without rounding: `ImageEnhance`."""
    start = degenerate(image).astype(jnp.int32)
    way = jnp.asarray(products)[negative.astype(jnp.int32)][image.astype(jnp.int32) - start + 255]
    return jnp.clip(start + way, 0, 255).astype(jnp.uint8)


def _grey(image: jax.Array) -> jax.Array:
    """Luminance (ITU-R 601-2) in every channel."""
    if image.shape[-1] == 1:
        return image
    weighted = (image.astype(jnp.int32) * jnp.array([19595, 38470, 7471])[None, None]).sum(-1, keepdims=True)
    return jnp.broadcast_to((weighted + ONE // 2) >> 16, image.shape)


def _mean_grey(image: jax.Array) -> jax.Array:
    """The mean luminance, rounded, everywhere. Sums are exact below 4 million pixels."""
    grey = _grey(image)[..., 0].astype(jnp.int32)
    return jnp.broadcast_to((2 * grey.sum() + grey.size) // (2 * grey.size), image.shape)


def _smooth(image: jax.Array) -> jax.Array:
    """Each pixel with weight 5, its eight neighbours with 1; the border stays."""
    values = image.astype(jnp.int32)
    height, width, _ = image.shape
    if height < 3 or width < 3:
        return values
    shifted = [values[i : height - 2 + i, j : width - 2 + j] for i in range(3) for j in range(3)]
    inner = (2 * (sum(shifted) + 4 * values[1:-1, 1:-1]) + 13) // 26
    return values.at[1:-1, 1:-1].set(inner)
