"""A part of the train set that validates while a network is trained: of images, of a table, of a text."""

import dataclasses

import numpy as np
import pytest

import dnas
from dnas import find, retrain
from dnas.architectures.genotype import parse, random
from dnas.config import AugmentConfig, Config, RetrainConfig
from dnas.data._texts import Text
from dnas.errors import UserError
from dnas.runs import checkpoints, records
from dnas.tasks import binding

PLAN = RetrainConfig(
    epochs=2, batch_size=16, cells=1, channels=2, auxiliary=0.0, drop_path=0.0, augment=AugmentConfig(pad=0, flip=False)
)
CELL = parse("|nor_conv_1x1~0|+|skip_connect~0|nor_conv_1x1~1|")
IMAGES = Config("nasbench201:nodes=3,operations=none+skip_connect+nor_conv_1x1", data="digits:limit=100", retrain=PLAN)
TABLE = Config("tabular:layers=2", data="wine", retrain=PLAN)


def trained(config, folder, **changes):
    config = dataclasses.replace(config, retrain=dataclasses.replace(config.retrain, **changes))
    genotype = CELL if config.space == IMAGES.space else random(find.resolve("space", config.space), 0)
    return retrain.run(config, genotype, folder, quiet=True)


@pytest.mark.slow
@pytest.mark.parametrize("config, size", [(IMAGES, 100), (TABLE, 142)])
def test_a_portion_validates_and_is_not_trained_on(config, size, tmp_path):
    result = trained(config, tmp_path / "run", valid_portion=0.2)
    description = records.read_description(result.folder, "data.json")
    assert (description["train"], description["valid"]) == (size - round(0.2 * size + 0.4), round(0.2 * size + 0.4))
    rows = records.read_metrics(result.folder)
    assert len(rows) == 2 and all(0 <= row["valid_accuracy"] <= 1 for row in rows)
    assert rows[0]["step"] == -(-description["train"] // 16)
    measures = dnas.load(result.folder).evaluate().measures
    assert measures["accuracy"] == result.score == rows[-1]["test_accuracy"]


def test_the_parts_are_the_same_for_every_seed():
    config = dataclasses.replace(IMAGES, retrain=dataclasses.replace(PLAN, valid_portion=0.3))
    space, dataset = find.resolve("space", config.space), dnas.data.load(config.data)
    parts = [
        binding.bind(dataset, dataclasses.replace(config, seed=seed), "retrain", space)[0].arrays("valid")
        for seed in (0, 7)
    ]
    np.testing.assert_array_equal(parts[0][0], parts[1][0])
    assert len(parts[0][0]) == 30


@pytest.mark.slow
def test_without_it_the_test_part_selects_no_checkpoint(tmp_path):
    for portion, scored in ((0.0, False), (0.2, True)):
        folder = trained(TABLE, tmp_path / str(portion), valid_portion=portion).folder
        for step in checkpoints.steps(folder):
            assert (checkpoints.read_about(folder, step)["metric"] is not None) == scored
        assert any("valid_accuracy" in row for row in records.read_metrics(folder)) == scored


def words(monkeypatch):
    rng = np.random.default_rng(0)
    text = Text("words", *(rng.integers(0, 7, size).astype(np.int32) for size in (400, 100, 120)), tuple("abcdefg"))
    monkeypatch.setattr("dnas.data.load", lambda choice: text)
    return Config("rnn:nodes=2", data="words", task="language:bptt=5", retrain=PLAN)


def test_a_text_validates_on_its_own_part(tmp_path, monkeypatch):
    config = words(monkeypatch)
    rows = records.read_metrics(trained(config, tmp_path / "run").folder)
    assert len(rows) == 2 and all(row["valid_perplexity"] > 1 for row in rows)
    with pytest.raises(UserError, match="valid_portion is 0.2, but a text has a validation part of its own"):
        trained(config, tmp_path / "refused", valid_portion=0.2)
