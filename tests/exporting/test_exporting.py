"""Exported networks answer as `dnas predict` does, in a process without dnas; cards and scripts bear any name."""

import importlib.util
import json
import operator
import subprocess
import sys
import wave
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import jax
import numpy as np
import pytest
from flax import nnx
from jax import export as exporting_of_jax

import dnas
from dnas import cli, find, interop
from dnas import data as datasets
from dnas.architectures.genotype import parse, random
from dnas.config import AugmentConfig, Config, RetrainConfig
from dnas.data._files import NotHere
from dnas.errors import UserError
from dnas.exporting import FORMATS, inputs, program, quantised, stablehlo
from dnas.exporting.card import _measured, block, text
from dnas.exporting.formats import Subject
from dnas.exporting.inputs import inputs_of
from dnas.loading.found import Found
from dnas.loading.looks import looks_of, no_images
from dnas.loading.published import load_published
from dnas.nets.functional import Deferred, functionalize
from dnas.runs.rows import to_json
from dnas.tasks import binding
from dnas.training.job import network_of, network_size_of

pytest.importorskip("flatbuffers", reason="programs are serialised by flatbuffers: pip install 'dnas[export]'")
PLAN = RetrainConfig(
    epochs=1, batch_size=16, cells=1, channels=2, auxiliary=0.0, drop_path=0.0, augment=AugmentConfig(pad=0, flip=False)
)
IMAGES = Config(
    space="nasbench201:nodes=2,operations=skip_connect+nor_conv_1x1",
    data="digits:limit=64",
    retrain=replace(PLAN, valid_portion=0.25),
)
OWN_WIDTH = replace(PLAN, channels=RetrainConfig().channels)
CELL = parse("|nor_conv_1x1~0|")
HOSTILE = ("</script><b>", "a|b\n# c", "`rm`", "[x](javascript:0)", '"); import os #', "\u202eevil\x1b[31m", "'''", "é")
NEEDED = ("jax", "jaxlib", "numpy", "ml_dtypes", "opt_einsum", "scipy", "flatbuffers")  # JAX, and what it imports
ALONE = (
    "import runpy, sys; sys.path.append(sys.argv[1]); del sys.argv[:2]; runpy.run_path(sys.argv[0], None, '__main__')"
)


