"""The ground truth of searches, epoch by epoch, in a comparison."""

import numpy as np
import pytest

from dnas.architectures.genotype import parse
from dnas.compare import truths
from dnas.compare.rows import Row
from dnas.config import Config
from dnas.errors import UserError
from dnas.reports.truth import plot_truths
from dnas.runs import records

ROWS = [
    {"step": 1, "epoch": 1, "seed": 4, "truth_cifar10": 90.0},
    {"step": 1, "epoch": 1, "seed": 5, "truth_cifar10": 80.0},
    {"step": 2, "epoch": 2, "seed": 4, "truth_cifar10": 54.0},
    {"step": 2, "epoch": 2, "seed": 4, "valid_accuracy": 0.3},
]


def test_a_line_for_each_seed_as_long_as_its_search():
    np.testing.assert_array_equal(truths.accuracies(ROWS), [[90.0, 54.0], [80.0, np.nan]])
    assert truths.accuracies([{"step": 1, "epoch": 1, "seed": 0, "valid_loss": 1.0}]).size == 0


def test_the_marks_are_those_of_the_papers():
    assert {k: round(v, 2) for k, v in truths.marks().items()} == {
        "best of all cells": 94.37,
        "mean of all cells": 87.06,
        "only skips": 54.3,
    }


def test_damaged_rows_of_a_search_lose_no_comparison(tmp_path):
    (tmp_path / "darts").mkdir()
    (tmp_path / "darts" / "metrics.jsonl").write_text("[1, 2]\n{}\n")
    row = Row("darts", Config("nasbench201"), [parse("|nor_conv_1x1~0|+|skip_connect~0|nor_conv_1x1~1|")], 1.0, [], [])
    with pytest.raises(UserError):
        records.read_metrics(tmp_path / "darts")
    truths.draw_truths([row], tmp_path)
    assert not (tmp_path / "comparison.truth.png").exists()


def test_a_panel_for_each_method(tmp_path):
    found = {f"method {i}": truths.accuracies(ROWS) for i in range(6)}
    plot_truths(found, tmp_path / "truth.png", "title", truths.marks())
    assert (tmp_path / "truth.png").read_bytes().startswith(b"\x89PNG")
