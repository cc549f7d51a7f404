"""`dnas bench` as a user calls it."""

import json

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


@pytest.mark.parametrize(
    "arguments, words",
    [
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
