"""Array work that data sets share: stratified order, area resize, reading arrays as images or labels."""

import math

import numpy as np

from dnas.errors import UserError

CHUNK = 1024  # images converted at once: bounds their copies in float32
CHUNK_BYTES = 2**28  # that such a copy may have, unless one image has more


def stratified_order(labels: np.ndarray, seed: int) -> np.ndarray:
    """A seeded shuffle, as indices [N], every prefix of which has the classes in proportion."""
    shuffled = np.random.default_rng(seed % 2**32).permutation(len(labels))
    by_class = shuffled[np.argsort(labels[shuffled], kind="stable")]
    counts = np.bincount(labels)
    starts = np.concatenate([[0], np.cumsum(counts)[:-1]])
    sorted_labels = labels[by_class]
    # The k-th image of a class of n stands at (k + 1/2) / n of the whole; the shuffle breaks the ties.
    place = np.empty(len(labels))
    place[by_class] = (np.arange(len(labels)) - starts[sorted_labels] + 0.5) / counts[sorted_labels]
    return shuffled[np.argsort(place[shuffled], kind="stable")]


def validation_count(count: int, portion: float) -> int:
    """How many of so many train examples validate: as of DARTS' images the train part is rounded down."""
    return math.ceil(portion * count - 1e-6)


def hold_out(labels: np.ndarray, portion: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices (kept, held out): a seeded stratified split, at least one image held out."""
    order = stratified_order(labels, seed)
    held_out = max(1, round(portion * len(order)))
    return order[held_out:], order[:held_out]


def resized(images: np.ndarray, size: int) -> np.ndarray:
    """uint8 [N, H, W, C] -> [N, size, size, C]: centre crop to a square, then the mean over each area."""
    height, width = images.shape[1:3]
    side = min(height, width)
    top, left = (height - side) // 2, (width - side) // 2
    images = images[:, top : top + side, left : left + side]
    if side == size:
        return images
    count, channels = len(images), images.shape[3]
    overlap = _area_overlap(side, size)
    columns = np.kron(overlap, np.eye(channels, dtype=np.float32)).T  # [W C, size C]: one large product
    out = np.empty((count, size, size, channels), np.uint8)
    step = max(1, min(CHUNK, CHUNK_BYTES // (4 * channels * max(side, size) ** 2)))
    for start in range(0, count, step):
        chunk = images[start : start + step].astype(np.float32).reshape(-1, side * channels)
        narrow = (chunk @ columns).reshape(-1, side, size * channels)
        small = np.matmul(overlap, narrow).reshape(-1, size, size, channels)
        out[start : start + step] = np.floor(small + 0.5).clip(0, 255)
    return out


def as_images(array: object, what: str) -> np.ndarray:
    """Images as uint8 [N, H, W, C]: grey [N, H, W] gets a channel axis, floats in [0, 1] become 0..255."""
    images = _as_array(array, what)
    if images.ndim == 3:
        images = images[..., None]
    if images.ndim != 4:
        raise UserError(f"{what} must be images [N, H, W] or [N, H, W, C], not an array of shape {images.shape}.")
    if images.shape[-1] > 4 and images.shape[1] in (1, 3, 4):  # and not the other way round
        raise UserError(
            f"{what} have the shape {list(images.shape)}, where {images.shape[1]} looks like the number of channels: "
            "move it to the end, x.transpose(0, 2, 3, 1)."
        )
    if np.issubdtype(images.dtype, np.floating):
        if images.size and not (images.min() >= 0 and images.max() <= 1):  # `not`: catches NaN
            raise UserError(
                f"{what} are floats from {images.min():.4g} to {images.max():.4g}: "
                "give uint8 images (0 to 255) or floats in [0, 1]."
            )
        if images.size and 0 < 255 * images.max() < 1.5:  # then nothing but 0 and 1 of 255 would be left
            raise UserError(
                f"{what} are floats of at most {images.max():.4g}, as if divided by 255 twice: give uint8 images "
                "(0 to 255) or floats of which white is 1."
            )
        rounded = np.empty(images.shape, np.uint8)
        for start in range(0, len(images), CHUNK):
            rounded[start : start + CHUNK] = np.round(images[start : start + CHUNK] * 255)
        images = rounded
    if images.dtype != np.uint8:
        raise UserError(f"{what} are of type {images.dtype}: give uint8 images (0 to 255) or floats in [0, 1].")
    return images


def as_labels(array: object, what: str) -> np.ndarray:
    """Labels as int32 [N], none negative."""
    labels = _as_array(array, what)
    if labels.ndim != 1 or not np.issubdtype(labels.dtype, np.integer):
        raise UserError(
            f"{what} must be whole numbers [N], one class index per image, "
            f"not an array of shape {labels.shape} and type {labels.dtype}."
        )
    if labels.size and not (labels.min() >= 0 and labels.max() < 2**31):
        raise UserError(f"{what} run from {labels.min()} to {labels.max()}: class indices start at 0.")
    return labels.astype(np.int32)


def _as_array(array: object, what: str) -> np.ndarray:
    """Errors: `UserError` for rows of different lengths and for masked arrays, of which the mask would be lost."""
    if any(np.ma.is_masked(part) for part in (array, *(array if isinstance(array, (list, tuple)) else ()))):
        raise UserError(f"{what} are masked arrays: fill what is masked, x.filled(0), or leave those images out.")
    try:
        return np.asarray(array)
    except (ValueError, TypeError) as error:
        raise UserError(
            f"{what} cannot be read as one array: all rows and all images must have the same size."
        ) from error


def _area_overlap(old: int, new: int) -> np.ndarray:
    """[new, old]: the share of each old pixel in each new pixel; rows sum to 1."""
    edges = np.arange(new + 1) * (old / new)
    pixels = np.arange(old)
    upper = np.minimum(edges[1:, None], pixels[None] + 1)
    lower = np.maximum(edges[:-1, None], pixels[None])
    overlap = np.maximum(upper - lower, 0)
    return (overlap / overlap.sum(axis=1, keepdims=True)).astype(np.float32)
