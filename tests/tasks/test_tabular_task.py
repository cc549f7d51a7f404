"""Tables as a task: what each part sees, what a missing target weighs, measures of known answers, gradient boosting."""

import json
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from sklearn.metrics import balanced_accuracy_score, mean_absolute_error, mean_squared_error, r2_score
from threadpoolctl import threadpool_limits

from dnas.automl.learners import boosted
from dnas.config import Config, RetrainConfig, SearchConfig
from dnas.data import load
from dnas.data._tables import Column, Table
from dnas.errors import UserError
from dnas.nets.layers import Outputs
from dnas.tasks.regression import Regression
from dnas.tasks.tabular import balance, task
from dnas.types import Batch

SEARCH, RETRAIN = SearchConfig(batch_size=8, valid_portion=0.4), RetrainConfig(batch_size=8)


def table(count=40, classes=("a", "b"), missing=0, seed=0, **changes):
    """Rows of a number, which says the target, and a category; the first rows of both parts have no target."""
    draw = np.random.default_rng(seed)
    n = draw.normal(size=count)
    y = (n > 0).astype(float) if classes else 3 * n + 10
    y[:missing] = np.nan
    values = (n, np.array(draw.choice(["u", "v"], count), object))
    columns = (Column("n", "number"), Column("c", "category"))
    return replace(Table("t", columns, values, y, values, y.copy(), "y", classes), **changes)


def bound(data, stage="retrain", plan=None, config=None, **settings):
    plan = plan or (SEARCH if stage == "search" else RETRAIN)
    return task(**settings)(data, plan, config or Config(), stage)[0]


def test_a_search_holds_out_a_stratified_part():
    data = load("breast_cancer")
    rows = bound(data, "search")
    train, valid = rows.parts["train"], rows.parts["valid"]
    assert len(train.y) + len(valid.y) == len(data.train_y) and len(valid.y) == np.ceil(0.4 * len(data.train_y))
    np.testing.assert_allclose(train.y.mean(), valid.y.mean(), atol=0.01)
    whole = np.sort(np.concatenate([train.values[0], valid.values[0]]))
    np.testing.assert_array_equal(whole, np.sort(data.train[0]))
    same, other = bound(data, "search"), bound(data, "search", config=Config(seed=1))
    np.testing.assert_array_equal(same.parts["train"].x, train.x)
    assert not np.array_equal(other.parts["train"].x, train.x)
    assert (rows.shape.outputs, rows.shape.inputs, rows.takes) == (2, (30,), "features")


@pytest.mark.parametrize("classes", [("a", "b"), ()])
def test_nothing_of_the_train_part_depends_on_another_part(classes):
    """The test part, and in a search the validation part, are replaced by what would move every statistic."""
    data = table(classes=classes)
    extreme = (np.full(40, 1e6), np.array(["w"] * 40, object))
    far = data.test_y if classes else data.test_y * 1e6
    poisoned = replace(data, test=extreme, test_y=far)
    clean, other = bound(data), bound(poisoned)
    for a, b in zip(clean.arrays("train"), other.arrays("train"), strict=True):
        np.testing.assert_array_equal(a, b)
    assert clean.features.described() == other.features.described()
    search = bound(data, "search")
    held = np.isin(data.train[0], search.parts["valid"].values[0])
    values = tuple(np.where(held, e, v) for e, v in zip(extreme, data.train, strict=True))
    y = data.train_y if classes else np.where(held, far, data.train_y)
    again = bound(replace(data, train=values, train_y=y), "search")
    assert np.abs(again.parts["valid"].x).max() > 1e4
    for a, b in zip(search.arrays("train"), again.arrays("train"), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.slow
@pytest.mark.parametrize("classes", [("a", "b"), ()])
def test_a_missing_target_weighs_nothing(classes):
    rows = bound(table(classes=classes, missing=4))
    whole = rows.arrays("train")
    assert whole[2].tolist() == [0] * 4 + [1] * 36
    batch = rows.batch(whole, jnp.arange(40), jnp.array(0), 8, jax.random.key(0))
    outputs = jnp.asarray(np.random.default_rng(1).normal(size=(8, max(len(classes), 1))), jnp.float32)
    known = Batch(batch.inputs[4:], batch.targets[4:])
    for ours, theirs in zip(rows.loss(outputs, batch), rows.loss(outputs[4:], known), strict=True):
        jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), ours, theirs)
    gradient = jax.grad(lambda outputs: rows.loss(outputs, batch)[0])(outputs)
    assert not gradient[:4].any() and gradient[4:].all()
    none = batch._replace(weights=jnp.zeros(8))
    assert rows.loss(outputs, none)[0] == 0 and not rows.measures(rows.evaluate(outputs, none))
    for stage, part in (("retrain", "test"), ("search", "valid")):
        task = bound(table(classes=classes, missing=4), stage)
        (_, y, weights), constants = task.evaluation(part)
        assert weights.sum() == y.size - (np.isnan(task.parts[part].values[0]) | (task.parts[part].counted == 0)).sum()
        seen = task.evaluation_batch(jax.tree.map(lambda leaf: leaf[0], task.evaluation(part)[0]), constants)
        outputs = jnp.zeros((len(seen.targets), max(len(classes), 1)))
        assert task.evaluate(outputs, seen)["loss"][1] == task.parts[part].counted.sum() > 0
    assert bound(table(classes=classes)).arrays("train")[2] is None


