"""Recordings as a task: spectra equal to an independent computation, parts, batches, changes in training, refusals."""

from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.fft
import scipy.signal
from arrays import assert_same

from dnas import find
from dnas.config import AugmentConfig, Config
from dnas.config import load as load_config
from dnas.data import load
from dnas.data._audio import Recordings, Sounds, padded
from dnas.errors import UserError
from dnas.tasks import binding
from dnas.tasks.audio_classification import task
from dnas.tasks.spectra import Changes, FrontEnd, Waveforms, changed, filters, masked, spectra
from dnas.tasks.task import Answering

EXPERIMENT = Path(__file__).parents[2] / "experiments" / "spoken_digits.py"
RATE = 2000
CONFIG = Config(space="darts:nodes=2", data="mine")
SEARCH, RETRAIN = replace(CONFIG.search, batch_size=4), replace(CONFIG.retrain, batch_size=4)


def sounds(count, seed, longest=300):
    rng = np.random.default_rng(seed)
    lengths = np.linspace(100, longest, count).astype(np.int32)
    x = padded([rng.integers(-3000, 3000, length).astype(np.int16) for length in lengths], longest)
    return Sounds(x, lengths, np.arange(count, dtype=np.int32) % 2)


def data():
    return Recordings("mine", sounds(20, 0), sounds(6, 1), RATE, ("a", "b"))


def bound(stage="retrain", plan=None, config=CONFIG, dataset=None, **settings):
    plan = (SEARCH if stage == "search" else RETRAIN) if plan is None else plan
    config = replace(config, **{stage: plan})
    small = {"window": 16.0, "hop": 8.0, "mels": 6, "seconds": 0.2}
    return task(**small | settings)(dataset or data(), plan, config, stage)[0]


def by_scipy(sound, front):
    """[T, M] of one waveform in float64: spectrogram, triangles by interpolation, DCT."""
    window = scipy.signal.get_window("hann", front.window)
    frames = {"nperseg": front.window, "noverlap": front.window - front.hop, "boundary": None, "padded": False}
    _, _, transform = scipy.signal.stft(sound, front.sample_rate, window, nfft=front.points, **frames)
    power = np.abs(transform.T * window.sum()) ** 2
    most = 2595 * np.log10(1 + front.sample_rate / 2 / 700)
    hertz = 700 * (10 ** (np.arange(front.mels + 2) * most / (front.mels + 1) / 2595) - 1)
    frequencies = np.fft.rfftfreq(front.points, 1 / front.sample_rate)
    bank = [np.interp(frequencies, hertz[i : i + 3], [0, 1, 0]) for i in range(front.mels)]
    log_mel = np.log(power @ np.array(bank).T + 1e-6)
    return scipy.fft.dct(log_mel, norm="ortho")[:, : front.mfcc] if front.mfcc else log_mel


@pytest.mark.parametrize("front", [FrontEnd(8000, 200, 80, 20, 0), FrontEnd(2000, 50, 37, 12, 5)])
def test_spectra_are_those_of_an_independent_computation(front, float64):
    x = np.random.default_rng(0).normal(size=(3, 700))
    x[2, 300:] = 0
    found = jax.jit(lambda x: spectra(front, x))(x)
    assert found.shape == (3, *front.shape(700)[:2])
    assert_same(found, np.stack([by_scipy(row, front) for row in x]), rtol=1e-8, atol=1e-9)


def test_a_tone_is_in_its_bin():
    front = FrontEnd(8000, 200, 80, 20, 0)
    peaks = filters(front).argmax(0) * 8000 / front.points
    for number in (3, 10, 17):
        tone = np.sin(2 * np.pi * peaks[number] * np.arange(800) / 8000)
        assert (spectra(front, jnp.asarray(tone[None], jnp.float32)).argmax(-1) == number).all()


