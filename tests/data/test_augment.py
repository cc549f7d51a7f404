"""Augmentation against a slow numpy version with the same draws, and its chances."""

from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.config import AugmentConfig, RetrainConfig, SearchConfig
from dnas.data import Dataset, Splits, load, split, tailored
from dnas.data.augment import Draw, augment, draw, fitted, normalise, transform

MEAN, STD = np.array([125.0, 123.0, 114.0], np.float32), np.array([63.0, 62.0, 66.0], np.float32)


@pytest.fixture(autouse=True)
def strict():
    with jax.numpy_rank_promotion("raise"), jax.debug_key_reuse(True):
        yield


def images(batch: int = 6, height: int = 8, width: int = 8) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (batch, height, width, 3), dtype=np.uint8)


def slow(draws: Draw, x: np.ndarray, pad: int, flip: bool, cutout: int) -> np.ndarray:
    """As torchvision's RandomCrop, RandomHorizontalFlip, Normalize and DARTS' Cutout, one by one."""
    out = []
    for i, image in enumerate(x):
        height, width, _ = image.shape
        padded = np.pad(image, ((pad, pad), (pad, pad), (0, 0)))
        top, left = (int(draws.row[i]), int(draws.column[i])) if pad else (0, 0)
        image = padded[top : top + height, left : left + width]
        if flip and draws.mirrored[i]:
            image = image[:, ::-1]
        image = (image.astype(np.float32) - MEAN) / STD
        if cutout:
            row, column = int(draws.hole_row[i]), int(draws.hole_column[i])
            top, bottom = np.clip([row - cutout // 2, row + cutout // 2], 0, height)
            left, right = np.clip([column - cutout // 2, column + cutout // 2], 0, width)
            image = image.copy()
            image[top:bottom, left:right] = 0
        out.append(image)
    return np.stack(out)


@pytest.mark.parametrize("shape", [(8, 8), (6, 10)])
@pytest.mark.parametrize(
    ("pad", "flip", "cutout"), [(2, True, 4), (4, False, 0), (0, True, 0), (0, False, 3), (0, False, 0)]
)
def test_equals_the_slow_version(pad, flip, cutout, shape):
    x = images(16, *shape)
    draws = draw(jax.random.key(3), x.shape, pad=pad)
    fast = transform(draws, jnp.asarray(x), MEAN, STD, pad=pad, flip=flip, cutout=cutout)
    assert fast.dtype == jnp.float32
    np.testing.assert_allclose(fast, slow(draws, x, pad, flip, cutout), atol=1e-6)
    whole = augment(jax.random.key(3), jnp.asarray(x), MEAN, STD, pad=pad, flip=flip, cutout=cutout)
    np.testing.assert_array_equal(whole, fast)


@pytest.mark.parametrize(("pad", "flip"), [(0, True), (0, False), (2, False)])
def test_numpy_images_are_images(pad, flip):
    x, settings = images(), {"pad": pad, "flip": flip, "cutout": 2}
    of_numpy, of_jax = (augment(jax.random.key(3), x, MEAN, STD, **settings) for x in (x, jnp.asarray(x)))
    np.testing.assert_array_equal(of_numpy, of_jax)


def test_every_corner_of_the_crop_and_of_the_hole():
    x = images(1)
    for row in (0, 2, 4):
        for column in (0, 2, 4):
            for hole in (0, 3, 7):
                draws = Draw(*(jnp.array([v]) for v in (row, column, True, hole, 7 - hole)))
                fast = transform(draws, jnp.asarray(x), MEAN, STD, pad=2, flip=True, cutout=4)
                np.testing.assert_allclose(fast, slow(draws, x, 2, True, 4), atol=1e-6)


def test_jit_changes_nothing():
    x = jnp.asarray(images())

    def call(key, x):
        return augment(key, x, MEAN, STD, pad=2, flip=True, cutout=4)

    plain, jitted = call(jax.random.key(0), x), jax.jit(call)(jax.random.key(0), x)
    np.testing.assert_allclose(plain, jitted, rtol=1e-6, atol=1e-6)


def test_vmap_over_keys_is_one_call_per_key():
    x = jnp.asarray(images())

    def call(key):
        return augment(key, x, MEAN, STD, pad=2, flip=True, cutout=4)

    mapped = jax.vmap(call)(jax.random.split(jax.random.key(0), 3))
    single = jnp.stack([call(key) for key in jax.random.split(jax.random.key(0), 3)])
    np.testing.assert_allclose(mapped, single, rtol=1e-6, atol=1e-6)
    assert not np.array_equal(mapped[0], mapped[1])


def test_chances():
    count, pad, side = 20_000, 2, 8
    draws = draw(jax.random.key(5), (count, side, side, 3), pad=pad)
    assert abs(draws.mirrored.mean() - 0.5) < 0.02  # 5 standard deviations
    for offsets, options in ((draws.row, 2 * pad + 1), (draws.column, 2 * pad + 1), (draws.hole_row, side)):
        shares = np.bincount(np.asarray(offsets), minlength=options) / count
        assert len(shares) == options
        np.testing.assert_allclose(shares, 1 / options, atol=0.02)
    columns = np.stack([np.asarray(field, float) for field in draws])
    assert np.abs(np.corrcoef(columns) - np.eye(5)).max() < 0.04  # every draw has its own key


def test_padding_is_black_before_normalisation():
    x = jnp.full((1, 8, 8, 3), 255, jnp.uint8)
    draws = Draw(*(jnp.array([v]) for v in (0, 0, False, 0, 0)))
    out = transform(draws, x, MEAN, STD, pad=2, flip=False, cutout=0)
    np.testing.assert_allclose(out[0, 0, 0], -MEAN / STD, rtol=1e-6)
    np.testing.assert_allclose(out[0, 2, 2], (255 - MEAN) / STD, rtol=1e-6)


def test_normalise_gives_zero_mean_and_unit_variance():
    x = images(64)
    mean, std = x.mean(axis=(0, 1, 2)), x.std(axis=(0, 1, 2))
    out = np.asarray(normalise(jnp.asarray(x), mean, std))
    np.testing.assert_allclose(out.mean(axis=(0, 1, 2)), 0, atol=1e-5)
    np.testing.assert_allclose(out.std(axis=(0, 1, 2)), 1, atol=1e-5)


def test_other_types_are_computed_in_float32():
    x = jnp.asarray(images())
    draws = draw(jax.random.key(0), x.shape, pad=2)
    exact = transform(draws, x, MEAN, STD, pad=2, flip=True, cutout=4)
    half = transform(draws, x, MEAN, STD, pad=2, flip=True, cutout=4, dtype=jnp.bfloat16)
    assert half.dtype == jnp.bfloat16
    np.testing.assert_array_equal(half, exact.astype(jnp.bfloat16))


# --- a recipe that fits the images


def splits_of(height: int, width: int, mirrors: bool = True) -> Splits:
    x, y = np.zeros((4, height, width, 1), np.uint8), np.array([0, 1, 0, 1], np.int32)
    return split(Dataset("some", x, y, x, y, ("a", "b"), "a note", mirrors), 0.5, seed=0, shuffle=False)


def kept(recipe, height, width):
    """The smallest part of an image that crop and cutout together leave."""
    side = recipe.cutout // 2 * 2
    crop = max(height - recipe.pad, 0) * max(width - recipe.pad, 0)
    return (crop - min(side, height) * min(side, width)) / (height * width)


RETRAINING = RetrainConfig().augment


@pytest.mark.parametrize("side", [14, 16, 28, 32, 64, 224])
def test_the_published_recipe_of_a_search_is_kept_where_it_fits(side):
    splits = splits_of(side, side)
    fit, noted = fitted(SearchConfig().augment, splits)
    assert fit == SearchConfig().augment and noted.note == "a note"
    np.testing.assert_array_equal(noted.train_x, splits.train_x)


@pytest.mark.parametrize("side", [32, 96, 224])
def test_the_published_recipe_of_a_training_is_kept_where_it_fits(side):
    assert fitted(RETRAINING, splits_of(side, side))[0] == RETRAINING


def test_what_was_published_for_32_pixels_is_scaled_to_8_and_said():
    fit, noted = fitted(RETRAINING, splits_of(8, 8))
    assert (fit.pad, fit.flip, fit.cutout) == (1, True, 4)
    assert noted.note == "a note; pad 4 -> 1, cutout 16 -> 4, which leaves half of the 8x8 pixels at least"
    fit, noted = fitted(RETRAINING, splits_of(16, 16))
    assert (fit.pad, fit.cutout) == (2, 8)
    assert "pad 4 -> 2, cutout 16 -> 8" in noted.note


@pytest.mark.parametrize(
    "shape", [(1, 1), (2, 2), (3, 3), (8, 8), (13, 13), (32, 32), (8, 64), (64, 8), (1, 50), (100, 70)]
)
def test_no_recipe_leaves_less_than_half_of_an_image(shape):
    splits = splits_of(*shape)
    for pad, cutout in product((0, 1, 4, 9, 40, 1_000_000), (0, 1, 7, 16, 22, 23, 100, 1_000_000)):
        recipe = AugmentConfig(pad, False, cutout)
        fit, noted = fitted(recipe, splits)
        assert kept(fit, *shape) >= 0.5
        assert 0 <= fit.pad <= pad and 0 <= fit.cutout <= cutout
        if max(pad, cutout) < 1000:  # what fits is kept
            assert (fit == recipe) == (kept(recipe, *shape) >= 0.5)
            assert (noted.note == "a note") == (fit == recipe)


def test_what_must_not_be_mirrored_is_not_and_it_is_said():
    fit, noted = fitted(AugmentConfig(), splits_of(32, 32, mirrors=False))
    assert fit == AugmentConfig(flip=False) and "not mirrored" in noted.note
    fit, noted = fitted(AugmentConfig(flip=False), splits_of(32, 32, mirrors=False))
    assert fit == AugmentConfig(flip=False) and noted.note == "a note"
    assert not split(tailored(load("digits"), size=6, limit=50), 0.5, seed=0).mirrors
