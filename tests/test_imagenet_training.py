"""A training and a search whose images are read from files, from the command line: resumed, measured, by two processes.
200 images of 64 pixels in 10 classes."""

import os
import socket
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

import dnas
from dnas import cli
from dnas.data._stream import centre
from dnas.errors import UserError
from dnas.runs import checkpoints, records
from dnas.runs.records import Run
from dnas.training import feed

pytest.importorskip("grain", reason="needs grain: pip install dnas[grain]")

SPACE = "--space=nasbench201:nodes=2,operations=skip_connect+nor_conv_1x1"
PLAN = [  # what EfficientNet is trained by, in small; float64: two processes round otherwise than one
    *("--retrain.epochs=2", "--retrain.cells=1", "--retrain.channels=2", "--retrain.batch_size=24"),
    *("--retrain.drop_path=0", "--retrain.auxiliary=0", "--retrain.label_smoothing=0.1", "--retrain.accumulate=2"),
    *("--retrain.rand_augment=1", "--retrain.augment.cutout=0", "--retrain.average=ema:decay=0.5"),
    *("--retrain.weights.optimiser=rmsprop:average=0.9,momentum=0.9,eps=0.001", "--retrain.weights.learning_rate=0.01"),
    *("--retrain.weights.schedule=exponential:every=0.4", "--dtype=float64", "--quiet"),
]


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    path, random = tmp_path_factory.mktemp("imagenet"), np.random.default_rng(0)
    for k in range(10):
        for part, number in (("train", 16), ("val", 4)):
            (path / part / f"class{k}").mkdir(parents=True)
            for i in range(number):
                pixels = random.integers(20 * k, 20 * k + 70, (64, 64, 3), np.uint8)
                Image.fromarray(pixels).save(path / part / f"class{k}" / f"{i}.jpg", quality=95)
    return path


def training(root, out):
    data = f"--data=imagenet:path={root},size=16"
    return ["retrain", "|nor_conv_1x1~0|", SPACE, data, *PLAN, "--out", str(out)]


@pytest.fixture(scope="module")
def trained(root, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained") / "run"
    assert cli.main(training(root, out)) == 0
    return out


def newest(folder):
    """All arrays of the newest checkpoint."""
    step = checkpoints.steps(folder)[-1]
    about = checkpoints.read_about(folder, step)
    return checkpoints.arrays(about["leaves"], checkpoints.read_data(folder, step, about))


@pytest.mark.slow
def test_a_resumed_training_is_the_same(root, trained, tmp_path, monkeypatch):
    real, out = Run.checkpoint, tmp_path / "run"

    def crash(*args, **options):
        real(*args, **options)
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Run, "checkpoint", crash)
        assert cli.main(training(root, out)) == 130
    assert [row["epoch"] for row in records.read_metrics(out)] == [1]
    assert cli.main(["retrain", "--out", str(out), "--resume", "--quiet"]) == 0
    for name, array in newest(trained).items():
        np.testing.assert_array_equal(newest(out)[name], array, name)
    assert records.read_metrics(out) == records.read_metrics(trained)
    assert [row["step"] for row in records.read_metrics(trained)] == [4, 8]  # 160 images, 48 an update


@pytest.mark.slow
def test_measures_are_those_of_all_images_at_once(root, trained, tmp_path, monkeypatch):
    """In pieces of 16, the last of them half full."""
    row, found = records.read_metrics(trained)[-1], dnas.load(trained)
    files = sorted(root.glob("val/*/*"))
    images, classes = np.stack([centre(file, 16) for file in files]), np.arange(40) // 4
    whole = found.evaluate((images, classes))
    assert whole.accuracy == row["test_accuracy"] and whole.loss == pytest.approx(row["test_loss"], rel=1e-12)
    monkeypatch.setattr(feed, "EVALUATION_BATCH", 16)
    pieces = found.evaluate()
    assert pieces.accuracy == whole.accuracy and pieces.top5_accuracy == whole.top5_accuracy
    assert pieces.loss == pytest.approx(whole.loss, rel=1e-12)
    np.testing.assert_array_equal(pieces.confusion, whole.confusion)
    assert found.evaluate(part="train").confusion.sum() == 160
    with pytest.raises(UserError, match=r"trained on images \[16, 16, 3\] .* got \[20, 20, 3\]"):
        found.evaluate(f"imagenet:path={root},size=20")
    assert cli.main(["test", str(trained)]) == 0


@pytest.mark.slow
def test_two_processes_train_as_one(root, trained, tmp_path):
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    shared = {**os.environ, "DNAS_COORDINATOR": f"localhost:{port}", "DNAS_PROCESSES": "2"}
    command = [sys.executable, "-m", "dnas", *training(root, tmp_path / "run")]
    running = [
        subprocess.Popen(command, env=shared | {"DNAS_PROCESS_ID": str(i)}, stderr=subprocess.PIPE, text=True)
        for i in range(2)
    ]
    for process in running:
        _, errors = process.communicate(timeout=300)
        assert process.returncode == 0, errors[-3000:]
    one, two = newest(trained), newest(tmp_path / "run")
    for name, array in one.items():
        np.testing.assert_allclose(two[name], array, rtol=1e-7, atol=1e-9, err_msg=name)
    rows = [records.read_metrics(folder)[-1]["test_accuracy"] for folder in (trained, tmp_path / "run")]
    assert rows[0] == rows[1]


@pytest.mark.slow
def test_a_search_reads_its_images(root, tmp_path):
    out, data = str(tmp_path / "run"), f"--data=imagenet:path={root},size=8"
    plan = ["--search.epochs=1", "--search.cells=1", "--search.channels=2", "--search.batch_size=32"]
    assert cli.main(["search", SPACE, data, "--method=darts:order=first", *plan, "--quiet", "--out", out]) == 0
    (row,) = records.read_metrics(tmp_path / "run")
    assert row["step"] == 3 and np.isfinite([row["train_loss"], row["search_loss"]]).all()
    assert dnas.load(out).evaluate().accuracy == row["valid_accuracy"]
