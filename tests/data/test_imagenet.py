"""Class folders that are read while a network trains: what the parts are, and what a step and an evaluation read.
120 images of 24 to 40 pixels in 3 classes."""

import dataclasses
import math

import jax
import numpy as np
import pytest
from PIL import Image

from dnas import data, find, retrain
from dnas.architectures.genotype import parse
from dnas.config import AugmentConfig, Config, RetrainConfig, SearchConfig
from dnas.data._stream import centre, random_crop
from dnas.errors import UserError
from dnas.runs.devices import Layout
from dnas.search.run import build
from dnas.tasks import binding
from dnas.tasks.task import Level
from dnas.training.feed import feed_of, measured_part, piece_size

pytest.importorskip("grain", reason="needs grain: pip install dnas[grain]")

CELL = parse("|nor_conv_1x1~0|")
SPACE = "nasbench201:nodes=2,operations=skip_connect+nor_conv_1x1"
PLAN = RetrainConfig(batch_size=16, cells=1, channels=2, auxiliary=0.0, drop_path=0.0)


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    path, random = tmp_path_factory.mktemp("images") / "set", np.random.default_rng(0)
    for part, number in (("train", 30), ("val", 10)):
        for k in range(3):
            (path / part / f"class{k}").mkdir(parents=True)
            for i in range(number):
                sides = random.integers(24, 40, 2)
                pixels = random.integers(60 * k, 60 * k + 60, (*sides, 3), np.uint8)
                Image.fromarray(pixels).save(path / part / f"class{k}" / f"{i:02}.png")
    return path


def config_of(root, stage="retrain", size=8, **changes):
    settings = {name: changes.pop(name) for name in ("seeds", "seed", "method") if name in changes}
    plan = dataclasses.replace(PLAN, **changes) if stage == "retrain" else SearchConfig(batch_size=16, **changes)
    return Config(SPACE, data=f"imagenet:path={root},size={size}", **{stage: plan}, **settings)


def bound(root, stage="retrain", **changes):
    config = config_of(root, stage, **changes)
    return binding.bind(data.load(config.data), config, stage, find.resolve("space", SPACE))


def test_a_folder_becomes_a_training_and_its_val_part_is_tested_on(root):
    task, plan = bound(root, valid_portion=0.2, augment=AugmentConfig(cutout=2))
    assert (task.steps("train", 1), task.steps("valid", 1), task.steps("test", 1)) == (72, 18, 30)
    assert task.shape.outputs == 3 and task.shape.inputs == (8, 8, 3)
    assert task.sizes == "set: 72 images for the weights, 18 for validation"
    assert "'val' is the test split" in task.note and "random crops" in task.note
    assert plan.augment == AugmentConfig(pad=0, flip=False, cutout=2) and task.mirrored
    files = {*task.splits.train.files, *task.splits.valid.files}
    assert files == {*map(str, root.glob("train/*/*"))}
    order = np.random.default_rng(0).permutation(90)  # as of images in memory
    names = [f"class{i // 30}/{i % 30:02}.png" for i in order[:72]]
    assert all(path.endswith(name) for path, name in zip(task.splits.train.files, names, strict=True))
    limited = data.load(f"imagenet:path={root},size=8,limit=30")
    assert (limited.count("train"), limited.count("test")) == (30, 6) and "only 30 of 90" in limited.note


def test_data_are_known_again_by_their_names_wherever_they_lie(root, tmp_path):
    about = bound(root)[0].described()
    (tmp_path / "set").symlink_to(root)
    moved = bound(tmp_path / "set")[0].described()
    assert all(np.array_equal(moved[name], value) for name, value in about.items())
    assert about["train"] == 90 and about["image"] == (8, 8, 3) and len(about["mean"]) == 3
    other = bound(root, valid_portion=0.1)[0].described()
    assert other["crc32"] != about["crc32"]


