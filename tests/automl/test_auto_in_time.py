"""Whatever the machine's speed, an automatic run ends in time with a network: here on a clock that only work moves."""

import contextlib
import json
import time
from types import SimpleNamespace

import numpy as np
import pytest

from dnas.architectures.genotype import parse, to_json
from dnas.automl import baselines, final, journal, networks, pace, run, stages
from dnas.automl.pace import Slow, TimeUp
from dnas.automl.recipes import images, tabular
from dnas.config import to_dict
from dnas.data import load
from dnas.errors import UserError
from dnas.evaluators import cross_validation
from dnas.evaluators.cross_validation import Validated
from dnas.runs import loop
from dnas.tasks.task import Score

MINUTES = 20.0
COMPILING, EPOCH = 5.0, 0.05  # seconds, of a machine of speed 1


class Machine:
    """A clock, and the work that moves it. slowness: of the machine. later: that from half of the time on."""

    def __init__(self, slowness, later=None):
        self.now, self.slowness, self.later, self.trained = 0.0, slowness, later or slowness, []

    def monotonic(self):
        return self.now

    def work(self, seconds):
        self.now += seconds * (self.slowness if self.now < 30 * MINUTES else self.later)

    def validate(self, config, genotype, folds, watch):
        for epoch in range(1, config.retrain.epochs * folds + 1):
            self.work(EPOCH + COMPILING * (epoch == 1))
            watch(epoch, {"accuracy": 0.9, "loss": 0.5})
        return Validated(Score("accuracy"), (0.9,), (0.5,), 0.01, 100)

    def search(self, config, out, resume, quiet, until):
        for epoch in range(config.search.epochs):
            self.work(4 * EPOCH + COMPILING * (epoch == 0))
            if self.now > until:
                raise loop.Interrupted("it was told to stop")
        return SimpleNamespace(score=Score("accuracy"), scores=[0.8], genotypes=[parse(FIRST)], diverged={})

    def tune(self, run, genotype, config, seconds):
        end = self.now + seconds
        while self.now < end:
            self.work(COMPILING)
        return [("trial 0", config, parse(FIRST))]

    def train(self, config, genotype, folder, resume, quiet, watch, until):
        folder.mkdir(parents=True)
        for epoch in range(1, config.retrain.epochs + 1):
            self.work(EPOCH + COMPILING * (epoch == 1))
            watch(epoch, {})
            if self.now > until:
                raise loop.Interrupted("it was told to stop")
        self.trained.append(config.retrain.epochs)

    def learn(self, name, rows, part):
        self.work(EPOCH)
        return np.zeros((len(rows.parts[part].y), 3))


PACE = pace.Pace(0.1, 1.0, 1)
FIRST = next(iter(tabular.recipe(load("wine")).networks.values()))


@pytest.fixture(scope="module")
def parts():
    """What is trained on and validated, once for all: nothing here depends on its rows."""
    known = cross_validation.parts_of(tabular.recipe(load("wine")).config, 5)
    return lambda config, folds: known[:folds]


@pytest.fixture
def ended(monkeypatch, tmp_path, parts):
    """(machine, budget) -> the summary of a run of `dnas auto wine` on it."""

    def go(machine, budget=""):
        for module in (journal, networks, pace, stages, final):
            monkeypatch.setattr(module, "time", machine)
        monkeypatch.setattr("dnas.evaluators.cross_validation.validated", machine.validate)
        monkeypatch.setattr(pace, "work_of", lambda *_: 1)
        monkeypatch.setattr(pace.native, "available", lambda: True)
        monkeypatch.setattr(loop, "forget_programs", lambda: None)
        monkeypatch.setattr(run, "_looked", lambda *_: {"data": "wine", "task": "tabular", "findings": []})
        monkeypatch.setattr("dnas.evaluators.cross_validation.parts_of", parts)
        monkeypatch.setattr("dnas.search.run", machine.search)
        monkeypatch.setattr(stages, "tuned", machine.tune)
        monkeypatch.setattr(final, "retrain", machine.train)
        measured = {"measures": {"accuracy": 0.9}, "error": 0.02, "confusion": None, "classes": [], "parameters": 99}
        monkeypatch.setattr(final, "tested", lambda folder, score: measured)
        monkeypatch.setattr(final, "exported", lambda folder, out: ["predict.py"])
        monkeypatch.setattr(final, "learned", lambda *_: measured | {"ended": True})
        monkeypatch.setattr(baselines.learners, "outputs_of", machine.learn)
        monkeypatch.setattr(run, "page", lambda *_: None)
        return run.run("wine", tmp_path / "auto", minutes=MINUTES, budget=budget)

    return go


