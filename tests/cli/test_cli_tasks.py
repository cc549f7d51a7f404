"""The command line says scores of other tasks as they are, and picks the best seed by them."""

import json

import pytest

from dnas import cli, compare
from dnas.cli.sources import genotype_of
from dnas.config import Config
from dnas.errors import UserError
from dnas.runs import records

SMALL = [
    "--search.epochs=1",
    "--search.batch_size=64",
    "--search.cells=1",
    "--search.channels=2",
    "--seeds=2",
    "--quiet",
]
TRAINED = ["--retrain.epochs=1", "--retrain.batch_size=64", "--retrain.cells=1", "--quiet"]


def test_errors_of_numbers_are_no_percents(tmp_path, capsys, monkeypatch):
    folder = tmp_path / "run"
    monkeypatch.setattr(
        "sys.argv", ["dnas", "search", "--space=tabular:layers=1", "--data=diabetes", *SMALL, f"--out={folder}"]
    )
    assert cli.main() == 0
    said = capsys.readouterr().out
    errors = [row["valid_rmse"] for row in records.read_metrics(folder)]
    assert f"validation rmse: {min(errors):.5g}, the best of 2 seeds" in said
    genotypes = json.loads((folder / "genotype.json").read_text())
    rows = [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]
    for better in (0, 1):
        for row in rows:
            row["valid_rmse"] = 10.0 if row["seed"] == better else 20.0
        monkeypatch.setattr(records, "read_metrics", lambda _: rows)
        assert genotype_of(str(folder)) == records_genotype(genotypes[better])
    monkeypatch.undo()
    monkeypatch.setattr("sys.argv", ["dnas", "retrain", str(folder), *TRAINED])
    assert cli.main() == 0
    assert "Test rmse: " in capsys.readouterr().out
    monkeypatch.setattr("sys.argv", ["dnas", "report", str(folder / "retrain")])
    assert cli.main() == 0
    assert "rmse" in capsys.readouterr().out


def records_genotype(found):
    from dnas.architectures.genotype import from_json

    return from_json(found)


def test_comparisons_are_of_images():
    with pytest.raises(UserError, match="networks of images so far, and those of 'tabular' read features"):
        compare.check({"one": Config(space="tabular", data="wine")}, None)