def test_an_update_reads_its_batches_and_a_training_that_goes_on_reads_what_it_would_have(root):
    task, _ = bound(root)
    level = Level("train", 16, 2)  # 90 images: three updates of an epoch, the last filled up
    whole = list(task.updates(level, 0, 7, seed=3))
    assert len(whole) == 7
    for rows, like in zip(whole[0], task.rows(level), strict=True):
        assert (rows.shape, rows.dtype) == (like.shape, like.dtype)
    for first in (2, 3):
        later = list(task.updates(level, first, 7, seed=3))
        assert all(map(np.array_equal, jax.tree.leaves(later), jax.tree.leaves(whole[first:])))
    other = next(task.updates(level, 0, 7, seed=4))
    assert not np.array_equal(other[0], whole[0][0])
    seen = np.bincount(np.concatenate([y.ravel() for _, y in whole[:3]]), minlength=3)
    assert seen.sum() == 96 and seen.min() >= 30  # every image once, six of them twice
    x, y = whole[0]
    assert (np.abs(x.mean((2, 3, 4)) - (60 * y + 30)) < 15).all(), "an image and a class that do not belong together"


def test_a_step_reads_its_own_batch_of_an_update(root):
    task, _ = bound(root, augment=AugmentConfig(cutout=0))
    x, y = next(task.updates(Level("train", 16, 2), 0, 1, seed=0))
    for number in (4, 5):
        order = task.order(jax.random.key(0), ((x, y), task.moments), 64)
        batch = task.pure.batch(((x, y), task.moments), order, np.int32(number), 16, jax.random.key(1))
        np.testing.assert_array_equal(batch.targets, y[number % 2])
        expected = (x[number % 2] - task.moments[0]) / task.moments[1]
        np.testing.assert_allclose(batch.inputs, expected, rtol=1e-5, atol=1e-6)


def test_images_that_may_not_be_mirrored_are_not(root):
    task, plan = bound(root, augment=AugmentConfig(flip=False))
    assert not task.mirrored and not plan.augment.flip
    path = next(root.glob("train/*/*"))
    turned = 0
    for seed in range(8):
        plain, other = (random_crop(path, 8, np.random.default_rng(seed), mirrored) for mirrored in (False, True))
        turned += not np.array_equal(plain, other)
        assert np.array_equal(plain, other) or np.array_equal(plain, other[:, ::-1])
    assert 0 < turned < 8
    mirrored, _ = bound(root)
    level = Level("train", 16)
    x, other = (next(one.updates(level, 0, 1, seed=0))[0] for one in (task, mirrored))
    assert not np.array_equal(x, other)


