"""Recordings frame by frame from the command line: search by a mixture and by single paths, training, test, answers."""

import json

import numpy as np
import pytest

import dnas
from dnas import cli
from dnas.runs import records

soundfile = pytest.importorskip("soundfile")
pytestmark = pytest.mark.slow
RATE = 2000
TASK = "--task=audio_classification:window=32,hop=16,mels=6,seconds=0.2,time_mask=2"
TEXT = "text:layers=2,inputs=1,operations=conv_3+gru,embedded=0,dropout=0.1"
ENCODER = "transformer:size=tiny,widths=8,depths=1,heads=1+2,ratios=1,feed_forwards=relu,mixers=attention,norms=pre"
SMALL = [f"--search.{setting}" for setting in ("epochs=1", "batch_size=16", "cells=1")]
TRAINED = [f"--retrain.{setting}" for setting in ("epochs=12", "batch_size=16", "channels=4", "weights.optimiser=adam")]
RATES = ["--retrain.weights.learning_rate=0.02", "--retrain.auxiliary=0", "--retrain.drop_path=0"]


@pytest.fixture(scope="module")
def tones(tmp_path_factory):
    """A folder of low and high tones, of unlike lengths."""
    folder, rng = tmp_path_factory.mktemp("frames"), np.random.default_rng(0)
    for name, least, most in (("low", 80, 250), ("high", 500, 800)):
        (folder / name).mkdir()
        for i in range(40):
            times = np.arange(rng.integers(100, 400)) / RATE
            wave = 0.3 * np.sin(2 * np.pi * rng.uniform(least, most) * times) + 0.02 * rng.normal(size=len(times))
            soundfile.write(folder / name / f"{i}.wav", wave, RATE)
    return folder


def search(tones, out, space, *more):
    data = f"--data=audio_folder:path={tones},sample_rate={RATE}"
    return cli.main(["search", f"--space={space}", data, TASK, *SMALL, "--quiet", f"--out={out}", *more])


def test_layers_over_time_hear_tones(tones, tmp_path, capsys):
    assert search(tones, tmp_path / "run", TEXT, "--search.channels=4") == 0
    assert cli.main(["retrain", str(tmp_path / "run"), *TRAINED, *RATES, "--quiet"]) == 0
    found = dnas.load(tmp_path / "run" / "retrain")
    measured = found.evaluate()
    assert measured.accuracy > 0.9 and measured.confusion.sum() == 16
    row = records.read_metrics(tmp_path / "run" / "retrain")[-1]
    assert row["test_accuracy"] == measured.accuracy and row["test_loss"] == measured.loss
    assert cli.main(["test", str(tmp_path / "run")]) == 0
    files = [tones / name / "0.wav" for name in ("low", "high")]
    capsys.readouterr()
    assert cli.main(["predict", str(tmp_path / "run"), *map(str, files), "--json"]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [answer["class"] for answer in answers] == ["low", "high"]
    short = soundfile.read(files[0], dtype="int16")[0][:80]
    both = found.predict([short, np.zeros(400, np.int16)])[0]
    np.testing.assert_allclose(found.predict([short])[0], both, rtol=1e-5)  # whatever stands beside it
    for name in ("cells.png", "report.html"):
        assert (tmp_path / "run" / "retrain" / name).exists()


def test_an_encoder_is_searched_by_single_paths(tones, tmp_path):
    assert search(tones, tmp_path, ENCODER, "--method=gdas") == 0
    supernet = dnas.load(tmp_path)
    assert supernet.evaluate().loss == records.read_metrics(tmp_path)[-1]["valid_loss"]


def test_images_are_no_sequences(tmp_path, capsys):
    assert cli.main(["search", "--space=text", "--data=digits", f"--out={tmp_path / 'run'}"]) == 2
    said = capsys.readouterr().err
    assert "the space 'text' read tokens or frames, and the task 'images' on 'digits' has images" in said
