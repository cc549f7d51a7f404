"""Exported networks answer as `dnas predict` does, in a process without dnas; cards and scripts bear any name."""

import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

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
from dnas.errors import UserError
from dnas.exporting import card, program, quantised
from dnas.exporting.inputs import inputs_of
from dnas.loading.found import Found
from dnas.loading.looks import looks_of, no_images
from dnas.nets.functional import Deferred, functionalize
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
CELL = parse("|nor_conv_1x1~0|")
HOSTILE = ("</script><b>", "a|b\n# c", "`rm`", "[x](javascript:0)", '"); import os #', "\u202eevil\x1b[31m", "'''", "é")
ALONE = """
import builtins, runpy, sys
KNOWN = {"jax", "jaxlib", "numpy", "ml_dtypes", "opt_einsum", "scipy", "flatbuffers", *sys.stdlib_module_names}
class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] not in KNOWN:
            raise ModuleNotFoundError(f"{name} is none of jax, numpy and what they need", name=name)
sys.meta_path.insert(0, Refuse())
sys.path += %r
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
"""


def alone(folder: Path, *arguments: str) -> list[dict]:
    """What predict.py says in a process that can import JAX, NumPy and flatbuffers, and nothing of ours."""
    code = ALONE % [path for path in sys.path if "site-packages" in path or "flatbuffers" in os.listdir(path or ".")]
    done = subprocess.run(
        [sys.executable, "-I", "-c", code, str(folder / "predict.py"), *arguments], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    return list(map(json.loads, done.stdout.splitlines()))


def untrained(folder, config, genotype=None):
    """A network with the weights that it is drawn with."""
    space = find.resolve("space", config.space)
    genotype = genotype or random(space, 0)
    task, _ = binding.bind(datasets.load(config.data), config, "retrain", space)
    looks = looks_of(task.described(), folder) if task.takes == "images" else None
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
        description=task.described(),
    )


def mixed_table(folder):
    """Rows with numbers that are large, missing or the same, categories that are rare or missing, and odd names."""
    rng = np.random.default_rng(0)
    lines = ["size,year,same,empty,<b>|x,rare,class"]
    for i in range(160):
        size, colour = ("" if i % 7 == 0 else f"{rng.normal():.6f}"), rng.choice(["red", "b|l`ue", ""])
        lines.append(f"{size},{1_700_000_000 + 1000 * i},3,,{colour},r{i % 70},{rng.choice(['yes', '*no*'])}")
    (folder / "rows.csv").write_text("\n".join(lines))
    return f"table:path={folder / 'rows.csv'},target=class"


def reviews(folder):
    rng, lines = np.random.default_rng(0), ["text,label"]
    for i in range(80):
        words = rng.choice(["fine", "Film", "हिन्दी", "²nd", "it's"] if i % 2 else ["bad", "ΟΔΟΣ", "don't", "--", "end."], 4)
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
        "chain": (lambda: replace(IMAGES, space="fbnet:size=tiny", retrain=replace(PLAN, channels=0)), None),
        "cells": (
            lambda: replace(
                IMAGES,
                space="darts:nodes=2,operations=sep_conv_3x3+dil_conv_3x3+max_pool_3x3+skip_connect",
                retrain=replace(PLAN, cells=3),
            ),
            None,
        ),
        "attention": (
            lambda: replace(IMAGES, space="vision_transformer:size=tiny,depths=1", retrain=replace(PLAN, channels=0)),
            None,
        ),
    }


SLOW = ("numbers", "float64", "texts", "sounds", "chain", "cells", "attention")


@pytest.mark.parametrize("name", ["images", "rows", *(pytest.param(name, marks=pytest.mark.slow) for name in SLOW)])
def test_a_program_of_raw_inputs_answers_as_predict_does(name, tmp_path):
    make, genotype = configs(tmp_path)[name]
    try:
        found = untrained(tmp_path, make(), genotype)
    except datasets._files.NotHere as error:
        pytest.skip(str(error))
    inputs = inputs_of(found)
    written = program.exported(found, inputs, found.weights).serialize()
    run = jax.jit(exporting_of_jax.deserialize(bytearray(written)).call)
    given, x = inputs.examples
    with program.tracing(found, inputs):
        for size in (len(x), 3):
            got = run(*(one[:size] for one in given))
            assert got.dtype == np.float32
            np.testing.assert_allclose(got, found.answers(x[:size]), rtol=1e-5, atol=1e-6)
