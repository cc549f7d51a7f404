"""Workers of a study are killed at random, and so is the program that started them: no finished trial is lost."""

import contextlib
import csv
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from dnas import paths

optuna = pytest.importorskip("optuna", reason="no Optuna on this machine: pip install dnas[optuna]")
DATABASE = os.environ.get("DNAS_TEST_DATABASE", "")  # of a server, for the test of one
PROGRAM = Path(__file__).with_name("fake_studies.py")


def begun(folder, trials, workers=0, *url, seconds="0.3"):
    """seconds: of a trial, long where a slow machine must not be too late for what happens meanwhile."""
    command = [sys.executable, str(PROGRAM), str(folder), str(trials), str(workers), *url]
    given = os.environ | {"TRIAL_SECONDS": seconds}
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=given)


def children(log):
    """Who has begun a trial last."""
    return [int(line.split()[0]) for line in log.read_text().splitlines()] if log.exists() else []


def until(condition, seconds=600.0):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "nothing happened"
        time.sleep(0.05)


@pytest.mark.slow
def test_killed_at_random_a_study_has_all_its_trials(tmp_path):
    folder, log, draws = tmp_path / "study", tmp_path / "study" / "log", random.Random(0)
    started = begun(folder, 14, 2, seconds="1")
    for least in (3, 6):  # of the workers
        until(lambda least=least: len(children(log)) >= least)
        os.kill(draws.choice(children(log)[-2:]), signal.SIGKILL)
    until(lambda: len(children(log)) >= 8)
    started.kill()  # and the program that started them
    started.wait()
    workers = list((folder / "workers").iterdir())
    until(lambda: all(paths.abandoned(worker) for worker in workers))  # who end with it
    kept = optuna.load_study(study_name="study", storage=f"sqlite:///{folder / 'study.db'}").trials
    ended = {trial.number: trial.value for trial in kept if trial.state.name == "COMPLETE"}
    again = begun(folder, 14)
    output, _ = again.communicate(timeout=600)
    assert again.returncode == 0, output
    rows = {int(row["trial"]): row for row in csv.DictReader((folder / "trials.csv").open())}
    assert Counter(row["state"] for row in rows.values()) == {"complete": 14}
    assert 0 < len(ended) < 14 and {n: float(rows[n]["accuracy"]) for n in ended} == pytest.approx(ended, rel=1e-6)
    assert not (folder / "workers").exists()


@pytest.mark.slow
def test_two_programs_share_a_database(tmp_path):
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    both = [begun(tmp_path / name, 8, 0, url, seconds="2") for name in "ab"]
    outputs = [one.communicate(timeout=600)[0] for one in both]
    assert [one.returncode for one in both] == [0, 0], outputs
    logs = [children(tmp_path / name / "log") for name in "ab"]
    assert all(logs) and 8 <= len(logs[0]) + len(logs[1]) <= 9  # both may begin the last one
    rows = list(csv.DictReader((tmp_path / "a" / "trials.csv").open()))
    assert len(rows) >= 8 and all(re.fullmatch("complete", row["state"]) for row in rows)


@pytest.mark.slow
@pytest.mark.skipif(not DATABASE, reason="DNAS_TEST_DATABASE names no database, as postgresql+psycopg://me@host/name")
def test_a_program_that_is_killed_loses_nothing_in_a_database(tmp_path):
    def study():
        with contextlib.suppress(KeyError):  # nobody has made it yet
            return optuna.load_study(study_name="shared", storage=DATABASE)

    def complete():
        return {trial.number: trial.value for trial in study().trials if trial.state.name == "COMPLETE"}

    if study() is not None:
        optuna.delete_study(study_name="shared", storage=DATABASE)
    first, second = (begun(tmp_path / name, 6, 0, DATABASE, seconds="1") for name in "ab")
    until(lambda: children(tmp_path / "b" / "log") and len(complete()) >= 2)
    second.kill()
    second.wait()
    before = complete()
    output, _ = first.communicate(timeout=600)
    assert first.returncode == 0, output
    again = begun(tmp_path / "b", 8, 0, DATABASE, seconds="0.1")
    output, _ = again.communicate(timeout=600)
    assert again.returncode == 0, output
    after = complete()
    assert len(before) >= 2 and {number: after[number] for number in before} == before and len(after) == 8
    dead = [trial for trial in study().trials if trial.state.name == "FAIL"]
    assert all(any(trial.user_attrs.get("place") == one.number for trial in study().trials) for one in dead)
    optuna.delete_study(study_name="shared", storage=DATABASE)