def test_parts_of_a_stage():
    search, training = bound("search"), bound()
    assert {part: len(y) for part, (_, y) in search.parts.items()} == {"train": 10, "valid": 10}
    assert np.bincount(search.parts["valid"][1]).tolist() == [5, 5]
    assert {part: len(y) for part, (_, y) in training.parts.items()} == {"train": 20, "test": 6}
    some = bound(plan=replace(RETRAIN, valid_portion=0.25))
    assert {part: len(y) for part, (_, y) in some.parts.items()} == {"train": 15, "valid": 5, "test": 6}
    assert search.sizes == "mine: 10 recordings for the weights, 10 for the alphas"
    assert training.shape == (2, (24, 6, 1), 0) and isinstance(training, Answering) and training.takes == "images"
    assert training.steps("train", 8) == 3 and search.steps("test", 8) == 0
    other = bound("search", config=replace(CONFIG, seed=1))
    assert search.described()["crc32"] == bound("search").described()["crc32"] != other.described()["crc32"]


def test_what_networks_read_is_normalised():
    found = bound()
    rows, constants = found.evaluation("train")
    row = jax.tree.map(lambda values: values[0], rows)
    batch = jax.jit(found.pure.evaluation_batch)(row, constants)
    assert batch.inputs.shape == (20, 24, 6, 1) and batch.inputs.dtype == np.float32 and batch.weights.all()
    np.testing.assert_allclose(batch.inputs.mean((0, 1)), 0, atol=1e-4)
    np.testing.assert_allclose(batch.inputs.std((0, 1)), 1, atol=1e-4)
    front = FrontEnd(RATE, 32, 16, 6, 0)
    assert found.front == front
    whole = np.concatenate([by_scipy(row / 2**15, front) for row in padded(data().train.x, 400)])
    np.testing.assert_allclose(found.moments[0], whole.mean(0), rtol=1e-4)
    np.testing.assert_allclose(found.moments[1], whole.std(0), rtol=1e-4)
    low = bound(config=replace(CONFIG, dtype="bfloat16"))
    short = low.evaluation_batch(row, constants).inputs
    assert short.dtype == jnp.bfloat16 and np.abs(short.astype(np.float32) - batch.inputs).max() < 0.02


def test_batches():
    found = bound()
    order = found.order(jax.random.key(0), found.arrays("train"), 24)
    batch = found.batch(found.arrays("train"), order, jnp.array(1), 4, jax.random.key(1))
    x, y = found.parts["train"]
    rows = order[4:8]
    plain = found.evaluation_batch((jax.tree.map(lambda part: part[rows], x), y[rows], None), found.moments)
    np.testing.assert_allclose(batch.inputs, plain.inputs, atol=1e-5)
    np.testing.assert_array_equal(batch.targets, plain.targets)


def test_changes_in_training():
    key, lengths = jax.random.key(0), jnp.full(50, 30)
    x = jnp.ones((50, 40))
    found, heard = changed(key, Waveforms(x, lengths), Changes(shift=10))
    before, after = (found == 0).argmin(1), (found[:, ::-1] == 0).argmin(1)
    for moved in (before, after):
        assert {0} < {*moved.tolist()} <= {*range(11)} and moved.max() >= 8
    assert (found.sum(1) == 40 - before - after).all() and (jnp.minimum(before, after) == 0).all()
    np.testing.assert_array_equal(heard, 30 + before - after)  # what is heard moves with the sound
    ramp, _ = changed(key, Waveforms(jnp.tile(jnp.arange(1.0, 41), (50, 1)), lengths), Changes(shift=10))
    assert ((jnp.diff(ramp, axis=1) == 1) | (ramp[:, 1:] == 0) | (ramp[:, :-1] == 0)).all()
    louder, same = changed(key, Waveforms(x, lengths), Changes(gain=20.0))
    assert (
        0.1 <= louder.min() < 0.2 and 5 < louder.max() <= 10 and (louder == louder[:, :1]).all() and (same == 30).all()
    )
    hidden = masked(key, jnp.ones((200, 12, 7)), jnp.full(200, 12), Changes(frames=4, mels=3)) == 0
    rows, columns = hidden.all(2).sum(1), hidden.all(1).sum(1)
    assert {*rows.tolist()} == {*range(5)} and {*columns.tolist()} == {*range(4)}
    assert (hidden.sum((1, 2)) == 7 * rows + 12 * columns - rows * columns).all()
    some = masked(key, jnp.ones((200, 12, 7)), jnp.full(200, 3), Changes(frames=4)) == 0
    assert not some[:, 3:].any() and {*some.all(2).sum(1).tolist()} == {0, 1, 2}  # a frame is left
    arrays = bound().arrays("train")
    plain, other = (
        bound(**settings).batch(arrays, jnp.arange(20), jnp.array(0), 20, key).inputs
        for settings in ({}, {"shift": 20.0, "gain": 6.0, "time_mask": 4, "mel_mask": 2})
    )
    assert (plain != other).any((1, 2, 3)).sum() >= 19


