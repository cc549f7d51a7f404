"""Recordings: the official parts of spoken digits, wav and flac files in every form, and mistakes with their file."""

import io
import sys

import numpy as np
import pytest

from dnas.data import _sounds, load, spoken_digits
from dnas.data._audio import Recordings, Sounds, padded
from dnas.errors import UserError

soundfile = pytest.importorskip("soundfile")
needs_digits = pytest.mark.skipif(spoken_digits.locate().found is None, reason="needs fsdd.tar.xz of DNAS_SHARED")


def wave(count=800, frequency=440, rate=8000):
    return 0.5 * np.sin(2 * np.pi * frequency * np.arange(count) / rate)


def content(samples, rate=8000, form="WAV", code="PCM_16"):
    file = io.BytesIO()
    soundfile.write(file, samples, rate, format=form, subtype=code)
    return file.getvalue()


@needs_digits
@pytest.mark.slow
def test_the_official_parts():
    found = load("spoken_digits")
    assert (len(found.train.y), len(found.test.y), found.sample_rate) == (2700, 300, 8000)
    assert found.classes == tuple("0123456789") and (np.bincount(found.test.y) == 30).all() and not found.note
    assert found.train.x.shape[1] == max(found.train.lengths.max(), found.test.lengths.max())
    for x, length in zip(found.test.x, found.test.lengths, strict=True):
        assert not x[length:].any() and x[:length].any()


@needs_digits
def test_speakers_are_held_out(monkeypatch):
    heard = []

    def read(content, place, rate):
        heard.append(place)
        return _sounds.read(content, place, rate)

    monkeypatch.setattr(spoken_digits, "read", read)
    found = load("spoken_digits:by=speaker,speaker=theo+lucas,limit=20")
    assert (len(found.train.y), len(found.test.y)) == (20, 4) and found.task == "audio_classification"
    speakers = [place.split("_")[1] for place in heard]
    assert {*speakers[:20]} <= {"george", "jackson", "nicolas", "yweweler"} and {*speakers[20:]} <= {"theo", "lucas"}
    assert "tested on speakers that are not trained on: theo, lucas; only 20 of 2,000 train" in found.note


def test_settings_of_spoken_digits(refused):
    with refused("must be different ones"):
        load("spoken_digits:by=speaker,speaker=theo+theo")
    for choice, says in (
        ("by=word", "Unknown value of setting 'by' of data set 'spoken_digits': 'word'. Known: recording, speaker"),
        ("by=speaker,speaker=ada", "Unknown speaker of data set 'spoken_digits': 'ada'"),
        ("speaker=theo", "The setting 'speaker' of data set 'spoken_digits' acts with by=speaker only"),
    ):
        with pytest.raises(UserError, match=f"^{says}"):
            load(f"spoken_digits:{choice}")


def test_what_is_16_bits_stays_as_it_is():
    samples = np.random.default_rng(0).integers(-(2**15), 2**15, 300).astype(np.int16)
    for form in ("WAV", "FLAC"):
        found, remarks = _sounds.read(content(samples, form=form), "here", 8000)
        np.testing.assert_array_equal(found, samples)
        assert found.dtype == np.int16 and not remarks


@pytest.mark.parametrize(
    "code, form, error, remarks",
    [
        ("PCM_U8", "WAV", 2**-7, set()),
        ("PCM_24", "WAV", 2**-15, {_sounds.REDUCED}),
        ("PCM_32", "WAVEX", 2**-15, {_sounds.REDUCED}),
        ("FLOAT", "WAV", 2**-15, {_sounds.REDUCED}),
        ("PCM_24", "FLAC", 2**-15, {_sounds.REDUCED}),
    ],
)
def test_every_number_of_bits_is_read(code, form, error, remarks):
    found, said = _sounds.read(content(wave(), code=code, form=form), "here", 8000)
    assert np.abs(found / 2**15 - wave()).max() <= error and said == remarks


