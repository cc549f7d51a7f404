"""A loaded network is trained further: from its weights, on the same data, on other data, with a new head."""

from dataclasses import replace

import jax
import numpy as np
import pytest

import dnas
from dnas import find
from dnas.architectures.genotype import parse, random
from dnas.config import AugmentConfig, Config, RetrainConfig
from dnas.data._texts import Text
from dnas.errors import UserError
from dnas.runs import records

PLAN = RetrainConfig(
    epochs=1, batch_size=16, cells=1, channels=2, auxiliary=0.0, drop_path=0.0, augment=AugmentConfig(pad=0, flip=False)
)
CONFIG = Config(
    space="nasbench201:nodes=2,operations=skip_connect+nor_conv_1x1",
    data="digits:limit=64",
    seed=3,
    seeds=2,
    retrain=PLAN,
)
STILL = {"epochs": 1, "learning_rate": 0.0, "quiet": True}  # so weights stay, and statistics move


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    folder = tmp_path_factory.mktemp("finetune") / "run"
    dnas.retrain.run(CONFIG, parse("|nor_conv_1x1~0|"), folder, quiet=True)
    return dnas.load(folder, seed=4)


def same(ours, theirs):
    return all(jax.tree.leaves(jax.tree.map(lambda a, b: a.shape == b.shape and bool((a == b).all()), ours, theirs)))


@pytest.mark.slow
def test_it_begins_with_the_weights_of_its_seed_and_is_a_run_of_its_own(found, tmp_path):
    again = found.finetune(**STILL, out=tmp_path / "still")
    assert same(again.weights, found.weights) and not same(again.weights, dnas.load(found.folder, seed=3).weights)
    assert (
        dnas.load(tmp_path / "still").evaluate().accuracy
        == records.read_metrics(tmp_path / "still")[-1]["test_accuracy"]
    )
    assert (again.seed, again.config.seeds, again.config.retrain.weights.warmup_epochs) == (4, 1, 0)


@pytest.mark.slow
def test_arrays_with_other_classes_get_a_new_head(found, tmp_path):
    x = np.random.default_rng(0).integers(0, 256, (40, 6, 6, 1), np.uint8)
    further = found.finetune((x, np.arange(40) % 3), **STILL, out=tmp_path / "three")
    assert further.predict(x).shape == (40, 3) and further.classes == ("0", "1", "2")
    ours, theirs = further.weights["backbone"], found.weights["backbone"]
    assert not same(ours["classifier"], theirs["classifier"])
    assert same(*({k: v for k, v in tree.items() if k != "classifier"} for tree in (ours, theirs)))
    assert further.evaluate().confusion.sum() == 8
    assert further.config.weights_from == f"{found.folder}:seed=4,head=new"
    loaded = dnas.load(tmp_path / "three", data=(x, np.arange(40) % 3))
    assert loaded.evaluate().accuracy == further.evaluate().accuracy


def test_mistakes_are_one_sentence_and_leave_no_folder(found, tmp_path):
    for data, options, says in (
        (("rgb", np.zeros((20, 8, 8, 3), np.uint8), np.arange(20) % 2), {}, "3 channel.*trained on 1: give it"),
        ("wine", {}, "read images, and the task .tabular. on .wine. has features"),
        (None, {"epochs": 0}, "retrain.epochs must be at least 1"),
        (None, {"learning_rate": -1.0}, "retrain.weights.learning_rate"),
        (None, {"batch_size": 100}, "choose a batch of at most 64"),
    ):
        data = data[1:] if isinstance(data, tuple) else data
        with pytest.raises(UserError, match=says):
            found.finetune(data, **(STILL | options), out=tmp_path / "no")
        assert not (tmp_path / "no").exists()


def test_sources_of_weights(found, tmp_path):
    train = dnas.retrain.run
    for source, says in (
        (f"{found.folder}:seed=9", "has the seeds 3 to 4, not 9"),
        (f"{found.folder}:seed=x", "expected a whole number"),
        (f"{found.folder}:head=x", "head of --from"),
        (f"{found.folder}:sed=3", "seed"),
        (f"{tmp_path}:seed=3", "no run with a checkpoint"),
    ):
        with pytest.raises(UserError, match=says):
            train(replace(CONFIG, weights_from=source), found.genotype, tmp_path / "no", quiet=True)


@pytest.mark.slow
def test_rows_of_the_same_columns(tmp_path):
    config = Config(space="tabular:layers=1", data="wine", retrain=PLAN)
    genotype = random(find.resolve("space", config.space), 0)
    dnas.retrain.run(config, genotype, tmp_path / "wine", quiet=True)
    found = dnas.load(tmp_path / "wine")
    again = found.finetune("wine:limit=100", **STILL, out=tmp_path / "fewer")
    assert same(again.weights, found.weights)
    assert dnas.load(tmp_path / "fewer").evaluate().accuracy == again.evaluate().accuracy
    with pytest.raises(UserError, match="become other features .* 'mean radius' say"):
        found.finetune("breast_cancer", **STILL, out=tmp_path / "other")


@pytest.mark.slow
def test_a_text_is_read_in_the_words_of_the_network(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    parts = [rng.integers(0, 4, size).astype(np.int32) for size in (100, 40, 40)]
    texts = {"first": Text("first", *parts, ("a", "b", "<unk>", "c")), "other": Text("other", *parts, tuple("cxyb"))}
    load = dnas.data.load
    monkeypatch.setattr("dnas.data.load", lambda choice: texts.get(choice, choice) if type(choice) is str else choice)
    config = Config(space="rnn:nodes=2", data="first", task="language:bptt=5", retrain=PLAN)
    dnas.retrain.run(config, random(find.resolve("space", config.space), 0), tmp_path / "run", quiet=True)
    found = dnas.load(tmp_path / "run")
    further = found.finetune("other", **STILL, out=tmp_path / "other")
    assert same(further.weights, found.weights) and further.task.text.vocabulary == ("a", "b", "<unk>", "c")
    np.testing.assert_array_equal(further.task.text.test, np.array([3, 2, 2, 1])[parts[2]])
    loaded = dnas.load(tmp_path / "other")
    assert loaded.evaluate().measures == further.evaluate().measures
    assert load is not dnas.data.load