@pytest.mark.parametrize("later", [1, 4], ids=["all along", "slower in the middle"])
@pytest.mark.parametrize("slowness", [0.1, 1, 3, 10, 30, 100])
def test_it_ends_in_time_with_a_network(slowness, later, ended):
    machine = Machine(slowness, slowness * later)
    summary = ended(machine)
    assert machine.now < 1.1 * 60 * MINUTES + machine.later * COMPILING  # which is not interrupted
    assert summary["winner"] in [entry["name"] for entry in summary["entries"]]
    assert summary["tests"][summary["winner"]]["measures"]["accuracy"] == 0.9
    kept = next(entry for entry in summary["entries"] if entry["name"] == summary["winner"])
    assert kept["parameters"] == 99


def test_on_a_quick_machine_everything_is_done(ended):
    summary = ended(Machine(0.1))
    assert not [entry["failed"] for entry in summary["entries"] if entry["failed"]]
    assert {entry["kind"] for entry in summary["entries"]} == set(networks.KINDS)
    assert all(test["ended"] for test in summary["tests"].values()) and len(summary["tests"]) == 4


def test_on_a_very_slow_one_the_first_fixed_network_is_the_answer(ended):
    machine = Machine(100)
    summary = ended(machine)
    assert summary["winner"] == summary["entries"][0]["name"] == "multilayer perceptron"
    assert summary["entries"][0]["failed"] == networks.NO_TIME


def test_what_nobody_could_validate_is_within_no_budget(ended):
    with pytest.raises(UserError, match="No network could be validated within the budget 'parameters<1e3'; multilayer"):
        ended(Machine(100), "parameters<1e3")


def test_where_an_epoch_does_not_fit_it_is_refused(ended):
    with pytest.raises(UserError, match="No time left: the least that can be done takes"):
        ended(Machine(300))


def test_a_training_that_is_going_to_be_late_is_known_early(monkeypatch):
    machine = Machine(1)
    monkeypatch.setattr(pace, "time", machine)
    watch = pace.within(60.0, 100)
    machine.now = 10.0
    watch(1, {})
    machine.now = 11.0
    with pytest.raises(Slow) as slow:
        watch(2, {})
    assert (slow.value.seconds, slow.value.before) == (1.0, 9.0)
    assert slow.value.fitting(60.0, 1) == 31 and slow.value.fitting(60.0, 5) == 6 and slow.value.fitting(9.0, 1) == 0


@pytest.mark.parametrize("late, anew", [(3, True), (61, False)])
def test_a_training_begins_anew_only_for_more_epochs_than_it_has_behind_it(late, anew, monkeypatch):
    machine = Machine(1)
    for module in (pace, final):
        monkeypatch.setattr(module, "time", machine)
    watch, done = final._beginning_anew(300.0, 100), 0
    with contextlib.suppress(Slow):
        for epoch in range(1, 101):
            machine.now += 2.7 if epoch < late else 40.0
            if machine.now > 300:
                break
            watch(epoch, {})
            done = epoch
    assert (done < late) == anew


