"""Mixup and CutMix: every image is what its target says."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.tasks.mixing import cutmix, mixup

BATCH, HEIGHT, WIDTH = 6, 12, 16
TARGETS = jnp.eye(BATCH)  # every image is a class of its own
COLOURS = jnp.broadcast_to(TARGETS[:, None, None], (BATCH, HEIGHT, WIDTH, BATCH))  # and its pixels say so


@pytest.mark.parametrize("mixing", [mixup(0.4), mixup(1.0), cutmix(1.0), cutmix(0.3)])
def test_the_targets_are_the_shares_of_the_images(mixing):
    several = jax.jit(jax.vmap(mixing, (0, None, None)))
    images, targets = several(jax.random.split(jax.random.key(0), 20), COLOURS, TARGETS)
    np.testing.assert_allclose(targets.sum(-1), 1, rtol=1e-6)
    np.testing.assert_allclose(images.mean((2, 3)), targets, atol=1e-6)
    assert (targets.max(-1) < 0.99).any()
    shares = np.sort(np.asarray(targets), -1)
    assert (shares[..., :-2] == 0).all()  # pairs
    own = np.diagonal(np.asarray(targets), axis1=1, axis2=2)
    paired = np.where(own < 1, own, own.min(1, keepdims=True))  # an image may be its own partner
    np.testing.assert_allclose(paired.max(1), paired.min(1), atol=1e-6)  # one share for the batch


def test_mixup_mixes_every_pixel_and_cutmix_none():
    key = jax.random.key(1)
    mixed, targets = mixup(1.0)(key, COLOURS, TARGETS)
    np.testing.assert_allclose(mixed, jnp.broadcast_to(targets[:, None, None], mixed.shape), rtol=1e-6)
    pasted, _ = cutmix(1.0)(key, COLOURS, TARGETS)
    assert set(np.unique(pasted)) == {0.0, 1.0}
    foreign = 1 - np.asarray(pasted)[np.arange(BATCH), :, :, np.arange(BATCH)]  # [B, H, W]
    changed = foreign[foreign.any((1, 2))]
    rows, columns = changed.any(2), changed.any(1)
    np.testing.assert_array_equal(changed, rows[:, :, None] * columns[:, None, :])  # one box
    assert (changed == changed[0]).all() and len(changed) >= BATCH - 2


def test_shares_follow_the_beta_distribution():
    """Beta(alpha, alpha) has mean 1/2 and variance 1 / (4 (2 alpha + 1))."""
    for alpha in (0.4, 2.0):
        keys = jax.random.split(jax.random.key(2), 2000)
        images = jnp.array([0.0, 1.0])
        mixed, _ = jax.jit(jax.vmap(mixup(alpha), (0, None, None)))(keys, images, jnp.eye(2))
        crossed = np.asarray(mixed)[(mixed != images).any(-1)][:, 1]  # not with itself: the second keeps its share
        assert abs(crossed.mean() - 0.5) < 0.05
        assert crossed.var() == pytest.approx(1 / (4 * (2 * alpha + 1)), rel=0.15)


def test_the_box_has_the_area_of_the_other_share():
    """Uniform areas a, and what the border leaves of them: E[(sqrt(a) - a / 4)^2] = 0.32; boxes have whole pixels."""
    keys, images = jax.random.split(jax.random.key(3), 2000), jnp.zeros((2, 128, 128, 1))
    _, targets = jax.jit(jax.vmap(cutmix(1.0), (0, None, None)))(keys, images, jnp.eye(2))
    own = np.asarray(targets)[:, 0, 0]
    assert own[own < 1].mean() == pytest.approx(0.68, abs=0.025) and own.min() < 0.2


def test_types_stay():
    images = jnp.ones((4, 8, 8, 1), jnp.bfloat16)
    for mixing in (mixup(0.2), cutmix(1.0)):
        mixed, targets = mixing(jax.random.key(0), images, jnp.eye(4))
        assert mixed.dtype == jnp.bfloat16 and targets.dtype == jnp.float32
