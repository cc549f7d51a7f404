"""Every method on spaces without images: it is built, or says in one sentence what it needs and does not find there."""

from contextlib import nullcontext
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas import data as datasets
from dnas import find
from dnas.config import AugmentConfig, Config, SearchConfig
from dnas.data import Text
from dnas.data._sentences import Row, of_rows
from dnas.errors import UserError
from dnas.search.job import Job
from dnas.tasks import binding

METHODS = find.available("method")
KEPT = {
    "once_for_all": "once_for_all:rule=sandwich",
    "p_darts": "p_darts:keep=3+2",
    "sgas": "sgas:begin=0,every=1",
    "te_nas": "te_nas:prune=9",
}
SIZE = SearchConfig(epochs=3, cells=1, channels=4, batch_size=16, augment=AugmentConfig(pad=0, flip=False))
CONFIGS = {
    "tabular": Config(space="tabular:layers=2", data="wine", search=SIZE),
    "rnn": Config(space="rnn:nodes=2", data="words", task="language:bptt=5", search=SIZE),
    "text": Config(space="text:size=tiny", data="phrases", task="text_classification:max_length=3", search=SIZE),
    "transformer": Config(
        space="transformer:size=tiny,depths=1,widths=4+6",
        data="words",
        task="language:bptt=5",
        search=replace(SIZE, channels=SearchConfig().channels),  # its decisions say widths
    ),
}
REFUSED = {  # method -> what it says on a space without images, or on the one named
    "agreement rnn": "Supernets side by side cannot be recurrent",
    "darts_minus": "no skip connection to add",
    "drnas": "Partial channels are",
    "fbnet": "is no sum over its decisions",
    "lambda_darts": "no two of them .* or a space of cells",
    "once_for_all rnn": "learn from the outputs of others, which the task of this search does not tell",
    "once_for_all transformer": "learn from the outputs of others, which the task of this search does not tell",
    "oles": "no operation of the space has weights",
    "p_darts": "drops skip connections",
    "pc_darts": "Partial channels are",
    "te_nas": "Proxies score networks of images",
    "tanglenas rnn": "Entangled weights are those of convolutions",
    "tanglenas text": "Entangled weights are those of convolutions",
    "tanglenas tabular": "Entangled weights are those of convolutions",
    "warm_start": "Proxies score networks of images",
    "zero_cost_pt": "Proxies score networks of images",
    "snas": "The cost of single operations is counted in image spaces only",
}


def words():
    tokens = np.arange(200, dtype=np.int32) % 7
    return Text("words", tokens, tokens, tokens, tuple("abcdefg"), note="")


def phrases():
    rows = [Row(f"word{i % 7} word{i % 5}", "ab"[i % 2], f"line {i}") for i in range(80)]
    return of_rows("phrases", {"train": rows})


def built(name, space):
    config, method = CONFIGS[space], find.resolve("method", KEPT.get(name, name))
    built_of = find.resolve("space", config.space)
    dataset = {"rnn": words, "transformer": words, "text": phrases}.get(space, lambda: datasets.load(config.data))()
    task, plan = binding.bind(dataset, config, "search", built_of)
    return Job(replace(config, search=plan), built_of, method, task, True)


@pytest.mark.parametrize("space", CONFIGS)
@pytest.mark.parametrize("name", METHODS)
def test_it_is_built_or_refused_in_a_sentence(name, space):
    says = REFUSED.get(name, REFUSED.get(f"{name} {space}"))
    with nullcontext() if says is None else pytest.raises(UserError, match=says):
        built(name, space)


STEPPED = [(name, "rnn") for name in METHODS if not {name, f"{name} rnn"} & {*REFUSED}]
STEPPED += [
    (name, "transformer") for name in ("agreement", "gdas", "tanglenas")
]  # members, one path, entangled weights


@pytest.mark.slow
@pytest.mark.parametrize("name, space", STEPPED)
def test_what_is_built_of_tokens_makes_a_step(name, space):
    """Recurrent states and their moments, one for every time, have other shapes than those of images."""
    stage = built(name, space).stage
    jax.eval_shape(stage.layout.over_seeds(stage._advance), stage.shapes, jnp.int32(1), stage.arrays)
