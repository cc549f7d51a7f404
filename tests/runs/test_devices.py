"""Several devices and several processes compute what one does."""

import os
import socket
import subprocess
import sys

import jax
import numpy as np
import pytest

from dnas.errors import UserError
from dnas.runs import devices

SEARCH = """
import sys
import numpy as np
from dnas.runs import devices, loop
from dnas.config import Config, SearchConfig
from dnas import search

drive = loop.drive
def keep_alphas(*args, **kwargs):
    progress = drive(*args, **kwargs)
    alphas = devices.fetch(progress.state.alphas)
    if devices.is_first_host():
        np.save(sys.argv[2], alphas["cell"])
    return progress
loop.drive = keep_alphas

small = SearchConfig(epochs=2, batch_size=8, cells=1, channels=2)
seeds = int(sys.argv[3])
config = Config("nasbench201:nodes=3", "darts", "digits:limit=60", seeds=seeds, dtype="float64", search=small)
search.run(config, sys.argv[1], resume=len(sys.argv) > 4, quiet=True)
"""


LENGTHS = """
import sys
import jax
import numpy as np
from dnas import find, retrain, search
from dnas.architectures.genotype import random
from dnas.config import Config, RetrainConfig, SearchConfig
from dnas.runs import devices, loop

drive, ends = loop.drive, []
def keep(*args, **kwargs):
    ends.append(drive(*args, **kwargs))
    return ends[-1]
loop.drive = keep

space = "text:size=tiny,layers=1,operations=conv_3+none,embedded=0.2,dropout=0.2"
sizes = {"batch_size": 8, "cells": 1, "channels": 2, "valid_portion": 0.5, "epochs": 1}
training = RetrainConfig(**sizes, auxiliary=0.0, drop_path=0.0)
config = Config(
    space, "darts", f"text_table:path={sys.argv[2]}", seeds=2, dtype="float64", search=SearchConfig(**sizes),
    retrain=training, task="text_classification:max_length=9,buckets=2",
)
search.run(config, f"{sys.argv[1]}/search", quiet=True)
retrain.run(config, random(find.resolve("space", space), 0), f"{sys.argv[1]}/training", quiet=True)
alphas, weights = (devices.fetch(part) for part in (ends[0].state.alphas, ends[1].state.weights))
np.savez(f"{sys.argv[1]}/ends.npz", *jax.tree.leaves((alphas, weights)), devices=jax.device_count())
"""


def start(arguments, local_devices, script=SEARCH, **environment):
    flags = f"{os.environ['XLA_FLAGS']} --xla_force_host_platform_device_count={local_devices}"
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        env={**os.environ, "XLA_FLAGS": flags, **environment},
        stderr=subprocess.PIPE,
        text=True,
    )


def together(arguments, processes, local_devices, script=SEARCH):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    shared = {"DNAS_COORDINATOR": f"localhost:{port}", "DNAS_PROCESSES": str(processes)} if processes > 1 else {}
    running = [start(arguments, local_devices, script, **shared, DNAS_PROCESS_ID=str(i)) for i in range(processes)]
    for process in running:
        _, errors = process.communicate(timeout=500)
        assert process.returncode == 0, errors[-3000:]


@pytest.mark.slow
@pytest.mark.parametrize("seeds", [2])  # over four devices: each seed's batches in halves
def test_two_processes_of_two_devices_find_the_alphas_of_one(tmp_path, seeds):
    together([tmp_path / "one", tmp_path / "one.npy", seeds], 1, 1)
    together([tmp_path / "two", tmp_path / "two.npy", seeds], 2, 2)
    one, two = np.load(tmp_path / "one.npy"), np.load(tmp_path / "two.npy")
    assert one.shape == (seeds, 3, 5)
    np.testing.assert_allclose(two, one, rtol=1e-9, atol=1e-13)
    together([tmp_path / "two", tmp_path / "again.npy", seeds, "resume"], 1, 1)  # what four devices saved, on one
    np.testing.assert_array_equal(np.load(tmp_path / "again.npy"), two)
    assert len((tmp_path / "two" / "metrics.jsonl").read_text().splitlines()) == 2 * seeds  # one host wrote


@pytest.mark.slow
def test_batches_of_like_length_are_shared_by_devices(tmp_path):
    """Two seeds of a search and of a training whose steps are cut to two lengths: each on two devices, as on one."""
    words = ("red", "green", "blue", "round", "flat", "old", "new", "odd", "even")
    rows = [f"{' '.join(words[: 1 + i % 9])},{'ab'[i % 2]}" for i in range(60)]
    (tmp_path / "texts.csv").write_text("\n".join(["text,label", *rows]))
    found = []
    for count in (1, 4):
        (out := tmp_path / str(count)).mkdir()
        together([out, tmp_path / "texts.csv"], 1, count, LENGTHS)
        with np.load(out / "ends.npz") as file:
            assert file["devices"] == count
            found.append([file[name] for name in file.files if name != "devices"])
    assert all(leaf.shape[0] == 2 for leaf in found[0]), "a row for each seed"
    for one, several in zip(*found, strict=True):
        np.testing.assert_allclose(several, one, rtol=1e-8, atol=1e-12)


def test_layout_says_what_does_not_fit(monkeypatch):
    monkeypatch.setattr(jax, "devices", lambda: [object()] * 6)
    with pytest.raises(UserError, match="6 devices share 2 seed.*3 devices for each batch of 64.*no multiple of 3"):
        devices.layout(2, 64)


def test_a_launcher_that_forgot_something_is_told(monkeypatch):
    monkeypatch.setenv("DNAS_COORDINATOR", "localhost:1")
    monkeypatch.delenv("DNAS_PROCESSES", raising=False)
    with pytest.raises(UserError, match="so must be DNAS_PROCESSES and DNAS_PROCESS_ID"):
        devices.join_hosts()
