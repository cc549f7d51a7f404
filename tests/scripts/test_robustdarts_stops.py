"""Rules for stopping, on searches made up for it and on the recorded ones."""

import importlib.util
import json
from pathlib import Path

import numpy as np
import pytest

from dnas.architectures.genotype import parse
from dnas.tables import robustdarts
from dnas.tables.robustdarts import Search, known_after, stopped

ROOT = Path(__file__).resolve().parents[2]
spec = importlib.util.spec_from_file_location("robustdarts_stops", ROOT / "scripts" / "robustdarts_stops.py")
script = importlib.util.module_from_spec(spec)
spec.loader.exec_module(script)


def cell(skips):
    names = ["skip_connect"] * skips + ["sep_conv_3x3"] * (2 - skips)
    edges = f"[('{names[0]}', 0), ('{names[1]}', 1)]"
    return parse(f"Genotype(normal={edges}, normal_concat=[2], reduce={edges}, reduce_concat=[2])")


def search(eigenvalues, skips):
    measured = np.arange(0, 2 * len(eigenvalues), 2)
    cells = tuple(cell(count) for count in skips)
    return Search("s1", "cifar10", 0.0, 3e-4, 1, cells, np.zeros(len(cells)), measured, np.array(eigenvalues))


FLAT, SHARP = [1.0] * 20, [1.0] * 12 + [2.0] * 8


def test_what_is_known_after_an_epoch():
    known = known_after(search(SHARP, [0] * 40), 24)
    assert len(known.genotypes) == len(known.valid) == 25
    assert known.measured.tolist() == [*range(0, 25, 2)] and known.eigenvalues[-1] == 2.0


def test_the_eigenvalue_rule_goes_back_to_before_it_grew():
    """An average of five is 1.3 times that of four measurements before when two of the five are of the new value: at
    epoch 26, and it goes back 12 epochs, as `robust_darts` does."""
    assert stopped(search(SHARP, [0] * 40), script.eigenvalue) == 14
    assert stopped(search(FLAT, [0] * 40), script.eigenvalue) == 39
    assert stopped(search([], [0] * 40), script.eigenvalue) == 39


def test_the_rule_of_skips_ends_where_there_are_two():
    assert stopped(search(FLAT, [0] * 9 + [1] * 5 + [2] * 26), script.skips) == 14


def test_what_is_judged():
    found = script.judged([search(SHARP, [0] * 20 + [2] * 20), search(FLAT, [1] * 40)])
    assert found["none"] == {"epochs": 40, "stopped": 0, "skips": 1.5, "fewer": 0, "more": 0, "with_weights": 1.0}
    assert found["eigenvalue"] == {"epochs": 27.5, "stopped": 1, "skips": 0.5, "fewer": 1, "more": 0, "with_weights": 3}


@pytest.mark.slow
@pytest.mark.skipif(robustdarts.locate().found is None, reason="needs robustdarts.tar.xz of DNAS_SHARED")
def test_the_numbers_of_record(tmp_path, capsys):
    script.main(["--out", str(tmp_path)])
    made, kept = (json.loads((folder / "robustdarts_stops.json").read_text()) for folder in (tmp_path, RESULTS))
    assert made == kept and (tmp_path / "robustdarts_stops.png").read_bytes()[:4] == b"\x89PNG"
    by_eigenvalue = [group["rules"]["eigenvalue"] for group in kept.values()]
    assert [sum(row[what] for row in by_eigenvalue) for what in ("stopped", "fewer", "more")] == [40, 31, 0]


RESULTS = ROOT / "benchmarks" / "results"
