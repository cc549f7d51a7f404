"""A search and a training use the recipe that fits their images, say so, and keep the config as it was typed."""

import json
import sys

import numpy as np
import pytest

from dnas import retrain, search
from dnas.architectures.genotype import parse
from dnas.config import AugmentConfig, Config, from_dict

CONFIG = Config("nasbench201", data="digits:limit=200")
CELL = parse("|nor_conv_3x3~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|")


@pytest.fixture
def jobs(monkeypatch):
    """The configs and tasks of jobs that are begun and not done."""
    begun = []

    class Job:
        phases = ("one",)

        def __init__(self, config, _space, _what, task, _quiet, _points=()):
            self.config, self.task = config, task
            begun.append((config, task))

        def go(self, *_):
            return None

    for module, name in (("dnas.search.run", "Job"), ("dnas.retrain", "Job")):
        monkeypatch.setattr(sys.modules[module], name, Job)
    return begun


@pytest.mark.parametrize("command", ["search", "retrain"])
def test_runs_use_the_recipe_that_fits(command, jobs, tmp_path, capsys):
    folder = tmp_path / "run"
    for resume in (False, True):  # as typed, it is the same config again
        if command == "search":
            search.run(CONFIG, folder, resume=resume)
        else:
            retrain.run(CONFIG, CELL, folder, resume=resume)
        config, task = jobs.pop()
        cutout = {"search": 0, "retrain": 4}[command]
        assert getattr(config, command).augment == AugmentConfig(1, False, cutout)
        assert "pad 4 -> 1" in task.note and "not mirrored" in task.note
        assert json.loads((folder / "data.json").read_text())["note"] == task.note
        assert from_dict(json.loads((folder / "config.json").read_text())) == CONFIG
        assert task.note in " ".join(capsys.readouterr().err.split())


def test_what_fits_is_as_typed(jobs, tmp_path, capsys):
    x, y = np.zeros((200, 32, 32, 3), np.uint8), np.arange(200) % 2
    search.run(CONFIG, tmp_path / "search", data=(x, y, x, y))
    retrain.run(CONFIG, CELL, tmp_path / "retrain", data=(x, y, x, y))
    (searched, _), (trained, task) = jobs
    assert searched.search == CONFIG.search and trained.retrain == CONFIG.retrain
    assert task.note == "" and "Data:" not in capsys.readouterr().err
