"""Recordings from the command line: search, retrain, test, predict wav and flac files, train on; mistakes."""

import json

import jax
import numpy as np
import pytest

import dnas
from dnas import cli
from dnas.data._audio import Recordings, Sounds
from dnas.data._sounds import read_file
from dnas.errors import UserError
from dnas.runs import records

soundfile = pytest.importorskip("soundfile")
pytestmark = pytest.mark.slow
RATE = 2000
SPACE = "darts:nodes=1,operations=max_pool_3x3+skip_connect+dil_conv_3x3"
TASK = "audio_classification:window=32,hop=16,mels=6,seconds=0.2"
SMALL = [f"--search.{setting}" for setting in ("epochs=1", "batch_size=16", "cells=1", "channels=2")]
TRAINED = [f"--retrain.{setting}" for setting in ("epochs=10", "batch_size=16", "cells=1", "channels=4", "drop_path=0")]
WEIGHTS = ["--retrain.weights.optimiser=adam", "--retrain.weights.learning_rate=0.02", "--retrain.auxiliary=0"]


@pytest.fixture
def dnas_says(capsys):
    """`dnas_says(*arguments)`: exit code, what is printed, and errors and notes."""

    def says(*arguments):
        code = cli.main(list(map(str, arguments)))
        return code, *capsys.readouterr()

    return says


def tone(rng, high, rate=RATE, seconds=0.15):
    frequency = rng.uniform(500, 800) if high else rng.uniform(80, 250)
    wave = np.sin(2 * np.pi * frequency * np.arange(round(seconds * rate)) / rate)
    return 0.3 * wave + 0.02 * rng.normal(size=len(wave))


@pytest.fixture(scope="module")
def tones(tmp_path_factory):
    """A folder of recordings, and in it the folder of a search on them whose cell was trained."""
    folder, rng = tmp_path_factory.mktemp("tones"), np.random.default_rng(0)
    for number, name in enumerate(("low", "high")):
        (folder / "data" / name).mkdir(parents=True)
        for i in range(40):
            soundfile.write(folder / "data" / name / f"{i}.wav", tone(rng, number == 1), RATE)
    data = f"--data=audio_folder:path={folder / 'data'},sample_rate={RATE}"
    of = [f"--space={SPACE}", data, f"--task={TASK}", "--quiet", f"--out={folder / 'run'}"]
    assert cli.main(["search", *of, *SMALL]) == 0
    assert cli.main(["retrain", str(folder / "run"), *TRAINED, *WEIGHTS, "--quiet"]) == 0
    return folder


def test_the_evaluation_is_that_of_the_report(tones, dnas_says):
    found = dnas.load(tones / "run" / "retrain")
    measured = found.evaluate()
    row = records.read_metrics(tones / "run" / "retrain")[-1]
    assert {f"test_{name}": value for name, value in measured.measures.items()} == {
        name: value for name, value in row.items() if name.startswith("test_")
    }
    code, said, _ = dnas_says("test", tones / "run")
    assert code == 0 and f"{measured.confusion.trace()} of 16 test recordings" in said
    assert measured.accuracy > 0.9 and measured.confusion.sum() == 16
    assert (tones / "run" / "retrain" / "confusion.png").exists()
    supernet = dnas.load(tones / "run")
    assert supernet.evaluate().loss == records.read_metrics(tones / "run")[-1]["valid_loss"]
    assert f"{sum(leaf.size for leaf in jax.tree.leaves(found.weights)):,}" in found.summary()
    with pytest.raises(UserError, match="reads sounds, no images"):
        _ = found.images


def test_recordings_are_predicted(tones, tmp_path, dnas_says):
    rng, found = np.random.default_rng(1), dnas.load(tones / "run" / "retrain")
    files = tmp_path / "a.wav", tmp_path / "b.flac"
    soundfile.write(files[0], tone(rng, True, rate=8000, seconds=0.5), 8000, subtype="PCM_24")
    soundfile.write(files[1], np.stack([tone(rng, False)] * 2, 1), RATE)
    sounds = [read_file(file, RATE)[0] for file in files]
    rows = found.predict(sounds)
    assert [found.classes[row.argmax()] for row in rows] == ["high", "low"]
    np.testing.assert_allclose(found.predict([sound / 2**15 for sound in sounds]), rows, atol=1e-6)
    code, said, note = dnas_says("predict", tones / "run", *files)
    shown = [f"{found.classes[row.argmax()]} {100 * row.max():.1f} %" for row in rows]
    assert code == 0 and said.splitlines() == [f"{f}: {answer}" for f, answer in zip(files, shown, strict=True)]
    assert note.splitlines() == [
        "Note: recordings of more than 16 bits, reduced to 16: 1.",
        "Note: recordings of several channels, mixed down to one: 1.",
        "Note: recordings resampled from 8,000 to 2,000 Hz: 1.",
        "Note: of 1 of 2 given recordings only the first 0.2 s are heard.",
    ]
    answer = json.loads(dnas_says("predict", tones / "run", files[1], "--json")[1])
    assert (answer["file"], answer["class"]) == (str(files[1]), "low")
    np.testing.assert_allclose([answer["probabilities"][name] for name in found.classes], rows[1], atol=1e-6)
    (tmp_path / "c.wav").write_bytes(files[0].read_bytes()[:-9])
    code, _, error = dnas_says("predict", tones / "run", *files, tmp_path / "c.wav")
    assert code != 0 and "c.wav is truncated or corrupt (it ends early)" in error and error.count("\n") == 1


def test_it_is_trained_on_other_recordings(tones, tmp_path):
    rng, found = np.random.default_rng(2), dnas.load(tones / "run" / "retrain")
    x = np.stack([np.round(2**15 * tone(rng, i % 2 == 0)) for i in range(32)]).astype(np.int16)
    part = Sounds(x, np.full(32, x.shape[1], np.int32), np.arange(32, dtype=np.int32) % 2)
    other = Recordings("other", part, part, RATE, ("high", "low"))
    tuned = found.finetune(other, epochs=1, out=tmp_path / "tuned", quiet=True)
    assert tuned.config.weights_from.endswith("head=kept") and tuned.predict(list(x[:3])).shape == (3, 2)
    with pytest.raises(UserError, match="'fast' has 8,000 samples a second, .* was trained on 2,000"):
        found.finetune(Recordings("fast", part, part, 8000, ("high", "low")), epochs=1)
    with pytest.raises(UserError, match="on the data of its run only"):
        found.evaluate(other)


def test_changed_data_are_refused(tones):
    files = [tones / "data" / "low" / f"{i}.wav" for i in (0, 1)]  # of two one is trained on, at least
    kept = [file.read_bytes() for file in files]
    try:
        for file in files:
            soundfile.write(file, np.zeros(300), RATE)
        with pytest.raises(UserError, match=r"not what .* was trained on any more \(crc32\)"):
            dnas.load(tones / "run" / "retrain")
    finally:
        for file, content in zip(files, kept, strict=True):
            file.write_bytes(content)
