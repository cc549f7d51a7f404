"""A task is bound to data and space, and settings that cannot act are refused."""

from dataclasses import replace

import pytest

from dnas import data, find
from dnas.config import AugmentConfig, Config
from dnas.data._texts import Text
from dnas.errors import UserError
from dnas.tasks import binding

TABLE = Config(space="tabular", data="wine")


def bound(config, stage, dataset=None):
    dataset = data.load(config.data) if dataset is None else dataset
    return binding.bind(dataset, config, stage, find.resolve("space", config.space))


@pytest.mark.parametrize("stage", ["search", "retrain"])
def test_defaults_and_what_is_switched_off_are_taken(stage):
    off = {"augment": AugmentConfig(pad=0, flip=False, cutout=0), "batch_size": 16}
    if stage == "retrain":
        off |= {"auxiliary": 0.0, "drop_path": 0.0}
    for changes in ({"batch_size": 16}, off):
        task, _ = bound(replace(TABLE, **{stage: replace(getattr(TABLE, stage), **changes)}), stage)
        assert task.name == "tabular"


@pytest.mark.parametrize(
    "stage, changes",
    [
        ("retrain", {"drop_path": 0.3}),
        ("retrain", {"auxiliary": 0.2}),
        ("retrain", {"stem": "imagenet"}),
        ("retrain", {"mixup": 0.2}),
        ("retrain", {"cutmix": 1.0}),
        ("retrain", {"rand_augment": 2}),
        ("retrain", {"magnitude": 5}),
        ("search", {"augment": AugmentConfig(pad=2)}),
    ],
)
def test_what_acts_on_images_only_is_refused(stage, changes):
    config = replace(TABLE, **{stage: replace(getattr(TABLE, stage), batch_size=16, **changes)})
    with pytest.raises(UserError, match=f"{stage}.{next(iter(changes))} is .* these read features: leave it out"):
        bound(config, stage)


@pytest.mark.parametrize(
    "stage, changes",
    [
        ("retrain", {"cells": 3}),
        ("retrain", {"remat": True}),
        ("search", {"cells": 3}),
        ("search", {"remat": True}),
        ("search", {"unroll_cells": True}),
    ],
)
def test_a_size_that_networks_of_the_space_do_not_know_is_refused(stage, changes):
    config = replace(TABLE, **{stage: replace(getattr(TABLE, stage), batch_size=16, **changes)})
    with pytest.raises(UserError, match=f"{stage}.{next(iter(changes))} is .* does nothing .* 'tabular': leave it out"):
        bound(config, stage)


def test_a_recurrent_network_has_one_cell_which_can_be_computed_again_but_not_unrolled():
    assert find.resolve("space", "rnn").sizes == ("cells", "remat")
    assert not find.resolve("space", "tabular").sizes
    for name in ("darts", "nasbench201", "robust"):
        assert find.resolve("space", name).sizes == ("cells", "remat", "unroll_cells")


def test_cells_that_are_computed_twice_are_not_unrolled():
    config = Config(data="digits", search=replace(Config().search, remat=True, unroll_cells=True))
    with pytest.raises(UserError, match="search.unroll_cells does nothing beside search.remat"):
        bound(config, "search")


def test_a_text_has_no_labels_to_smooth():
    import numpy as np

    text = Text("words", *(np.arange(400, dtype=np.int32) % 7 for _ in "abc"), tuple("abcdefg"))
    config = Config(space="rnn", data="words")
    smooth = replace(config, retrain=replace(config.retrain, batch_size=8, label_smoothing=0.1))
    with pytest.raises(UserError, match="retrain.label_smoothing is 0.1, .* these read tokens"):
        bound(smooth, "retrain", text)


def test_a_space_that_reads_something_else_is_refused():
    with pytest.raises(UserError, match="'rnn' read tokens, and the task 'tabular' on 'wine' has features"):
        bound(replace(TABLE, space="rnn", search=replace(TABLE.search, batch_size=16)), "search")