def alone(folder: Path, packages: Path, *arguments: str, more: tuple[str, ...] = ()) -> list[dict]:
    """What predict.py says in a process that has JAX, NumPy, flatbuffers and what these need, `more`, and nothing
    else."""
    packages.mkdir()
    for name in (*NEEDED, *more):
        spec = importlib.util.find_spec(name)
        assert spec is not None and spec.origin is not None
        place = Path(spec.origin).parent
        for found in (place, place.with_name(f"{name}.libs")):
            if found.exists():
                (packages / found.name).symlink_to(found)
    command = [sys.executable, "-I", "-S", "-c", ALONE, str(packages), str(folder / "predict.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return list(map(json.loads, done.stdout.splitlines()))


def refuses_long(out, folder, texts, more=()):
    """A script whose task refused long texts does."""
    about = json.loads((out / "model.json").read_text())
    assert about["cut"]
    (out / "model.json").write_text(json.dumps(about | {"cut": False}))
    with pytest.raises(AssertionError, match=f"A text has .* the model reads {about['length']}: shorten it"):
        alone(out, folder, *texts, more=more)


def untrained(folder, config, genotype=None):
    """A network with the weights that it is drawn with."""
    space = find.resolve("space", config.space)
    genotype = genotype or random(space, 0)
    task, _ = binding.bind(datasets.load(config.data), config, "retrain", space)
    description = json.loads(to_json(task.described()))
    looks = looks_of(description, folder) if task.takes == "images" else None
    build = network_of(genotype, space, network_size_of(config.retrain, space, task.shape))
    functional = functionalize(build)
    with jax.enable_x64(config.dtype == "float64"):
        weights, stats = jax.jit(functional.init)(jax.random.key(0))
    return Found(
        folder=folder,
        config=config,
        genotype=genotype,
        seed=0,
        task=task if looks is None else no_images(looks, config),
        given=None,
        looks=looks,
        functional=functional,
        weights=weights,
        stats=stats,
        layout=nnx.graphdef(build(Deferred(params=jax.random.key(0)))),
        description=description,
    )


def mixed_table(folder):
    """Rows with numbers that are large, missing or the same, categories that are rare or missing, and odd names."""
    rng = np.random.default_rng(0)
    lines = ["size,year,same,empty,<b>|x,rare,class"]
    for i in range(160):
        size, colour = ("" if i % 7 == 0 else f"{rng.normal():.6f}"), rng.choice(["red", "b|l`ue", ""])
        lines.append(f"{size},{1_700_000_000 + 1000 * i},3,,{colour},r{i % 90},{rng.choice(['yes', '*no*'])}")
    (folder / "rows.csv").write_text("\n".join(lines))
    return f"table:path={folder / 'rows.csv'},target=class"


def reviews(folder):
    rng, lines = np.random.default_rng(0), ["text,label"]
    for i in range(80):
        words = rng.choice(
            ["fine", "Film", "हिन्दी", "²nd", "it's"] if i % 2 else ["bad", "ΟΔΟΣ", "don't", "--", "end."], 4
        )
        lines.append(f"{' '.join(words)},{'good' if i % 2 else 'bad'}")
    (folder / "texts.csv").write_text("\n".join(lines))
    return f"text_table:path={folder / 'texts.csv'}"


def configs(folder):
    tiny = "text:size=tiny,operations=conv_3+none,embedded=0,dropout=0"
    return {
        "images": (lambda: IMAGES, CELL),
        "rows": (lambda: Config(space="tabular:layers=1", data=mixed_table(folder), retrain=PLAN), None),
        "numbers": (lambda: Config(space="tabular:layers=1", data="diabetes:limit=60", retrain=PLAN), None),
        "float64": (lambda: replace(IMAGES, dtype="float64"), CELL),
        "texts": (
            lambda: Config(space=tiny, data=reviews(folder), task="text_classification:max_length=6", retrain=PLAN),
            None,
        ),
        "sounds": (
            lambda: replace(
                IMAGES, data="spoken_digits:limit=40", task="audio_classification:window=32,mels=6,seconds=0.2"
            ),
            CELL,
        ),
        "chain": (lambda: replace(IMAGES, space="fbnet:size=tiny", retrain=OWN_WIDTH), None),
        "cells": (
            lambda: replace(
                IMAGES,
                space="darts:nodes=2,operations=sep_conv_3x3+dil_conv_3x3+max_pool_3x3+skip_connect",
                retrain=replace(PLAN, cells=3),
            ),
            None,
        ),
        "attention": (
            lambda: replace(IMAGES, space="vision_transformer:size=tiny,depths=1", retrain=OWN_WIDTH),
            None,
        ),
    }


@pytest.fixture(scope="module")
def drawn(tmp_path_factory):
    """A small network of images."""
    return untrained(tmp_path_factory.mktemp("drawn"), IMAGES, CELL)


SLOW = ("rows", "numbers", "float64", "texts", "sounds", "chain", "cells", "attention")


@pytest.mark.parametrize("name", ["images", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_a_program_of_raw_inputs_answers_as_predict_does(name, tmp_path, request):
    make, genotype = configs(tmp_path)[name]
    try:
        found = request.getfixturevalue("drawn") if name == "images" else untrained(tmp_path, make(), genotype)
    except NotHere as error:
        pytest.skip(str(error))
    reads = inputs_of(found)
    written = program.exported(found, reads, found.weights).serialize()
    run = jax.jit(exporting_of_jax.deserialize(bytearray(written)).call)
    given, x = reads.examples
    with program.tracing(found, reads):
        for size in (len(given[0]), 3):
            got = run(*(one[:size] for one in given))
            assert got.dtype == np.float32
            np.testing.assert_allclose(
                got, found.answers(jax.tree.map(operator.itemgetter(slice(size)), x)), rtol=1e-5, atol=1e-6
            )


@pytest.mark.slow
@pytest.mark.parametrize("space, tokens", [("rnn:nodes=2", "words"), ("transformer:size=tiny", "characters")])
def test_what_follows_a_text_is_said_and_written_without_us(space, tokens, tmp_path):
    """By a network that carries a state over pieces of five tokens, and by one that sees a piece."""
    lines = {"train": "a cat sat on the mat\nthe dog sat\n" * 20, "valid": "the cat sat\n" * 8, "test": "a zebra\n" * 8}
    for part, content in lines.items():
        (tmp_path / f"{part}.txt").write_text(content)
    data, plan = f"text_folder:path={tmp_path},tokens={tokens}", OWN_WIDTH if "former" in space else PLAN
    config = Config(space=space, data=data, task="language:bptt=5", retrain=replace(plan, batch_size=4))
    found, texts = untrained(tmp_path, config), ["the cat sat on the mat", "the dog sat zebra on", "a"]
    (out := tmp_path / "out").mkdir()
    assert FORMATS["stablehlo"].write(Subject(found, found.weights), out)["difference"] < 1e-5
    said = alone(out, tmp_path / "alone", *texts, "--more", "12", "--seed", "3")
    for given, one, wanted in zip(texts, said, found.predict(texts), strict=True):
        for name, share in one["next"].items():
            assert share == pytest.approx(wanted[found.task.text.vocabulary.index(name)], abs=1e-5)
        assert one["more"] == found.continued([given], count=12, seed=3)[0]


@pytest.mark.slow
@pytest.mark.parametrize("tokens", ["words", "bpe"])
def test_texts_are_translated_without_us(tokens, tmp_path):
    """By a beam search that is in the program, with what people may write: ends of texts, unknown words, too many."""
    for end, line in (("en", "a cat sat\nthe dog\n"), ("de", "eine Katze saß\nder Hund\n")):
        (tmp_path / f"all.{end}").write_text(line * 20)
    config = Config(
        space="transformer:reads=both,size=hat_tiny",
        data=f"parallel_text:source={tmp_path / 'all.en'},target={tmp_path / 'all.de'}",
        task=f"translation:tokens={tokens},max_length=5,beam=2,vocabulary=30",
        retrain=replace(OWN_WIDTH, batch_size=4),
    )
    found, texts = untrained(tmp_path, config), ["the cat", "<s> zebra </s>", "a dog sat the cat dog sat sat"]
    (out := tmp_path / "out").mkdir()
    assert FORMATS["stablehlo"].write(Subject(found, found.weights), out)["difference"] < 1e-5
    said = alone(out, tmp_path / "alone", *texts, more=("tokenizers",))
    for one, wanted in zip(said, found.translate(texts), strict=True):
        assert one["translation"] == wanted.text != ""
        assert one["score"] == pytest.approx(wanted.score, abs=1e-5)
    refuses_long(out, tmp_path / "again", texts, more=("tokenizers",))


def test_rows_become_features_inside_a_program_as_outside(tmp_path):
    config = Config(space="tabular:layers=1", data=mixed_table(tmp_path), retrain=PLAN)
    task, _ = binding.bind(datasets.load(config.data), config, "retrain", find.resolve("space", config.space))
    values, features = task.parts["test"].values, task.features
    given = [
        np.stack([column for column in values if column.dtype != object], 1),
        np.stack(
            [
                [known.index(text) if text in known else -1 for text in column]
                for column, known in zip([c for c in values if c.dtype == object], features.categories(), strict=True)
            ],
            1,
        ).astype(np.int32),
    ]
    assert np.isnan(given[0]).any() and (given[1] == -1).any()  # else nothing is missing, or everything was seen
    with jax.enable_x64(True):
        found = np.asarray(inputs.row_features(features, True, True)(*map(jax.numpy.asarray, given)))
    np.testing.assert_allclose(found, features(values), rtol=1e-6, atol=1e-6)


def test_weights_of_8_bits(drawn):
    found = drawn
    small = quantised.rounded(found)
    kinds = {True: 0, False: 0}
    for (path, leaf), whole in zip(
        jax.tree_util.tree_leaves_with_path(small, is_leaf=lambda leaf: isinstance(leaf, quantised.Int8)),
        jax.tree.leaves(found.weights),
        strict=True,
    ):
        is_small = isinstance(leaf, quantised.Int8)
        kinds[is_small] += 1
        assert is_small == (path[-1].key == "kernel"), path
        if is_small:  # one scale a channel and copy, and no number further off than half a step
            assert leaf.values.dtype == np.int8 and np.abs(leaf.values).max() == 127
            assert np.abs(quantised.restored(leaf) - whole).max() <= leaf.scales.max() * 0.5001
            assert leaf.scales.shape[-1] == whole.shape[-1] and leaf.scales.size < whole.size
    assert all(kinds.values())
    assert quantised._summed((5, 3, 3, 4, 8), 1 / 6) == (1, 2, 3)  # five equal cells, a fan-in of 36
    assert quantised._summed((100, 16), 0.04) == (0,)  # an embedding


def test_no_name_breaks_a_card():
    for name in HOSTILE:
        shown = text(name)
        assert "\n" not in shown and "<" not in shown and all(letter.isprintable() for letter in shown)
        for sign in "|`[*_#":
            assert shown.count(sign) == shown.count(f"\\{sign}")
        lines = block(f"one\n{name}").split("\n")
        assert lines[0] == lines[-1] and lines[0].strip("`") == "" and lines[0] not in lines[1:-1]
    assert text("mean radius (worst), 3.5") == "mean radius (worst), 3.5"
    assert block("a ```` b").startswith("`````\n")


def test_a_card_says_that_nothing_was_measured(tmp_path):
    def evaluate():
        raise UserError("The data set is not here.")

    said, measures, confusion = _measured(SimpleNamespace(evaluate=evaluate, folder=tmp_path, seed=0))
    assert said == "Not measured, as the data cannot be read now (The data set is not here.)"
    assert measures == {} and confusion is None


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """A run on digits whose classes have names that would be code, links and tables elsewhere."""
    folder, data = tmp_path_factory.mktemp("export") / "run", datasets.load("digits:limit=64")
    few = replace(
        data,
        train_y=data.train_y % len(HOSTILE),
        test_y=data.test_y % len(HOSTILE),
        classes=HOSTILE,
        note="a note | <i>",
    )
    dnas.retrain.run(replace(IMAGES, data="arrays"), CELL, folder, data=few, quiet=True)
    return dnas.load(folder, data=few), few


@pytest.mark.slow
def test_the_script_needs_nothing_of_ours(trained, tmp_path):
    found, data = trained
    made = dnas.export(found, tmp_path / "out")
    assert made.files == ("model.json", "model.stablehlo", "predict.py", "README.md") and made.difference < 1e-5
    assert sorted(path.name for path in made.folder.iterdir()) == sorted(made.files)
    np.save(tmp_path / "x.npy", data.test_x[:5])
    said, wanted = alone(made.folder, tmp_path / "alone", str(tmp_path / "x.npy")), found.predict(data.test_x[:5])
    assert [row["class"] for row in said] == [HOSTILE[i] for i in wanted.argmax(-1)]
    np.testing.assert_allclose([row["probability"] for row in said], wanted.max(-1), atol=1e-5)
    assert (made.folder / "predict.py").read_bytes() == (Path(stablehlo.SCRIPTS) / "images.py").read_bytes()
    page = (made.folder / "README.md").read_text()
    table = page[page.index("| class |") :].split("\n\n")[0].splitlines()
    assert len(table) == 2 + len(HOSTILE) and all(line.replace("\\|", "").count("|") == 6 for line in table)
    assert "<b>" not in page and f"accuracy | {found.evaluate().accuracy:.6g}" in page


@pytest.mark.slow
def test_weights_of_8_bits_are_exported_and_their_loss_is_said(trained, tmp_path):
    found, data = trained
    whole, small = (dnas.export(found, tmp_path / kind, form="npz", weights=kind) for kind in ("trained", "int8"))
    assert not whole.rounding and "on the validation part: " in small.rounding
    assert small.rounding in (small.folder / "README.md").read_text()
    arrays = [np.load(made.folder / "weights.npz", allow_pickle=False) for made in (whole, small)]
    for name in arrays[0].files:
        restored = arrays[1][name] * arrays[1][f"{name}:scale"] if f"{name}:scale" in arrays[1] else arrays[1][name]
        np.testing.assert_allclose(restored, arrays[0][name], atol=0.01)
    weights = {
        name.removeprefix("weights/"): arrays[0][name] for name in arrays[0].files if name.startswith("weights/")
    }
    assert sum(array.size for array in weights.values()) == sum(leaf.size for leaf in jax.tree.leaves(found.weights))
    np.testing.assert_array_equal(
        weights["backbone/classifier/kernel"], found.weights["backbone"]["classifier"]["kernel"]
    )
    about = json.loads((whole.folder / "architecture.json").read_text())
    assert about["data"]["classes"] == list(HOSTILE) and about["space"] == IMAGES.space


@pytest.mark.slow
def test_programs_with_weights_of_8_bits_hold_them_so(tmp_path):
    found = untrained(tmp_path, replace(IMAGES, retrain=replace(IMAGES.retrain, channels=16)), CELL)
    reads, small = inputs_of(found), quantised.rounded(found)
    made = [program.exported(found, reads, weights) for weights in (found.weights, small)]
    files = [one.serialize() for one in made]
    sizes = list(map(len, files))
    assert not any(str(Path(dnas.__file__).parent).encode() in file for file in files)  # where it was made is nobody's
    parameters = sum(leaf.size for leaf in jax.tree.leaves(found.weights))
    assert sizes[0] - sizes[1] > 2 * parameters  # 3 bytes of each, less the scales
    module = made[1].mlir_module()
    assert "xi8>" in module and "@dnas_" not in module


def test_torch_names_there_and_back(drawn, tmp_path):
    found = drawn
    folder = tmp_path / "out"
    folder.mkdir()
    FORMATS["torch"].write(Subject(found, found.weights), folder)
    space = find.resolve("space", IMAGES.space)
    build = network_of(CELL, space, network_size_of(IMAGES.retrain, space, found.task.shape))
    weights, stats = interop.from_torch(interop.load(folder / "state_dict.npz"), interop.layout(build))
    assert all(jax.tree.leaves(jax.tree.map(np.array_equal, (weights, stats), (found.weights, found.stats))))
    assert parse((folder / "genotype.txt").read_text()).cells == CELL.cells


@pytest.mark.slow
def test_a_network_of_pytorch_has_the_logits_of_the_exported_one(tmp_path):
    """Of a whole network, as PyTorch computed them (scripts/oracles/exported_nasbench201.py): ours with these weights,
    its program, and what is exported of it for PyTorch again."""
    with np.load(Path(__file__).with_name("exported_nasbench201.npz"), allow_pickle=False) as file:
        arrays = {name.removeprefix("state/"): file[name] for name in file.files if name.startswith("state/")}
        images, logits = file["images"], file["logits"]
    np.savez(tmp_path / "state_dict.npz", **arrays)
    cell = parse("|nor_conv_3x3~0|+|none~0|nor_conv_1x1~1|+|skip_connect~0|none~1|avg_pool_3x3~2|")
    found = load_published(cell, tmp_path / "state_dict.npz", IMAGES.data, mean=(0.5,), std=(0.25,))
    np.testing.assert_allclose(found._logits(found.task.inputs(images)), logits, atol=1e-5)
    written = program.exported(found, inputs_of(found), found.weights).serialize()
    run = jax.jit(exporting_of_jax.deserialize(bytearray(written)).call)
    np.testing.assert_allclose(run(images), jax.nn.softmax(logits), atol=1e-5)
    (out := tmp_path / "out").mkdir()
    FORMATS["torch"].write(Subject(found, found.weights), out)
    with np.load(out / "state_dict.npz", allow_pickle=False) as file:
        assert file.files == list(arrays) and all(np.array_equal(file[name], arrays[name]) for name in arrays)


def test_torch_takes_what_was_written(drawn, tmp_path):
    torch = pytest.importorskip("torch", reason="PyTorch is not installed")
    found = drawn
    FORMATS["torch"].write(Subject(found, found.weights), tmp_path)
    linear = torch.nn.Linear(8, 10)
    with np.load(tmp_path / "state_dict.npz", allow_pickle=False) as file:
        state = {name: torch.from_numpy(file[name]) for name in file.files}
    linear.load_state_dict({name: state[f"classifier.{name}"] for name in ("weight", "bias")})
    x = np.random.default_rng(0).normal(size=(3, 8)).astype(np.float32)
    ours = x @ np.asarray(found.weights["backbone"]["classifier"]["kernel"]) + np.asarray(
        found.weights["backbone"]["classifier"]["bias"]
    )
    np.testing.assert_allclose(linear(torch.from_numpy(x)).detach().numpy(), ours, rtol=1e-5, atol=1e-6)


def test_mistakes_are_one_sentence_and_leave_nothing(drawn, tmp_path, capsys):
    (tmp_path / "full").mkdir()
    for arguments, says in (
        (["--format", "stablehl"], "Unknown format 'stablehl'. Did you mean stablehlo?"),
        (["--format", "pickle"], "Known: npz, stablehlo, torch."),
        (["--format", "onnx"], "ONNX"),
        (["--format", "tflite"], "TensorFlow"),
        (["--mean", "0.5"], "--mean goes with --weights"),
        (["--data", "digits"], "--data goes with --weights"),
        ([], "holds no run"),
    ):
        assert cli.main(["export", str(tmp_path), *arguments]) == 2, arguments
        said = capsys.readouterr().err
        assert says in said and said.count("\n") == 1, said
    with pytest.raises(UserError, match="leave out --int8"):
        dnas.export(drawn, form="torch", weights="int8")
    with pytest.raises(UserError, match="already exists, and nothing is written over: choose another --out"):
        dnas.export(drawn, tmp_path / "full", form="npz")
    with pytest.raises(UserError, match="spaces darts and nasbench201.*'fbnet' for images: use --format npz"):
        chain = replace(IMAGES, space="fbnet:size=tiny", retrain=OWN_WIDTH)
        dnas.export(untrained(tmp_path, chain), form="torch")
    assert [path.name for path in tmp_path.iterdir()] == ["full"]


@pytest.mark.slow
def test_on_the_command_line(tmp_path, capsys):
    dnas.retrain.run(IMAGES, CELL, tmp_path / "run", quiet=True)
    assert cli.main(["export", str(tmp_path / "run"), "--int8"]) == 0
    said, folder = capsys.readouterr().out, tmp_path / "run" / "export" / "stablehlo_int8"
    assert "Rounded: accuracy on the validation part" in said and f"Open {folder / 'README.md'}" in said
    assert cli.main(["export", str(tmp_path / "run"), "--seed", "7"]) == 2
    assert "has the seeds" in capsys.readouterr().err
    assert "CC BY 4.0" in (folder / "README.md").read_text()
    assert dnas.load(tmp_path / "run").evaluate().accuracy <= 1  # a run with exports in it is one as before


@pytest.mark.slow
@pytest.mark.parametrize("name", ["rows", "texts", "sounds"])
def test_other_scripts_need_nothing_of_ours(name, tmp_path):
    make, genotype = configs(tmp_path)[name]
    try:
        found = untrained(tmp_path, make(), genotype)
    except NotHere as error:
        pytest.skip(str(error))
    folder = tmp_path / "out"
    folder.mkdir()
    FORMATS["stablehlo"].write(Subject(found, found.weights), folder)
    if name == "rows":
        written = (tmp_path / "rows.csv").read_text()
        (tmp_path / "given.csv").write_text("\ufeff" + written.replace(",,", ",NA,").replace(",", " ; "), "utf-8")
        said = alone(folder, tmp_path / "alone", str(tmp_path / "given.csv"))[:20]
        cells = [line.split(",") for line in written.splitlines()]
        wanted = found.predict(
            {column: [row[i] or None for row in cells[1:21]] for i, column in enumerate(cells[0][:-1])}
        )
    elif name == "texts":
        texts = ["A fine FILM , it's हिन्दी", "²nd ΟΔΟΣ -- ½ unknown-word...", "e\u0301 one two three four five six"]
        said, wanted = alone(folder, tmp_path / "alone", *texts), found.predict(texts)
        refuses_long(folder, tmp_path / "again", texts)
    else:
        rng, rate = np.random.default_rng(0), found.task.recordings.sample_rate
        sounds = [rng.integers(-9999, 9999, size).astype("<i2") for size in (500, 5000)]
        for number, sound in enumerate(sounds):
            with wave.open(str(tmp_path / f"{number}.wav"), "wb") as file:
                file.setparams((1, 2, rate, len(sound), "NONE", ""))
                file.writeframes(sound.tobytes())
        said, wanted = (
            alone(folder, tmp_path / "alone", *(str(tmp_path / f"{i}.wav") for i in (0, 1))),
            found.predict(sounds),
        )
    assert [row["class"] for row in said] == [found.classes[i] for i in wanted.argmax(-1)]
    np.testing.assert_allclose([row["probability"] for row in said], wanted.max(-1), atol=1e-5)


@pytest.mark.slow
def test_published_weights_are_exported(drawn, tmp_path, capsys):
    (tmp_path / "torch").mkdir()
    FORMATS["torch"].write(Subject(drawn, drawn.weights), tmp_path / "torch")
    file = tmp_path / "torch" / "state_dict.npz"
    mean, std = (str(moment[0] / 255) for moment in (drawn.looks.mean, drawn.looks.std))
    looks = ["--data", IMAGES.data, "--mean", mean, "--std", std]
    assert cli.main(["export", "|nor_conv_1x1~0|", "--weights", str(file), *looks]) == 0
    folder = tmp_path / "torch" / "state_dict_stablehlo"
    assert f"Open {folder / 'README.md'}" in capsys.readouterr().out
    run = jax.jit(exporting_of_jax.deserialize(bytearray((folder / "model.stablehlo").read_bytes())).call)
    x = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 1), np.uint8)
    np.testing.assert_allclose(run(x), drawn.predict(x), atol=1e-5)


def test_what_has_no_program_is_refused(drawn, tmp_path):
    found = replace(drawn, task=SimpleNamespace(name="translation"))
    with pytest.raises(
        UserError, match="inputs are known, and those of the task 'translation' are not: use --format npz"
    ):
        dnas.export(found, tmp_path / "out")
    assert not (tmp_path / "out").exists()