def test_what_is_longer_is_cut_with_a_note():
    found = bound(seconds=0.1)
    assert found.note == "; ".join(
        f"of {n} of {m} {part} recordings only the first 0.1 s are heard"
        for n, m, part in ((10, 20, "train"), (3, 6, "test"))
    )
    x, lengths = found.parts["test"][0]
    np.testing.assert_array_equal(x, data().test.x[:, :200])
    np.testing.assert_array_equal(lengths, [100, 140, 180, 200, 200, 200])


def test_inputs_and_answers():
    found = bound()
    x, lengths = found.inputs([np.array([1, -1], np.int16), np.full(500, 0.5), jnp.array([-1.0, 1.0])])
    assert lengths.tolist() == [2, 400, 2]
    assert x.shape == (3, 400) and x.dtype == np.int16 and (x[1] == 2**14).all()
    assert x[0, :3].tolist() == [1, -1, 0] and x[2, :3].tolist() == [-(2**15), 2**15 - 1, 0]
    assert [found.inputs(given).samples.shape for given in (data().test.x, [])] == [(6, 400), (0, 400)]
    for given, says in (
        ("a.wav", "a list of arrays, not of type str"),
        (np.zeros(5), r"Waveform 1 is float64 \[\], expected samples"),
        ([np.zeros((5, 2))], r"Waveform 1 is float64 \[5, 2\], expected samples"),
        ([np.zeros(5), np.zeros(5, int)], "Waveform 2 is int64"),
        ([[[1], [2, 3]]], "Waveform 1 is object"),
        ([np.zeros(0)], "Waveform 1 has no samples"),
        ([np.array([0, 1.5])], "beyond -1 to 1"),
        ([np.array([0, np.nan])], "beyond -1 to 1"),
    ):
        with pytest.raises(UserError, match=says):
            found.inputs(given)


@pytest.mark.parametrize(
    "settings, says",
    [
        ({"window": 300.0}, "window of task 'audio_classification' is longer than the 0.2 s"),
        ({"hop": 20.0}, "hop .* is longer than its window"),
        ({"mfcc": 7}, "'mfcc' .* is 7, and 6 mels"),
        ({"mels": 60}, "'mels' .* is 60, of which .* have no frequency of a window of 32 samples"),
        ({"shift": 200.0}, "'shift' .* leaves nothing"),
        ({"time_mask": 24}, "'time_mask' .* leaves nothing"),
        ({"mel_mask": 6}, "'mel_mask' .* leaves nothing"),
        ({"plan": replace(RETRAIN, batch_size=40)}, "has 20 recordings: choose a batch"),
        ({"stage": "search", "plan": replace(SEARCH, valid_portion=0)}, "score on validation recordings"),
        ({"plan": replace(RETRAIN, mixup=0.2)}, "retrain.mixup is 0.2, and acts on images only"),
        ({"plan": replace(RETRAIN, cutmix=1.0)}, "retrain.cutmix is 1.0, and acts on images only"),
        ({"plan": replace(RETRAIN, rand_augment=2)}, "retrain.rand_augment is 2, and acts on images only"),
        ({"plan": replace(RETRAIN, magnitude=2)}, "retrain.magnitude is 2, and acts on images only"),
        (
            {"stage": "search", "plan": replace(SEARCH, augment=AugmentConfig(pad=2))},
            "search.augment is .* images only",
        ),
        ({"dataset": load("wine")}, "needs recordings with a class each, .* not 'wine'"),
    ],
)
def test_what_does_not_go_together_is_refused(settings, says):
    with pytest.raises(UserError, match=says):
        bound(**settings)


def test_what_is_of_networks_and_losses_acts():
    pure = bound(plan=replace(RETRAIN, label_smoothing=0.1, auxiliary=0.3, drop_path=0.1)).pure
    assert (pure.smoothing, pure.auxiliary) == (0.1, 0.3)


