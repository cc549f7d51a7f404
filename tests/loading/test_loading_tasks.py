"""A training of any task is loaded, and its evaluation is the score of the report, exactly."""

from dataclasses import replace

import jax
import numpy as np
import pytest

import dnas
from dnas import find
from dnas.architectures.genotype import random
from dnas.config import AugmentConfig, Config, RetrainConfig
from dnas.data._tables import Column, Table
from dnas.data._texts import Text, numbered
from dnas.errors import UserError
from dnas.runs import records
from dnas.tasks import tabular

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
    with pytest.raises(UserError, match="perplexities are of texts"):
        found.perplexity(["a b"])


def test_the_layers_are_told(trained):
    _, result = trained
    found = dnas.load(result.folder)
    assert f"{result.parameters:,}" in found.summary()


def test_a_missing_category_is_what_it_was_in_training():
    columns = Column("size", "number"), Column("colour", "category")
    values = np.array([1.0, 2, 3, 4]), np.array(["red", "", "blue", ""], object)
    y = np.array([0.0, 1, 0, 1])
    table = Table("made", columns, values, y, values, y, "kind", ("a", "b"))
    task = tabular.made(table, tabular.tested(table, 0.0), "float32", 0.0, False)
    given = {"size": [1, 2, 3, 4], "colour": ["red", None, "blue", float("nan")]}
    np.testing.assert_array_equal(task.inputs(given), task.parts["test"].x)


@pytest.fixture(scope="module")
def language(tmp_path_factory):
    rng = np.random.default_rng(0)
    parts = [rng.integers(0, 7, size).astype(np.int32) for size in (400, 100, 120)]
    text = Text("words", *parts, ("a", "b", "c", "d", "e", "<eos>", "<unk>"))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dnas.data.load", lambda choice: text)
        config = Config(space="rnn:nodes=2", data="words", task="language:bptt=5", retrain=PLAN)
        folder = tmp_path_factory.mktemp("language") / "run"
        yield dnas.retrain.run(config, random(find.resolve("space", config.space), 0), folder, quiet=True), text


def test_a_text_is_evaluated_as_reported(language, monkeypatch):
    result, text = language
    found = dnas.load(result.folder)
    assert found.evaluate().measures["perplexity"] == result.score
    valid = replace(found.task, text=replace(text, test=text.valid))
    assert found.evaluate(part="valid").measures == replace(found, task=valid).evaluate().measures
    monkeypatch.setattr("dnas.data.load", lambda choice: replace(text, test=text.test[1:]))
    with pytest.raises(UserError, match="not what .* was trained on any more"):
        dnas.load(result.folder)


@pytest.mark.slow
def test_what_follows_a_text_and_how_likely_it_is(language):
    result, text = language
    found = dnas.load(result.folder)
    texts = ["a b", "c", "d e a\nb b c strange d e a b c", ["a"] * 5, b"b\xef\xbb\xbf a"]
    numbers = [[0, 1], [2], [3, 4, 0, 5, 1, 1, 2, 6, 3, 4, 0, 1, 2], [0] * 5, [6, 0]]
    answers, likelihoods = found.predict(texts), []
    assert answers.shape == (5, 7)
    for row, words in zip(answers, numbers, strict=True):
        logs = jax.nn.log_softmax(found.network(np.array([words], np.int32))[0].logits[0])
        np.testing.assert_allclose(row, np.exp(logs[-1]), rtol=1e-5)
        likelihoods.append(float(logs[np.arange(len(words) - 1), words[1:]].mean()) if len(words) > 1 else 0.0)
    longer = [i for i, words in enumerate(numbers) if len(words) > 1]
    perplexities = found.perplexity([texts[i] for i in longer])
    np.testing.assert_allclose(perplexities, np.exp([-likelihoods[i] for i in longer]), rtol=1e-5)
    np.testing.assert_allclose(found.predict(texts * 8)[-5:], answers, rtol=1e-5)  # more than are read side by side
    assert f"{result.parameters:,}" in found.summary()


def test_what_is_no_text_is_refused_in_one_sentence(language):
    found = dnas.load(language[0].folder)
    for given, says in (
        ("a b", "list of strings or of lists of words, not a str"),
        ([], "not an empty list"),
        (["a", " "], "text 2: it has no words"),
        ([b"\xff"], "text 1: it is no text in UTF-8, see its line 1"),
        ([3], "text 1 is of type int"),
        ([["a", 3]], "text 1 is of type list"),
    ):
        with pytest.raises(UserError, match=says):
            found.predict(given)
    with pytest.raises(UserError, match="Text 2 has one word"):
        found.perplexity(["a b", "a"])
    with pytest.raises(UserError, match="'strange' of text 1 is none of the 2 words"):
        numbered(["a", "strange"], ("a", "b"), "text 1")
    with pytest.raises(UserError, match="parts train, valid, test, not 'all'"):
        found.evaluate(part="all")
