"""scripts/epoch_tokens.py: the texts that it makes, and what it says of epochs."""

import runpy
import sys
from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest

SCRIPT = Path(__file__).parents[2] / "scripts" / "epoch_tokens.py"


@pytest.fixture(scope="module")
def script():
    return runpy.run_path(str(SCRIPT))


def test_texts_have_the_tokens_that_are_asked_for(script):
    assert len(script["text"](3000).train) == 3000
    found = script["sentences"](2000, 20)
    lengths = [len(text.split()) for text in found.train.texts]
    assert 2000 <= sum(lengths) < 2020 and min(lengths) >= 1 and max(lengths) <= 20
    assert 0.3 < np.mean(lengths) / 20 < 0.5 and set(found.train.y) == {0, 1}


def test_the_exponent_is_that_of_the_growth(script):
    for power in (1, 2):
        points = [script["Point"](tokens, None, [tokens**power, 9e9, 0.0]) for tokens in (100, 200, 400)]
        assert script["row"](points)["exponent"] == pytest.approx(power)
    assert script["row"](points[:1])["exponent"] is None


def test_every_work_is_a_training_that_is_accepted(script):
    options = Namespace(rounds=1, batch=4, length=8, channels=4)
    steps = {name: script["job_of"](work, 400, options).steps for name, work in script["WORKS"].items()}
    assert set(steps) == set(script["WORKS"]) and min(steps.values()) > 0


@pytest.mark.slow
def test_it_measures_epochs(tmp_path, monkeypatch, capsys):
    sizes = {"tokens": 300, "doublings": 1, "channels": 4, "batch": 4, "length": 8, "rounds": 1}
    arguments = [text for name, value in sizes.items() for text in (f"--{name}", str(value))]
    out = tmp_path / "found.json"
    works = ["--works", "sentences_in_buckets"]
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *works, *arguments, "--out", str(out)])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert not ended.value.code
    said = capsys.readouterr().out
    assert "sentences_in_buckets" in said and "seconds an epoch" in said and '"exponent"' in out.read_text()
