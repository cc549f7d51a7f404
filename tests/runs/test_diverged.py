"""A seed whose loss becomes no number ends by itself: the others go on as without it, and nothing counts it."""

import json
from dataclasses import replace

import numpy as np
import pytest

import dnas
from dnas import cli, grid, retrain
from dnas.architectures.genotype import random
from dnas.config import AugmentConfig, Config, RetrainConfig, SearchConfig, WeightConfig
from dnas.errors import UserError
from dnas.fields import applied
from dnas.reports import page, scores, sentences, zoo
from dnas.reports.grids import by_value
from dnas.reports.plots import Measure
from dnas.runs import diverged, records
from dnas.search.run import run
from dnas.spaces import tabular

PLAIN, WEIGHTS = AugmentConfig(pad=0, flip=False), WeightConfig(0.05, clip=0)
CONFIG = Config(
    space="tabular:layers=1",
    data="wine",
    seed=3,
    seeds=2,
    grid="search.weights.learning_rate=[1e9,0.05]",
    search=SearchConfig(3, 32, 1, 4, weights=WEIGHTS, augment=PLAIN),
    retrain=RetrainConfig(3, 32, cells=1, channels=4, auxiliary=0, drop_path=0, weights=WEIGHTS, augment=PLAIN),
)
OF_TRAINING = "retrain.weights.learning_rate=[1e9,0.05]"


def test_only_what_is_new_and_has_not_ended_diverges():
    bad = np.array([7, -1, 3, 5], np.int32)
    assert diverged.since(bad, {2: 3}, [3]) == {0: 7}
    with pytest.raises(UserError, match="infinite in seeds 3 at step 7, 5 at step 1; the others ended"):
        diverged.refuse_any({3: 7, 5: 1})
    diverged.refuse_any({})


@pytest.fixture
def rows():
    """Of three seeds, the first of which was best and diverged."""
    values = {3: (0.9, None), 4: (0.5, 0.6), 5: (0.7, 0.2)}
    found = []
    for epoch in (1, 2):
        for seed, known in values.items():
            row = {"step": epoch, "epoch": epoch, "seed": seed, "search.weights.learning_rate": (1e9, 0.05)[seed % 2]}
            value = known[epoch - 1]
            found.append(row | ({"diverged": 1} if value is None else {"valid_accuracy": value}))
    return found


def test_reports_count_it_nowhere_and_name_it(rows):
    assert diverged.of_rows(rows) == {3: 1}
    assert scores.best(rows, Measure()) == [0.6, 0.7] and scores.last(rows, "valid_accuracy") == [0.6, 0.2]
    assert scores.best_seed(rows, Measure(), 3) == 1
    assert sentences.diverged(CONFIG, rows).startswith(
        "Diverged, their loss NaN or infinite: seed 3 at step 1 (search.weights.learning_rate 0.05)."
    )
    worth = by_value(replace(CONFIG, seeds=4), rows, Measure())
    assert worth["search.weights.learning_rate 0.05"] == "best valid accuracy [%] 70.00 (seed 5); seed 3 diverged"


@pytest.fixture(scope="module")
def searched(tmp_path_factory):
    return run(CONFIG, tmp_path_factory.mktemp("diverged") / "run", quiet=True)


@pytest.mark.slow
def test_the_others_of_a_search_go_on_as_without_it(searched, tmp_path, capsys):
    alone = run(replace(applied(CONFIG, grid.row(CONFIG, "search", 1)), grid=""), tmp_path / "alone", quiet=True)
    rows = records.read_metrics(searched.folder)
    losses = [
        [row["train_loss"] for row in of if row["seed"] == 4] for of in (rows, records.read_metrics(alone.folder))
    ]
    assert losses[0] == pytest.approx(losses[1], rel=1e-4) and len(losses[0]) == 3
    assert searched.genotype == searched.genotypes[1] == alone.genotypes[1]
    assert [*searched.diverged] == [3] and np.isnan(searched.scores[0])
    lost = [row for row in rows if row["seed"] == 3]
    assert lost[-1].keys() == {"step", "epoch", "seed", "search.weights.learning_rate", "diverged"}
    assert lost[-1]["diverged"] == searched.diverged[3] and lost[-1]["epoch"] < 3

    known = json.loads((searched.folder / "grid.json").read_text())
    assert [(one["search.weights.learning_rate"], one["diverged"]) for one in known["points"]] == [(0.05, 0), (1e9, 1)]
    assert known["points"][1]["mean_accuracy"] is None
    text = (searched.folder / "report.html").read_text()
    assert "seed 3 at step" in text and "seed 3 diverged" in text
    assert not (searched.folder / "cells_seed_3.png").exists()
    assert "- (1 diverged)" in str([*page.table([searched.folder]).columns[6].cells])

    assert [one.name for one in zoo.found(searched.folder)] == [f"{searched.folder}, seed 4"]
    assert dnas.load(searched.folder).seed == 4
    assert cli.main(["why", str(searched.folder), "--seed", "3"]) == 2
    assert "Seed 3 of" in (said := capsys.readouterr().err) and "diverged at step" in said


@pytest.mark.slow
def test_a_search_that_goes_on_knows_it(searched):
    before = records.read_metrics(searched.folder)
    longer = replace(CONFIG, search=replace(CONFIG.search, epochs=4))
    again = run(longer, searched.folder, resume=True, quiet=True)
    after = records.read_metrics(again.folder)
    assert after[: len(before)] == before and [row["seed"] for row in after[len(before) :]] == [4]
    assert again.diverged == searched.diverged


@pytest.mark.slow
def test_the_others_of_a_training_go_on_and_none_is_an_error(tmp_path):
    config = replace(CONFIG, grid=OF_TRAINING)
    cell = random(tabular.space(layers=1), 0)
    found = retrain.run(config, cell, tmp_path / "run", quiet=True)
    assert [*found.diverged] == [3] and np.isnan(found.scores[0]) and found.score == found.scores[1]
    rows = records.read_metrics(found.folder)
    assert [row["epoch"] for row in rows if row["seed"] == 4] == [1, 2, 3]
    assert "diverged" in [row for row in rows if row["seed"] == 3][-1]
    for source, seeds in ((found.folder, 1), (f"{found.folder}:seed=3", 1), (found.folder, 2)):
        with pytest.raises(UserError, match="Seed 3 of .* diverged at step .*: name another seed"):
            retrain.build(replace(config, grid="", seeds=seeds, weights_from=str(source)), cell)
    retrain.build(replace(config, grid="", weights_from=f"{found.folder}:seed=4"), cell)
    with pytest.raises(UserError, match="The loss of seed [34], .* became NaN or infinite at step"):
        retrain.run(replace(config, grid="retrain.weights.learning_rate=[1e9,9e8]"), cell, tmp_path / "all", quiet=True)
