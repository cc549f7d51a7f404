"""A training of any task is loaded, and its evaluation is the score of the report, exactly."""

import numpy as np
import pytest

import dnas
from dnas import find
from dnas.architectures.genotype import random
from dnas.config import AugmentConfig, Config, RetrainConfig
from dnas.data._texts import Text
from dnas.errors import UserError
from dnas.runs import records

PLAN = RetrainConfig(
    epochs=2, batch_size=16, cells=1, channels=4, auxiliary=0.0, drop_path=0.0, augment=AugmentConfig(pad=0, flip=False)
)
CONFIGS = {
    "wine": Config(space="tabular:layers=2", data="wine", retrain=PLAN, seeds=2),
    "diabetes": Config(space="tabular:layers=2", data="diabetes", retrain=PLAN),
}


@pytest.fixture(scope="module", params=CONFIGS)
def trained(request, tmp_path_factory):
    config = CONFIGS[request.param]
    genotype = random(find.resolve("space", config.space), 0)
    folder = tmp_path_factory.mktemp("loading") / "run"
    return request.param, dnas.retrain.run(config, genotype, folder, quiet=True)


def test_the_evaluation_is_that_of_the_report(trained):
    name, result = trained
    for index in range(CONFIGS[name].seeds):
        measures = dnas.load(result.folder, seed=index).evaluate().measures
        assert measures[result.measure.name] == result.scores[index]
        row = [row for row in records.read_metrics(result.folder) if row["seed"] == index][-1]
        assert {f"test_{key}": value for key, value in measures.items()} == {
            key: value for key, value in row.items() if key.startswith("test_")
        }


def test_rows_are_predicted_as_they_were_given(trained):
    name, result = trained
    found, table = dnas.load(result.folder), find.resolve("data set", name)
    rows = {column.name: values for column, values in zip(table.columns, table.test, strict=True)}
    answers = found.predict(rows)
    if name == "wine":
        assert answers.shape == (len(table.test_y), 3)
        np.testing.assert_allclose(answers.sum(-1), 1, rtol=1e-5)
        assert (answers.argmax(-1) == table.test_y).mean() == pytest.approx(result.scores[0])
    else:
        error = np.sqrt(((answers - table.test_y) ** 2).mean())
        assert error == pytest.approx(result.scores[0], rel=1e-5)
    missing = {key: list(values[:2]) for key, values in rows.items()}
    first = next(iter(missing))
    missing[first][0] = None
    assert np.isfinite(found.predict(missing)).all()
    with pytest.raises(UserError, match=f"dictionary of the columns {first}.*got"):
        found.predict({key: values for key, values in missing.items() if key != first})
    with pytest.raises(UserError, match="several lengths"):
        found.predict(missing | {first: [1.0]})
    with pytest.raises(UserError, match="reads features, no images"):
        _ = found.images


def test_the_layers_are_told(trained):
    _, result = trained
    found = dnas.load(result.folder)
    assert f"{result.parameters:,}" in found.summary()


def test_a_text_is_evaluated_as_reported(tmp_path, monkeypatch):
    rng = np.random.default_rng(0)
    parts = [rng.integers(0, 7, size).astype(np.int32) for size in (400, 100, 120)]
    text = Text("words", *parts, tuple("abcdefg"))
    monkeypatch.setattr("dnas.data.load", lambda choice: text)
    config = Config(space="rnn:nodes=2", data="words", task="language:bptt=5", retrain=PLAN)
    result = dnas.retrain.run(config, random(find.resolve("space", config.space), 0), tmp_path / "run", quiet=True)
    found = dnas.load(result.folder)
    assert found.evaluate().measures["perplexity"] == result.score
    with pytest.raises(UserError, match="reads tokens"):
        found.predict(["a b"])
    changed = Text("words", parts[0], parts[1], parts[2][1:], tuple("abcdefg"))
    monkeypatch.setattr("dnas.data.load", lambda choice: changed)
    with pytest.raises(UserError, match="not what .* was trained on any more"):
        dnas.load(result.folder)
