"""What a training keeps: averaged weights, the best epoch of the validation part, and an early end."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dnas
from dnas import find, retrain
from dnas.architectures.genotype import random
from dnas.config import AugmentConfig, Config, RetrainConfig, WeightConfig
from dnas.errors import UserError
from dnas.nets.functional import Functional
from dnas.runs import checkpoints, records
from dnas.runs.run import Run
from dnas.tasks.classification import Classification
from dnas.training.selection import loaded, make_selection
from dnas.training.step import make_training
from dnas.types import Batch

PLAN = RetrainConfig(
    epochs=4,
    batch_size=32,
    cells=1,
    channels=4,
    auxiliary=0.0,
    drop_path=0.0,
    valid_portion=0.3,
    weights=WeightConfig(learning_rate=0.3, schedule="constant"),
    augment=AugmentConfig(pad=0, flip=False),
)
FAR = WeightConfig(learning_rate=3.0, schedule="constant", clip=1.0)
TABLE = Config("tabular:layers=1", data="wine", retrain=PLAN)
GENOTYPE = random(find.resolve("space", TABLE.space), 0)


def trained(folder, seeds=1, seed=0, resume=False, **changes):
    config = dataclasses.replace(TABLE, seed=seed, seeds=seeds, retrain=dataclasses.replace(PLAN, **changes))
    return retrain.run(config, GENOTYPE, folder, resume=resume, quiet=True)


def leaves_of(folder, part):
    """The arrays of a part of the newest state."""
    step = checkpoints.steps(folder)[-1]
    about = checkpoints.read_about(folder, step)
    arrays = checkpoints.arrays(about["leaves"], checkpoints.read_data(folder, step, about))
    return {name: array for name, array in arrays.items() if name.startswith(f".state.{part}")}


def check_loaded(result, seed=0, index=0):
    """What is loaded is what was reported, and kept."""
    found = dnas.load(result.folder, seed)
    last = [row for row in records.read_metrics(result.folder) if row["seed"] == seed][-1]
    measures = found.evaluate().measures
    assert measures[result.measure.name] == result.scores[index] == last[f"test_{result.measure.name}"]
    assert measures["loss"] == last["test_loss"]
    return found


@pytest.mark.slow
def test_the_average_is_evaluated_and_loaded(tmp_path):
    result = trained(tmp_path / "run", seeds=2, average="ema:decay=0.8", epochs=2)
    for index in range(2):
        found = check_loaded(result, index, index)
        kept = [leaf[index] for leaf in leaves_of(result.folder, "kept.weights").values()]
        for ours, theirs in zip(jax.tree.leaves(found.weights), kept, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    last, kept = (leaves_of(result.folder, part).values() for part in ("weights", "kept.weights"))
    assert any((a != b).any() for a, b in zip(last, kept, strict=True))


def stopping(folder, **changes):
    """A training that is soon no better."""
    return trained(folder, patience=2, epochs=9, weights=FAR, **changes)


@pytest.mark.slow
def test_patience_ends_a_training_with_its_best_epoch(tmp_path):
    result = stopping(tmp_path / "run")
    check_loaded(result)
    rows = records.read_metrics(result.folder)
    scores = [row["valid_accuracy"] for row in rows]
    assert len(rows) < 9 and rows[-1]["stopped"] and not rows[-2]["stopped"]
    best = int(np.argmax(scores)) + 1
    assert rows[-1]["best_epoch"] == best == len(rows) - 2
    assert rows[-1]["test_loss"] == rows[best - 1]["test_loss"]
    page = (result.folder / "report.html").read_text()
    assert "Stopped early: 2 epochs were no better" in page and "best epoch" in page
    again = stopping(result.folder, resume=True)
    assert again.scores == result.scores and records.read_metrics(result.folder) == rows


@pytest.mark.slow
def test_seeds_stop_by_themselves(tmp_path):
    both = stopping(tmp_path / "both", seeds=2)
    rows = records.read_metrics(both.folder)
    for seed in (0, 1):
        check_loaded(both, seed, seed)
        own = [row for row in rows if row["seed"] == seed]
        assert [row["epoch"] for row in own] == list(range(1, own[-1]["best_epoch"] + 3))
        assert [row["stopped"] for row in own] == [False] * (len(own) - 1) + [True]


@pytest.mark.slow
def test_a_resumed_training_is_the_same(tmp_path, monkeypatch):
    changes = {"average": "asgd:patience=1", "patience": 5, "epochs": 5, "seeds": 2, "weights": FAR}
    whole = trained(tmp_path / "whole", **changes)
    real = Run.checkpoint

    def crash(self, step, *args, **options):
        real(self, step, *args, **options)
        if step >= 3 * 4:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Run, "checkpoint", crash)
        trained(tmp_path / "part", **changes)
    part = trained(tmp_path / "part", resume=True, **changes)
    assert part.scores == whole.scores
    assert leaves_of(whole.folder, "watch.losses.triggered")[".state.watch.losses.triggered"].any()
    check_loaded(part, 1, 1)
    for name, array in leaves_of(whole.folder, "").items():
        np.testing.assert_array_equal(array, leaves_of(part.folder, "")[name], name)
    assert records.read_metrics(whole.folder) == records.read_metrics(part.folder)


@pytest.mark.parametrize(
    "changes, says", [({"patience": 3}, "retrain.patience is 3"), ({"average": "asgd"}, "average is asgd")]
)
def test_what_chooses_needs_a_validation_part(changes, says, tmp_path):
    with pytest.raises(UserError, match=f"{says}, which reads the validation part, and there is none"):
        trained(tmp_path / "run", valid_portion=0.0, **changes)
    assert not (tmp_path / "run").exists()


def line():
    """A network of one product, with a statistic that is the mean of its inputs."""

    def apply(weights, stats, x, train):
        return x @ weights["w"], {"mean": x.mean(0)}

    return Functional(lambda key: ({"w": jax.random.normal(key, (3, 2))}, {"mean": jnp.zeros(3)}), apply)


def batches(count, size=4):
    rng = np.random.default_rng(0)
    return [Batch(jnp.asarray(rng.normal(size=(size, 3))), jnp.arange(size) % 2) for _ in range(count)]


@pytest.mark.slow
def test_an_average_has_the_statistics_too():
    plan = dataclasses.replace(PLAN, average="ema:decay=0.5")
    training = make_training(line(), Classification(), plan, 3)
    state = training.init(jax.random.key(0))
    weights, stats = [], []
    for batch in batches(3):
        state, _ = training.step(state, batch)
        weights.append(state.weights["w"])
        stats.append(state.stats["mean"])
    state = training.selection.judged(state, 1, 0.0, 0.0)
    for seen, kept in ((weights, loaded(state).weights["w"]), (stats, loaded(state).stats["mean"])):
        np.testing.assert_allclose(kept, 0.25 * seen[0] + 0.25 * seen[1] + 0.5 * seen[2], rtol=1e-5)


def test_averaged_sgd_takes_its_steps_as_before_and_averages_those_since_the_trigger():
    plain, averaged = (
        make_training(line(), Classification(), dataclasses.replace(PLAN, average=name), 3)
        for name in ("none", "asgd:patience=1")
    )
    state, other, since = averaged.init(jax.random.key(0)), plain.init(jax.random.key(0)), []
    for epoch, loss in enumerate((3.0, 1.0, 2.0, 2.0, 2.0), 1):  # triggered by the fourth
        for batch in batches(2):
            (state, _), (other, _) = averaged.step(state, batch), plain.step(other, batch)
            np.testing.assert_array_equal(state.weights["w"], other.weights["w"])
            since += [state.weights["w"]] if epoch == 5 else []
        state = averaged.selection.judged(state, epoch, 0.0, loss)
        expected = np.mean(since, 0) if epoch == 5 else state.weights["w"]
        np.testing.assert_allclose(loaded(state).weights["w"], expected, rtol=1e-6)


def test_patience_counts_from_the_best_epoch():
    selection = make_selection(find.resolve("average", "none"), 2)

    @dataclasses.dataclass
    class State:
        weights: float
        stats: tuple = ()
        average: tuple = ()
        kept: tuple = ()
        watch: tuple = ()

        def _replace(self, **changes):
            return dataclasses.replace(self, **changes)

    state, seen = State(0.0), []
    state = state._replace(**selection.init(state.weights, state.stats))
    for epoch, score in enumerate((0.1, 0.3, 0.2, 0.3, 0.9), 1):
        state = selection.judged(state._replace(weights=float(epoch)), epoch, score, 0.0)
        seen.append((float(state.kept.weights), bool(state.watch.stopped)))
    assert seen == [(1, False), (2, False), (2, False), (2, True), (2, True)]
