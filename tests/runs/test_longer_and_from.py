"""A run goes on for longer, and a run begins with the weights of another."""

import dataclasses
import json

import numpy as np
import pytest

import dnas
from dnas.architectures.genotype import parse
from dnas.config import AugmentConfig, Config, RetrainConfig, SearchConfig, load
from dnas.errors import UserError
from dnas.runs import checkpoints, records

PLAIN = AugmentConfig(pad=0, flip=False)
CONFIG = Config(
    space="nasbench201:nodes=2,operations=skip_connect+nor_conv_1x1",
    data="digits:limit=64",
    search=SearchConfig(epochs=2, cells=1, channels=2, batch_size=16, augment=PLAIN),
    retrain=RetrainConfig(epochs=2, cells=1, channels=2, batch_size=16, auxiliary=0.0, augment=PLAIN),
)
CELL = parse("|nor_conv_1x1~0|")


def epochs(config, what, count):
    return dataclasses.replace(config, **{what: dataclasses.replace(getattr(config, what), epochs=count)})


def run(what, config, folder, **options):
    if what == "search":
        return dnas.search.run(config, folder, quiet=True, **options)
    return dnas.retrain.run(config, CELL, folder, quiet=True, **options)


def weights(folder):
    step = checkpoints.steps(folder)[-1]
    about = checkpoints.read_about(folder, step)
    arrays = checkpoints.arrays(about["leaves"], checkpoints.read_data(folder, step, about))
    return {name: leaf for name, leaf in arrays.items() if name.startswith(".state.weights")}


@pytest.fixture(scope="module", params=["search", "retrain"])
def done(request, tmp_path_factory):
    folder = tmp_path_factory.mktemp(request.param) / "run"
    run(request.param, CONFIG, folder)
    return request.param, folder


@pytest.mark.slow
def test_a_run_goes_on_for_longer_and_says_so(done):
    what, folder = done
    before = records.read_metrics(folder)
    run(what, epochs(CONFIG, what, 3), folder, resume=True)
    rows = records.read_metrics(folder)
    assert rows[:2] == before and [row["epoch"] for row in rows] == [1, 2, 3]
    assert load(folder) == epochs(CONFIG, what, 3)
    resumed = json.loads((folder / "environment.json").read_text())["resumed"]
    assert resumed[-1]["longer"] == [f"{what}.epochs: 2 -> 3"]
    with pytest.raises(UserError, match=rf"has {what}.epochs 3: .* for longer, not for 1"):
        run(what, epochs(CONFIG, what, 1), folder, resume=True)
    with pytest.raises(UserError, match="made with another config"):
        run(what, dataclasses.replace(epochs(CONFIG, what, 4), seed=1), folder, resume=True)
    assert load(folder) == epochs(CONFIG, what, 3)
    run(what, epochs(CONFIG, what, 3), folder, resume=True)
    assert records.read_metrics(folder) == rows


@pytest.mark.slow
def test_a_run_begins_with_the_weights_of_another(done, tmp_path):
    what, folder = done
    plan = getattr(CONFIG, what)
    still = dataclasses.replace(
        plan, epochs=1, weights=dataclasses.replace(plan.weights, learning_rate=0.0, schedule="constant")
    )
    config = dataclasses.replace(CONFIG, **{what: still}, weights_from=str(folder))
    run(what, config, tmp_path / "run")
    theirs, ours = weights(folder), weights(tmp_path / "run")
    assert theirs.keys() == ours.keys()
    for name, leaf in theirs.items():
        np.testing.assert_array_equal(leaf, ours[name])


def test_weights_of_another_network_are_refused(done, tmp_path):
    what, folder = done
    wider = dataclasses.replace(CONFIG, **{what: dataclasses.replace(getattr(CONFIG, what), channels=4)})
    for source, says in ((folder, "is another than that of this run"), (tmp_path, "no run with a checkpoint")):
        with pytest.raises(UserError, match=says):
            run(what, dataclasses.replace(wider, weights_from=str(source)), tmp_path / "run")


@pytest.mark.slow
def test_weights_of_another_genotype_are_refused_where_all_shapes_are_the_same(tmp_path):
    config = dataclasses.replace(CONFIG, space="nasbench201:nodes=3,operations=none+skip_connect+nor_conv_1x1")
    one, other = (parse(f"|nor_conv_1x1~0|+|{name}~0|skip_connect~1|") for name in ("none", "skip_connect"))
    dnas.retrain.run(epochs(config, "retrain", 1), one, tmp_path / "one", quiet=True)
    begun = dataclasses.replace(config, weights_from=str(tmp_path / "one"))
    with pytest.raises(UserError, match="is of another genotype"):
        dnas.retrain.run(begun, other, tmp_path / "other", quiet=True)
    assert not (tmp_path / "other").exists()


@pytest.mark.slow
def test_a_search_of_phases_does_not_go_on_for_longer(tmp_path):
    config = dataclasses.replace(CONFIG, method="drnas:partial=1+1,keep=1")
    run("search", config, tmp_path / "run")
    with pytest.raises(UserError, match="made with another config"):
        run("search", epochs(config, "search", 4), tmp_path / "run", resume=True)
