"""Trainings and shared weights as evaluators: what they measure is what retraining and loading say."""

import dataclasses

import jax
import numpy as np
import pytest

import dnas
from dnas import find
from dnas.architectures.encoding import decode, encode
from dnas.blackbox import run as blackbox
from dnas.blackbox.config import BlackboxConfig
from dnas.config import AugmentConfig, Config, RetrainConfig, SearchConfig
from dnas.errors import UserError
from dnas.evaluators import truths
from dnas.evaluators.train import fidelities
from dnas.nets import work
from dnas.runs import records
from dnas.search import asked

PLAIN = AugmentConfig(pad=0, flip=False)
CONFIG = Config(
    space="tabular:layers=1",
    data="wine",
    method="gdas",
    search=SearchConfig(epochs=1, batch_size=16, cells=1, channels=2, augment=PLAIN),
    retrain=RetrainConfig(
        epochs=3, batch_size=16, channels=2, cells=1, auxiliary=0.0, drop_path=0.0, valid_portion=0.3, augment=PLAIN
    ),
)


@pytest.fixture
def file(tmp_path):
    names = "from dnas.config import AlphaConfig, AugmentConfig, Config, RetrainConfig, SearchConfig, WeightConfig\n"
    (tmp_path / "mine.py").write_text(f"{names}def config():\n    return {CONFIG!r}\n")
    return tmp_path / "mine.py"


@pytest.mark.slow
def test_a_training_is_measured_as_retraining_measures_it(file, tmp_path):
    known = find.resolve("evaluator", f"train:config={file}")
    assert known.fidelities == (1 / 3, 1.0) and known.measures == {"accuracy": True, "loss": False, "parameters": False}
    first = np.zeros(5, np.int32)
    values, seconds = known.evaluate(first, 1.0, 7)
    result = dnas.retrain.run(
        dataclasses.replace(CONFIG, seed=7), decode(first, known.space), tmp_path / "run", quiet=True
    )
    row = records.read_metrics(result.folder)[-1]
    assert values["accuracy"] == row["valid_accuracy"] and values["parameters"] == row["parameters"]
    assert values["loss"] == pytest.approx(row["valid_loss"])
    assert seconds > 0


def test_a_training_computes_its_epochs_and_one_validation(file):
    known, cell = find.resolve("evaluator", f"train:config={file}"), np.zeros(5, np.int32)
    short, whole = known.multiply_adds(np.stack([cell, cell]), np.array(known.fidelities))
    job = dnas.retrain.build(CONFIG, decode(cell, known.space))
    validation = (3 * short - whole) / 2  # of 1 and of 3 epochs
    rows, _ = job.parts["valid"].like
    forward = validation / np.prod(jax.tree.leaves(rows)[0].shape[:2])
    a_row = (whole - validation) / 3 / job.steps / CONFIG.retrain.batch_size
    widths = [leaf.shape for leaf in jax.tree.leaves(job.shapes.state.weights) if leaf.ndim == 3]
    assert forward == sum(a * b for _, a, b in widths)
    assert 2 * forward <= a_row < 3 * forward  # the first layer need not go back to its row


def test_settings_stand_above_the_config_and_something_validates(file):
    known = find.resolve("evaluator", f"train:config={file},epochs=20,data=breast_cancer")
    assert known.fidelities == (2 / 20, 6 / 20, 1.0)
    plain = dataclasses.replace(CONFIG, retrain=dataclasses.replace(CONFIG.retrain, valid_portion=0.0))
    file.write_text(file.read_text().replace(repr(CONFIG), repr(plain)))
    find.resolve("evaluator", f"train:config={file}").evaluate(np.zeros(5, np.int32), 1.0, 0)


def test_epochs_of_fidelities():
    assert fidelities(1) == (1.0,) and fidelities(2) == (1.0,)
    assert fidelities(81) == (1 / 81, 1 / 27, 1 / 9, 1 / 3, 1.0)


