"""Training a derived network: rows, metrics, partial batches, resuming, several seeds."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas import retrain
from dnas.architectures.genotype import parse, random, to_json
from dnas.config import Config, RetrainConfig, WeightConfig
from dnas.errors import UserError
from dnas.nets.functional import functionalize
from dnas.nets.network import Network
from dnas.runs import records
from dnas.spaces import darts, nasbench201
from dnas.tasks.classification import Classification
from dnas.tasks.task import Shape
from dnas.training.job import network_size_of
from dnas.training.step import make_training
from dnas.types import Batch

CELL = parse("|nor_conv_1x1~0|+|skip_connect~0|avg_pool_3x3~1|+|none~0|none~1|nor_conv_1x1~2|")
PLAN = RetrainConfig(epochs=2, batch_size=16, cells=1, channels=4, drop_path=0.0)
CONFIG = Config("nasbench201", data="digits", retrain=PLAN)


def images(classes, count=37):  # three batches of 16, the last of them partial
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 256, (count, 8, 8, 1), np.uint8), np.arange(count) % classes
    return x, y, x[:20], y[:20]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("classes", "reported"),
    [
        (5, False),
        (6, True),
        pytest.param(3, False, marks=pytest.mark.slow),
        pytest.param(10, True, marks=pytest.mark.slow),
    ],
)
def test_top5_accuracy_is_reported_where_it_says_something(tmp_path, classes, reported):
    plan = dataclasses.replace(PLAN, epochs=1)
    config = dataclasses.replace(CONFIG, retrain=plan)
    result = retrain.run(config, CELL, tmp_path / "run", data=images(classes), quiet=True)
    (row,) = records.read_metrics(result.folder)
    assert ("test_top5_accuracy" in row) == reported
    if reported:
        assert row["test_accuracy"] <= row["test_top5_accuracy"] <= 1
    assert row["step"] == 3
    assert result.score == pytest.approx(row["test_accuracy"])


@pytest.mark.slow
def test_weights_follow_the_optimiser_and_the_schedule_of_the_config(tmp_path):
    """Every step of Lion is as long as the learning rate, or none."""
    weights = WeightConfig(learning_rate=0.01, optimiser="lion", schedule="linear", warmup_epochs=1, decay=0.0)
    plan = dataclasses.replace(PLAN, epochs=3, weights=weights)
    network = functionalize(
        lambda rngs: Network(
            CELL,
            nasbench201.space(),
            network_size_of(plan, nasbench201.space(), Shape(3, (8, 8, 1))),
            rngs=rngs,
        )
    )
    training = make_training(network, Classification(), plan, 2, (3, 6))
    state, step = training.init(jax.random.key(0)), jax.jit(training.step)
    x, y, *_ = images(3)
    for rate in (0.0, 0.005, 0.01, 0.01, 0.005):
        before, (state, _) = state.weights, step(state, Batch(jnp.asarray(x, float), jnp.asarray(y)))
        moved = jax.tree.map(lambda new, old: np.abs(new - old).max(), state.weights, before)
        assert max(jax.tree.leaves(moved)) == pytest.approx(rate, rel=1e-3)


@pytest.mark.slow
def test_seeds_are_separate_trainings(tmp_path):
    both = retrain.run(
        dataclasses.replace(CONFIG, seeds=2), CELL, tmp_path / "both", data=images(10, count=60), quiet=True
    )
    second = retrain.run(
        dataclasses.replace(CONFIG, seed=1), CELL, tmp_path / "second", data=images(10, count=60), quiet=True
    )
    rows = [row for row in records.read_metrics(both.folder) if row["seed"] == 1]
    losses = [row["train_loss"] for row in records.read_metrics(second.folder)]
    np.testing.assert_allclose([row["train_loss"] for row in rows], losses, rtol=1e-5)


@pytest.mark.slow
def test_auxiliary_head_and_drop_path_of_darts(tmp_path):
    space = "darts:nodes=1,operations=none+skip_connect+dil_conv_3x3"
    plan = dataclasses.replace(PLAN, cells=3, drop_path=0.5, label_smoothing=0.1, remat=True)
    config = dataclasses.replace(CONFIG, space=space, retrain=plan)
    genotype = random(darts.space(nodes=1, operations="none+skip_connect+dil_conv_3x3"), 0)
    result = retrain.run(config, genotype, tmp_path / "run", data=wide(images(4)), quiet=True)
    first, last = records.read_metrics(result.folder)
    assert np.isfinite([first["train_loss"], last["train_loss"]]).all()


def wide(arrays):
    """16x16 pixels: two reductions leave 4x4, which the auxiliary head can pool."""
    x, y, test_x, test_y = arrays
    return np.tile(x, (1, 2, 2, 1)), y, np.tile(test_x, (1, 2, 2, 1)), test_y


def test_a_genotype_that_does_not_fit_is_refused_before_a_folder_is_made(tmp_path):
    with pytest.raises(UserError):
        retrain.run(dataclasses.replace(CONFIG, space="darts"), CELL, tmp_path / "run", data=images(4), quiet=True)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_a_training_without_a_checkpoint_begins_anew_and_keeps_its_genotype(tmp_path, monkeypatch):
    def crash(*_, **__):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(retrain.loop, "drive", crash)
        retrain.run(CONFIG, CELL, tmp_path / "run", data=images(4), quiet=True)
    retrain.run(CONFIG, CELL, tmp_path / "run", data=images(4), resume=True, quiet=True)
    assert records.read_genotypes(tmp_path / "run") == [to_json(CELL)]
    retrain.run(CONFIG, CELL, tmp_path / "run", data=images(4), resume=True, quiet=True)
    assert records.read_genotypes(tmp_path / "run") == [to_json(CELL)]


@pytest.mark.slow
def test_another_genotype_is_refused_when_resuming(tmp_path):
    retrain.run(CONFIG, CELL, tmp_path / "run", data=images(4), quiet=True)
    other = random(nasbench201.space(), 3)
    with pytest.raises(UserError, match="trains another genotype"):
        retrain.run(CONFIG, other, tmp_path / "run", data=images(4), resume=True, quiet=True)


def test_a_batch_larger_than_the_data_is_refused(tmp_path):
    with pytest.raises(UserError, match="choose a batch of at most 10"):
        retrain.run(CONFIG, CELL, tmp_path / "run", data=images(4, count=10), quiet=True)
