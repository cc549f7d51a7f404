"""A grid of learning rates and decays: the seeds of one program have its points in turn."""

import json
import os
import signal
from dataclasses import replace

import numpy as np
import pytest

from dnas import compare, grid, retrain
from dnas.architectures.genotype import random
from dnas.config import AlphaConfig, AugmentConfig, Config, RetrainConfig, SearchConfig, WeightConfig
from dnas.errors import UserError
from dnas.fields import applied
from dnas.reports import page
from dnas.runs import loop, records, weights
from dnas.search import tradeoff
from dnas.search.run import build, run
from dnas.search.stage import Stage

PLAIN = AugmentConfig(pad=0, flip=False)
WEIGHTS = WeightConfig(0.05, schedule="cosine:end=0.004")  # whose end is not in proportion to the rate
CONFIG = Config(
    space="tabular",
    data="wine",
    seeds=4,
    dtype="float64",
    grid="search.alphas.learning_rate=[0.01,0.1] search.weights.learning_rate=[0.05,0.2]",
    search=SearchConfig(2, 32, 1, 8, 0.4, weights=WEIGHTS, alphas=AlphaConfig(3e-3), augment=PLAIN),
    retrain=RetrainConfig(2, 32, cells=1, channels=8, auxiliary=0, drop_path=0, weights=WEIGHTS, augment=PLAIN),
)
OF_TRAINING = "retrain.weights.learning_rate=[0.05,0.2] retrain.weights.decay=[0,0.1]"
TIMES = ("seconds", "examples_per_second")


@pytest.mark.parametrize(
    "change, said",
    [
        ({"grid": "search.alphas.learning_rate"}, "A grid is fields with lists of values"),
        ({"grid": "search.alphas.learning_rate=1e-3..1e-2"}, "A grid is fields with lists of values"),
        ({"grid": "search.alphas.learning_rate=[0.1,]"}, "an empty place"),
        ({"grid": "search.alphas.learning_rate=[0.1]"}, "nothing to choose"),
        ({"grid": "search.alphas.learning_rate=[0.1,0.1]"}, "nothing to choose"),
        ({"grid": "search.alphas.learning_rate=[0,0.1]"}, "by which no alphas would be trained"),
        ({"grid": "search.alphas.learning_rate=[-1,0.1]"}, "must be at least 0"),
        ({"grid": "search.alphas.learning_rate=[a,b]"}, "is a number, not 'a'"),
        ({"grid": "search.alphas.learning_rat=[1,2]"}, "Did you mean search.alphas.learning_rate"),
        ({"grid": "search.channels=[8,16]"}, "One program cannot hold several values of search.channels"),
        ({"grid": "search.decay=[0,1]"}, "may be search.weights.decay or search.alphas.decay"),
        ({"grid": OF_TRAINING}, "is for trainings, dnas retrain"),
        ({"grid": f"{CONFIG.grid} {OF_TRAINING}"}, "is of a search and of a training"),
        ({"grid": f"{CONFIG.grid} search.alphas.learning_rate=[1,2]"}, "names search.alphas.learning_rate twice"),
        ({"seeds": 6}, "has 4 points, which seeds have in turn, and seeds is 6: set it to 4"),
    ],
)
def test_what_cannot_be_is_refused(change, said):
    with pytest.raises(UserError, match=said):
        grid.of_seeds(replace(CONFIG, **change), "search")


def test_a_schedule_that_one_value_does_not_fit_is_refused():
    low = "search.weights.learning_rate=[0.001,0.05]"
    with pytest.raises(UserError, match="falls to end=0.004, which is above the learning rate 0.001"):
        build(replace(CONFIG, grid=low, seeds=2))


def test_a_training_and_a_comparison_refuse_the_grid_of_a_search(tmp_path):
    cell = random(build(replace(CONFIG, grid="", seeds=1)).space, 0)
    with pytest.raises(UserError, match="is for searches, dnas search"):
        retrain.build(CONFIG, cell)
    with pytest.raises(UserError, match="'a' have different values of its grid"):
        compare.check({"a": CONFIG}, tmp_path / "x", train=False)


def test_seeds_have_the_points_in_turn_and_penalties_one_for_all_points():
    config = replace(CONFIG, seeds=16, penalty="parameters*0+1")
    assert tradeoff.weights(config) == (0, 0, 0, 0, 1, 1, 1, 1) * 2
    assert grid.of_seeds(config, "search") == (0, 1, 2, 3) * 4
    with pytest.raises(UserError, match="has 2 weights, and the grid 4 points, .* set it to 8"):
        tradeoff.weights(replace(config, seeds=4))
    job = build(CONFIG)
    assert job.stage.in_turn == {"point": (0, 1, 2, 3)}
    rows = [tuple(grid.row(CONFIG, "search", i).values()) for i in (0, 1, 6)]
    assert rows == [(0.01, 0.05), (0.01, 0.2), (0.1, 0.05)]
    rates = [(plan.alphas.learning_rate, plan.weights.learning_rate) for plan in job.points[0]]
    assert rates == [(0.01, 0.05), (0.01, 0.2), (0.1, 0.05), (0.1, 0.2)]