def test_a_cheaper_evaluation_has_fewer_epochs(file, monkeypatch):
    known, given = find.resolve("evaluator", f"train:config={file},epochs=9"), []

    def validated(config, space, genotype, task):
        given.append((config.retrain.epochs, config.seed, config.retrain.valid_portion))
        return {"accuracy": 0.5, "loss": 1.0, "parameters": 7, "top5": 1.0}

    monkeypatch.setattr(dnas.retrain, "validation_measures", validated)
    for seed, fidelity in enumerate(known.fidelities):
        values, _ = known.evaluate(np.zeros(5, np.int32), fidelity, seed)
        assert values == {"accuracy": 0.5, "loss": 1.0, "parameters": 7}
    assert given == [(1, 0, 0.3), (3, 1, 0.3), (9, 2, 0.3)]


def test_a_loss_of_nan_fails_the_trial_and_not_the_search(file, tmp_path):
    wild = CONFIG.retrain.weights
    wild = dataclasses.replace(CONFIG.retrain, weights=dataclasses.replace(wild, learning_rate=1e9, clip=0.0))
    file.write_text(file.read_text().replace(repr(CONFIG.retrain), repr(wild)))
    config = BlackboxConfig("random_search", f"train:config={file}", budget="1evaluations", runs=1)
    with pytest.raises(UserError, match="All 1 evaluations of run 0 failed, the first: The loss became NaN"):
        blackbox.run(config)


@pytest.mark.slow
def test_a_search_with_trainings_and_one_with_the_weights_of_a_search(file, tmp_path):
    searched = dnas.search.run(CONFIG, tmp_path / "search", quiet=True)
    known = find.resolve("evaluator", f"supernet:run={searched.folder},statistics=running")
    loaded = dnas.load(searched.folder)
    values, _ = known.evaluate(encode(loaded.genotype, known.space), 1.0, 0)
    measures = loaded.evaluate().measures  # of one path, which its genotype is
    assert values == pytest.approx({name: measures[name] for name in ("accuracy", "loss")}, rel=1e-5)
    stage = loaded.stage
    traced = jax.make_jaxpr(stage.evaluate.function)(stage.shapes.state, loaded.mixes, stage.valid_batches)
    assert known.multiply_adds(np.zeros((2, 5)), np.ones(2)).tolist() == [work.multiply_adds(traced.jaxpr)] * 2
    anew = find.resolve("evaluator", f"supernet:run={searched.folder},statistics=calibrated,examples=20")
    for norm, same in ((0, True), (1, False)):  # none, and batch norm
        architecture = np.array([norm * (kind == "norm") for kind in known.space.cells])
        of_run, of_batches = (one.evaluate(architecture, 1.0, 0)[0] for one in (known, anew))
        assert (of_run == of_batches) == same
    once = asked.multiply_adds(stage, "calibrated")
    assert (
        anew.multiply_adds(np.zeros((2, 5)), np.ones(2))[0]
        == known.multiply_adds(np.zeros((1, 5)), np.ones(1)) + 2 * once
    )
    with pytest.raises(UserError, match="acts with statistics=calibrated only"):
        find.resolve("evaluator", f"supernet:run={searched.folder},examples=20")
    assert known.source == str(searched.folder) and known.data == CONFIG.data
    for evaluator in (f"supernet:run={searched.folder}", f"train:config={file},epochs=1"):
        config = BlackboxConfig("random_search", evaluator, budget="2evaluations", runs=1)
        result = blackbox.run(config, tmp_path / evaluator[:5])
        assert result.summary["truths"] == {} and result.summary["rank"] is None
        assert result.summary["evaluations"]["mean"] == 2 and result.seconds[0] > 0
        assert (tmp_path / evaluator[:5] / "accuracy.png").exists()
    with pytest.raises(UserError, match="holds a training and no search"):
        trained = dnas.retrain.run(
            dataclasses.replace(CONFIG, retrain=dataclasses.replace(CONFIG.retrain, epochs=1)),
            searched.genotype,
            tmp_path / "trained",
            quiet=True,
        )
        find.resolve("evaluator", f"supernet:run={trained.folder}")


def test_truths_are_of_the_same_space_only():
    found = truths.of_space(find.resolve("space", "nasbench201"), "cifar100")
    assert list(found["truths"])[0] == "cifar100_test_200"
    assert found["rank"](np.array([[3, 3, 3, 3, 1, 3]])) == 118
    assert list(truths.of_space(find.resolve("space", "nasbench201"), "digits")["truths"])[0] == "cifar10_test_200"
    for other in ("nasbench201:nodes=3", "nasbench201:operations=none+skip_connect", "tabular"):
        assert truths.of_space(find.resolve("space", other), "cifar10") == {}