def test_a_slow_network_is_trained_for_as_long_as_there_is_time(monkeypatch):
    machine, recipe = Machine(4), tabular.recipe(load("wine"))
    for module in (pace, networks):
        monkeypatch.setattr(module, "time", machine)
    monkeypatch.setattr("dnas.evaluators.cross_validation.validated", machine.validate)
    found = networks.entry_of(networks.as_entry("a", "found", recipe, recipe.config, parse(FIRST), 80.0))
    assert not found.failed and 5 < found.settings.retrain.epochs < recipe.config.retrain.epochs and machine.now < 80
    assert found.genotype == json.loads(json.dumps(to_json(parse(FIRST))))


def test_models_are_given_up_in_time():
    began = time.monotonic()
    with pytest.raises(TimeUp), pace.ended_after(0.05):
        while time.monotonic() < began + 5:
            sum(range(1000))
    assert time.monotonic() < began + 4
    with pace.ended_after(0.05):
        pass
    time.sleep(0.06)


def test_a_cell_through_which_nothing_flows_is_not_validated(monkeypatch, tmp_path):
    recipe = images.recipe(load("digits:limit=200"))
    cells = [parse(images.RESIDUAL), parse("|none~0|+|none~0|nor_conv_3x3~1|+|none~0|nor_conv_3x3~1|nor_conv_3x3~2|")]
    monkeypatch.setattr(stages, "searched", lambda *_: cells)
    monkeypatch.setattr(stages.Run, "settings", lambda self, cell: self.recipe.config)
    monkeypatch.setattr(stages, "candidates", lambda run, stage, kind, named: [name for name, *_ in named])
    book = journal.Journal(tmp_path, {"data": "digits"}, MINUTES)
    whole = stages.Run(tmp_path, book, recipe, 60 * MINUTES, quiet=True, pace=PACE, longest=1.0)
    assert run._found(whole) == ["found 1"]
    assert "found 2: its answer does not depend on the input." in book.told[-1]["said"]


@pytest.fixture
def late(tmp_path):
    """An automatic run whose time is nearly up."""
    book = journal.Journal(tmp_path, {"data": "wine"}, MINUTES)
    book.end = time.monotonic() + 1
    return stages.Run(tmp_path, book, tabular.recipe(load("wine")), 60 * MINUTES, quiet=True, pace=PACE, longest=1.0)


def test_what_a_call_before_has_begun_counts(late, monkeypatch, tmp_path):
    monkeypatch.setattr(stages, "searched", lambda run, epochs, seconds: [parse(FIRST)] * (seconds < 0))
    monkeypatch.setattr(stages.Run, "settings", lambda self, cell: self.recipe.config)
    monkeypatch.setattr(stages, "tuned", lambda *_: [("trial 0", late.recipe.config, parse(FIRST))])
    monkeypatch.setattr(stages, "candidates", lambda run, stage, kind, named: [name for name, *_ in named])
    best = networks.Entry("a", "fixed", "accuracy", True, config=to_dict(late.recipe.config), genotype=FIRST)
    assert run._found(late) == run._tuned(late, [best]) == []
    assert late.journal.told[-1]["said"] == ["no time left for tuning."] and run._tuned(late, []) == []
    assert late.journal.told[-1]["said"][1:] == ["no network was validated, so there is none to tune."]
    late.journal.once("search epochs", lambda: 3)
    late.place("tune").mkdir()
    assert run._found(late) == ["found 1"] and run._tuned(late, [best]) == ["trial 0"]


def test_of_a_search_that_was_stopped_seeds_that_diverged_are_no_candidates(late, monkeypatch):
    first = late.recipe.config.seed
    monkeypatch.setattr(stages.records, "read_genotypes", lambda _: [to_json(parse(FIRST)), "no genotype"])
    monkeypatch.setattr(stages.records, "read_metrics", lambda _: [{"seed": first + 1, "diverged": 7}])
    assert stages.searched(late, 3, -1.0) == [parse(FIRST)]
