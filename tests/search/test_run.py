"""Whole searches on tiny settings: the run folder, interruption and resumption, seeds, bad input."""

import dataclasses
import importlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import jax
import numpy as np
import pytest

import dnas.search
from dnas.architectures.genotype import check
from dnas.config import AugmentConfig, Config, RetrainConfig, SearchConfig, WeightConfig, to_dict
from dnas.errors import UserError
from dnas.reports import page as report
from dnas.runs import checkpoints, loop, records
from dnas.runs.devices import Layout
from dnas.search.stage import Stage
from dnas.spaces.nasbench201 import space

SMALL = AugmentConfig(pad=1, flip=False)
CONFIG = Config(
    space="nasbench201:nodes=2",
    data="digits:limit=200",
    search=SearchConfig(epochs=3, cells=1, channels=2, batch_size=32, augment=SMALL),
    retrain=RetrainConfig(epochs=2, cells=1, channels=2, batch_size=32, auxiliary=0, augment=SMALL),
)


def changed(config, **search):
    return dataclasses.replace(config, search=dataclasses.replace(config.search, **search))


run_module = importlib.import_module("dnas.search.run")  # `dnas.search.run` is its function


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run") / "whole"
    return dnas.search.run(CONFIG, folder, quiet=True)


def test_the_run_folder_is_complete(finished):
    check(finished.genotype, space(nodes=2))
    names = {path.name for path in finished.folder.iterdir()}
    assert {"config.json", "environment.json", "metrics.jsonl", "genotype.json", "genotypes"} <= names
    assert {"checkpoints", "events", "cells.png", "mix.png", "curves.png", "report.html"} <= names
    rows = records.read_metrics(finished.folder)
    assert [row["epoch"] for row in rows] == [1, 2, 3]
    assert json.loads((finished.folder / "config.json").read_text()) == to_dict(CONFIG)
    assert len(list((finished.folder / "genotypes").iterdir())) == 3
    for name in ("train_loss", "valid_loss", "train_accuracy", "valid_accuracy", "learning_rate", "entropy_cell"):
        assert all(np.isfinite(row[name]) for row in rows), name


def test_the_same_config_gives_the_same_run(finished, tmp_path):
    again = dnas.search.run(CONFIG, tmp_path / "again", quiet=True)
    assert records.read_metrics(again.folder) == records.read_metrics(finished.folder)


CHILD = """
import sys, dnas.search
from dnas import config
from dnas.runs import loop
try:
    dnas.search.run(config.load(sys.argv[1]), sys.argv[2], resume=len(sys.argv) > 3)
except loop.Interrupted as stop:
    print(stop)
    sys.exit(130)
"""


def start_child(tmp_path, config, folder, *resume):
    (tmp_path / "config.json").write_text(json.dumps(to_dict(config)))
    command = [sys.executable, "-c", CHILD, str(tmp_path / "config.json"), str(folder), *resume]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)


def wait_for(condition, child, seconds=240):
    end = time.monotonic() + seconds
    while not condition() and child.poll() is None and time.monotonic() < end:
        time.sleep(0.01)
    assert condition(), child.communicate(timeout=5)[0] if child.poll() is not None else "timed out"


@pytest.mark.slow
@pytest.mark.parametrize("blow", [signal.SIGKILL, signal.SIGTERM])
def test_killed_and_resumed_is_bit_identical_to_uninterrupted(tmp_path, blow):
    config = changed(CONFIG, epochs=40)
    whole = dnas.search.run(config, tmp_path / "whole", quiet=True)
    folder = tmp_path / "killed"
    child = start_child(tmp_path, config, folder)
    wait_for(lambda: len(records.read_metrics(folder)) >= 3 and any((folder / "checkpoints").glob("[0-9]*")), child)
    os.kill(child.pid, blow)
    output = child.communicate(timeout=60)[0]
    if blow == signal.SIGTERM:
        assert child.returncode == 130 and "--resume" in output, output
    assert len(records.read_metrics(folder)) < 40
    resumed = dnas.search.run(config, folder, resume=True, quiet=True)
    assert records.read_metrics(folder) == records.read_metrics(whole.folder)
    assert records.read_mix(folder) == records.read_mix(whole.folder)
    assert resumed.genotypes == whole.genotypes
    states = []
    for path in (whole.folder, folder):
        steps = checkpoints.steps(path)
        states.append((steps, checkpoints.read_about(path, steps[-1])["crc32"]))
    assert states[0] == states[1], "the same checkpoints, and the same state"


