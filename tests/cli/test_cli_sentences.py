"""Texts with a class from the command line: search, retrain, test, predict sentences, train on; mistakes."""

import json

import jax
import numpy as np
import pytest

import dnas
from dnas import cli
from dnas.data._tokeniser import read

pytestmark = pytest.mark.slow
SMALL = [f"--search.{setting}" for setting in ("epochs=2", "batch_size=16", "cells=1", "channels=4")]
TRAINED = [f"--retrain.{setting}" for setting in ("epochs=12", "batch_size=16", "cells=1", "channels=8")]
WEIGHTS = ["--retrain.weights.optimiser=adam", "--retrain.weights.learning_rate=0.01"]
GOOD, BAD = ["lovely", "fine", "warm", "bright"], ["dull", "grim", "slow", "flat"]


@pytest.fixture
def dnas_says(capsys):
    """`dnas_says(*arguments)`: exit code, what is printed, and errors and notes."""

    def says(*arguments):
        code = cli.main(list(map(str, arguments)))
        return code, *capsys.readouterr()

    return says


@pytest.fixture(scope="module")
def reviews(tmp_path_factory):
    """A file of texts, and the folder of a search on it whose cell was trained."""
    folder, rng = tmp_path_factory.mktemp("reviews"), np.random.default_rng(0)
    lines = ["text,label"]
    for i in range(120):
        words = [*rng.choice(GOOD if i % 2 else BAD, rng.integers(1, 3)), *rng.choice(["a", "film", "it"], 2)]
        lines.append(f"{' '.join(rng.permutation(words))},{'good' if i % 2 else 'bad'}")
    (folder / "reviews.csv").write_text("\n".join(lines))
    run, space = folder / "run", "text:size=tiny,operations=conv_3+gru+none,embedded=0,dropout=0"
    of = [f"--space={space}", f"--data=text_table:path={folder / 'reviews.csv'}", "--quiet"]
    assert cli.main(["search", *of, "--task=text_classification:max_length=5", *SMALL, f"--out={run}"]) == 0
    assert cli.main(["retrain", str(run), *TRAINED, *WEIGHTS, "--quiet"]) == 0
    return run


def test_it_is_tested(reviews, dnas_says):
    code, said, _ = dnas_says("test", reviews)
    measured = dnas.load(reviews / "retrain").evaluate()
    assert code == 0 and f"{measured.confusion.trace()} of 24 test texts" in said
    assert measured.accuracy > 0.9 and measured.confusion.sum() == 24
    assert (reviews / "retrain" / "confusion.png").exists()
    assert np.isfinite(dnas.load(reviews).evaluate().loss)  # the supernet


def test_sentences_are_predicted(reviews, tmp_path, dnas_says):
    (tmp_path / "more.txt").write_text("a dull film\nfine , it is warm and bright\n")
    found = dnas.load(reviews / "retrain")
    rows = found.predict(["lovely film", "a dull film", "fine , it is warm and bright"])
    assert rows.shape == (3, 2) and [found.classes[row.argmax()] for row in rows] == ["good", "bad", "good"]
    code, said, note = dnas_says("predict", reviews, "lovely film", tmp_path / "more.txt")
    places = ["'lovely film'", f"{tmp_path / 'more.txt'} line 1", f"{tmp_path / 'more.txt'} line 2"]
    shown = [f"{found.classes[row.argmax()]} {100 * row.max():.1f} %" for row in rows]
    expected = [f"{place}: {answer}" for place, answer in zip(places, shown, strict=True)]
    assert code == 0 and said.splitlines() == expected
    cut = f"of 1 of 3 given texts only the first 5 tokens are read (the first: {places[2]})"
    unknown = f"the network does not know 3 of the tokens given (the first: ',' of {places[2]})"
    assert note == f"Note: {cut}.\nNote: {unknown}.\n"
    lines = [
        json.loads(line)
        for line in dnas_says("predict", reviews, "grim", tmp_path / "more.txt", "--json")[1].splitlines()
    ]
    assert lines[0]["text"] == "grim" and lines[0]["class"] == "bad" and "file" not in lines[0]
    assert (lines[2]["line"], lines[2]["text"]) == (2, "fine , it is warm and bright")
    np.testing.assert_allclose([lines[2]["probabilities"][name] for name in found.classes], rows[2], atol=1e-6)


def test_the_tokens_are_kept_with_the_run(reviews, monkeypatch):
    kept = json.loads((reviews / "retrain" / "data.json").read_text())
    assert kept["classes"] == ["bad", "good"] and kept["length"] == 5
    monkeypatch.setattr("dnas.tasks.text_classification.trained", None)  # it is not made again
    found = dnas.load(reviews / "retrain")
    assert found.task.tokeniser.written() == read(kept["tokeniser"]).written()
    assert f"{sum(leaf.size for leaf in jax.tree.leaves(found.weights)):,}" in found.summary()


def test_it_is_trained_on_other_texts(reviews, tmp_path):
    rows = [f"{word} film,{grade}" for grade, words in enumerate((GOOD, BAD, ["odd", "strange"])) for word in words * 4]
    (tmp_path / "grades.csv").write_text("\n".join(["text,label", *rows]))
    found = dnas.load(reviews / "retrain")
    more = found.finetune(
        f"text_table:path={tmp_path / 'grades.csv'}", epochs=1, batch_size=8, out=tmp_path / "more", quiet=True
    )
    assert more.classes == ("0", "1", "2") and more.predict(["odd film"]).shape == (1, 3)
    assert more.task.tokeniser.written() == found.task.tokeniser.written()


def test_mistakes_are_one_sentence(reviews, tmp_path, dnas_says):
    (tmp_path / "empty.txt").write_text("fine\n\nbad\n")
    (tmp_path / "nothing.txt").write_text("")
    (tmp_path / "binary.txt").write_bytes(b"fine\n\xff\n")
    for given, says in (
        (tmp_path / "empty.txt", "empty.txt line 2: it has no words"),
        (tmp_path / "nothing.txt", "nothing.txt: it has no words"),
        (tmp_path / "binary.txt", "binary.txt: it is no text in UTF-8, see its line 2"),
        (tmp_path / "none.txt", "none.txt (No such file or directory): give a file with a text on each line"),
        ("none.txt", "No such file"),
        (" ", "it has no words"),
    ):
        code, _, error = dnas_says("predict", reviews, given)
        assert code == 2 and says in error and error.count("\n") == 1, error
    code, _, error = dnas_says("test", reviews, "--data=trec")
    assert code == 2 and "leave out data" in error
    other = ["--space=rnn", f"--data=text_table:path={reviews.parent / 'reviews.csv'}", "--search.batch_size=8"]
    code, _, error = dnas_says("search", *other, "--search.cells=1", f"--out={tmp_path / 'run'}")
    assert code == 2 and "'rnn' predicts the next of the tokens that it reads" in error
