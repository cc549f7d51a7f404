"""`dnas blackbox` as a user calls it."""

import pytest

from dnas import cli, search
from dnas.config import AugmentConfig, Config, SearchConfig

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
    assert "Open runs/blackbox_random_search/report.html" in out
    assert (tmp_path / "runs" / "blackbox_random_search" / "trials.csv").exists()
    again = dnas(*SMALL)
    assert again[:2] == (code, out)
    code, _, err = dnas(*SMALL, "--seed", "1")
    assert code == 2 and "seed: 0 -> 1" in err


def test_a_searcher_that_is_no_program_runs_once(dnas, tmp_path):
    code, out, _ = dnas("--searcher", "hyperband", "--evaluator", "table:epochs=200", "--budget", "4evaluations")
    rows = (tmp_path / "runs" / "blackbox_hyperband" / "trials.csv").read_text().splitlines()
    assert code == 0 and {row.split(",")[0] for row in rows[1:]} == {"0"}
    assert {float(row.split(",")[4]) for row in rows[1:]} == {0.06, 1.0}  # of a whole evaluation
    code, _, err = dnas("--searcher", "hyperband")
    assert code == 2 and "has whole ones only: choose an evaluator with several fidelities" in err


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
    for words in ("pandas.read_csv", "--past_budget", "300evaluations", "validation accuracy", "--workers", "goes on"):
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
        (["--evaluator", "train:config=none.py"], "No such config: 'none.py'"),
    ],
)
def test_blackbox_mistakes(arguments, words, dnas, tmp_path):
    code, _, err = dnas(*arguments)
    assert code == 2 and words in err and err.startswith("dnas: ") and err.count("\n") == 1
    assert not (tmp_path / "runs").exists()


@pytest.mark.slow
def test_an_evaluator_that_takes_its_time_is_for_one_run_unless_more_are_asked_for(dnas, tmp_path):
    searched = Config(
        space="nasbench201:nodes=2,operations=none+skip_connect",
        data="digits:limit=64",
        method="gdas",
        search=SearchConfig(epochs=1, cells=1, channels=2, batch_size=16, augment=AugmentConfig(pad=0, flip=False)),
    )
    folder = search.run(searched, tmp_path / "search", quiet=True).folder
    known = ("--evaluator", f"supernet:run={folder}", "--searcher", "random_search", "--budget", "3evaluations")
    code, out, _ = dnas(*known, "--out", "one")
    assert code == 0 and "accuracy" in out.splitlines()[0] and "rank" not in out
    assert len((tmp_path / "one" / "trials.csv").read_text().splitlines()) == 1 + 3
    assert len((tmp_path / "one" / "trials.jsonl").read_text().splitlines()) == 6
    code, *_ = dnas(*known, "--out", "two", "--runs", "2")
    assert code == 0 and len((tmp_path / "two" / "trials.csv").read_text().splitlines()) == 1 + 2 * 3
