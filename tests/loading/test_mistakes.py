"""The worst mistakes of a network: which they are, and how a page gets their examples."""

import base64
import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image

from dnas.loading import mistakes
from dnas.tasks import translation_scores
from dnas.tasks.spectra import Waveforms

ANSWERS = np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4], [0.01, 0.99]])
CLASSES = np.array([0, 0, 1, 0])


class Shown:
    """A task whose examples are texts."""

    def seen(self, part, place, x):
        return {"text": f"{part} {place}: {x.tolist()}"}


def test_the_worst_are_those_least_sure_of_the_class():
    found = mistakes.worst(Shown(), "test", 100, np.arange(8).reshape(4, 2), CLASSES, ANSWERS)
    assert [(one.place, one.true, one.taken) for one in found] == [(103, 0, 1), (101, 0, 1), (102, 1, 0)]
    assert [one.own for one in found] == [0.01, 0.2, 0.4] and found[0].probability == 0.99
    assert found[0].seen == {"text": "test 103: [6, 7]"}
    more = mistakes.worst(object(), "test", 0, (np.zeros((4, 3)),), CLASSES, ANSWERS)
    assert all(one.seen == {} for one in more), "whose examples cannot be shown"
    assert [one.place for one in mistakes.of_all([*found, *more])][:4] == [103, 3, 101, 1]


def test_only_the_worst_are_kept():
    answers = np.stack([np.linspace(0.3, 0.49, 90), np.linspace(0.7, 0.51, 90)], 1)
    found = mistakes.worst(object(), "test", 0, np.zeros(90), np.zeros(90, int), answers)
    assert len(found) == mistakes.MOST and found[0].place == 0 and found[-1].place == mistakes.MOST - 1


def test_the_worst_numbers_are_those_farthest_off():
    true, said = np.array([1.0, 5.0, -3.0]), np.array([1.5, 2.0, 8.0])
    found = mistakes.farthest(Shown(), "test", np.arange(3), true, said)
    assert [(one.place, one.true, one.said, one.error) for one in found] == [
        (2, -3.0, 8.0, 11.0),
        (1, 5.0, 2.0, 3.0),
        (0, 1.0, 1.5, 0.5),
    ]
    assert found[0].seen == {"text": "test 2: 2"}
    many = mistakes.farthest(object(), "test", np.arange(90), np.zeros(90), np.arange(90.0))
    assert len(many) == mistakes.MOST and many[0].place == 89 and many[0].seen == {}


def test_the_worst_translations_are_those_least_like_their_reference():
    said = ["der Hund sitzt", "", "die Katze"]
    references = ["der Hund sitzt", "ein Mann", "die Katze schläft"]
    compared = translation_scores.compared(["a", "b", "c"], references, said, tokenised=True, lower=False)
    assert [compared[0].chrf, compared[0].bleu] == pytest.approx([100, 100])
    found = mistakes.least_alike(compared)
    assert [one.place for one in found] == [1, 2, 0] and found[0].pair[:4] == ("b", "ein Mann", "", 0)
    assert mistakes._plain(found[1])["written"] == "die Katze" and 0 < found[1].pair.bleu < 100


@pytest.mark.parametrize("channels", [1, 2, 3, 4])
def test_images_are_pictures_of_their_size(channels):
    image = np.full((5, 7, channels), 200, np.uint8)
    plain = mistakes._plain(mistakes.Mistake(0, 0, 1, 0.9, 0.1, {"image": image}))
    with Image.open(io.BytesIO(base64.b64decode(plain["image"]))) as picture:
        assert picture.size == (7, 5) and picture.mode == ("RGB" if channels == 3 else "L")


def test_sounds_are_envelopes_and_rows_have_no_nan():
    samples = np.array([0, 2**14, -(2**15), 0], np.int16)
    (plain, row) = (
        mistakes._plain(mistakes.Mistake(0, 0, 1, 0.9, 0.1, seen))
        for seen in ({"sound": samples}, {"row": {"a": np.float64("nan"), "b": np.int64(3), "c": "x"}})
    )
    assert plain["sound"] == [[0, 0], [0.5, 0.5], [-1, -1], [0, 0]]
    assert row["row"] == {"a": None, "b": 3, "c": "x"} and json.dumps(row)


def test_recordings_are_shown_as_long_as_they_are():
    from dnas.tasks.audio_classification import SoundClasses

    sounds = Waveforms(np.arange(12, dtype=np.int16).reshape(2, 6), np.array([4, 6]))
    found = mistakes.worst(
        SimpleNamespace(seen=lambda *given: SoundClasses.seen(None, *given)),
        "test",
        0,
        sounds,
        np.array([1, 0]),
        np.array([[0.9, 0.1], [0.8, 0.2]]),
    )
    assert [one.seen["sound"].tolist() for one in found] == [[0, 1, 2, 3]]
