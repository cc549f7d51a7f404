"""The command line says scores of other tasks as they are, and picks the best seed by them."""

import json

import pytest

from dnas import cli, compare
from dnas.cli.sources import genotype_of
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


@pytest.mark.slow
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


FILE = """
from dnas.config import AugmentConfig, Config, RetrainConfig, SearchConfig
PLAIN = AugmentConfig(pad=0, flip=False)
SMALL = dict(epochs=1, batch_size=64, cells=1, channels=2, augment=PLAIN)
def configs():
    retrain = RetrainConfig(auxiliary=0.0, drop_path=0.0, **SMALL)
    return {"darts": Config("tabular:layers=1", data="diabetes", search=SearchConfig(**SMALL), retrain=retrain)}
"""


@pytest.mark.slow
def test_a_comparison_of_numbers_is_ranked_by_its_errors(tmp_path, capsys, monkeypatch):
    (tmp_path / "mine.py").write_text(FILE)
    command = ["compare", str(tmp_path / "mine.py"), f"--out={tmp_path / 'out'}", "--random_cells=1", "--quiet"]
    monkeypatch.setattr("sys.argv", ["dnas", *command])
    assert cli.main() == 0
    said = capsys.readouterr().out.splitlines()
    assert "retrained rmse" in said[0]
    named = [line.removeprefix("darts").removeprefix(compare.RANDOM).split() for line in said[1:3]]
    errors = [float(error) for _, error, *_ in named]
    assert len(errors) == 2 and 30 < errors[0] <= errors[1]
    rows = json.loads((tmp_path / "out" / "comparison.json").read_text())
    assert [row["trained"] for row in rows] == [[pytest.approx(error, abs=0.01)] for error in errors]