def test_an_evaluation_reads_every_image_of_a_part_once(root):
    task, _ = bound(root)
    files = task.splits.test.files
    for size in (16, 30):
        pieces = list(task.pieces("test", size))
        assert len(pieces) == math.ceil(30 / size) and pieces[0][0].shape == (1, size, 8, 8, 3)
        x, y, counted = (np.concatenate([piece[i][0] for piece in pieces]) for i in range(3))
        assert counted.sum() == 30 and counted[:30].all()
        np.testing.assert_array_equal(y[counted], np.arange(30) // 10)
        np.testing.assert_array_equal(x[counted], np.stack([centre(path, 8) for path in files]))
    (x, y, counted), moments = task.evaluation("test")
    assert x.shape == (1, 30, 8, 8, 3) and counted.all() and moments is not None
    labelled = [np.concatenate(leaves) for leaves in zip(*task.labelled("test"), strict=True)]
    np.testing.assert_array_equal(labelled[0], x[0])
    np.testing.assert_array_equal(labelled[1], y[0])


def test_programs_are_fed_step_by_step_from_any_step_on(root):
    task, _ = bound(root, "search", valid_portion=0.3)
    levels = [Level("train", 16, 2), Level("valid", 16)]
    feed = feed_of(task, Layout(1), levels, 6, seed=0)
    expected = [list(task.updates(level, 0, 6, seed=0)) for level in levels]
    for like, level in zip(feed.arrays, expected, strict=True):
        shapes = jax.tree.map(lambda leaf: leaf.shape, (level[0], task.moments))
        assert jax.tree.map(lambda leaf: leaf.shape, like) == shapes
    for first, count in ((0, 1), (1, 2), (3, 1), (1, 3)):  # at last it goes back
        calls = list(feed.calls(np.array([first]), count))
        assert [steps for steps, _ in calls] == [1] * count
        for place, (_, arrays) in enumerate(calls, first):
            for (rows, moments), level in zip(arrays, expected, strict=True):
                assert all(map(np.array_equal, rows, level[place]))
                assert all(map(np.array_equal, moments, task.moments))
    assert not np.array_equal(expected[0][0][1][0], expected[1][0][1][0])


def test_a_part_is_measured_in_pieces_that_devices_share(root):
    task, _ = bound(root)
    assert [piece_size(task, "test", devices) for devices in (1, 2, 4, 8)] == [30, 30, 32, 32]
    part = measured_part(task, Layout(1), "test")
    pieces = list(part.pieces())
    assert len(pieces) == part.calls == 1
    assert jax.tree.map(lambda leaf: leaf.shape, pieces[0]) == jax.tree.map(lambda leaf: leaf.shape, part.like)


@pytest.mark.parametrize(
    "part, folders, says",
    [
        ("train", {}, "no folder val with one folder of images per class"),
        ("val", {}, "no folder val with one folder of images per class"),  # flat, as it is unpacked
        ("val", {"a": 1}, "have the class 'b', and its test images have not"),
        ("val", {"a": 1, "b": 1, "c": 1}, "val has the class 'c', which "),
        ("val", {"a": 1, "b": 0}, "b has no image"),
    ],
)
def test_other_folders_are_one_sentence(tmp_path, root, refused, part, folders, says):
    image = next(root.glob("train/*/*")).read_bytes()
    for folder, count in {"train/a": 1, "train/b": 1, **{f"val/{name}": n for name, n in folders.items()}}.items():
        (tmp_path / folder).mkdir(parents=True)
        for i in range(count):
            (tmp_path / folder / f"{i}.png").write_bytes(image)
    if part == "val" and not folders:
        (tmp_path / "val").mkdir()
        (tmp_path / "val" / "0.png").write_bytes(image)
    with refused(says):
        data.load(f"imagenet:path={tmp_path}")


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"size": 30}, "30 pixels is not divisible by 4: choose 28 or 32"),
        ({"batch_size": 91}, "retrain.batch_size is 91, but 'set' has 90 train images: choose a batch of at most 90"),
        ({"seeds": 2}, "seeds is 2, .*: start a run for each seed"),
        ({"augment": AugmentConfig(pad=2)}, "retrain.augment.pad is 2, .* are cropped at random .*: leave it out"),
        ({"valid_portion": 0.999}, "leaves the train split empty"),
    ],
)
def test_what_files_cannot_feed_is_refused_when_a_training_is_built(root, changes, says):
    with pytest.raises(UserError, match=says):
        retrain.build(config_of(root, **changes), CELL)


def test_searches_that_need_images_in_memory_are_refused(root):
    with pytest.raises(UserError, match="'zero_cost_pt' asks proxies about training images, which must lie in memory"):
        build(config_of(root, "search", method="zero_cost_pt", cells=1, channels=2))
    with pytest.raises(UserError, match="search.batch_size is 16, but the validation part of 'set' has 9 images"):
        build(config_of(root, "search", valid_portion=0.1))


def test_without_the_package_that_reads_no_training_is_built(root, monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "grain", None)
    with pytest.raises(UserError, match=r"needs the package grain: pip install dnas\[grain\]"):
        bound(root)


def test_tasks_and_data_that_do_not_go_together_are_refused(root):
    space = find.resolve("space", SPACE)
    streamed = dataclasses.replace(config_of(root), task="images")
    with pytest.raises(UserError, match="The task 'images' needs a data set of images, not 'set'"):
        binding.bind(data.load(streamed.data), streamed, "retrain", space)
    arrays = Config(SPACE, data="digits", task="image_stream", retrain=PLAN)
    with pytest.raises(UserError, match="needs images that stay in their files, such as 'imagenet', not 'digits'"):
        binding.bind(data.load("digits"), arrays, "retrain", space)


def test_a_broken_image_is_one_sentence_wherever_it_is_read(root, tmp_path):
    for part in ("train", "val"):
        for k in "ab":
            (tmp_path / part / k).mkdir(parents=True)
            (tmp_path / part / k / "0.png").write_bytes(next(root.glob("train/*/*")).read_bytes()[:200])
    task, _ = bound(tmp_path, batch_size=2)
    says = r"0.png is truncated or corrupt .*: replace or remove this image\."
    for read in (task.updates(Level("train", 2), 0, 1, seed=0), task.pieces("test", 2)):
        with pytest.raises(UserError, match=says):
            next(read)