def test_label_smoothing_leaves_out_missing_targets_too():
    rows = bound(table(missing=4), plan=replace(RETRAIN, label_smoothing=0.1))
    batch = rows.batch(rows.arrays("train"), jnp.arange(40), jnp.array(0), 8, jax.random.key(0))
    outputs = jnp.asarray(np.random.default_rng(1).normal(size=(8, 2)), jnp.float32)
    known = rows.loss(outputs[4:], Batch(batch.inputs[4:], batch.targets[4:]))[0]
    np.testing.assert_allclose(rows.loss(outputs, batch)[0], known, rtol=1e-6)
    assert abs(bound(table(missing=4)).loss(outputs, batch)[0] - known) > 1e-3


def test_measures_of_regression_are_in_the_unit_of_the_target():
    random = np.random.default_rng(0)
    truth, guess, mean, std = random.normal(50, 7, 30), random.normal(50, 7, 30), 48.0, 6.0
    regression = Regression(mean=mean, std=std)
    batches = [
        (jnp.asarray((guess[part, None] - mean) / std), Batch((), jnp.asarray((truth[part] - mean) / std)))
        for part in (slice(0, 10), slice(10, 30))
    ]
    parts = [regression.evaluate(Outputs(*pair[:1]), pair[1]) for pair in batches]
    assert tuple(parts[0]) == regression.measured
    found = regression.measures(jax.tree.map(lambda a, b: a + b, *parts))
    np.testing.assert_allclose(found["rmse"], mean_squared_error(truth, guess) ** 0.5, rtol=1e-5)
    np.testing.assert_allclose(found["mae"], mean_absolute_error(truth, guess), rtol=1e-5)
    np.testing.assert_allclose(found["r2"], r2_score(truth, guess), rtol=1e-4)
    np.testing.assert_allclose(found["loss"], mean_squared_error(truth, guess) / std**2, rtol=1e-5)
    assert set(found) == {"loss", "rmse", "mae", "r2"} and not regression.score.more
    loss, sums = regression.loss(batches[0][0], batches[0][1])
    assert tuple(sums) == regression.trained
    np.testing.assert_allclose(regression.measures(sums)["rmse"], loss**0.5 * std, rtol=1e-6)
    members = jnp.stack([batches[0][0], batches[0][0] + 1])
    both, first = regression.loss(members, batches[0][1])
    assert both > loss and first["rmse"] == sums["rmse"]
    assert "r2" not in regression.measures(regression.evaluate(jnp.ones((3, 1)), Batch((), jnp.zeros(3))))


