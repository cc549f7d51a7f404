"""Sentences as a task: parts, tokens of the train part alone, batches, notes and refusals."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas import find, retrain
from dnas.architectures.genotype import random
from dnas.compare.check import _validates
from dnas.config import Config
from dnas.data import _files, load
from dnas.data._sentences import Row, of_rows
from dnas.data._tokeniser import PADDING, UNKNOWN
from dnas.errors import UserError
from dnas.tasks.task import Answering
from dnas.tasks.text_classification import task

CONFIG = Config(space="text:size=tiny", data="mine")
SEARCH, RETRAIN = replace(CONFIG.search, batch_size=4), replace(CONFIG.retrain, batch_size=4)


def rows(count, part, shift=0):
    words = ["red", "green", "blue", "round", "flat"]
    return [
        Row(" ".join([f"{part}{i}", *words[: 1 + i % 4]]), "ab"[(i + shift) % 2], f"line {i + 1} of {part}.csv")
        for i in range(count)
    ]


def data(valid=True):
    parts = {"train": rows(20, "train"), "test": rows(6, "test")} | ({"valid": rows(8, "valid")} if valid else {})
    return of_rows("mine", parts)


def bound(dataset=None, stage="retrain", plan=None, config=CONFIG, **settings):
    plan = (SEARCH if stage == "search" else RETRAIN) if plan is None else plan
    return task(**{"max_length": 5} | settings)(dataset or data(), plan, config, stage)[0]


def test_parts_of_a_stage():
    search, training = bound(stage="search"), bound()
    assert {part: len(y) for part, (_, y) in search.parts.items()} == {"train": 20, "valid": 8}
    assert {part: len(y) for part, (_, y) in training.parts.items()} == {"train": 20, "valid": 8, "test": 6}
    assert "official validation part" in search.note and not training.note
    assert search.sizes == "mine: 20 texts for the weights, 8 for the alphas"
    assert training.shape == (2, (5,), 2 + 20 + 4) and isinstance(training, Answering)
    assert training.steps("train", 8) == 3 and search.steps("test", 8) == 0


def test_a_validation_part_is_split_off_by_the_seed():
    texts = data(valid=False)
    first, again = bound(texts, "search"), bound(texts, "search")
    other = bound(texts, "search", config=replace(CONFIG, seed=1))
    assert {part: len(y) for part, (_, y) in first.parts.items()} == {"train": 10, "valid": 10}
    assert np.bincount(first.parts["valid"][1]).tolist() == [5, 5] and not first.note
    assert first.described()["crc32"] == again.described()["crc32"] != other.described()["crc32"]
    whole = bound(texts)
    assert {part: len(y) for part, (_, y) in whole.parts.items()} == {"train": 20, "test": 6}
    some = bound(texts, plan=replace(RETRAIN, valid_portion=0.25))
    assert {part: len(y) for part, (_, y) in some.parts.items()} == {"train": 15, "valid": 5, "test": 6}


def test_tokens_are_those_of_the_train_part():
    found = bound()
    assert (found.parts["test"][0][:, 0] == UNKNOWN).all() and not (found.parts["train"][0] == UNKNOWN).any()
    split = bound(data(valid=False), "search")
    assert (split.parts["valid"][0][:, 0] == UNKNOWN).all()
    kept = replace(data(), tokeniser=bound(lower=False).tokeniser.written())
    assert bound(kept).tokeniser.written() == kept.tokeniser
    assert bound(kept).described()["tokeniser"] == kept.tokeniser


def test_batches():
    found = bound()
    order = found.order(jax.random.key(0), found.arrays("train"), 24)
    batch = found.batch(found.arrays("train"), order, jnp.array(1), 4, jax.random.key(1))
    assert batch.inputs.shape == (4, 5) and batch.inputs.dtype == np.int32 and batch.weights is None
    np.testing.assert_array_equal(batch.targets, found.parts["train"][1][order[4:8]])
    parts, constants = found.evaluation("test")
    seen = found.evaluation_batch(jax.tree.map(lambda leaf: leaf[0], parts), constants)
    assert seen.inputs.shape == (6, 5) and seen.weights.all()
    assert (seen.inputs[0] != PADDING).sum() == 2  # and the others are filled up
    many = rows(300, "train")
    long = bound(of_rows("mine", dict.fromkeys(("train", "test"), many)))
    assert long.evaluation("test")[0][2].sum() == 300 and long.evaluation("test")[0][0].shape == (2, 256, 5)


def test_some_tokens_become_unknown_whatever_the_length():
    short, long = bound(dropped=0.5), bound(dropped=0.5, max_length=9)
    found = [
        one.batch(one.arrays("train"), jnp.arange(20), jnp.array(0), 20, jax.random.key(3)).inputs
        for one in (short, long)
    ]
    np.testing.assert_array_equal(found[0], found[1][:, :5])
    whole = short.arrays("train")[0]
    lost = (found[0] == UNKNOWN) & (whole != UNKNOWN)
    assert 0.3 < lost[whole != PADDING].mean() < 0.7
    assert ((found[0] == PADDING) == (whole == PADDING)).all() and (found[0] == whole)[~lost].all()
    rest = bound(dropped=0.5).evaluation("train")[0][0]
    assert not (rest == UNKNOWN).any()


def test_what_is_longer_is_cut_with_a_note_or_refused():
    found = bound(max_length=3)
    assert found.note == "; ".join(
        f"of {n} of {m} {part} texts only the first 3 tokens are read (the first: line {line} of {part}.csv)"
        for n, m, part, line in ((10, 20, "train", 3), (4, 8, "valid", 3), (2, 6, "test", 3))
    )
    assert found.parts["train"][0].shape == (20, 3)
    with pytest.raises(UserError, match="Cannot read line 3 of train.csv: it has 4 tokens, and the task takes 3"):
        bound(max_length=3, longer="refuse")
    refuses = bound(longer="refuse")
    with pytest.raises(UserError, match="Cannot read text 2: it has 6 tokens"):
        refuses.inputs(["red", "red " * 6])
    assert bound().inputs(["red " * 6]).shape == (1, 5)


def test_a_class_without_a_train_text_is_noted():
    parts = {part: rows(8, part) for part in ("train", "test")}
    few = of_rows("mine", {**parts, "train": parts["train"][::2]}, ("a", "b"))
    assert bound(few).note == "classes without a train text: 'b'"


def test_more_texts_than_the_memory_takes_are_refused(monkeypatch):
    monkeypatch.setattr(_files, "free_memory", lambda: 1000)
    with pytest.raises(UserError, match="The texts of 'mine' with max_length=5 take"):
        bound()


def test_inputs_and_answers():
    found = bound()
    x = found.inputs(["Red green", "strange"])
    assert x.shape == (2, 5) and x[1].tolist() == [UNKNOWN, 0, 0, 0, 0] and (x[0, 2:] == PADDING).all()
    (tokens, y, weights), _ = found.as_row(x)
    assert y is None and weights is None and tokens is x
    np.testing.assert_allclose(found.answers(np.array([[0.0, np.log(3)]])), [[0.25, 0.75]], rtol=1e-6)
    for given, says in (
        ("red", "a list of strings, not of type str"),
        (7, "not of type int"),
        ([7], "text 1 is of type int"),
        (["red", " "], "Cannot read text 2: it has no words"),
    ):
        with pytest.raises(UserError, match=says):
            found.inputs(given)
    assert found.inputs([]).shape == (0, 5)
    ((x, classes),) = found.labelled("test")
    assert x.shape == (6, 5) and classes.tolist() == [0, 1] * 3
    ((tokens, classes),) = found.labelled("test")
    assert tokens.shape == (6, 5) and classes.shape == (6,)


@pytest.mark.parametrize(
    "change, says",
    [
        (
            {"plan": replace(RETRAIN, batch_size=40)},
            "the train part of 'mine' has 20 texts: choose a batch",
        ),
        ({"plan": replace(RETRAIN, valid_portion=0.1)}, "'mine' has a validation part of its own"),
        ({"config": replace(CONFIG, dtype="bfloat16")}, "set dtype to 'float32'"),
        ({"longer": "wrap"}, "Unknown value of setting 'longer'"),
        ({"tokens": "letters"}, "Unknown kind of tokens"),
        (
            {"dataset": data(valid=False), "stage": "search", "plan": replace(SEARCH, valid_portion=0)},
            "score on validation texts",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(change, says):
    with pytest.raises(UserError, match=says):
        bound(**change)


def test_data_of_other_tasks_are_refused():
    with pytest.raises(UserError, match="needs texts with a class each, .* not 'wine'"):
        bound(load("wine"))


def test_labels_may_be_smoothed():
    assert bound(plan=replace(RETRAIN, label_smoothing=0.1)).pure.smoothing == 0.1


@pytest.mark.parametrize("space", ["text:size=tiny", "transformer:size=tiny", "transformer:size=tiny,reads=encoder"])
def test_networks_of_texts_read_its_batches(space):
    """Traced only: a step of a training."""
    config = replace(CONFIG, space=space, retrain=replace(RETRAIN, cells=1))
    job = retrain.build(config, random(find.resolve("space", config.space), 0), data=data())
    assert job.task.name == "text_classification" and job.steps == 5
    job.init.shapes(job.seeds)
    assert job.parts["valid"] is not None


@pytest.mark.parametrize("space, says", [("rnn:nodes=2", "predicts the next"), ("tabular", "has tokens")])
def test_other_networks_are_refused(space, says):
    config = replace(CONFIG, space=space, retrain=replace(RETRAIN, cells=1))
    with pytest.raises(UserError, match=says):
        retrain.build(config, random(find.resolve("space", config.space), 0), data=data())


def test_settings_of_a_training_are_chosen_on_a_validation_part(tmp_path):
    lines = [f"word{i},{'ab'[i % 2]}" for i in range(20)]
    (tmp_path / "mine.csv").write_text("\n".join(["text,label", *lines]))
    path = tmp_path / "mine.csv"
    space, own = find.resolve("space", CONFIG.space), replace(CONFIG, data=f"text_table:path={path},valid={path}")
    without = replace(CONFIG, data=f"text_table:path={path}")
    some = replace(without, retrain=replace(RETRAIN, valid_portion=0.1))
    assert [_validates(config, space) for config in (own, without, some)] == [True, False, True]
