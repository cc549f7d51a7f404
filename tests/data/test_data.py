"""Arrays as data, the shared settings, and the split into train, validation and test."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from dnas.data import Dataset, data_dir, load, split, tailored
from dnas.data._arrays import hold_out, resized, stratified_order
from dnas.errors import UserError


def images(count: int, side: int = 4, channels: int = 3, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, side, side, channels), dtype=np.uint8)


def small(count: int = 20, classes: int = 4) -> Dataset:
    """Every train image is constant and equal to its index, so that splits can be traced."""
    x = np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, 2, 2, 1)).copy()
    y = (np.arange(count) % classes).astype(np.int32)
    return Dataset("small", x, y, x[:classes], y[:classes], tuple("abcdefghij"[:classes]), "a note")


# --- arrays


def test_a_pair_of_arrays_holds_out_a_stratified_fifth():
    x, y = images(100), np.repeat(np.arange(5), 20)
    data = load((x, y))
    assert (len(data.train_x), len(data.test_x)) == (80, 20)
    assert np.bincount(data.test_y).tolist() == [4] * 5
    rows = {row.tobytes() for row in x}
    assert {row.tobytes() for row in data.train_x} | {row.tobytes() for row in data.test_x} == rows
    assert data.classes == ("0", "1", "2", "3", "4") and data.train_y.dtype == np.int32
    assert "20%" in data.note
    for image, label in zip(data.test_x, data.test_y, strict=True):
        assert y[(x == image).all(axis=(1, 2, 3))] == label


def test_four_arrays_and_a_data_set_are_taken_as_they_are():
    x, y = images(10), np.arange(10) % 2
    data = load((x, y, x[:4], y[:4]))
    np.testing.assert_array_equal(data.train_x, x)
    np.testing.assert_array_equal(data.test_y, y[:4])
    assert data.note == "" and load(data) is data


def test_grey_and_float_images_become_uint8_with_a_channel():
    x, y = images(10, channels=1), np.arange(10) % 2
    grey = load((x[..., 0], y, x[..., 0], y))
    floats = load((x.astype(np.float32) / 255, y, x[..., 0] / 255, y))
    np.testing.assert_array_equal(grey.train_x, x)
    np.testing.assert_array_equal(floats.train_x, x)
    np.testing.assert_array_equal(floats.test_x, x)


@pytest.mark.parametrize(
    ("x", "y", "words"),
    [
        (images(4) * 1.0, [0, 1, 0, 1], ["floats from", "[0, 1]"]),
        (np.full((4, 2, 2, 1), np.nan), [0, 1, 0, 1], ["nan"]),
        (images(4).astype(np.int64), [0, 1, 0, 1], ["int64", "uint8"]),
        (images(4)[0, 0], [0, 1, 0, 1], ["shape"]),
        ([[[1]], [[1, 2]]], [0, 1], ["same size"]),
        (np.array([None, "image"]), [0, 1], ["shape"]),
        (images(4), [0, 1, 0], ["4 images", "3 labels"]),
        (images(4), [0.0, 1, 0, 1], ["float64", "class index"]),
        (images(4), np.eye(4, dtype=int), ["(4, 4)"]),
        (images(4), [-1, 0, 1, 1], ["-1", "start at 0"]),
        (images(4), [1, 2, 1, 2], ["class 0 has no image"]),
        (images(4), [0, 1, 3, 3], ["class 2 has no image"]),
        (images(4), [0, 1, 1, 2**31 - 1], ["class 2 has no image"]),
        (images(4), [0, 1, 1, 2**40], ["start at 0"]),
        (images(4), [0, 0, 0, 0], ["1 class", "at least 2"]),
        (images(0), np.zeros(0, int), ["0 image"]),
        (images(4, side=0), [0, 1, 0, 1], ["none empty"]),
        (images(4) / 255 / 255, [0, 1, 0, 1], ["0.003", "divided by 255 twice"]),
        ((images(4) / 255 / 255).astype(np.float16), [0, 1, 0, 1], ["divided by 255 twice"]),
        (np.ma.masked_less(images(4), 99), [0, 1, 0, 1], ["images", "masked", "filled"]),
        (list(np.ma.masked_less(images(4), 99)), [0, 1, 0, 1], ["images", "masked"]),
        (images(4), np.ma.masked_equal([0, 1, 0, 1], 1), ["labels", "masked"]),
    ],
)
def test_unfit_arrays_are_refused_in_one_sentence(x, y, words, refused):
    with refused("arrays", *words):
        load((x, y))


def test_dark_floats_and_masked_arrays_without_a_masked_number_are_taken():
    x, y = images(10), np.arange(10) % 2
    np.testing.assert_array_equal(load((np.ma.masked_array(x), y, x, y)).train_x, x)
    dark = load((x / 255, y, np.full((2, 4, 4, 3), 2 / 255), [0, 1]))
    assert (dark.test_x == 2).all()
    assert (load((x / 255, y, np.zeros((2, 4, 4, 3)), [0, 1])).test_x == 0).all()


def test_unfit_test_arrays_are_refused(refused):
    x, y = images(4), np.array([0, 1, 0, 1])
    with refused("labels from 0 to 5", "2 classes"):
        load((x, y, x, np.array([0, 1, 5, 1])))
    with refused("[4, 4, 3]", "[6, 6, 3]"):
        load((x, y, images(4, side=6), y))
    with refused("arrays (x, y)"):
        load((x, y, x))
    with refused("arrays (x, y)"):
        load(7)


def test_unknown_names_and_settings_are_refused(refused):
    with pytest.raises(Exception, match="Did you mean cifar10"):
        load("cifar")
    with pytest.raises(Exception, match="limit"):
        load("digits:limi=3")


# --- shared settings


def test_every_prefix_of_the_stratified_order_has_the_classes_in_proportion():
    labels = np.random.default_rng(0).permutation(np.repeat([0, 1, 2], [60, 30, 10]))
    order = stratified_order(labels, 0)
    assert sorted(order) == list(range(100))
    for count in range(1, 101):
        share = np.bincount(labels[order[:count]], minlength=3)
        assert np.abs(share - count * np.array([0.6, 0.3, 0.1])).max() < 1.5
    assert not np.array_equal(order, stratified_order(labels, 1))
    np.testing.assert_array_equal(order, stratified_order(labels, 0))


def test_hold_out_leaves_no_class_without_a_train_image():
    labels = np.array([0] * 50 + [1] + [2, 2])
    kept, held_out = hold_out(labels, 0.2, 3)
    assert len(held_out) == round(0.2 * len(labels))
    assert set(labels[kept]) == {0, 1, 2}
    assert not set(kept) & set(held_out)


def test_limit_takes_balanced_images_and_a_fifth_as_many_of_the_test():
    data = tailored(load("digits"), limit=100)
    assert np.bincount(data.train_y).tolist() == [10] * 10
    assert np.bincount(data.test_y).tolist() == [2] * 10
    assert "100 of 1,438 train and 20 of 359 test" in data.note
    smaller = tailored(load("digits"), limit=30)
    np.testing.assert_array_equal(smaller.train_x, data.train_x[:30])


@pytest.mark.parametrize("limit", [0, 20, 1000])
def test_a_limit_that_does_not_bind_changes_nothing(limit):
    data = tailored(small(), limit=limit)
    np.testing.assert_array_equal(data.train_x, small().train_x)
    assert data.note == "a note"


def test_resize_by_a_whole_factor_is_the_mean_of_the_block():
    x = images(5, side=12)
    means = x.reshape(5, 4, 3, 4, 3, 3).mean(axis=(2, 4))
    np.testing.assert_array_equal(resized(x, 4), np.floor(means + 0.5))


@pytest.mark.parametrize(("side", "size"), [(28, 16), (32, 20), (8, 12), (7, 3), (5, 5)])
def test_resize_by_any_factor_is_the_mean_over_the_area(side, size):
    x = images(3, side=side)
    fine = x.repeat(size, axis=1).repeat(size, axis=2).astype(np.float64)  # each new pixel is side x side of these
    means = fine.reshape(3, size, side, size, side, 3).mean(axis=(2, 4))
    assert np.abs(resized(x, size) - means).max() <= 0.5 + 1e-3
    assert (resized(np.full_like(x, 200), size) == 200).all()


def test_resize_does_not_depend_on_how_the_images_are_chunked(monkeypatch):
    x = images(10, side=8)
    whole = resized(x, 3)
    monkeypatch.setattr("dnas.data._arrays.CHUNK", 4)
    np.testing.assert_array_equal(resized(x, 3), whole)


def test_resize_takes_the_centre_square():
    x = np.zeros((1, 4, 8, 1), np.uint8)
    x[:, :, 2:6] = 100
    assert (resized(x, 2) == 100).all()
    assert (resized(x.transpose(0, 2, 1, 3), 4) == 100).all()


# --- splits


def test_split_takes_validation_from_train_and_loses_nothing():
    splits = split(small(), 0.3, seed=1)
    assert (len(splits.train_x), len(splits.valid_x), len(splits.test_x)) == (14, 6, 4)
    seen = np.concatenate([splits.train_x, splits.valid_x])[:, 0, 0, 0]
    assert sorted(seen) == list(range(20))
    for x, y in ((splits.train_x, splits.train_y), (splits.valid_x, splits.valid_y)):
        np.testing.assert_array_equal(x[:, 0, 0, 0] % 4, y)
    assert splits.name == "small" and splits.note == "a note" and splits.classes == tuple("abcd")


def test_split_depends_on_the_seed_and_on_nothing_else():
    first, again, other = (split(small(), 0.5, seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.train_x, again.train_x)
    assert not np.array_equal(first.train_x, other.train_x)


def test_unshuffled_split_is_that_of_darts():
    splits = split(small(21), 0.5, seed=1, shuffle=False)
    assert splits.train_x[:, 0, 0, 0].tolist() == list(range(10))  # floor(0.5 * 21)
    assert splits.valid_x[:, 0, 0, 0].tolist() == list(range(10, 21))


def test_portion_zero_leaves_validation_empty():
    splits = split(small(), 0, seed=1)
    assert splits.valid_x.shape == (0, 2, 2, 1) and splits.valid_y.shape == (0,)
    assert len(splits.train_x) == 20


@pytest.mark.parametrize("portion", [-0.1, 1, 1.5, float("nan"), 0.99, 1e-12])
def test_portions_that_leave_nothing_are_refused(portion, refused):
    with refused("portion", portion):
        split(small(), portion, seed=0)


@pytest.mark.parametrize("portion", ["a", None, 1j, [0.1]])
def test_portions_and_seeds_that_are_no_numbers_are_refused(portion, refused):
    with refused("portion", "[0, 1)", repr(portion)):
        split(small(), portion, seed=0)
    with refused("seed", "whole number", repr(portion)):
        split(small(), 0.5, seed=portion)


def test_what_is_split_is_a_data_set_and_its_seed_is_not_negative(refused):
    with refused("seed", "-1"):
        split(small(), 0.5, seed=-1)
    with refused("str", "dnas.data.load"):
        split("digits", 0.5, 0)
    assert len(split(small(), np.float32(0.5), seed=np.int64(3)).train_x) == 10


def test_classes_without_a_train_image_are_named_whatever_took_it():
    by_split = split(small(), 0.9, seed=0, shuffle=False)  # images 0 and 1 are left
    said = "classes without a train image: 'c', 'd', and 2 of 4 test images are of them"
    assert by_split.note == f"a note; {said}"
    x, y = images(40), np.arange(40) % 10
    by_limit = tailored(load((x, y, x, y)), limit=8)
    note = split(by_limit, 0, seed=0).note
    lacking = sorted(set(range(10)) - set(by_limit.train_y.tolist()))
    assert len(lacking) == 2 and ", ".join(f"'{label}'" for label in lacking) in note
    in_test_only = load((x[:2], [0, 1], x, np.arange(40) % 2))
    assert split(in_test_only, 0, seed=0).note == "" and "'1', and 20 of 40" in split(in_test_only, 0.5, 1, False).note


def test_statistics_are_of_the_train_split_alone():
    data = load((images(64), np.arange(64) % 2))
    splits = split(data, 0.25, seed=0)
    train = splits.train_x.astype(np.float64)
    np.testing.assert_allclose(splits.mean, train.mean(axis=(0, 1, 2)), rtol=1e-6)
    np.testing.assert_allclose(splits.std, train.std(axis=(0, 1, 2)), rtol=1e-6)
    assert splits.mean.dtype == splits.std.dtype == np.float32
    inverted = dataclasses.replace(data, test_x=255 - data.test_x)
    np.testing.assert_array_equal(split(inverted, 0.25, seed=0).mean, splits.mean)


def test_a_constant_channel_can_be_normalised():
    x = images(10)
    x[..., 1] = 7
    splits = split(load((x, np.arange(10) % 2)), 0, seed=0)
    assert splits.std[1] == 1 and splits.mean[1] == 7


# --- the data folder


def test_data_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("DNAS_DATA_DIR", str(tmp_path / "mine"))
    assert data_dir() == tmp_path / "mine"
    monkeypatch.delenv("DNAS_DATA_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert data_dir() == tmp_path / "dnas" / "data"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert data_dir() == Path.home() / ".cache" / "dnas" / "data"


@pytest.mark.parametrize("channels", [1, 3, 4])
def test_channels_in_front_are_refused(channels):
    x, y = np.zeros((20, channels, 6, 6), np.uint8), np.arange(20) % 2
    with pytest.raises(UserError, match=r"looks like the number of channels: move it to the end"):
        load((x, y))
    assert load((x.transpose(0, 2, 3, 1), y)).train_x.shape[1:] == (6, 6, channels)