def test_resuming_a_finished_run_changes_nothing(tmp_path, finished):
    before = records.read_metrics(finished.folder)
    again = dnas.search.run(CONFIG, finished.folder, resume=True, quiet=True)
    assert again.genotypes == finished.genotypes and again.scores == pytest.approx(finished.scores)
    assert records.read_metrics(finished.folder) == before


def test_what_is_damaged_in_a_run_is_put_back_and_nothing_else_changes(tmp_path, finished, capsys):
    def results(folder):
        names = ["metrics.jsonl", "mix.jsonl", "genotype.json", "data.json"]
        names += [f"genotypes/epoch_{epoch:04d}.json" for epoch in (1, 2, 3)]
        steps = checkpoints.steps(folder)
        states = [checkpoints.read_about(folder, step)["crc32"] for step in steps]
        return [(folder / name).read_bytes() for name in names], steps, states

    folder, expected = tmp_path / "run", results(finished.folder)
    shutil.copytree(finished.folder, folder)
    shutil.rmtree(folder / "genotypes")
    for name in ("metrics.jsonl", "mix.jsonl"):
        content = (folder / name).read_bytes()
        (folder / name).write_bytes(content[:100] + b"\xff" + content[101:])
    (folder / "data.json").write_text("[]")
    newest = checkpoints.path_of(folder, expected[1][-1])
    newest.write_bytes(newest.read_bytes()[:-1])
    with pytest.raises(UserError, match="Line 1 of .*metrics.jsonl is damaged: go on with --resume"):
        report.page(folder)
    again = dnas.search.run(CONFIG, folder, resume=True, quiet=True)
    assert results(folder) == expected and again.genotypes == finished.genotypes
    said = capsys.readouterr().err
    assert all(f"{name} is damaged; it is put back" in said for name in ("metrics.jsonl", "mix.jsonl", "data.json"))
    report.page(folder)


@pytest.mark.slow
def test_a_stop_between_two_checkpoints_leaves_no_more_of_them(tmp_path, monkeypatch):
    config = dataclasses.replace(changed(CONFIG, epochs=6), checkpoint_epochs=2)
    whole = dnas.search.run(config, tmp_path / "whole", quiet=True)
    advanced = Stage.advanced

    def told(stage, progress, count):
        if int(progress.state.step[0]) + count == 5 * stage.steps:
            os.kill(os.getpid(), signal.SIGTERM)
        return advanced(stage, progress, count)

    with monkeypatch.context() as patch, pytest.raises(loop.Interrupted):
        patch.setattr(Stage, "advanced", told)
        dnas.search.run(config, tmp_path / "stopped", quiet=True)
    assert checkpoints.steps(tmp_path / "stopped")[-1] not in checkpoints.steps(whole.folder)
    resumed = dnas.search.run(config, tmp_path / "stopped", resume=True, quiet=True)
    assert checkpoints.steps(resumed.folder) == checkpoints.steps(whole.folder)
    assert records.read_metrics(resumed.folder) == records.read_metrics(whole.folder)


@pytest.mark.slow
def test_searches_that_begin_at_once_do_not_share_a_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(records.time, "strftime", lambda form: "20260131-120000")
    config = changed(CONFIG, epochs=1)
    folders = [dnas.search.run(config, quiet=True).folder for _ in range(2)]
    assert folders[1] == folders[0].with_name(f"{folders[0].name}-2")
    assert records.read_metrics(folders[0]) == records.read_metrics(folders[1])


def test_a_folder_that_cannot_be_used_is_refused_before_anything_is_built(tmp_path, monkeypatch, finished):
    monkeypatch.setattr(run_module, "Job", lambda *_: pytest.fail("it was built"))
    for config, folder, resume, says in (
        (CONFIG, finished.folder, False, "already exists"),
        (CONFIG, tmp_path / "none", True, "holds no run"),
    ):
        with pytest.raises(UserError, match=says):
            dnas.search.run(config, folder, resume=resume, quiet=True)
    with records.resume(finished.folder), pytest.raises(UserError, match="Another process"):
        dnas.search.run(CONFIG, finished.folder, resume=True, quiet=True)


@pytest.mark.slow
def test_seeds_are_separate_runs(tmp_path):
    config = dataclasses.replace(changed(CONFIG, epochs=1), seeds=2)
    both = dnas.search.run(config, tmp_path / "both", quiet=True)
    rows = records.read_metrics(both.folder)
    assert [row["seed"] for row in rows] == [0, 1] and len(both.genotypes) == 2
    # the split of the data follows the first seed, so only that one has a twin of its own
    single = dnas.search.run(dataclasses.replace(config, seeds=1), tmp_path / "single", quiet=True)
    (row,) = records.read_metrics(single.folder)
    for name in ("train_loss", "search_loss", "valid_loss"):
        np.testing.assert_allclose(row[name], rows[0][name], rtol=1e-4)


