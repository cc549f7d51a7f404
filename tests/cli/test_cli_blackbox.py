"""`dnas blackbox` as a user calls it."""

import pytest

from dnas import cli

SMALL = ("--searcher", "random_search", "--budget", "5evaluations", "--runs", "2")


@pytest.fixture
def dnas(capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments):
        code = cli.main(["blackbox", *map(str, arguments)])
        return code, *capsys.readouterr()

    return run


def test_a_search_ends_with_a_table_and_a_folder(dnas, tmp_path):
    code, out, _ = dnas(*SMALL)
    assert code == 0 and "random_search" in out and "ImageNet16-120" in out and "test accuracy [%]" in out
    assert "Open runs/blackbox_random_search/accuracy.png" in out
    assert (tmp_path / "runs" / "blackbox_random_search" / "trials.csv").exists()
    again = dnas(*SMALL)
    assert again[:2] == (code, out)
    code, _, err = dnas(*SMALL, "--seed", "1")
    assert code == 2 and "seed: 0 -> 1" in err


def test_a_file_of_searches(dnas, tmp_path):
    (tmp_path / "mine.py").write_text(
        "from dnas.blackbox.config import BlackboxConfig\n"
        "SETTINGS = {'a': '5evaluations', 'b': '7evaluations'}\n"
        "def searches():\n"
        "    return {k: BlackboxConfig('random_search', budget=v, runs=3) for k, v in SETTINGS.items()}\n"
    )
    code, out, _ = dnas("mine.py", "--runs", "2", "--out", "both", "--quiet")
    assert code == 0 and [line.split()[0] for line in out.splitlines()[1:3]] == ["a", "b"]
    assert (tmp_path / "both" / "results.json").exists() and "Open" not in out
    code, out, _ = dnas("mine.py:b", "--out", "one")
    assert code == 0 and len((tmp_path / "one" / "trials.csv").read_text().splitlines()) == 1 + 3 * 7
    for arguments, words in (
        (["mine.py", "--budget", "9evaluations"], "--budget would make all 2 searches of the file alike"),
        (["mine.py:c"], "Unknown setting of mine.py: 'c'. Known: a, b"),
        (["other.py"], "No such experiment: 'other.py'"),
    ):
        code, _, err = dnas(*arguments)
        assert code == 2 and words in err and err.count("\n") == 1


def test_help_teaches(dnas):
    code, out, _ = dnas("--help")
    assert code == 0
    for words in ("pandas.read_csv", "--past_budget", "300evaluations", "validation accuracy"):
        assert words in out


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--budget", "0s"], "must be above 0"),
        (["--budget", "0evaluations"], "at least 1"),
        (["--budget", "10s"], "less than one evaluation"),
        (["--evaluator", "table:data=cifar"], "Did you mean cifar10"),
        (["--objective", "accuracy+parameters"], "needs one number"),
        (["--searcher", "tpe9"], "Unknown searcher 'tpe9'"),
        (["--runs", "0"], "runs must be at least 1"),
        (["--past_budget", "ignored"], "must be one of 'dropped', 'interpolated'"),
        (["--workers", "no"], "Workers are a number from 1 to 1,024, or ray, or ray:HOST:PORT of a cluster, not 'no'"),
        (["--workers", "0"], "Workers are a number from 1"),
        (["--workers", "ray:"], "Workers are a number from 1"),
        (["--workers", "2", "--searcher", "local_search"], "several workers would wait for one"),
        (["--objective", "accuracy+accuracy"], "names 'accuracy' twice"),
        (["--evaluator", "supernet"], "name its folder, as in --evaluator supernet:run="),
        (["--evaluator", "supernet:run=nothing"], "nothing holds no run"),
        (["--evaluator", "train:space=darts,data=digits"], "A node of 'darts' keeps 2 of its edges"),
        (["--evaluator", "train:config=none.py"], "No such config: 'none.py'"),
    ],
)
def test_blackbox_mistakes(arguments, words, dnas, tmp_path):
    code, _, err = dnas(*arguments)
    assert code == 2 and words in err and err.startswith("dnas: ") and err.count("\n") == 1
    assert not (tmp_path / "runs").exists()