def test_every_class_counts_alike_where_that_is_wanted():
    y = np.array([0, 0, 0, 0, 0, 1, 1, np.nan, 2])
    weights = balance(y, 4)
    np.testing.assert_allclose([weights[y == c].sum() for c in range(3)], 8 / 3)
    assert weights[7] == 0
    data = table(classes=("a", "b", "c"), train_y=np.arange(40) % 8 // 3.0, test_y=np.arange(40) % 8 // 3.0)
    rows = bound(data, balanced=True)
    batch = rows.evaluation_batch(jax.tree.map(lambda leaf: leaf[0], rows.evaluation("test")[0]), ())
    outputs = np.random.default_rng(0).normal(size=(40, 3))
    found = rows.measures(rows.evaluate(jnp.asarray(outputs, jnp.float32), batch))
    expected = balanced_accuracy_score(data.test_y, outputs.argmax(1))
    np.testing.assert_allclose(found["accuracy"], expected, rtol=1e-6)
    plain = bound(data)
    batch = plain.evaluation_batch(jax.tree.map(lambda leaf: leaf[0], plain.evaluation("test")[0]), ())
    assert abs(plain.measures(plain.evaluate(jnp.asarray(outputs), batch))["accuracy"] - expected) > 1e-3


@pytest.mark.parametrize("dtype", ["float32", "bfloat16", "float64"])
def test_types_and_what_describes_the_data(dtype):
    with jax.enable_x64(dtype == "float64"):
        rows = bound(table(), config=Config(dtype=dtype))
        batch = rows.batch(rows.arrays("train"), jnp.arange(40), jnp.array(1), 8, jax.random.key(0))
        assert batch.inputs.dtype == dtype and batch.inputs.shape == (8, 3) and batch.targets.dtype == jnp.int32
        expected = rows.parts["train"].x[8:16].astype(batch.inputs.dtype)
        np.testing.assert_array_equal(batch.inputs, expected)
    about = json.loads(json.dumps(rows.described()))
    assert about["columns"] == [["n", "number"], ["c", "category"]] and about["classes"] == ["a", "b"]
    assert about["crc32"] != bound(table(seed=1)).described()["crc32"]
    assert bound(table(classes=())).described()["std"] > 1


def test_evaluation_covers_every_row_once():
    rows = bound(table(count=600))
    (x, y, weights), _ = rows.evaluation("test")
    assert weights.sum() == 600 and x.shape == (3, 256, 3)
    np.testing.assert_array_equal(x[weights.astype(bool)], rows.parts["test"].x)
    assert rows.steps("train", 256) == 3
    assert sorted(rows.order(jax.random.key(0), rows.arrays("train"), 600).tolist()) == list(range(600))


@pytest.mark.parametrize(
    ("data", "measure", "least"), [("breast_cancer", "accuracy", 0.93), ("diabetes", "r2", 0.3), ("t", "accuracy", 0.9)]
)
def test_gradient_boosting_beside_it(data, measure, least):
    """t: its number says the class; a category, and targets, are missing."""
    made = table(count=120, missing=10) if data == "t" else load(data)
    if data == "t":
        made.train[1][:50:3] = ""
    with threadpool_limits(1):  # rows so few are slower on several threads, which wait for each other
        found = boosted(bound(made, balanced=data == "breast_cancer"))
    assert found[measure] > least and np.isfinite(list(found.values())).all()


@pytest.mark.parametrize(
    ("data", "stage", "plan", "settings", "words"),
    [
        ("digits:limit=50", "retrain", {}, {}, "needs a data set of rows"),
        ("diabetes", "retrain", {}, {"balanced": True}, "'balanced' is about classes"),
        ("diabetes", "retrain", {"label_smoothing": 0.1}, {}, "label_smoothing is 0.1"),
        ("wine", "retrain", {"batch_size": 143}, {}, "train part of 'wine' has 142 rows"),
        ("wine", "search", {"batch_size": 60}, {}, "valid part of 'wine' has 57 rows"),
        ("wine", "search", {"valid_portion": 0.0}, {}, "valid_portion is 0"),
        ("wine", "search", {"inner_steps": 11}, {}, "inner_steps is 11.*at most 10"),
    ],
)
def test_what_cannot_be_trained(data, stage, plan, settings, words):
    with pytest.raises(UserError, match=words):
        bound(load(data), stage, replace(SEARCH if stage == "search" else RETRAIN, **plan), **settings)


def test_a_part_without_any_target_is_refused():
    y = np.full(40, np.nan)
    y[:2] = 0, 1
    with pytest.raises(UserError, match="None of the 1 rows of the valid part"):
        bound(table(train_y=y), "search", replace(SEARCH, batch_size=1, valid_portion=0.02))


def test_the_note_names_classes_that_nothing_is_trained_on():
    y = np.arange(40) % 2.0
    y[0] = 2
    data = table(train_y=y, test_y=y, classes=("a", "b", "rare"))
    kept, lost = (bound(data, "search", replace(SEARCH, valid_portion=portion)).note for portion in (0.4, 0.6))
    assert (kept, lost) == ("", "classes without a train row: rare")