def test_the_rate_of_a_batch_is_that_of_every_value():
    scaled = replace(WEIGHTS, reference_batch=64)
    job = build(replace(CONFIG, search=replace(CONFIG.search, weights=scaled)))
    assert [plan.weights.learning_rate for plan in job.points[0]] == [0.025, 0.1] * 2


def test_phases_take_their_rates_from_each_value():
    """darts_pt tunes at a tenth of the search's rate, to where its schedule ends."""
    search = replace(CONFIG.search, weights=replace(WEIGHTS, schedule="cosine"))
    job = build(replace(CONFIG, method="darts_pt", search=search))
    assert [plan.weights.learning_rate for plan in job.points[1]] == pytest.approx([0.005, 0.02] * 2)


def same(mine, theirs):
    """Rows of two runs; a grid's have its values besides."""
    assert len(mine) == len(theirs) > 0
    for a, b in zip(mine, theirs, strict=True):
        for name in b.keys() - set(TIMES):
            assert a[name] == pytest.approx(b[name], rel=1e-9, abs=1e-12), name


def rows_of(folder, seed):
    return [row for row in records.read_metrics(folder) if row["seed"] == seed]


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    return run(CONFIG, tmp_path_factory.mktemp("grid") / "run", quiet=True)


@pytest.mark.slow
def test_every_replica_is_the_search_with_its_values(found, tmp_path):
    alone = replace(applied(CONFIG, grid.row(CONFIG, "search", 2)), grid="")
    other = run(alone, tmp_path / "alone", quiet=True)
    same(rows_of(found.folder, 2), rows_of(other.folder, 2))
    assert found.genotypes[2] == other.genotypes[2] and found.scores[2] == pytest.approx(other.scores[2])
    rows = rows_of(found.folder, 2)
    assert {row["search.alphas.learning_rate"] for row in rows} == {0.1}
    assert rows[0]["learning_rate"] != rows_of(found.folder, 3)[0]["learning_rate"]
    known = json.loads((found.folder / "grid.json").read_text())
    assert [one["search.alphas.learning_rate"] for one in known["replicas"]] == [0.01, 0.01, 0.1, 0.1]
    means = [one["mean_accuracy"] for one in known["points"]]
    assert means == sorted(means, reverse=True) and sorted(means) == sorted(found.scores)
    assert (found.folder / "grid.csv").read_text().count("\n") == 5
    html = (found.folder / "report.html").read_text()
    assert "search.alphas.learning_rate 0.1, search.weights.learning_rate 0.2" in html and 'alt="grid"' in html
    assert page.table([found.folder]).row_count == 4


@pytest.mark.slow
def test_a_search_goes_on_as_if_it_had_not_been_stopped(found, tmp_path, monkeypatch):
    advanced = Stage.advanced

    def told(stage, progress, count):
        if progress.state.step[0]:
            os.kill(os.getpid(), signal.SIGTERM)
        return advanced(stage, progress, count)

    with monkeypatch.context() as patch, pytest.raises(loop.Interrupted):
        patch.setattr(Stage, "advanced", told)
        run(CONFIG, tmp_path / "stopped", quiet=True)
    resumed = run(CONFIG, tmp_path / "stopped", resume=True, quiet=True)
    assert records.read_metrics(resumed.folder) == records.read_metrics(found.folder)
    arrays = [weights.read_arrays(result.folder) for result in (found, resumed)]
    assert any("point" in name for name in arrays[0])
    for name, array in arrays[0].items():
        np.testing.assert_array_equal(arrays[1][name], array)


@pytest.mark.slow
def test_every_replica_is_the_training_with_its_values(tmp_path):
    config = replace(CONFIG, grid=OF_TRAINING)
    cell = random(build(replace(CONFIG, grid="", seeds=1)).space, 0)
    found = retrain.run(config, cell, tmp_path / "grid", quiet=True)
    alone = replace(applied(config, grid.row(config, "retrain", 2)), grid="")
    same(rows_of(found.folder, 2), rows_of(retrain.run(alone, cell, tmp_path / "alone", quiet=True).folder, 2))
    known = json.loads((found.folder / "grid.json").read_text())
    assert {one["retrain.weights.decay"] for one in known["points"]} == {0, 0.1}
