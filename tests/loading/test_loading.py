"""What a training left can be loaded and used: it predicts what the report says, from raw images."""

import json
import shutil
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import pytest
from PIL import Image

import dnas
from dnas import cli, find, retrain
from dnas.architectures.genotype import parse, to_json
from dnas.cli import sources
from dnas.config import AugmentConfig, Config, RetrainConfig, SearchConfig
from dnas.data.augment import normalise
from dnas.errors import UserError
from dnas.nets.functional import functionalize
from dnas.runs import checkpoints, records, weights
from dnas.tasks.task import Shape
from dnas.training.job import network_of, network_size_of

CONFIG = Config(
    space="nasbench201:nodes=3,operations=none+skip_connect+nor_conv_1x1",
    data="digits:limit=200",
    seed=3,
    seeds=2,
    retrain=RetrainConfig(
        epochs=2, cells=1, channels=2, batch_size=16, auxiliary=0, augment=AugmentConfig(pad=0, flip=False)
    ),
)
CELL = parse("|nor_conv_1x1~0|+|skip_connect~0|nor_conv_1x1~1|")


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    return retrain.run(CONFIG, CELL, tmp_path_factory.mktemp("loading") / "run", quiet=True)


@pytest.fixture(scope="module")
def images():
    return dnas.data.load("digits:limit=200").test_x


@pytest.mark.parametrize("index", [0, 1])
def test_it_evaluates_to_the_reported_accuracy(trained, index):
    found = dnas.load(trained.folder, CONFIG.seed + index)
    measured = found.evaluate()
    assert measured.accuracy == trained.scores[index]
    rows = [row for row in records.read_metrics(trained.folder) if row["seed"] == CONFIG.seed + index]
    assert measured.loss == pytest.approx(rows[-1]["test_loss"], rel=1e-6)
    assert measured.top5_accuracy == pytest.approx(rows[-1]["test_top5_accuracy"])
    assert measured.confusion.sum() == 40 and measured.confusion.trace() == round(40 * measured.accuracy)
    assert found.genotype == CELL and found.images.classes == tuple("0123456789")


@pytest.mark.slow
def test_it_predicts_the_same_whatever_the_batch(trained, images):
    found = dnas.load(str(trained.folder))
    all_at_once = found.predict(images)
    assert all_at_once.shape == (len(images), 10) and isinstance(all_at_once, np.ndarray)
    np.testing.assert_allclose(all_at_once.sum(1), 1, rtol=1e-5)
    for part in (
        images[:1],
        images[:7],
        images[:0],
        images[:3, :, :, 0],
        images[:3] / 255.0,
        jax.numpy.array(images[:3]),
    ):
        np.testing.assert_allclose(found.predict(part), all_at_once[: len(part)], rtol=1e-4, atol=1e-6)
    x = normalise(images, found.images.mean, found.images.std)
    for logits in (found.network(x).logits, jax.jit(lambda x: found.network(x).logits)(x)):
        np.testing.assert_allclose(jax.nn.softmax(logits), all_at_once, rtol=1e-4, atol=1e-6)


def test_it_evaluates_on_other_data_of_the_same_classes(trained, images):
    found, labels = dnas.load(trained.folder), np.arange(40) % 10
    for data in ((images, labels), (images, labels, images, labels)):
        measured = found.evaluate(data)
        assert measured.confusion.sum() == 40
        assert measured.accuracy == pytest.approx((found.predict(images).argmax(-1) == labels).mean())


def test_its_weights_are_plain_arrays(trained, tmp_path):
    found = dnas.load(trained.folder)
    found.save_weights(tmp_path / "w.npz")
    with np.load(tmp_path / "w.npz", allow_pickle=False) as saved:
        kernel = saved["weights/backbone/classifier/kernel"]
        assert sum(saved[name].size for name in saved.files if name.startswith("weights/")) == trained.parameters
    np.testing.assert_array_equal(kernel, found.network.backbone.classifier.kernel[...])


def test_mistakes_are_one_sentence(trained, images, tmp_path):
    found = dnas.load(trained.folder)
    for wrong, says in (
        (images[0], "add a first axis"),
        (np.repeat(images, 3, -1), r"\[8, 8, 1\].*got \[8, 8, 3\]"),
        (images[:, :4, :4], r"\[8, 8, 1\].*got \[4, 4, 1\]"),
        (images.astype(np.int64), "type int64"),
        (images * 2.0, "floats from"),
        ("seven.png", "images"),
    ):
        with pytest.raises(UserError, match=says):
            found.predict(wrong)
    for data, says in (
        ((images, np.arange(40) % 3, images, np.arange(40) % 3), "other classes .* 3 instead of 10"),
        ((images, np.arange(40)), "40 images and 40 labels up to 39"),
        ((images[:3], np.arange(4)), "3 images and 4 labels"),
        (replace(dnas.data.load("digits"), classes=tuple("abcdefghij")), "'a' instead of '0'"),
        ("digits:size=4", r"\[8, 8, 1\].*got \[4, 4, 1\]"),
    ):
        with pytest.raises(UserError, match=says):
            found.evaluate(data)
    other = replace(found, config=replace(found.config, data="digits:limit=150"))
    with pytest.raises(UserError, match="not what .* was trained on any more"):
        other.evaluate()
    with pytest.raises(UserError, match="ends in .npz"):
        found.save_weights(tmp_path / "w.txt")
    with pytest.raises(UserError, match="seeds 3 to 4, not 0"):
        dnas.load(trained.folder, 0)
    for nothing in (tmp_path, None, 3, "a" * 5000, b"x", "a\0b"):
        with pytest.raises(UserError, match="holds no run"):
            dnas.load(nothing)
    for seed in ("3", 3.0):
        with pytest.raises(UserError, match="seeds 3 to 4"):
            dnas.load(trained.folder, seed)
    with records.create(tmp_path / "begun", CONFIG):
        pass
    with pytest.raises(UserError, match="no checkpoint in it"):
        dnas.load(tmp_path / "begun")


