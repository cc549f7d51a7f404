"""Images in batches from a folder: what they are, who reads them, and that nothing but the seed and the place counts.
200 images of 64 pixels in 10 classes."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from dnas.data import _stream
from dnas.data._images import read_square
from dnas.data._stream import Host, batches, examples, folder, random_crop
from dnas.errors import UserError

CLASSES, EACH, PIXELS = 10, 20, 64


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    """Of class k all pixels are about 20 k + 20, on a wave that differs from image to image."""
    path, random = tmp_path_factory.mktemp("stream"), np.random.default_rng(0)
    for k in range(CLASSES):
        for part, number in (("train", EACH - 4), ("val", 4)):
            (path / part / f"class{k}").mkdir(parents=True)
            for i in range(number):
                wave = 10 * np.sin(np.arange(PIXELS) / (2 + 5 * random.random()))
                pixels = np.broadcast_to((20 * k + 20 + wave)[None, :, None], (PIXELS, PIXELS, 3))
                Image.fromarray(pixels.astype(np.uint8)).save(path / part / f"class{k}" / f"{i}.jpg", quality=95)
    return path


@pytest.fixture(scope="module")
def found(root):
    return folder(root)


def test_a_folder_has_its_parts_and_classes(found):
    assert found.classes == tuple(f"class{k}" for k in range(CLASSES))
    assert len(found.train.files) == 160 and len(found.test.files) == 40
    assert np.bincount(found.test.labels).tolist() == [4] * CLASSES


def test_an_epoch_reads_every_image_once_in_an_order_of_its_own(found):
    def places(first):
        one = examples(found.train, 32, 16, steps=10, first=first)
        order = [_stream._order(0, first // 10, 160)[i] for i in range(160)]
        assert [one[i][1] for i in range(160)] == found.train.labels[order].tolist()
        return order

    first, second = places(0), places(10)
    assert sorted(first) == sorted(second) == list(range(160)) and first != second


def test_a_crop_is_of_its_image_and_differs_by_the_generator(found):
    one, again, other = (random_crop(found.train.files[0], 32, np.random.default_rng(s)) for s in (0, 0, 1))
    assert one.shape == (32, 32, 3) and one.dtype == np.uint8
    assert (one == again).all() and (one != other).any()
    assert abs(one.mean() - 20) < 11


def test_boxes_lie_inside_and_have_the_areas_and_ratios_that_were_drawn():
    random = np.random.default_rng(0)
    for width, height in ((64, 64), (200, 50), (37, 90)):
        for _ in range(50):
            areas, ratios = random.uniform(0.08, 1, 10), random.uniform(3 / 4, 4 / 3, 10)
            left, top, right, bottom = _stream._box(width, height, areas, ratios, random.uniform(size=2))
            assert -1e-9 <= left < right <= width + 1e-9 and -1e-9 <= top < bottom <= height + 1e-9
            assert 3 / 4 - 1e-9 <= (right - left) / (bottom - top) <= 4 / 3 + 1e-9
    assert _stream._box(10, 40, np.ones(2), np.ones(2), np.zeros(2)) == pytest.approx((0, 13.33, 10, 26.67), abs=0.01)


def test_the_test_part_is_the_middle_of_each_image_in_its_own_order(found):
    one = examples(found.test, 56, 8, steps=5, train=False)
    assert [one[i][1] for i in range(40)] == found.test.labels.tolist()
    square, _ = read_square(found.test.files[0], 64)
    assert np.abs(one[0][0].astype(int) - square[4:60, 4:60]).max() <= 1


def test_hosts_share_every_batch_and_a_resumed_training_reads_what_it_would_have(found):
    whole = examples(found.train, 32, 16, steps=12, seed=3)
    rows = [whole[i] for i in range(len(whole))]
    for count in (2, 4):
        parts = [examples(found.train, 32, 16, steps=12, seed=3, host=Host(i, count)) for i in range(count)]
        shared = [part[step * part.local + i] for step in range(12) for part in parts for i in range(part.local)]
        assert all((a[0] == b[0]).all() and a[1] == b[1] for a, b in zip(rows, shared, strict=True))
    later = examples(found.train, 32, 16, steps=2, first=9, seed=3)  # over the end of an epoch
    assert all((later[i][0] == rows[9 * 16 + i][0]).all() for i in range(32))
    other = examples(found.train, 32, 16, steps=1, seed=4)
    assert any((other[i][0] != rows[i][0]).any() for i in range(16))


def test_an_epoch_has_a_whole_number_of_the_steps_that_belong_together(found):
    one = examples(found.train, 32, 24, steps=16, together=2, seed=3)
    assert one.epoch == 8  # of 160 images, in batches of 24, two together
    row = lambda i: int(_stream._order(3, i // (8 * 24), 160)[i % (8 * 24) % 160])  # noqa: E731
    assert [one[i][1] for i in range(0, 16 * 24, 7)] == [found.train.labels[row(i)] for i in range(0, 16 * 24, 7)]
    halves = [examples(found.train, 32, 24, steps=16, together=2, seed=3, host=Host(i, 2)) for i in range(2)]
    shared = [half[step * 12 + i] for step in (0, 9) for half in halves for i in range(12)]
    rows = [one[step * 24 + i] for step in (0, 9) for i in range(24)]
    assert all((a[0] == b[0]).all() and a[1] == b[1] for a, b in zip(rows, shared, strict=True))


@pytest.mark.parametrize("workers", [0, pytest.param(2, marks=pytest.mark.slow)])
def test_batches_are_the_examples_whoever_reads_them(found, workers):
    pytest.importorskip("grain", reason="needs grain: pip install dnas[grain]")
    source = examples(found.train, 32, 16, steps=3)
    read = [*batches(source, workers)]
    assert [(x.shape, x.dtype, y.dtype) for x, y in read] == [((16, 32, 32, 3), np.uint8, np.int32)] * 3
    for i in range(48):
        image, label = source[i]
        assert (read[i // 16][0][i % 16] == image).all() and read[i // 16][1][i % 16] == label


@pytest.mark.slow
def test_who_stops_in_the_middle_ends_without_a_word(root):
    pytest.importorskip("grain", reason="needs grain: pip install dnas[grain]")
    text = f"""