@pytest.mark.slow
def test_a_loss_that_is_not_finite_names_the_step_and_keeps_the_checkpoint(tmp_path):
    hot = changed(CONFIG, weights=WeightConfig(learning_rate=1e9, clip=0))
    rates = r"search.weights.learning_rate is 1e\+09, search.alphas.learning_rate 0.0003, .* is 0, none"
    with pytest.raises(UserError, match=rf"NaN or infinite at step \d+ \(epoch 1\).*{rates}"):
        dnas.search.run(hot, tmp_path / "hot", quiet=True)


def test_bad_input_is_one_sentence(tmp_path, finished):
    with pytest.raises(UserError, match="already exists"):
        dnas.search.run(CONFIG, finished.folder, quiet=True)
    with pytest.raises(UserError, match="search.batch_size: [0-9]+ -> 9"):
        dnas.search.run(changed(CONFIG, batch_size=9), finished.folder, resume=True, quiet=True)
    with pytest.raises(UserError, match="at most 100"):
        dnas.search.run(changed(CONFIG, batch_size=150), tmp_path / "big", quiet=True)
    assert not (tmp_path / "big").exists()
    with pytest.raises(UserError, match="Did you mean darts"):
        dnas.search.run(dataclasses.replace(CONFIG, method="dartz"), tmp_path / "unknown", quiet=True)


@pytest.mark.slow
def test_arrays_serve_as_data(tmp_path):
    rng = np.random.default_rng(0)
    x, y = rng.integers(0, 255, (80, 8, 8, 1), dtype=np.uint8), np.arange(80) % 2
    warm = dataclasses.replace(CONFIG.search.alphas, warmup_epochs=1)
    config = changed(CONFIG, epochs=2, batch_size=30, alphas=warm)  # the last batch is not full
    result = dnas.search.run(config, tmp_path / "arrays", data=(x, y), quiet=True)
    row, _ = records.read_metrics(result.folder)
    assert row["search_loss"] is None and row["valid_loss"] > 0, "no image of the alphas was looked at"

    again = {"resume": True, "quiet": True}
    assert dnas.search.run(config, result.folder, data=(x, y), **again).genotypes == result.genotypes
    with pytest.raises(UserError, match="begun with other data"):
        dnas.search.run(config, result.folder, data=(x[::-1], y), **again)
    with pytest.raises(UserError, match="data: arrays -> digits"):
        dnas.search.run(config, result.folder, **again)
    with pytest.raises(UserError, match="go on there, with data="):
        dnas.search.run(dataclasses.replace(config, data="arrays"), result.folder, **again)


@pytest.mark.slow
def test_the_precision_of_a_run_is_its_own(tmp_path):
    config = dataclasses.replace(changed(CONFIG, epochs=1), dtype="float64")
    dnas.search.run(config, tmp_path / "double", quiet=True)
    assert np.asarray(jax.numpy.zeros(())).dtype == np.float32


def test_over_seeds_on_an_accelerator_is_a_vmap(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    seen = jax.make_jaxpr(Layout(3).over_seeds(lambda x: x * 2))(np.ones((3, 2)))
    assert "scan" not in str(seen) and "while" not in str(seen)


@pytest.mark.slow
def test_bfloat16_is_for_activations_only(tmp_path, monkeypatch):
    kept = {}
    drive = loop.drive

    def keep(*args, **kwargs):
        kept["state"] = drive(*args, **kwargs).state
        return loop.start(kept["state"], None)

    monkeypatch.setattr(loop, "drive", keep)
    config = dataclasses.replace(changed(CONFIG, epochs=1), dtype="bfloat16")
    found = dnas.search.run(config, tmp_path / "half", quiet=True)
    floats = [leaf.dtype for leaf in jax.tree.leaves(kept["state"]) if jax.numpy.issubdtype(leaf.dtype, np.floating)]
    assert floats and set(floats) == {np.dtype("float32")}
    (row,) = records.read_metrics(found.folder)
    exact = dnas.search.run(changed(CONFIG, epochs=1), tmp_path / "whole", quiet=True)
    (expected,) = records.read_metrics(exact.folder)
    np.testing.assert_allclose(row["train_loss"], expected["train_loss"], rtol=0.05)
    assert row["train_loss"] != expected["train_loss"]


@pytest.mark.slow
def test_a_profile_can_be_opened(tmp_path):
    dnas.search.run(changed(CONFIG, epochs=2), tmp_path / "run", profile=tmp_path / "profile", quiet=True)
    assert list((tmp_path / "profile").rglob("*.xplane.pb"))
    assert list((tmp_path / "profile").rglob("*perfetto*.json.gz"))