def copied(trained, tmp_path):
    return shutil.copytree(trained.folder, tmp_path / "copy")


def test_what_is_damaged_is_not_used(trained, tmp_path):
    folder = copied(trained, tmp_path)
    for name, change in (
        ("data.json", lambda text: text.replace('"0",', '"zero",', 1)),
        ("data.json", lambda text: "{}"),
        ("config.json", lambda text: text.replace('"channels": 2', '"channels": 4')),
    ):
        whole = (folder / name).read_text()
        assert change(whole) != whole
        (folder / name).write_text(change(whole))
        with pytest.raises(UserError, match=name):
            dnas.load(folder)
        (folder / name).write_text(whole)
    steps = sorted((folder / "checkpoints").glob("*.ckpt"), key=lambda path: int(path.stem))
    shutil.copy(steps[0], steps[-1])
    with pytest.raises(UserError, match=f"damaged .*that of step {steps[0].stem}"):
        dnas.load(folder)


def test_a_run_of_another_version_and_weights_of_another_genotype_are_refused(trained, tmp_path, monkeypatch):
    folder = copied(trained, tmp_path)
    other = functionalize(lambda rngs: build(parse("|nor_conv_1x1~0|+|nor_conv_1x1~0|none~1|"), rngs))
    shapes = jax.eval_shape(other.init, jax.random.key(0))
    said = f"The checkpoints in {folder} are not of the network wanted: .* another version of dnas"
    with pytest.raises(UserError, match=said):
        weights.read(folder, shapes, 0, "the network wanted")
    (folder / "genotype.json").write_text(json.dumps(to_json(parse("|nor_conv_1x1~0|+|none~0|none~1|"))))
    assert dnas.load(folder).genotype == CELL  # the copy that its checkpoint has
    monkeypatch.setattr(checkpoints, "FORMAT", 2)
    with pytest.raises(UserError, match="is of another version of dnas .format 1., .*go on with the version"):
        dnas.load(trained.folder)
    (folder / "checkpoints" / "12").mkdir()
    (folder / "checkpoints" / "12" / "_CHECKPOINT_METADATA").touch()
    with pytest.raises(UserError, match="of a dnas before 0.1.0"):
        dnas.load(folder)


def build(cell, rngs):
    space = find.resolve("space", CONFIG.space)
    return network_of(cell, space, network_size_of(CONFIG.retrain, space, Shape(10, (8, 8, 1))))(rngs)


@pytest.mark.slow
def test_a_search_is_no_training_and_a_training_in_a_training_is_its_own(trained, tmp_path):
    plain = AugmentConfig(pad=0, flip=False)
    search = SearchConfig(epochs=1, cells=1, channels=2, batch_size=16, augment=plain)
    searched = dnas.search.run(replace(CONFIG, seeds=1, search=search), tmp_path / "search", quiet=True)
    with pytest.raises(UserError, match="is the folder of a search, and its cell is not trained: run dnas retrain"):
        sources.trained(str(searched.folder), None)
    folder = copied(trained, tmp_path)
    for outer, used in ((searched.folder, searched.folder / "retrain"), (folder, folder)):
        shutil.copytree(trained.folder, outer / "retrain")
        assert Path(sources.trained(str(outer), None).folder) == used


@pytest.mark.slow
def test_float64(tmp_path, images):
    result = retrain.run(replace(CONFIG, seeds=1, dtype="float64"), CELL, tmp_path / "run", quiet=True)
    found = dnas.load(result.folder)
    assert found.evaluate().accuracy == result.score
    assert found.predict(images).shape == (40, 10)


def test_on_the_command_line(trained, images, tmp_path, capsys):
    assert cli.main(["test", str(trained.folder)]) == 0
    said = capsys.readouterr().out
    right = round(40 * trained.scores[0])
    assert f"{100 * trained.scores[0]:.2f} %, {right} of 40 test images" in said
    assert (trained.folder / "confusion.png").read_bytes().startswith(b"\x89PNG")
    file = tmp_path / "a.png"
    Image.fromarray(images[0, :, :, 0]).save(file)
    shares = dnas.load(trained.folder).predict(images[:1])[0]
    assert cli.main(["predict", str(trained.folder), str(file)]) == 0
    assert capsys.readouterr().out == f"{file}: {shares.argmax()} {100 * shares.max():.1f} %\n"
    assert cli.main(["predict", str(trained.folder), str(file), "--json"]) == 0
    answer = json.loads(capsys.readouterr().out)
    assert answer["class"] == str(shares.argmax()) and answer["probability"] == pytest.approx(shares.max(), abs=1e-5)
    assert list(answer["probabilities"]) == list("0123456789")
    assert cli.main(["predict", str(trained.folder), str(tmp_path / "none.png")]) == 2
    assert capsys.readouterr().err.count("\n") == 1
