"""Published PyTorch weights are tested and used as a run is: names, sizes and normalisation are those of their code."""

import json

import jax
import numpy as np
import pytest
from PIL import Image

import dnas
from dnas import cli, interop
from dnas.architectures.genotype import parse
from dnas.architectures.topology import NetworkSize
from dnas.errors import UserError
from dnas.loading.published import load_published
from dnas.nets.functional import functionalize
from dnas.nets.network import Network
from dnas.spaces import darts, nasbench201

CELL = "|nor_conv_1x1~0|+|none~0|skip_connect~1|+|none~0|none~1|nor_conv_1x1~2|"


def written(path, space, genotype, size):
    """A file of weights as the published code names them; gives the logits of a function of normalised images."""

    def build(rngs):
        return Network(genotype, space, size, rngs=rngs)

    network = functionalize(build)
    weights, stats = jax.jit(network.init)(jax.random.key(0))
    interop.save(path, interop.to_torch(weights, stats, interop.layout(build)))
    return jax.jit(lambda x: network.apply(weights, stats, x, train=False)[0].logits)


@pytest.fixture(scope="module")
def images():
    rng = np.random.default_rng(0)
    parts = (rng.integers(0, 256, (20, 8, 8, 3), np.uint8), np.arange(20) % 10) * 2
    return dnas.data.load(parts)


@pytest.fixture(scope="module")
def published(tmp_path_factory):
    file = tmp_path_factory.mktemp("published") / "nb201.npz"
    return file, written(file, nasbench201.space(), parse(CELL), NetworkSize(1, 2, 10))


def test_it_is_the_network_of_the_file_on_images_normalised_as_there(published, images):
    file, logits = published
    found = load_published(parse(CELL), file, images)
    mean, std = (np.float32(interop.CODES["nasbench201"].MOMENTS["cifar"][i]) for i in (0, 1))
    expected = jax.nn.softmax(logits((images.test_x / np.float32(255) - mean) / std))
    np.testing.assert_allclose(found.predict(images.test_x), expected, rtol=1e-4, atol=1e-5)
    assert (found.config.retrain.cells, found.config.retrain.channels) == (1, 2)
    measured = found.evaluate()
    assert measured.accuracy == pytest.approx((expected.argmax(-1) == images.test_y).mean())
    assert measured.confusion.sum() == 20
    other = load_published(parse(CELL), file, images, mean=(0.5, 0.5, 0.5), std=(0.5, 0.5, 0.5))
    expected = jax.nn.softmax(logits(images.test_x / np.float32(127.5) - 1))
    np.testing.assert_allclose(other.predict(images.test_x), expected, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(("stem", "auxiliary"), [("cifar", True), ("imagenet", False)])
def test_sizes_of_darts_are_read_off_the_arrays(stem, auxiliary):
    size = NetworkSize(5, 4, 10, stem=stem, auxiliary=auxiliary)
    pairs = interop.layout(lambda rngs: Network(parse("DARTS_V2"), darts.space(), size, rngs=rngs))
    arrays = {pair.name: np.empty(pair.shape) for pair in pairs}
    assert interop.CODES["darts"].size_of(arrays) == {"cells": 5, "channels": 4, "stem": stem, "auxiliary": auxiliary}


def test_mistakes_are_one_sentence(published, images, tmp_path):
    file, _ = published
    interop.save(tmp_path / "other.npz", {"conv1.weight": np.zeros((2, 3, 3, 3), np.float32)})
    fewer = dnas.data.load((images.train_x, images.train_y % 4))
    grey = dnas.data.load((images.train_x[..., :1], images.train_y))
    for arguments, options, says in (
        (
            (parse(CELL.replace("skip_connect", "nor_conv_1x1")), file, images),
            {},
            "not of this network: .* lack 'cells.0",
        ),
        ((parse(CELL), tmp_path / "other.npz", images), {}, "not named as those of the published networks"),
        ((parse(CELL), tmp_path / "none.npz", images), {}, "no file of weights"),
        ((parse(CELL), file, fewer), {}, "tells 10 classes apart, and 'arrays' has 4"),
        ((parse(CELL), file, "wine"), {}, "'wine' has none"),
        ((parse(CELL), file, grey), {}, "mean of images of 1 channel"),
        ((parse(CELL), file, images), {"std": (1.0, 0.0, 1.0)}, "std of images of 3 channel"),
        ((parse(CELL), file, images), {"mean": (1.0,)}, "mean of images of 3 channel.*not 1:"),
    ):
        with pytest.raises(UserError, match=says):
            load_published(*arguments, **options)
    with pytest.raises(UserError, match="is no run: train its cell"):
        load_published(parse(CELL), file, images).finetune()


def test_on_the_command_line(published, images, tmp_path, capsys, monkeypatch):
    file, _ = published
    load = dnas.data.load
    monkeypatch.setattr("dnas.data.load", lambda choice: images if choice == "cifar10" else load(choice))
    right = round(20 * load_published(parse(CELL), file, images).evaluate().accuracy)
    assert cli.main(["test", CELL, "--weights", str(file)]) == 0
    assert f"{right} of 20 test images" in capsys.readouterr().out
    assert file.with_suffix(".confusion.png").read_bytes().startswith(b"\x89PNG")
    Image.fromarray(images.test_x[0]).save(tmp_path / "a.png")
    arguments = ["predict", CELL, str(tmp_path / "a.png"), "--weights", str(file), "--json"]
    assert cli.main([*arguments, "--mean", "0.5,0.5,0.5", "--std=0.5,0.5,0.5"]) == 0
    answer = json.loads(capsys.readouterr().out)
    half = (0.5,) * 3
    row = load_published(parse(CELL), file, images, mean=half, std=half).predict(images.test_x[:1])[0]
    assert answer["probability"] == pytest.approx(row.max(), abs=1e-5)
    for wrong, says in (
        (["--mean", "a,b"], "a number for each channel"),
        (["--seed", "0"], "leave it out"),
    ):
        assert cli.main([*arguments, *wrong]) == 2
        assert says in capsys.readouterr().err
    assert cli.main(["test", "runs/none", "--std", "1,1,1"]) == 2
    assert "--std goes with --weights" in capsys.readouterr().err
