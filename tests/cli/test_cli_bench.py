"""`dnas bench` as a user calls it."""

import json
import os
from pathlib import Path

import pytest

from dnas import cli

FIRST = "|avg_pool_3x3~0|+|nor_conv_1x1~0|skip_connect~1|+|nor_conv_1x1~0|skip_connect~1|skip_connect~2|"


@pytest.fixture
def dnas(capsys):
    def run(*arguments):
        code = cli.main([str(argument) for argument in arguments])
        return code, *capsys.readouterr()

    return run


def test_bench_without_any_data(dnas, tmp_path, monkeypatch):
    monkeypatch.setenv("DNAS_DATA_DIR", str(tmp_path))
    monkeypatch.delenv("DNAS_SHARED", raising=False)
    code, out, err = dnas("bench", "9930")
    assert (code, err) == (0, "")
    for words in ("94.36", "73.51", "46.34", "rank of 15,625", "1,288,506", "184.7", "No other cells"):
        assert words in out


def test_bench_of_several_as_json(dnas, tmp_path):
    (tmp_path / "cells.txt").write_text("0\n6111\n")
    code, out, _ = dnas("bench", tmp_path / "cells.txt", "--json")
    first, second = map(json.loads, out.splitlines())
    assert code == 0 and first["cell"] == FIRST
    assert first["data"]["cifar100"]["test_200"] == 52.9133 and second["data"]["cifar10"]["rank"] == 1


def shared(name):
    path = Path(os.environ.get("DNAS_SHARED", "../shared")) / "data" / name
    return pytest.param(path, marks=pytest.mark.skipif(not path.exists(), reason=f"needs {path.name} of DNAS_SHARED"))


@pytest.mark.parametrize("path", [shared("nasbench201/nats_full_record_000284.pickle.pbz2")])
def test_bench_of_a_record(path, dnas):
    code, out, err = dnas("bench", path)
    assert (code, err) == (0, "")
    for words in ("cell 284", "CIFAR-10, half", "88.79±0.22", "62.14±0.61", "101,306", "12 epochs"):
        assert words in out
    code, out, _ = dnas("bench", path, "--json")
    trainings = json.loads(out)["trainings"]
    assert code == 0 and len(trainings) == 17 and len(trainings[-1]["accuracy"]["train"]) == 200


@pytest.mark.parametrize("path", [shared("benchmarks/nasbench_macro.tar.xz")])
def test_bench_of_another_table(path, dnas):
    code, out, err = dnas("bench", "22212220", "--table", "nasbench_macro")
    assert (code, err) == (0, "")
    for words in ("nasbench_macro(block=[mb6_k5", "93.13", "rank of 6,561", "1,985,514", "1 other cell of the table"):
        assert words in out
    code, out, _ = dnas(
        "bench", "nasbench_macro(block=[" + ", ".join(["mb6_k5"] * 8) + "])", "--table", "nasbench_macro", "--json"
    )
    assert code == 0 and json.loads(out)["data"]["cifar10"]["single_50"] == pytest.approx(93.06)


@pytest.mark.parametrize("path", [shared("benchmarks/random_darts.json.xz")])
def test_bench_of_a_listed_cell(path, dnas):
    code, out, err = dnas("bench", "0", "--table", "random_darts")
    assert (code, err) == (0, "") and "rank of 214" in out and "600 epochs" in out and " 97.02 " in out
    code, _, err = dnas("bench", "DARTS_V2", "--table", "random_darts")
    assert code == 2 and "none of the 214 that the table 'random_darts' knows" in err and err.count("\n") == 1


def test_a_table_that_is_not_there(dnas, tmp_path, monkeypatch):
    monkeypatch.setenv("DNAS_DATA_DIR", str(tmp_path))
    monkeypatch.setenv("DNAS_SHARED", str(tmp_path))
    for name in ("random_darts", "nasbench_macro"):
        code, _, err = dnas("bench", "0", "--table", name)
        assert code == 2 and f"The table '{name}' needs" in err and "not found at" in err and err.count("\n") == 1
    code, out, _ = dnas("list")
    assert code == 0 and "NAS-Bench-Macro: 6,561 networks" in out and "Random DARTS: 214 cells" in out


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["a/0.pickle.pbz2"], "Cannot read a/0.pickle.pbz2 (No such file or directory): give a record of NATS-Bench"),
        (["a/0.pickle.pbz2", "--table", "random_darts"], "a record, in which no table is looked up: leave out --table"),
        (["DARTS_V2"], "of the space 'nasbench201', and this one is of 'darts'"),
        (["|none~0|+|none~0|none~1|"], "outside the table"),
        (["."], "holds no genotype.json"),
        (["0", "--table", "nasbench"], "Did you mean nasbench201"),
        (["15625"], "no cell 15625"),
        ([], "needs a GENOTYPE"),
    ],
)
def test_mistakes(arguments, words, dnas, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code, _, err = dnas("bench", *arguments)
    assert code == 2 and words in err and err.count("\n") == 1
