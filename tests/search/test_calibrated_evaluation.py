"""Norms calibrated for every network that a search evaluates: over which batches, and that they are counted."""

import jax
import numpy as np
import pytest

from dnas import keys
from dnas.config import AugmentConfig, Config, SearchConfig
from dnas.nets.calibration import calibrated, calibrating
from dnas.search import asked
from dnas.search.run import build

PLAN = SearchConfig(epochs=1, cells=1, channels=2, batch_size=16, augment=AugmentConfig(pad=1, flip=False))
CONFIG = Config(
    space="nasbench201:nodes=2,operations=skip_connect+nor_conv_1x1",
    method="spos",
    data="digits:limit=100",
    search=PLAN,
)


@pytest.fixture(scope="module")
def questions():
    stage = build(CONFIG).stage
    return asked.Asked(stage, stage.init(stage.seeds).state, 0)


def test_a_network_is_evaluated_with_the_statistics_of_its_own_training_batches(questions):
    stage, state = questions.stage, questions.one
    of_order, of_images = jax.random.split(keys.stream(state.key, "calibration"))
    train, _ = stage.arrays
    order = stage.pure.order(of_order, train, 32)
    batches = [
        stage.pure.batch(train, order, n, 16, key).inputs for n, key in enumerate(jax.random.split(of_images, 2))
    ]
    own = jax.jit(lambda mix: calibrated(calibrating(stage.build), state.weights, state.stats, batches, mix))
    questions.counts.clear()
    losses = []
    for option in (0, 1):  # a skip connection, or a convolution
        mix = {"cell": np.eye(2, dtype=np.float32)[[option]]}
        sums = stage.evaluate_one((state.weights, own(mix), mix), stage.valid_batches, train=False)
        losses.append(questions.evaluate(mix, calibrate=20)[1])
        assert losses[-1] == pytest.approx(stage.task.measures(jax.device_get(sums))["loss"], rel=1e-5)
        assert abs(losses[-1] - questions.evaluate(mix)[1]) > 1e-3  # of the running statistics
    assert abs(losses[0] - losses[1]) > 1e-3
    assert questions.counts == {"evaluated": 4 * stage.batches, "calibrated": 2 * 2}


def test_at_most_all_training_examples_calibrate(questions):
    stage = questions.stage
    assert [stage.calibration_batches(n) for n in (1, 16, 17, 1_000_000)] == [1, 1, 2, stage.steps]
    assert stage.steps > 2


def test_a_calibration_costs_a_pass_over_its_batch(questions):
    stage = questions.stage
    rows, _ = stage.valid_batches
    images = jax.tree.leaves(rows)[0].shape[1]
    forward = asked.multiply_adds(stage, "evaluated") / images
    assert asked.multiply_adds(stage, "calibrated") / PLAN.batch_size == pytest.approx(forward) and forward > 0


def test_networks_without_norms_are_evaluated_as_they_are(questions, monkeypatch):
    stage = questions.stage
    shapes = stage.shapes._replace(state=stage.shapes.state._replace(stats={}))
    monkeypatch.setattr(stage, "shapes", shapes)
    monkeypatch.setattr(stage, "calibrate_one", None)
    monkeypatch.setattr(stage, "evaluate_one", lambda *_, train: {"accuracy": (1.0, 2.0), "loss": (1.0, 1.0)})
    questions.counts.clear()
    assert questions.evaluate({}, calibrate=20) == (0.5, 1.0)
    assert questions.counts == {"evaluated": stage.batches}
