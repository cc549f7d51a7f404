"""Ctrl-C before a command has begun: exit code 130 and one line, wherever in the imports it comes."""

import os
import signal
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["scripts"]["dnas"].split(":")
STARTS = {
    "module": ["-m", "dnas"],
    "script": ["-c", f"import sys; from {SCRIPT[0]} import {SCRIPT[1]}; sys.exit({SCRIPT[1]}())"],
}
# run by Python before all else: interrupts this process when a module is looked for
INTERRUPTS = """
import os, signal, sys

class Finder:
    def find_spec(name, path, target=None):
        if name == os.environ["INTERRUPT_AT"]:
            try:
                os.kill(os.getpid(), signal.SIGINT)
                for _ in range(1000):
                    pass
            except KeyboardInterrupt:
                if os.environ["RAISES"] == "yes":
                    raise  # else it is lost, as in the callbacks of C code

sys.meta_path.insert(0, Finder)
"""


def started(how, at, tmp_path, raises="yes", **options):
    (tmp_path / "sitecustomize.py").write_text(INTERRUPTS)
    environment = os.environ | {"PYTHONPATH": f"{tmp_path}:{ROOT}", "INTERRUPT_AT": at, "RAISES": raises}
    command = [sys.executable, *STARTS[how], "show", "DARTS_V2"]
    options = {"preexec_fn": heard} | options
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=environment, **options)


def heard():
    """In a process whose parent may ignore SIGINT, as those do that a shell starts in the background."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.mark.parametrize("how", STARTS)
@pytest.mark.parametrize("at", ["dnas.cli", "tyro", "dnas.architectures.genotype"])
def test_while_modules_are_imported(how, at, tmp_path):
    for raises in ("yes", "no"):
        done = started(how, at, tmp_path, raises)
        assert (done.returncode, done.stdout, done.stderr) == (130, "", "dnas: interrupted\n")


def test_a_process_that_is_to_ignore_it_does(tmp_path):
    ignore = {"preexec_fn": lambda: signal.signal(signal.SIGINT, signal.SIG_IGN)}
    done = started("module", "tyro", tmp_path, **ignore)
    assert done.returncode == 0 and "DARTS_V2" in done.stdout, done.stderr


def test_between_the_imports_and_the_command(tmp_path):
    """In code of ours, where it is an exception that ends in the same line."""
    code = "import os, signal; from dnas import __main__, cli\n"
    code += "cli.main = lambda: os.kill(os.getpid(), signal.SIGINT)\nraise SystemExit(__main__.main())"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, preexec_fn=heard)
    assert (done.returncode, done.stderr) == (130, "dnas: interrupted\n")
