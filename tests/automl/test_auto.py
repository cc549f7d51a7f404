"""`dnas auto` in its pieces: the journal, folds, recipes, what is said in the end; and a whole run that is killed."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace

import numpy as np
import pytest

import dnas
from dnas import retrain
from dnas.architectures.genotype import check, parse
from dnas.automl import final, learners, networks, outcome, stages
from dnas.automl.journal import Journal
from dnas.automl.networks import Entry
from dnas.automl.pace import Pace
from dnas.automl.recipes import audio_classification, images, tabular, text_classification
from dnas.automl.run import recipe_of
from dnas.data._audio import Recordings, Sounds
from dnas.data._folds import folded
from dnas.data._sentences import Examples, Sentences
from dnas.errors import UserError
from dnas.evaluators import cross_validation
from dnas.kernels import native
from dnas.runs.fingerprint import fingerprint
from dnas.runs.programs import Programs
from dnas.search.run import build
from dnas.tasks.task import Score
from dnas.tune.axes import axes_of

ORDER = {"data": "wine"}


def recordings():
    random = np.random.default_rng(0)
    part = Sounds(
        random.integers(-999, 999, (200, 4000)).astype(np.int16),
        np.full(200, 4000, np.int32),
        np.arange(200, dtype=np.int32) % 2,
    )
    return Recordings("sounds", part, part, 8000, ("a", "b"))


def sentences():
    texts = tuple(f"a {'fine' if i % 2 else 'dull'} film number {i}" for i in range(200))
    part = Examples(texts, np.arange(200, dtype=np.int32) % 2, texts)
    return Sentences("texts", part, Examples(), part, ("bad", "good"))


DATA = {
    images: lambda: dnas.data.load("digits:limit=200"),
    tabular: lambda: dnas.data.load("wine"),
    audio_classification: recordings,
    text_classification: sentences,
}


def entry(name, kind, mean, loss=1.0, **more):
    return Entry(name, kind, "accuracy", True, (mean,), mean, 0.01, loss, **more)


def test_a_piece_is_done_once_and_time_goes_on(tmp_path):
    journal = Journal(tmp_path, ORDER, 10)
    done = []
    assert journal.once("a", lambda: done.append(1) or [1, 2]) == [1, 2]
    journal.began -= 60
    journal.tell("1 look", "wine", ("dnas look wine",))
    journal.write()
    again = Journal(tmp_path, ORDER, 10)
    assert again.once("a", lambda: done.append(2)) == [1, 2] and done == [1]
    assert 520 < again.left < 541 and again.told == journal.told
    again.tell("1 look", "wine", ("dnas look wine",))
    assert again.told == journal.told
    assert Journal(tmp_path, {"data": "wine"}).minutes == 10
    with pytest.raises(UserError, match="was begun with data 'wine', not 'digits'"):
        Journal(tmp_path, {"data": "digits"}, 10)


def test_a_folder_is_gone_on_with_only_when_asked_to(tmp_path):
    Journal(tmp_path, ORDER, 10)
    with pytest.raises(UserError, match="is not empty: add --resume to go on"):
        dnas.automl.run.run("wine", tmp_path)
    with pytest.raises(UserError, match="holds no automatic run to go on with"):
        dnas.automl.run.run("wine", tmp_path / "other", resume=True)
    with pytest.raises(UserError, match="--minutes must be above 0"):
        dnas.automl.run.run("wine", tmp_path / "other", minutes=0)


def test_folds_hold_out_every_train_row_and_no_test_row():
    table = dnas.data.load("wine")
    parts = list(folded(table, 5, 0))
    held = [set(map(tuple, np.stack(part.test, 1))) for part in parts]
    kept = [set(map(tuple, np.stack(part.train, 1))) for part in parts]
    everything = set(map(tuple, np.stack(table.train, 1)))
    assert set.union(*held) == everything and not set.union(*held) & set(map(tuple, np.stack(table.test, 1)))
    assert all(not seen & left and seen | left == everything for seen, left in zip(held, kept, strict=True))
    assert len({len(part.train_y) for part in parts}) == 1  # so one program trains on all
    other = next(folded(table, 5, 1))
    assert set(map(tuple, np.stack(other.test, 1))) != held[0]
    with pytest.raises(UserError, match="are of the rows of a table"):
        next(folded(dnas.data.load("digits"), 5, 0))
    with pytest.raises(UserError, match="too few for 500 folds"):
        next(folded(table, 500, 0))


@pytest.fixture
def names(monkeypatch):
    """Of the programs that a test builds. `fingerprint` refuses those that would be traced at every start, which folds
    and later runs could not share."""
    jit, found = Programs.jit, set[str]()

    def noted(self, name, function, **options):
        fingerprint(function, options)
        found.add(name)
        return jit(self, name, function, **options)

    native.available()
    monkeypatch.setattr(Programs, "jit", noted)
    return found


@pytest.mark.slow
@pytest.mark.parametrize("module", DATA, ids=lambda module: module.__name__.rpartition(".")[2])
def test_every_recipe_can_be_run(module, monkeypatch, names):
    dataset = DATA[module]()
    monkeypatch.setattr(dnas.data, "load", lambda _: dataset)
    recipe = module.recipe(dataset)
    space = dnas.find.resolve("space", recipe.config.space)
    for text in recipe.networks.values():
        check(parse(text), space, recipe.config.retrain.cells)
    assert cross_validation.parts_of(recipe.config, recipe.folds)[0].task.takes in space.readable
    assert axes_of(recipe.over, recipe.config)
    build(replace(recipe.config, search=replace(recipe.config.search, batch_size=32)))
    retrain.build(recipe.config, parse(text))
    assert {"init", "advance", "evaluate", "mixes"} <= names
    assert len(recipe.reasons) > 1


def test_a_task_without_a_recipe_is_refused():
    with pytest.raises(UserError, match="no recipe for the task 'language' of 'ptb', only for audio_classification"):
        recipe_of("ptb", "language")


def test_epochs_follow_from_seconds_and_work():
    recipe = tabular.recipe(dnas.data.load("wine"))
    pace = Pace(seconds=0.1, before=5.0, work=100)
    assert pace.epochs(recipe, 15.0) == 20 and pace.epochs(recipe, 15.0, 2.0) == 10 and pace.epochs(recipe, 1.0) == 0
    assert pace.epochs(recipe, 1000.0) == recipe.config.retrain.epochs
    assert pace.training(recipe, 20) == pytest.approx(15.0)


def test_models_of_scikit_learn_learn():
    recipe = tabular.recipe(dnas.data.load("wine"))
    held = cross_validation.parts_of(recipe.config, 5)[0]
    outputs = learners.outputs_of("linear model", held.task, held.part)
    assert learners.measured(outputs, held.task, held.part)["accuracy"] > 0.85


def test_a_budget_of_parameters():
    recipe = tabular.recipe(dnas.data.load("wine"))
    network = parse(next(iter(recipe.networks.values())))
    assert networks.beyond("parameters<100", recipe.config, network, 99) == ""
    assert "its parameters of 101 are beyond the budget, 100" in networks.beyond(
        "parameters<100", recipe.config, network, 101
    )
    assert networks.beyond("multiply_adds<100", recipe.config, network, 1) and not networks.beyond(
        "multiply_adds<1e6", recipe.config, network, 1
    )


def test_the_best_is_that_of_the_best_score_and_then_loss():
    entries = [
        entry("a", "fixed", 0.9),
        entry("b", "found", 0.9, 0.5),
        replace(entry("c", "tuned", 1.0), failed="it is too large"),
    ]
    assert networks.best_of(entries).name == "b" and networks.best_of([]) is None
    errors = [replace(one, more=False) for one in (entry("a", "fixed", 3.0), entry("b", "found", 2.0))]
    assert networks.best_of(errors).name == "b"


def test_what_is_said_in_the_end():
    winner = entry("found 1", "found", 0.9, genotype={}, parameters=1234)
    rivals = [entry("block", "fixed", 0.8, genotype={}), entry("boosting", "learner", 0.95)]

    def said(own, fixed, learner):
        tests = {
            name: {"measures": {"accuracy": value}, "error": 0.02}
            for name, value in (("found 1", own), ("block", fixed), ("boosting", learner))
        }
        return outcome.summed_up("wine", 120.0, winner, [winner, *rivals], tests, "out")

    beats, ties, loses = said(0.9, 0.8, 0.7), said(0.9, 0.8, 0.91), said(0.9, 0.95, 0.7)
    assert [one["compared"]["stands"] for one in (beats, ties, loses)] == ["beats", "ties", "loses"]
    assert [one["compared"]["baseline"] for one in (beats, ties, loses)] == ["block", "boosting", "block"]
    text = outcome.sentence(beats)
    assert "1,234 parameters, test accuracy 90.00 ± 2.00 %, after 2.0 minutes." in text
    assert "On validation boosting of scikit-learn is better, 95.00 ± 1.00 % against 90.00 ± 1.00 %." in text


def test_standard_errors():
    errors = np.array([1.0, -1.0, 3.0, -3.0])
    assert final.rmse_error(errors) == pytest.approx(np.std([1, 1, 9, 9], ddof=1) / 2 / 2 / np.sqrt(5))
    assert cross_validation.share_error(0.9, 100) == pytest.approx(0.03, abs=2e-3)
    assert 0.02 < cross_validation.share_error(1.0, 36) < 0.03
    assert cross_validation.standard_error(Score("accuracy"), [0.9, 0.9], 100, 1) == pytest.approx(0.03, abs=2e-3)
    assert cross_validation.standard_error(Score("rmse", False), [1.0, 3.0], 100, 2) == pytest.approx(1.0)


@pytest.mark.slow
def test_a_killed_run_goes_on_and_does_nothing_twice(tmp_path):
    out, environment = tmp_path / "auto", os.environ | {"DNAS_PROGRAMS": "0"}
    words = [sys.executable, "-m", "dnas", "auto", "wine:limit=40", "--out", str(out)]
    first = subprocess.Popen(words, env=environment)
    while "baseline multilayer perceptron" not in _pieces(out):
        assert first.poll() is None, "it ended before it could be killed"
        time.sleep(0.05)
    first.send_signal(signal.SIGKILL)
    first.wait()
    before = _pieces(out)
    done = subprocess.run([*words, "--minutes", "0.01", "--resume"], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    after = _pieces(out)
    assert all(after[name] == piece for name, piece in before.items())
    assert done.stdout.startswith("Kept: ")
    summary = json.loads((out / "summary.json").read_text())
    assert 0 <= summary["tests"][summary["winner"]]["measures"]["accuracy"] <= 1
    assert (out / stages.PLACES["export"] / "predict.py").exists() and (out / "report.html").exists()


def _pieces(out):
    return json.loads((out / "auto.json").read_text())["pieces"] if (out / "auto.json").exists() else {}
