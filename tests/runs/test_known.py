"""What is opened while a function is traced."""

import os
import subprocess
import threading
from pathlib import Path
from typing import Any

import numpy as np

from dnas.runs.known import watched


def opened(function) -> list[Any]:
    with watched() as seen:
        function()
    return seen


def test_what_is_opened_is_watched(tmp_path):
    table = tmp_path / "costs.json"
    table.write_text("[1]")
    reads = (
        table.read_text,
        lambda: open(table).close(),
        lambda: os.close(os.open(table, os.O_RDONLY)),
        lambda: np.fromfile(table, np.uint8),
        lambda: os.close(os.open(os.fsencode(table), os.O_RDWR)),
    )
    assert [opened(read) for read in reads] == [[str(table)]] * len(reads)
    assert opened(lambda: (tmp_path / "log").write_text("written")) == []
    assert opened(lambda: threading.Thread(target=table.read_text).start()) == []  # of another thread
    assert opened(lambda: subprocess.run(["true"]))[:1] == ["subprocess.Popen"]
    table.read_text()
    assert opened(lambda: None) == []


def test_modules_are_no_files(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "dnas_loaded.py").write_text("x = 1")
    assert opened(lambda: __import__("dnas_loaded")) == []
    assert opened(Path(np.__file__).read_text) == []
    assert opened((tmp_path / "dnas_loaded.py").read_text) == []
    (tmp_path / "table.py").write_text("[1]")
    assert opened((tmp_path / "table.py").read_text) == [str(tmp_path / "table.py")]