def test_channels_are_mixed_and_rates_changed():
    both = np.stack([wave(), -wave() / 2], 1)
    found, said = _sounds.read(content(both), "here", 8000)
    assert np.abs(found / 2**15 - wave() / 4).max() < 1e-4 and said == {_sounds.MIXED}
    found, said = _sounds.read(content(wave(4410, rate=44100), rate=44100), "here", 8000)
    assert len(found) == 800 and said == {"recordings resampled from 44,100 to 8,000 Hz"}
    inside = slice(50, -50)
    assert np.abs(found / 2**15 - wave())[inside].max() < 2e-3
    found, _ = _sounds.read(content(wave(4410, 6000, 44100), rate=44100), "here", 8000)  # above half of 8,000 Hz
    assert np.abs(found / 2**15)[inside].max() < 0.02
    found, said = _sounds.read(content(4 * wave(), code="FLOAT"), "here", 8000)
    assert (found.max(), found.min(), said) == (2**15 - 1, -(2**15), {_sounds.CLIPPED, _sounds.REDUCED})


def test_a_stream_of_unknown_length_is_read():
    whole = content(wave())
    size = whole.index(b"data") + 4
    streamed = whole[:size] + b"\xff\xff\xff\xff" + whole[size + 4 :]
    np.testing.assert_array_equal(_sounds.read(streamed, "here", 8000)[0], _sounds.read(whole, "here", 8000)[0])


@pytest.mark.parametrize(
    "broken, says",
    [
        (content(wave())[:-100], "a.wav is truncated or corrupt (it ends early)"),
        (content(wave())[:44], "a.wav is truncated or corrupt (it ends early)"),
        (content(wave(), form="FLAC")[:-100], "a.wav is truncated or corrupt"),
        (content(wave(0)), "a.wav has no samples"),
        (b"", "a.wav is truncated or corrupt (Format not recognised)"),
        (b"no sound" * 20, "a.wav is truncated or corrupt (Format not recognised)"),
        (content(wave(), form="AIFF"), "it is AIFF, no wav or flac file"),
        (content(wave(9000), rate=10), "a.wav has 10 samples a second, expected 1,000 or more"),
        (content(np.zeros(601_000, np.int16), rate=1000), "a.wav is longer than 600 seconds"),
        (content(np.array([0, np.nan]), code="FLOAT"), "a.wav has samples that are no finite numbers"),
    ],
)
def test_what_cannot_be_read_is_named(broken, says, tmp_path, refused):
    (tmp_path / "a.wav").write_bytes(broken)
    with refused(says, tmp_path):
        _sounds.read_file(tmp_path / "a.wav", 8000)


def test_a_missing_file_and_a_missing_package(tmp_path, refused, monkeypatch):
    with refused("Cannot read", "none.wav"):
        _sounds.read_file(tmp_path / "none.wav", 8000)
    monkeypatch.setitem(sys.modules, "soundfile", None)
    with refused("pip install 'dnas[audio]'"):
        _sounds.read(content(wave()), "here", 8000)


def folder(root, names, count=5, form="WAV"):
    for number, name in enumerate(names):
        (root / name).mkdir(parents=True)
        for i in range(count):
            samples = wave(100 + 10 * i, 300 * (number + 1))
            (root / name / f"{i}.{form.lower()}").write_bytes(content(samples, form=form))


def test_a_folder_has_a_folder_for_every_class(tmp_path):
    folder(tmp_path / "flat", ("yes", "no", "_background_noise_"), form="FLAC")
    (tmp_path / "flat" / "yes" / "notes.txt").write_text("no recording")
    found = load(f"audio_folder:path={tmp_path / 'flat'},sample_rate=8000")
    assert (len(found.train.y), len(found.test.y), found.classes) == (8, 2, ("no", "yes"))
    assert "20% held out with seed 0" in found.note and "left out: '_background_noise_'" in found.note
    assert found.train.x.shape == (8, 140) and {*found.train.lengths, *found.test.lengths} == {100, 110, 120, 130, 140}
    few = load(f"audio_folder:path={tmp_path / 'flat'},limit=2")
    assert "only 2 of 8 train and 1 of 2 test recordings" in few.note
    assert "resampled from 8,000 to 16,000 Hz: 3" in few.note and few.sample_rate == 16000
    for part in ("train", "Test", "val"):
        folder(tmp_path / "split" / part, ("a", "b"), count=3)
    split = load(f"audio_folder:path={tmp_path / 'split'},sample_rate=8000")
    assert (len(split.train.y), len(split.test.y)) == (6, 6) and "'val' (a validation part" in split.note


