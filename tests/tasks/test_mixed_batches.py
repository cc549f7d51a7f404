"""Training on mixed and randomly augmented images: what a batch is, what its loss and accuracy are, what is refused."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dnas
from dnas import find, retrain
from dnas.architectures.genotype import parse
from dnas.config import AugmentConfig, Config, RetrainConfig
from dnas.data import from_arrays
from dnas.errors import UserError
from dnas.nets.layers import Outputs
from dnas.runs import records
from dnas.tasks import binding
from dnas.tasks.classification import Classification
from dnas.types import Batch

PLAN = RetrainConfig(
    epochs=1, batch_size=16, cells=1, channels=2, auxiliary=0.0, drop_path=0.0, augment=AugmentConfig(pad=1, cutout=2)
)
CONFIG = Config("nasbench201:nodes=3,operations=none+skip_connect+nor_conv_1x1", data="digits:limit=100", retrain=PLAN)
CELL = parse("|nor_conv_1x1~0|+|skip_connect~0|nor_conv_1x1~1|")


def with_plan(**changes):
    return dataclasses.replace(CONFIG, retrain=dataclasses.replace(PLAN, **changes))


def bound(dataset=None, **changes):
    config = with_plan(**changes)
    dataset = dnas.data.load(config.data) if dataset is None else dataset
    return binding.bind(dataset, config, "retrain", find.resolve("space", config.space))[0]


def batch_of(task, key=0):
    arrays = task.arrays("train")
    return task.pure.batch(arrays, jnp.arange(16), 0, 16, jax.random.key(key))


@pytest.mark.slow
def test_labels_become_shares_where_images_are_mixed():
    plain = batch_of(bound())
    assert plain.targets.shape == (16,)
    for changes in ({"mixup": 0.4}, {"cutmix": 1.0}, {"mixup": 0.4, "cutmix": 1.0}):
        batch = batch_of(bound(**changes))
        assert batch.inputs.shape == plain.inputs.shape and batch.targets.shape == (16, 10)
        np.testing.assert_allclose(batch.targets.sum(-1), 1, rtol=1e-6)
        own = np.take_along_axis(np.asarray(batch.targets), np.asarray(plain.targets)[:, None], -1)
        assert (own > 0).all() and (own < 1).any()


def test_with_both_every_batch_has_one_of_them():
    """CutMix shows every pixel as it was, and mixup hardly one."""
    task = bound(mixup=1.0, cutmix=1.0, augment=AugmentConfig(pad=0, flip=False))
    arrays = jax.tree.map(jnp.asarray, task.arrays("train"))
    mean, std = arrays[2]
    batches = jax.jit(jax.vmap(lambda key: task.pure.batch(arrays, jnp.arange(16), 0, 16, key)))
    pixels = np.asarray(batches(jax.random.split(jax.random.key(0), 12)).inputs) * std + mean
    whole = np.abs(pixels - np.round(pixels)).max((1, 2, 3, 4)) < 1e-3
    assert {True, False} == set(whole.tolist())


def test_rand_augment_changes_images_between_crop_and_normalisation():
    none = AugmentConfig(pad=0, flip=False)
    task = bound(augment=none, rand_augment=2, magnitude=20)
    x, y, (mean, std) = task.arrays("train")
    batch = batch_of(task)
    assert (batch.targets == y[:16]).all()
    pixels = np.asarray(batch.inputs) * std + mean
    np.testing.assert_allclose(pixels, np.round(pixels), atol=1e-3)  # they were whole numbers when they were normalised
    assert (np.abs(pixels - x[:16]) > 0.5).any((1, 2, 3)).sum() > 4


def test_the_loss_of_shares_is_the_mean_of_the_losses_of_labels():
    """Also with smoothing and an auxiliary head; what is right is the share of the answer."""
    rng = np.random.default_rng(0)
    logits, extra = (jnp.asarray(rng.normal(size=(6, 4)), jnp.float32) for _ in "ab")
    first, second, share = jnp.arange(6) % 4, jnp.arange(6) // 2, 0.3
    task = Classification(smoothing=0.1, auxiliary=0.4)
    outputs = Outputs(logits, extra)
    mixed = share * jax.nn.one_hot(first, 4) + (1 - share) * jax.nn.one_hot(second, 4)
    total, sums = task.loss(outputs, Batch((), mixed))
    (a, of_a), (b, of_b) = (task.loss(outputs, Batch((), labels)) for labels in (first, second))
    np.testing.assert_allclose(total, share * a + (1 - share) * b, rtol=1e-5)
    right = share * of_a["accuracy"][0] + (1 - share) * of_b["accuracy"][0]
    np.testing.assert_allclose(sums["accuracy"], (right, 6), rtol=1e-6)
    same, sums = task.loss(outputs, Batch((), jax.nn.one_hot(first, 4)))
    np.testing.assert_allclose(same, a, rtol=1e-6)
    assert sums["accuracy"][0] == of_a["accuracy"][0]


@pytest.mark.slow
def test_a_training_with_all_of_it_is_loaded_as_reported(tmp_path):
    config = with_plan(mixup=0.2, cutmix=1.0, rand_augment=1, label_smoothing=0.1, average="ema:decay=0.5")
    result = retrain.run(config, CELL, tmp_path / "run", quiet=True)
    (row,) = records.read_metrics(result.folder)
    assert 0 < row["train_accuracy"] < 1 and np.isfinite(row["train_loss"])
    assert dnas.load(result.folder).evaluate().accuracy == result.score == row["test_accuracy"]


def test_what_would_do_nothing_is_refused():
    two = from_arrays("two", np.zeros((40, 8, 8, 2), np.uint8), np.arange(40) % 4)
    for changes, dataset, says in (
        (
            {"rand_augment": 1},
            two,
            "rand_augment is 1, which takes images of 1 or 3 channels, and those of 'two' have 2",
        ),
        ({"magnitude": 12}, None, "magnitude is 12, that of RandAugment, which is off"),
        ({"mixup": 0.2, "batch_size": 1}, None, "mixup is 0.2, and a batch of one image has nothing to mix"),
        ({"cutmix": 1.0, "batch_size": 1}, None, "cutmix is 1, and a batch of one image"),
    ):
        with pytest.raises(UserError, match=says):
            bound(dataset, **changes)
