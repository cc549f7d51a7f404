"""Gradients of several batches are that of one batch of all, and the learning rate may follow the size of a batch."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas import data, find, retrain
from dnas.architectures.genotype import random
from dnas.config import Config, RetrainConfig, SearchConfig, WeightConfig
from dnas.errors import UserError
from dnas.nets.functional import Functional
from dnas.nets.layers import absorb
from dnas.runs import records
from dnas.tasks import binding
from dnas.tasks.classification import Classification
from dnas.training.step import make_training
from dnas.types import Batch

COUNT, SIZE = 3, 4
PLAN = RetrainConfig(
    epochs=1, batch_size=SIZE, auxiliary=0.0, drop_path=0.0, weights=WeightConfig(0.1, "sgd", "constant", clip=0.5)
)


def network():
    """Two layers without a norm; its statistic is the mean of what it reads."""

    def init(key):
        return {"a": jax.random.normal(key, (5, 6)), "b": jnp.linspace(-1, 1, 18).reshape(6, 3)}, {"mean": jnp.zeros(5)}

    def apply(weights, stats, x, train):
        return jnp.tanh(x @ weights["a"]) @ weights["b"], {"mean": x.mean(0)}

    return Functional(init, apply)


def rows(weights):
    """COUNT batches on a first axis."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(COUNT, SIZE, 5)), rng.integers(0, 3, (COUNT, SIZE))
    counted = rng.integers(0, 2, (COUNT, SIZE)) + (np.arange(SIZE) == 0) if weights else None
    return Batch(jnp.asarray(x), jnp.asarray(y), None if counted is None else jnp.asarray(counted, float))


@pytest.mark.parametrize("weights", [False, True], ids=["all count", "weighted"])
def test_an_update_is_that_of_one_batch_of_all(weights):
    with jax.enable_x64(True):
        several = make_training(network(), Classification(), dataclasses.replace(PLAN, accumulate=COUNT), 1)
        one = make_training(network(), Classification(), PLAN, 1)
        batches = rows(weights)
        union = jax.tree.map(lambda leaf: leaf.reshape(COUNT * SIZE, *leaf.shape[2:]), batches)
        state = several.init(jax.random.key(0))
        after, sums = jax.jit(several.step)(state, batches)
        expected, of_union = jax.jit(one.step)(one.init(jax.random.key(0)), union)
        for ours, theirs in zip(jax.tree.leaves(after.weights), jax.tree.leaves(expected.weights), strict=True):
            np.testing.assert_allclose(ours, theirs, rtol=1e-12)
            assert ours.dtype == jnp.float64
        for name in ("loss", "accuracy"):
            np.testing.assert_allclose(*(float(s[name][0]) / float(s[name][1]) for s in (sums, of_union)), rtol=1e-6)
        assert int(after.step) == 1 and float(sums["loss"][1]) == 1
        stats = state.stats
        for batch in batches.inputs:  # which absorb one after the other
            stats = absorb(stats, {"mean": batch.mean(0)})
        np.testing.assert_allclose(after.stats["mean"], stats["mean"], rtol=1e-12)


def test_a_training_has_an_update_for_so_many_batches(tmp_path):
    plan = dataclasses.replace(PLAN, epochs=2, batch_size=16, cells=1, channels=4, accumulate=4)
    config = Config("tabular:layers=1", data="wine", retrain=plan)
    genotype = random(find.resolve("space", config.space), 0)
    result = retrain.run(config, genotype, tmp_path / "run", quiet=True)
    rows = records.read_metrics(result.folder)
    assert [row["step"] for row in rows] == [3, 6]  # 142 rows are 9 batches
    assert rows[1]["train_loss"] < rows[0]["train_loss"]
    too_many = dataclasses.replace(config, retrain=dataclasses.replace(plan, accumulate=10))
    with pytest.raises(UserError, match="retrain.accumulate is 10, each with a batch of 16, .* choose at most 9"):
        retrain.run(too_many, genotype, tmp_path / "refused", quiet=True)
    assert not (tmp_path / "refused").exists()


@pytest.mark.parametrize("stage, rate", [("search", 0.1 * 8 / 32), ("retrain", 0.1 * 8 * 4 / 32)])
def test_the_learning_rate_follows_the_examples_of_an_update(stage, rate):
    weights = WeightConfig(learning_rate=0.1, reference_batch=32)
    config = Config(
        "tabular",
        data="wine",
        search=SearchConfig(batch_size=8, weights=weights),
        retrain=RetrainConfig(batch_size=8, accumulate=4, weights=weights),
    )
    space, dataset = find.resolve("space", config.space), data.load("wine")
    _, plan = binding.bind(dataset, config, stage, space)
    assert plan.weights.learning_rate == pytest.approx(rate) and plan.weights.reference_batch == 0
    plain = dataclasses.replace(weights, reference_batch=0)
    config = dataclasses.replace(config, **{stage: dataclasses.replace(getattr(config, stage), weights=plain)})
    assert binding.bind(dataset, config, stage, space)[1].weights == plain
