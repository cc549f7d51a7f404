"""What search bought: differences from a baseline, and the picture of several tasks."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from dnas import compare
from dnas.architectures.genotype import parse
from dnas.compare import Baseline, Row
from dnas.config import Config
from dnas.reports.plots import ACCURACY, Measure

ROOT = Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("bought", ROOT / "scripts" / "bought.py")
script = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)
CELL = parse("1835")
BASE = Config(space="nasbench201", data="digits:limit=200")
LESS = Measure("perplexity", more=False)


def written(folder, scores, measure=ACCURACY):
    """A finished comparison. scores: by row."""
    configs = {"by hand": Baseline("1835", seeds=3)}
    rows = [
        Row(name, configs.get(name, BASE), [CELL] * max(len(values), 1), 1.0, values, [], measure=measure)
        for name, values in scores.items()
    ]
    folder.mkdir()
    (folder / "comparison.json").write_text(json.dumps([row.plain() for row in rows]))
    return folder


def test_a_gain_is_in_the_unit_of_the_task_and_more_is_better(tmp_path):
    scores = {"darts": [0.9, 0.92, 0.94], compare.RANDOM: [0.8, 0.7], "by hand": [0.85, 0.86, 0.87]}
    task = script.read(written(tmp_path / "a", scores))
    assert task.baseline == ("by hand", pytest.approx([85, 86, 87])) and task.unit == "points of accuracy"
    assert [one.name for one in task.gains] == ["darts", compare.RANDOM]
    assert [one.mean for one in task.gains] == pytest.approx([6, -11])
    perplexities = {name: [100 * value for value in values] for name, values in scores.items()}
    less = script.read(written(tmp_path / "b", perplexities, LESS))
    assert less.unit == "perplexity saved"
    assert {one.name: one.mean for one in less.gains} == pytest.approx({"darts": -6, compare.RANDOM: 11})


def test_the_interval_is_that_of_welch():
    """t of 2.94 degrees of freedom, by hand."""
    a, b = [90.0, 92.0, 94.0], [85.0, 86.0, 87.0]
    squares = [np.var(one, ddof=1) / 3 for one in (a, b)]
    freedom = sum(squares) ** 2 / sum(square**2 / 2 for square in squares)
    assert freedom == pytest.approx(2.941, abs=1e-3)
    half = 3.218 * sum(squares) ** 0.5  # Student's t at 97.5 % of so many
    for sign in (1, -1):
        found = script.gain("darts", False, a, b, sign)
        assert found.mean == pytest.approx(sign * 6)
        assert (found.low, found.high) == pytest.approx((found.mean - half, found.mean + half), rel=1e-2)


@pytest.mark.parametrize("a, b", [([1.0], [2.0, 3.0]), ([1.0, 1.0], [2.0, 2.0])])
def test_scores_that_do_not_spread_have_no_interval(a, b):
    found = script.gain("darts", False, a, b, 1)
    assert np.isnan(found.low) and np.isnan(found.high) and found.mean == np.mean(a) - np.mean(b)


def test_tasks_of_all_kinds_are_one_picture(tmp_path, monkeypatch, capsys):
    scores = {"darts": [0.9, 0.92], compare.RANDOM: [0.8], "by hand": [0.85, 0.86]}
    folders = [written(tmp_path / f"{number}", scores, one) for number, one in enumerate([ACCURACY, LESS] * 2)]
    monkeypatch.setattr("sys.argv", ["bought.py", *map(str, folders), "--out", str(tmp_path / "bought.png")])
    script.main()
    assert (tmp_path / "bought.png").read_bytes().startswith(b"\x89PNG")
    said = capsys.readouterr().out
    assert said.count("by hand, by hand") == 4 and "perplexity saved" in said and "+5.50" in said


@pytest.mark.parametrize("scores", [{"darts": [0.9]}, {"by hand": [0.9]}, {"darts": [], "by hand": [0.9]}])
def test_what_has_no_baseline_or_nothing_beside_it_is_refused(scores, tmp_path, monkeypatch, capsys):
    folder = written(tmp_path / "a", scores)
    monkeypatch.setattr("sys.argv", ["bought.py", str(folder), "--out", str(tmp_path / "bought.png")])
    with pytest.raises(SystemExit):
        script.main()
    assert f"{folder} is no comparison with trained networks and a baseline" in capsys.readouterr().err
    assert not (tmp_path / "bought.png").exists()
