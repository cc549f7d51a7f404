"""`dnas test` and `dnas predict` of tables and texts: what is said is what Python gives; mistakes are one sentence."""

import json

import numpy as np
import pytest

import dnas
from dnas import cli, find
from dnas.architectures.genotype import random
from dnas.config import AugmentConfig, Config, RetrainConfig

PLAN = RetrainConfig(
    epochs=1, batch_size=16, cells=1, channels=4, auxiliary=0.0, drop_path=0.0, augment=AugmentConfig(pad=0, flip=False)
)


@pytest.fixture
def dnas_says(capsys):
    """`dnas_says(*arguments)`: exit code, and what is printed, errors instead where there are any."""

    def says(*arguments):
        code = cli.main(list(map(str, arguments)))
        out, err = capsys.readouterr()
        assert err.count("\n") == (code != 0)
        return code, err or out

    return says


def trained(folder, **config):
    config = Config(**config, retrain=PLAN)
    return dnas.retrain.run(config, random(find.resolve("space", config.space), 0), folder, quiet=True)


@pytest.fixture(scope="module")
def houses(tmp_path_factory):
    """Rows with a class, and such with a number, trained on."""
    folder, rng = tmp_path_factory.mktemp("houses"), np.random.default_rng(0)
    for target in ("kind", "price"):
        lines = [f"size,colour,{target}"]
        for i in range(60):
            value = "ab"[i % 2] if target == "kind" else f"{rng.normal():.3f}"
            lines.append(f"{rng.normal():.3f},{('red', 'blue', '')[i % 3]},{value}")
        (folder / f"{target}.csv").write_text("\n".join(lines))
        data = f"table:path={folder / target}.csv,target={target}"
        trained(folder / target, space="tabular:layers=1", data=data)
    return folder


@pytest.fixture(scope="module")
def language(tmp_path_factory):
    folder, rng = tmp_path_factory.mktemp("language"), np.random.default_rng(0)
    for part, size in (("train", 200), ("valid", 60), ("test", 60)):
        words = "a b\nc d\n" + " ".join("abcd"[i] for i in rng.integers(0, 4, size))
        (folder / f"{part}.txt").write_text(words)
    trained(folder / "run", space="rnn:nodes=2", data=f"text_folder:path={folder}", task="language:bptt=5")
    return folder / "run"


def test_tables_are_tested(houses, dnas_says):
    code, said = dnas_says("test", houses / "kind")
    measured = dnas.load(houses / "kind").evaluate()
    assert code == 0 and f"{measured.confusion.trace()} of 12 test rows" in said
    assert (houses / "kind" / "confusion.png").exists()
    code, said = dnas_says("test", houses / "price")
    found = dnas.load(houses / "price")
    measured = found.evaluate()
    assert code == 0 and all(f"{name} {measured.measures[name]:.6g}" in said for name in ("rmse", "r2"))
    page = houses / "price" / "report.html"
    assert (
        f"Open {page}" in said and "The largest errors" in page.read_text() and "12 rows of table" in page.read_text()
    )
    errors = [one.error for one in measured.mistakes]
    assert len(errors) == 12 and errors == sorted(errors, reverse=True)
    assert measured.measures["mae"] == pytest.approx(np.mean(errors), rel=1e-4)
    for one in measured.mistakes[:3]:  # the row that is shown is the one that was asked about
        (said_of_it,) = found.predict({name: [value] for name, value in one.seen["row"].items()})
        assert said_of_it == pytest.approx(one.said, rel=1e-4)


def test_texts_are_tested(language, dnas_says):
    code, said = dnas_says("test", language)
    found = dnas.load(language)
    for part, name in (("valid", "Validation"), ("test", "Test")):
        assert f"{name} perplexity: {found.evaluate(part=part).measures['perplexity']:.6g}." in said
    assert code == 0


