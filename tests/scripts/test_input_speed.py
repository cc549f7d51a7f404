"""scripts/input_speed.py measures what it generates, and says what is wrong with a folder."""

import argparse
import json
import runpy
import sys
from pathlib import Path

import pytest

from dnas.errors import run_script

SCRIPT = Path(__file__).parents[2] / "scripts" / "input_speed.py"


def test_it_measures_a_generated_folder(monkeypatch, capsys):
    pytest.importorskip("grain", reason="needs grain: pip install dnas[grain]")
    arguments = ["--images", "16", "--workers", "0", "--size", "32", "--batch", "4", "--steps", "2"]
    monkeypatch.setattr(sys, "argv", [str(SCRIPT), *arguments])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(SCRIPT), run_name="__main__")
    assert ended.value.code == 0
    found = json.loads(capsys.readouterr().out)
    assert found["images_per_second"] > 0 and found["cpu_ms_per_image"] > 0 and found["size"] == 32


def test_a_bad_folder_is_one_line(tmp_path, monkeypatch, capsys):
    module = runpy.run_path(str(SCRIPT))
    (tmp_path / "only").mkdir()
    options = argparse.Namespace(folder=tmp_path, workers=[0])
    monkeypatch.setitem(module["main"].__globals__, "arguments", lambda: options)
    options.__dict__ |= {"images": 1, "size": 32, "batch": 4, "steps": 1, "hosts": 1}
    monkeypatch.setattr(sys, "argv", [str(SCRIPT)])
    with pytest.raises(SystemExit) as ended:
        run_script(module["main"])
    assert ended.value.code == 2 and capsys.readouterr().err.startswith("input_speed: ")