def of_space(space, stage="retrain", plan=RETRAIN, seconds=0.2, **settings):
    """The task as it is bound for a space."""
    config = replace(CONFIG, **{stage: plan}, task=f"audio_classification:window=16,hop=8,mels=6,seconds={seconds}")
    return binding.bind(data(), replace(config, **settings), stage, find.resolve("space", space))[0]


def test_networks_of_sequences_read_frames_as_far_as_a_recording_goes(float64):
    """However long the time is that is heard: moments, frames and lengths are those of the recordings."""
    found, longer = (of_space("text", seconds=seconds, dtype="float64") for seconds in (0.15, 0.4))
    assert (found.takes, found.shape, longer.shape) == ("frames", (2, (17, 6), 0), (2, (49, 6), 0))
    jax.tree.map(np.testing.assert_array_equal, found.moments, longer.moments)
    frames = [1 + max(length - 32, 0) // 16 for length in data().train.lengths]
    values = [
        by_scipy(row[:n] / 2**15, found.front) for row, n in zip(data().train.x, data().train.lengths, strict=True)
    ]
    np.testing.assert_allclose(found.moments[0], np.concatenate(values).mean(0), rtol=1e-6)
    for one in (found, longer):
        (x, lengths), _ = one.parts["train"]
        given = one.inputs([row[:n] for row, n in zip(x, lengths, strict=True)])
        batch = one.pure.evaluation_batch((given, None, None), one.moments)
        assert batch.inputs.lengths.tolist() == frames and batch.inputs.values.dtype == np.float64
        for row, count, expected in zip(batch.inputs.values, frames, values, strict=True):
            np.testing.assert_allclose(row[:count], (expected - one.moments[0]) / one.moments[1], atol=1e-6)
    assert [len(one) for one in values] == frames
    alone = found.pure.evaluation_batch((found.inputs([np.ones(3, np.int16)]), None, None), found.moments)
    assert alone.inputs.lengths.tolist() == [1]  # shorter than a window
    assert found.described()["crc32"] == of_space("darts", seconds=0.15).described()["crc32"]


@pytest.mark.parametrize(
    "space, settings, says",
    [
        ("transformer:reads=decoder", {}, "'transformer' read tokens, and the task 'audio_classification' on 'mine'"),
        ("transformer:reads=both", {}, "'transformer' read pairs, and the task"),
        ("rnn", {}, "'rnn' read tokens, and the task 'audio_classification'"),
        ("text", {"dtype": "bfloat16"}, "frame by frame compute in the type of the weights: set dtype to 'float32'"),
        ("text", {"plan": replace(RETRAIN, auxiliary=0.3)}, "retrain.auxiliary is 0.3, and .* these read frames"),
        ("text", {"plan": replace(RETRAIN, drop_path=0.1)}, "retrain.drop_path is 0.1, and .* these read frames"),
        ("text", {"plan": replace(RETRAIN, stem="imagenet")}, "retrain.stem is imagenet, and .* these read frames"),
    ],
)
def test_sequences_that_cannot_be_read_are_refused(space, settings, says):
    with pytest.raises(UserError, match=says):
        of_space(space, **settings)


def test_spaces_of_images_take_sounds_and_others_do_not():
    config = replace(CONFIG, retrain=RETRAIN, task="audio_classification:seconds=0.2,mels=6")
    found, plan = binding.bind(data(), config, "retrain", find.resolve("space", config.space))
    assert found.name == "audio_classification" and plan.augment == AugmentConfig(pad=0, flip=False)
    with pytest.raises(UserError, match="'tabular' read features, and the task 'audio_classification'"):
        binding.bind(data(), replace(config, space="tabular"), "retrain", find.resolve("space", "tabular"))


@pytest.mark.parametrize("setting", find.experiments(EXPERIMENT.parent)[EXPERIMENT].settings.split(","))
def test_its_experiment_sets_nothing_that_does_nothing(setting):
    config = load_config(f"{EXPERIMENT}:{setting}")
    idle = (*binding.OF_IMAGES, *(() if config.space == "nasbench201" else binding.OF_THEIR_NETWORKS))
    for stage in ("search", "retrain"):
        binding.refuse_idle(config, stage, idle, "other things")