def test_rows_of_files_are_predicted(houses, tmp_path, dnas_says):
    new = tmp_path / "new.tsv"
    new.write_text("colour\tother\tsize\nred\t1\t0.5\n\t2\t\ngreen\t3\t-1\n")
    rows = {"size": [0.5, None, -1], "colour": ["red", None, "green"]}
    for target in ("kind", "price"):
        answers = dnas.load(houses / target).predict(rows)
        code, said = dnas_says("predict", houses / target, new)
        if target == "kind":
            shown = [f"{'ab'[row.argmax()]} {100 * row.max():.1f} %" for row in answers]
        else:
            shown = [f"{row:.6g}" for row in answers]
        assert (code, said) == (0, "".join(f"{new} row {i}: {text}\n" for i, text in enumerate(shown, 1)))
        lines = list(map(json.loads, dnas_says("predict", houses / target, new, "--json")[1].splitlines()))
        assert [line["row"] for line in lines] == [1, 2, 3]
        if target == "kind":
            found = [[line["probabilities"][name] for name in "ab"] for line in lines]
        else:
            found = [line["price"] for line in lines]
        np.testing.assert_allclose(found, answers, atol=1e-6)


def test_what_follows_texts_is_said(language, tmp_path, dnas_says):
    (tmp_path / "one.txt").write_text("a b\nc d\n")
    (tmp_path / "two.txt").write_text("a")
    found = dnas.load(language)
    row = found.predict(["a b\nc d"])[0]
    code, said = dnas_says("predict", language, tmp_path / "one.txt", tmp_path / "two.txt")
    first, second = said.splitlines()
    best = found.task.text.vocabulary[row.argmax()]
    assert code == 0 and "two.txt: of one word; next: " in second
    likely = found.perplexity(["a b\nc d"])[0]
    assert f"one.txt: perplexity {likely:.6g}; next: {best} {100 * row.max():.1f} %, " in first
    answer = json.loads(dnas_says("predict", language, tmp_path / "one.txt", "--json")[1])
    assert answer["words"] == 5 and answer["next"][best] == pytest.approx(row.max(), abs=1e-6)
    (more,) = found.continued(["a b\nc d"], count=7)
    assert len(more.replace("\n", " \n ").split(" ")) >= 7 and not {*more} - {*"abcd \n"}
    again = dnas_says("predict", language, "a b\nc d", "--more", 7)[1]
    assert again == f"{first.replace(str(tmp_path / 'one.txt'), 'a b' + chr(10) + 'c d')}\n{more}\n"
    assert json.loads(dnas_says("predict", language, "a b\nc d", "--more", 7, "--json")[1])["continued"] == more


def test_mistakes_are_one_sentence(houses, language, tmp_path, dnas_says):
    files = {
        "lacking.csv": b"size\n1\n",
        "text.csv": b"size,colour\nbig,red\n",
        "binary.csv": b"\xff\xfe",
        "empty.csv": b"",
        "odd.txt": b"a \xff",
        "empty.txt": b" \n",
        "strange.txt": b"a\nstrange",
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
    for run, name, says in (
        (houses / "kind", "lacking.csv", "has no column 'colour'"),
        (houses / "kind", "text.csv", "has 'big', expected a number"),
        (houses / "kind", "binary.csv", "no text in UTF-8"),
        (houses / "kind", "empty.csv", "is empty"),
        (houses / "kind", "none.csv", "none.csv"),
        (language, "odd.txt", "odd.txt: it is no text in UTF-8, see its line 1"),
        (language, "empty.txt", "it has no words"),
        (language, "strange.txt", "'strange' of line 2 of"),
        (language, "none.txt", "No such file"),
    ):
        code, said = dnas_says("predict", run, tmp_path / name)
        assert code == 2 and says in said, said
    assert dnas_says("predict", language)[0] == 2
    code, said = dnas_says("predict", language, "a", "--data", "ptb")
    assert code == 2 and "leave it out" in said
    code, said = dnas_says("test", language, "--data", "ptb")
    assert code == 2 and "leave out data" in said