def test_a_folder_that_is_a_part_by_its_name_is_no_class(tmp_path):
    folder(tmp_path, ("yes", "no", "test", "unlabelled"))
    found = load(f"audio_folder:path={tmp_path},sample_rate=8000")
    assert found.classes == ("no", "yes")
    assert "left out: 'test' (it has no class folders), 'unlabelled' (by its name it is no class)" in found.note


def test_a_list_names_the_test_part(tmp_path, refused):
    folder(tmp_path, ("yes", "no"))
    (tmp_path / "testing_list.txt").write_text("yes/4.wav\nno/3.wav\n")
    found = load(f"audio_folder:path={tmp_path},sample_rate=8000")
    assert found.test.lengths.tolist() == [130, 140] and found.test.y.tolist() == [0, 1] and len(found.train.y) == 8
    (tmp_path / "testing_list.txt").write_text("maybe/4.wav\n")
    with refused("testing_list.txt names no recording that is there"):
        load(f"audio_folder:path={tmp_path}")


def test_folders_that_are_no_data_set(tmp_path, refused):
    with refused("needs the path", "audio_folder:path=FOLDER"):
        load("audio_folder")
    with refused("Cannot read", "none"):
        load(f"audio_folder:path={tmp_path / 'none'}")
    (tmp_path / "yes").mkdir()
    with refused(tmp_path, "has 1 class folder(s)"):
        load(f"audio_folder:path={tmp_path}")
    (tmp_path / "no").mkdir()
    with refused(tmp_path / "no", "has no recording, a wav or flac file"):
        load(f"audio_folder:path={tmp_path}")
    for name in ("yes", "no"):
        (tmp_path / name / "1.wav").write_bytes(content(wave()))
    (tmp_path / "yes" / "2.wav").write_bytes(content(wave()))
    with refused("The class 'no' has one recording", tmp_path / "no" / "1.wav"):
        load(f"audio_folder:path={tmp_path}")
    for part in ("train", "training"):
        folder(tmp_path / "two" / part, ("a", "b"))
    with refused("has both 'train' and 'training'"):
        load(f"audio_folder:path={tmp_path / 'two'}")
    folder(tmp_path / "more" / "train", ("a", "b"))
    folder(tmp_path / "more" / "test", ("a", "c"))
    with refused("of the class 'c', which no train recording is of"):
        load(f"audio_folder:path={tmp_path / 'more'}")


def test_recordings_are_checked(refused):
    y, lengths = np.array([0, 1], np.int32), np.array([3, 5], np.int32)
    good = Sounds(np.ones((2, 5), np.int16), lengths, y)
    for changes, says in (
        ({"classes": ("a",)}, "has 1 class(es)"),
        ({"train": good._replace(x=good.x[:0])}, "The train part of 'mine' must be int16 [N, S]"),
        ({"test": good._replace(x=good.x.astype(float))}, "The test part of 'mine' must be int16"),
        ({"test": good._replace(lengths=lengths[:1])}, "is 2 recordings, but has 1 lengths"),
        ({"test": good._replace(lengths=lengths + 1)}, "lengths from 4 to 6"),
        ({"test": good._replace(y=y + 1)}, "none of its 2 classes"),
    ):
        with refused(says):
            Recordings(**{"name": "mine", "train": good, "test": good, "sample_rate": 8000, "classes": "xy"} | changes)


def test_sounds_are_cut_and_filled_up():
    found = padded([np.array([1, 2, 3], np.int16), np.array([4], np.int16)], 2)
    np.testing.assert_array_equal(found, [[1, 2], [4, 0]])
