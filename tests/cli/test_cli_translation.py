"""Translation from the command line: search, retrain, test, predict, and the same from Python; mistakes."""

import json
from dataclasses import replace

import numpy as np
import pytest

import dnas
from dnas import cli
from dnas.errors import UserError
from dnas.runs import records

pytestmark = pytest.mark.slow
WORDS = {"one": "eins", "two": "zwei", "three": "drei", "four": "vier", "five": "fünf"}
SPACE = "transformer:reads=both,widths=16,depths=1,heads=1+2,ratios=2,feed_forwards=relu,mixers=attention,norms=pre"
TASK = "translation:tokens=words,max_length=4,beam=2"
TRAINED = ["--retrain.epochs=25", "--retrain.batch_size=20", "--retrain.label_smoothing=0.05"]
WEIGHTS = ["--retrain.weights.optimiser=adam", "--retrain.weights.learning_rate=0.01"]


@pytest.fixture
def dnas_says(capsys):
    """`dnas_says(*arguments)`: exit code, what is printed, and errors and notes."""

    def says(*arguments):
        code = cli.main(list(map(str, arguments)))
        return code, *capsys.readouterr()

    return says


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """The folder of a search whose network was trained: numbers in English and German, word by word."""
    folder, rng = tmp_path_factory.mktemp("numbers"), np.random.default_rng(0)
    texts = [rng.choice(list(WORDS), rng.integers(1, 5)) for _ in range(150)]
    (folder / "all.en").write_text("".join(f"{' '.join(words)}\n" for words in texts))
    (folder / "all.de").write_text("".join(f"{' '.join(WORDS[word] for word in words)}\n" for words in texts))
    data = f"--data=parallel_text:source={folder / 'all.en'},target={folder / 'all.de'},tokenised=true"
    search = [f"--space={SPACE},head=8,dropout=0,distance=2", data, f"--task={TASK}", "--search.epochs=1"]
    assert cli.main(["search", *search, "--search.batch_size=20", f"--out={folder / 'run'}", "--quiet"]) == 0
    assert cli.main(["retrain", str(folder / "run"), *TRAINED, *WEIGHTS, "--quiet"]) == 0
    return folder / "run"


def test_it_is_tested_as_reported(run, dnas_says):
    found = dnas.load(run / "retrain")
    measured, row = found.evaluate(), records.read_metrics(run / "retrain")[-1]
    for name in ("loss", "perplexity", "accuracy"):
        assert measured.measures[name] == row[f"test_{name}"]
    assert measured.measures["bleu"] > 60 and measured.measures["chrf"] > 60
    code, said, _ = dnas_says("test", run)
    bleu, signature = measured.measures["bleu"], measured.signatures["bleu"]
    assert code == 0 and f"Test perplexity: {measured.measures['perplexity']:.6g}. Loss: {measured.loss:.6g}." in said
    assert f"BLEU: {bleu:.2f} ({signature})." in said and "tok:none" in signature
    assert f"chrF: {measured.measures['chrf']:.2f} ({measured.signatures['chrf']})." in said
    page, worst = run / "retrain" / "report.html", measured.mistakes[0].pair
    assert f"Open {page}" in said and "The worst translations" in page.read_text()
    assert worst.written == found.predict([worst.text])[0] and worst.reference == " ".join(
        WORDS[word] for word in worst.text.split()
    )
    assert worst.chrf == min(one.pair.chrf for one in measured.mistakes)


def test_texts_are_translated(run, tmp_path, dnas_says):
    found = dnas.load(run / "retrain")
    texts = ["two", "five one", "one two three"]
    answers = found.predict(texts)
    assert answers.shape == (3,) and answers[:2].tolist() == ["zwei", "fünf eins"]
    (tmp_path / "more.en").write_text("\n".join(texts))
    code, said, note = dnas_says("predict", run, tmp_path / "more.en", "one two three four five")
    assert code == 0 and said.splitlines()[:3] == answers.tolist()
    cut = "of 1 of 4 given texts only the first 4 tokens are read (the first: 'one two three four five')"
    assert note == f"Note: {cut}.\n"
    lines = [json.loads(line) for line in dnas_says("predict", run, tmp_path / "more.en", "--json")[1].splitlines()]
    assert [line["translation"] for line in lines] == answers.tolist() and lines[1]["text"] == "five one"
    for line, one in zip(lines, found.translate(texts), strict=True):
        assert line["score"] == pytest.approx(one.score, abs=1e-6) and one.score < 0
    assert found.predict([]).shape == (0,)
    for given, says in (("one", "a list of strings"), (["one", " "], "text 2: it has no words")):
        with pytest.raises(UserError, match=says):
            found.predict(given)


def test_the_score_is_that_of_the_network_and_the_penalty(run):
    found = dnas.load(run / "retrain")
    (one,) = found.translate(["five one"])
    source, target = found.task.inputs(["five one"]), found.task.target_tokeniser([one.text])[0]
    target = np.array([[2, *target, 3]], np.int32)
    logits = np.asarray(found.network((source, target[:, :-1])).logits[0], float)
    logs = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    likelihood = logs[np.arange(len(logs)), target[0, 1:]].sum()
    assert one.score == pytest.approx(likelihood / ((5 + len(logs)) / 6) ** 0.6, rel=1e-4)
    greedy = replace(found, task=replace(found.task, beam=1, penalty=0.0))
    assert greedy.translate(["five one"])[0].text == one.text


def test_a_pair_is_judged(run, tmp_path, dnas_says):
    found = dnas.load(run / "retrain")
    texts = ["five one", "two"]
    own = found.translate(texts)
    pairs = found.likelihoods(texts, [one.text for one in own])
    assert [pair.tokens for pair in pairs] == [3, 2]  # with the end
    for pair, one in zip(pairs, own, strict=True):
        assert pair.log == pytest.approx(one.score * ((5 + pair.tokens) / 6) ** 0.6, rel=1e-4)
    (wrong,) = found.likelihoods(["two"], ["drei"])
    assert wrong.log < pairs[1].log and wrong.perplexity == pytest.approx(np.exp(-wrong.log / 2))
    (tmp_path / "targets").write_text("fünf eins\nzwei\n")
    code, said, _ = dnas_says("predict", run, *texts, "--target", tmp_path / "targets")
    expected = f"'two': perplexity {pairs[1].perplexity:.6g}, log-likelihood {pairs[1].log:.6g} of 2 tokens"
    assert code == 0 and said.splitlines()[1] == expected
    code, _, error = dnas_says("predict", run, "two", "--target", "zwei", "drei")
    assert code == 2 and "1 texts and 2 translations" in error


def test_the_supernet_translates_too(run):
    found = dnas.load(run)
    assert np.isfinite(found.evaluate().loss)
    assert isinstance(found.predict(["one two"])[0], str)


def test_mistakes_are_said(run, tmp_path, dnas_says):
    (tmp_path / "short").write_text("one\n")
    (tmp_path / "long").write_text("eins\nzwei\n")
    data = f"parallel_text:source={tmp_path / 'short'},target={tmp_path / 'long'}"
    code, _, error = dnas_says("search", f"--space={SPACE}", f"--data={data}", "--quiet")
    assert code and "short has 1 lines and" in error and "Traceback" not in error
    code, _, error = dnas_says("search", "--space=text", f"--data={data.replace('long', 'short')}", "--quiet")
    assert code and "one pair of texts" in error
    (tmp_path / "empty").write_text("one\n\n")
    code, _, error = dnas_says("predict", run, tmp_path / "empty")
    assert code and "empty line 2: it has no words" in error