from pathlib import Path
from dnas.data import _stream
if __name__ == "__main__":
    part = _stream.folder(Path({str(root)!r})).train
    reading = _stream.batches(_stream.examples(part, 32, 16, steps=50), 1)
    next(reading)
"""
    ended = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True, timeout=120)
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "", "")


@pytest.mark.parametrize("workers", [0, pytest.param(1, marks=pytest.mark.slow)])
def test_a_broken_image_is_one_sentence(tmp_path, root, workers):
    pytest.importorskip("grain", reason="needs grain: pip install dnas[grain]")
    for name in "ab":
        (tmp_path / name).mkdir()
    whole = (root / "train" / "class0" / "0.jpg").read_bytes()
    (tmp_path / "a" / "good.jpg").write_bytes(whole)
    (tmp_path / "b" / "broken.jpg").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(UserError, match=r"broken.jpg is truncated or corrupt .*: replace or remove this image\."):
        list(batches(examples(folder(tmp_path).train, 32, 2, steps=1), workers))


def test_what_cannot_be_read_is_refused(found, tmp_path, monkeypatch):
    (tmp_path / "only").mkdir()
    with pytest.raises(UserError, match=r"has 1 class folder\(s\).*: at least 2 are needed"):
        folder(tmp_path)
    with pytest.raises(UserError, match="30 pixels is not divisible by 4: choose 28 or 32"):
        examples(found.train, 30, 16, steps=1)
    with pytest.raises(UserError, match="A batch of 10 images is no multiple of 4 hosts"):
        examples(found.train, 32, 10, steps=1, host=Host(0, 4))
    monkeypatch.setitem(__import__("sys").modules, "grain", None)
    with pytest.raises(UserError, match=r"needs the package grain: pip install dnas\[grain\]"):
        next(batches(examples(found.train, 32, 16, steps=1)))
