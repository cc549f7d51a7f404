"""A study goes on, grows, is shared and refused; its trials are fakes that take no time."""

import csv
import dataclasses
import json
import sqlite3
import sys
import time
from types import SimpleNamespace

import fake_studies
import numpy as np
import pytest
from fake_studies import CELL, CONFIG, OVER, fake, plan, worth

from dnas import cli, paths, search, tune
from dnas.architectures.genotype import parse, to_json
from dnas.config import load
from dnas.errors import StorageError, UserError
from dnas.evaluators import train
from dnas.runs import loop
from dnas.search import job
from dnas.tune import crew, outcome, trials
from dnas.tune import plan as plans
from dnas.tune import study as studies
from dnas.tune.plan import planned

optuna = pytest.importorskip("optuna", reason="no Optuna on this machine: pip install dnas[optuna]")


DRAW, IMPORTANCES = outcome._draw, outcome._importances


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    """No training, no pictures."""
    monkeypatch.setattr(trials, "evaluated", fake)
    monkeypatch.setattr(outcome, "_draw", lambda *_: [])
    monkeypatch.setattr(outcome, "_importances", lambda *_: {})


@pytest.fixture(scope="module")
def done(tmp_path_factory):
    """A study of twelve trials, with its pictures, and its folder."""
    folder = tmp_path_factory.mktemp("done") / "study"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(trials, "evaluated", fake)
        patch.setattr(outcome, "_draw", DRAW)
        patch.setattr(outcome, "_importances", IMPORTANCES)
        return tune.run(plan(), folder, trials=12), folder


def rows_of(folder):
    return list(csv.DictReader((folder / "trials.csv").open()))


def test_a_study_leaves_what_one_wants_to_know(done):
    result, folder = done
    rows = rows_of(folder)
    best = max(rows, key=lambda row: float(row["accuracy"]))
    assert len(rows) == 12 and result.counts == {"complete": 12, "pruned": 0, "failed": 0}
    assert int(best["trial"]) == result.number and float(best["accuracy"]) == pytest.approx(result.score)
    assert result.score == worth(result.values)
    assert load(folder / "best.json") == result.config
    assert result.config.retrain.weights.learning_rate == result.values["retrain.weights.learning_rate"]
    assert json.loads((folder / "cell.json").read_text()) == to_json(CELL) == json.loads(best["genotype"])
    known = json.loads((folder / "summary.json").read_text())
    assert known["best"] == result.score and known["values"] == result.values
    assert sum(known["importances"].values()) == pytest.approx(1) and set(known["importances"]) == set(result.values)
    page = (folder / "report.html").read_text()
    assert page.count("data:image/png") == 4 and f"{100 * result.score:.2f} %" in page
    assert not (folder / "workers").exists() and not (folder / "trials").exists()


def test_it_goes_on_as_if_it_had_not_stopped(done, tmp_path):
    result, folder = done
    for count in (1, 5, 5, 12):
        tune.run(plan(), tmp_path, trials=count)
        assert len(rows_of(tmp_path)) == count
    of = [[(row["accuracy"], *(row[path] for path in result.values)) for row in rows_of(f)] for f in (folder, tmp_path)]
    assert of[0] == of[1] and len(set(of[0])) == 12  # no proposal twice


@pytest.mark.parametrize(
    "later, until, each, states",
    [
        (1.0, 30.0, np.inf, ["complete"] * 3),  # trials of 9 s each: a fourth is not likely to end
        (5.0, 30.0, np.inf, ["complete", "pruned"]),  # the second is slow, which nobody could know
        (5.0, 60.0, 12.0, ["complete", "pruned", "pruned", "pruned"]),
    ],
)
def test_it_ends_in_time(later, until, each, states, tmp_path, monkeypatch):
    clock = SimpleNamespace(now=0.0, monotonic=lambda: clock.now, sleep=time.sleep)

    def evaluated(plan, values, folder, watch):
        def watched(epoch, score):
            clock.now += 1.0 if clock.now < 9 else later
            watch(epoch, score)

        return fake(plan, values, folder, watched)

    for module in (crew, sys.modules["dnas.tune.run"]):
        monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(trials, "evaluated", evaluated)
    tune.run(plan(), tmp_path, trials=40, until=until, each=each)
    assert [row["state"] for row in rows_of(tmp_path)] == states and clock.now < until + later


def test_interrupted_it_runs_the_same_trial_again(tmp_path, monkeypatch):
    seen = []

    def interrupted(plan, values, folder, watch):
        seen.append((values, folder))
        if len(seen) == 3:
            raise KeyboardInterrupt
        return fake(plan, values, folder, watch)

    monkeypatch.setattr(trials, "evaluated", interrupted)
    with pytest.raises(loop.Interrupted, match="Stopped after 2 of 4 trials.*the same command goes on"):
        tune.run(plan(), tmp_path, trials=4)
    assert len(rows_of(tmp_path)) == 2  # what is known is written
    tune.run(plan(), tmp_path, trials=4)
    assert len(seen) == 5 and seen[2] == seen[3]  # the folder too: a search in it goes on
    assert len(rows_of(tmp_path)) == 4


def test_what_a_dead_worker_had_begun_is_run_again_and_no_more_than_three_times(tmp_path, monkeypatch):
    study, shared = studies.opened(plan(), tmp_path, "", tmp_path.name), fake_studies.plan()
    begun = []

    def dies(trial):
        with crew.held(tmp_path, name := f"{len(begun):032x}"):
            trial.set_user_attr(studies.WORKER, name)
            begun.append([studies.suggested(trial, axis) for axis in shared.axes])
            studies.revive(study, tmp_path)  # it lives
            assert trial.number not in [known.number for known in studies.ended(study)]

    for _ in range(3):
        dies(study.ask())
        assert paths.abandoned(tmp_path / studies.WORKERS / f"{len(begun) - 1:032x}")
        assert studies.running(study, but=set()) == 1
        studies.revive(study, tmp_path)
        assert studies.running(study, but=set()) == 0
    assert begun[0] == begun[1] == begun[2]
    (failed,) = studies.ended(study)
    assert studies.reason(failed) == "Its worker died 3 times, perhaps for want of memory."
    assert not [trial for trial in study.trials if trial.state.name == "WAITING"]
    tune.run(plan(), tmp_path, trials=2)
    assert [row["state"] for row in rows_of(tmp_path)] == ["failed", "complete"]


def test_a_trial_whose_worker_died_before_it_wrote_its_name_is_run_again(tmp_path, monkeypatch):
    study = studies.opened(plan(), tmp_path, "", tmp_path.name)
    values = {OVER[0].partition("=")[0]: 0.1, "retrain.channels": 3, "retrain.weights.optimiser": "sgd"}
    study.enqueue_trial(values)
    study.ask()
    studies.revive(study, tmp_path)
    assert studies.running(study, but=set()) == 1  # it may write it at any moment
    monkeypatch.setattr(studies, "GRACE", 0)
    studies.revive(study, tmp_path)
    (waiting,) = [trial for trial in study.trials if trial.state.name == "WAITING"]
    assert studies.running(study, but=set()) == 0 and waiting.system_attrs["fixed_params"] == values


def test_a_folder_may_have_any_name(tmp_path):
    folder = tmp_path / "a {b} 100% ?#c"
    tune.run(plan(), folder, trials=1)
    assert (folder / "study.db").is_file() and [*tmp_path.iterdir()] == [folder]


def test_a_trial_that_gives_no_sign_of_life_is_run_again(tmp_path):
    study = studies.opened(plan(), tmp_path, "", tmp_path.name)
    trial = study.ask()  # of another machine, whose folder is not here
    values = {axis.path: studies.suggested(trial, axis) for axis in plan().axes}
    study._storage.record_heartbeat(trial._trial_id)
    studies.revive(study, tmp_path)
    assert studies.running(study, but=set()) == 1
    with sqlite3.connect(tmp_path / "study.db") as file:
        file.execute("update trial_heartbeats set heartbeat = '2020-01-01 00:00:00.000000'")
    studies.revive(study, tmp_path)
    (waiting,) = [trial for trial in study.trials if trial.state.name == "WAITING"]
    assert waiting.system_attrs["fixed_params"] == values


def test_failures_count_and_have_reasons(tmp_path, monkeypatch):
    def failing(plan, values, folder, watch):
        folder.mkdir(parents=True)  # of its search
        with trials.failing():
            if values["retrain.weights.optimiser"] == "sgd":
                raise UserError("The loss became NaN.")
            return fake(plan, values, folder, watch)

    monkeypatch.setattr(trials, "evaluated", failing)
    result = tune.run(plan(), tmp_path, trials=8)
    rows = rows_of(tmp_path)
    assert result.counts["failed"] + result.counts["complete"] == len(rows) == 8
    assert {(row["state"], row["retrain.weights.optimiser"], row["failed"]) for row in rows} == {
        ("failed", "sgd", "The loss became NaN."),
        ("complete", "adamw", ""),
    }

    kept = {folder.name for folder in (tmp_path / "trials").iterdir()}  # by the fake: a trial itself removes it
    assert kept == {f"{int(row['trial']):05d}" for row in rows if row["state"] == "complete"}

    def storage(plan, values, folder, watch):
        raise StorageError("The disk is full.")

    monkeypatch.setattr(trials, "evaluated", storage)
    with pytest.raises(StorageError, match="disk is full"):
        tune.run(plan(), tmp_path, trials=9)
    assert len(studies.ended(studies.opened(plan(), tmp_path, "", tmp_path.name))) == 8  # it was no trial's fault


def test_all_fail(tmp_path, monkeypatch):
    def failing(plan, values, folder, watch):
        raise trials.Failed("The loss became NaN.")

    monkeypatch.setattr(trials, "evaluated", failing)
    with pytest.raises(UserError, match="None of 2 trials has a score; 2 failed, the first: The loss became NaN."):
        tune.run(plan(), tmp_path, trials=2)


@pytest.mark.parametrize("searcher, pruner", [("hyperband", "hyperband"), ("tpe", "median")])
def test_trials_are_given_up_early_and_the_best_is_whole(searcher, pruner, tmp_path):
    result = tune.run(plan(OVER[:2], searcher, pruner), tmp_path, trials=12)
    rows = rows_of(tmp_path)
    pruned = [row for row in rows if row["state"] == "pruned"]
    assert 0 < len(pruned) < 12 and all(1 <= int(row["epochs"]) <= 9 for row in pruned)
    assert {row["epochs"] for row in rows if row["state"] == "complete"} == {"9"}
    assert result.score == pytest.approx(max(float(row["accuracy"]) for row in rows if row["state"] == "complete"))


def test_a_searcher_learns_where_less_is_better(tmp_path, monkeypatch):
    def loss(plan, values, folder, watch):
        return trials.Found(-worth(values), plan.genotype, 7)

    monkeypatch.setattr(trials, "evaluated", loss)
    result = tune.run(plan(OVER[:2], "cmaes", more=False), tmp_path, trials=24)
    losses = [float(row["loss"]) for row in rows_of(tmp_path)]
    assert result.score == pytest.approx(min(losses))
    assert sum(losses[-8:]) < sum(losses[:8])


def test_an_architecture_is_proposed_beside_other_fields(tmp_path):
    joint = plan(["architecture", OVER[0], OVER[1]])
    result = tune.run(joint, tmp_path, trials=4)
    cells = {row["genotype"] for row in rows_of(tmp_path)}
    assert len(cells) > 1 and json.dumps(to_json(result.genotype)) in cells
    assert result.genotype == joint.proposed(result.values)


def test_a_study_of_something_else_is_refused(done, tmp_path):
    _, folder = done
    other = dataclasses.replace(plan(), config=dataclasses.replace(CONFIG, seed=1))
    for changed, words in ((other, "seed: 0 -> 1"), (plan(searcher="random"), "searcher: tpe -> random")):
        with pytest.raises(UserError, match=words):
            tune.run(changed, folder, trials=12)
    (tmp_path / "file").write_text("mine")
    with pytest.raises(UserError, match="is not empty and holds no study"):
        tune.run(plan(), tmp_path)


@pytest.mark.parametrize(
    "url",
    ["nothing", "mysql://me:secret@nowhere.invalid/x", "oracle9://me:secret@host/x", "sqlite:////no/such/folder/x.db"],
)
def test_a_storage_that_cannot_be_used_is_one_sentence_without_passwords(url, tmp_path):
    with pytest.raises(StorageError, match="Cannot use the storage") as raised:
        tune.run(plan(), tmp_path, url=url)
    assert "secret" not in str(raised.value) and "\n" not in str(raised.value)


def test_a_driver_that_is_missing_is_named(tmp_path, monkeypatch):
    def missing(*_, **__):
        raise ImportError("Failed to import") from ModuleNotFoundError("No module", name="psycopg")

    monkeypatch.setattr(studies, "_storage", missing)
    with pytest.raises(StorageError, match=r"driver psycopg is not installed: pip install 'psycopg\[binary\]'"):
        tune.run(plan(), tmp_path, url="postgresql://me:secret@host/x")


def test_a_damaged_file_and_a_lost_one(tmp_path):
    tune.run(plan(), tmp_path, trials=1)
    (tmp_path / "study.db").write_bytes(b"damaged" * 1000)
    with pytest.raises(StorageError, match="file is not a database.*: restore it, or choose another --out"):
        tune.run(plan(), tmp_path, trials=1)
    (tmp_path / "study.db").unlink()
    with pytest.raises(StorageError, match="has no study.db"):
        tune.run(plan(), tmp_path, trials=1)


def test_a_database_is_shared_by_folders(tmp_path):
    url = f"sqlite:///{tmp_path / 'shared.db'}"
    for number, name in enumerate("ab", 1):
        tune.run(plan(), tmp_path / name, trials=3 * number, url=url, name="both")
    assert len(rows_of(tmp_path / "a")) == 3 and len(rows_of(tmp_path / "b")) == 6
    assert rows_of(tmp_path / "b")[:3] == rows_of(tmp_path / "a")
    with pytest.raises(UserError, match="was not made by dnas tune: choose another --study"):
        optuna.create_study(storage=url, study_name="theirs").optimize(lambda trial: 0.0, n_trials=1)
        tune.run(plan(), tmp_path / "c", url=url, name="theirs")


@pytest.mark.parametrize(
    "over, settings, words",
    [
        (OVER, {"searcher": "dehb"}, "population that lives in one process"),
        (OVER, {"searcher": "tpee"}, "Did you mean tpe"),
        (OVER, {"searcher": "cmaes"}, "retrain.weights.optimiser is a list: choose tpe"),
        (OVER[:1], {"searcher": "cmaes"}, "needs two fields or more"),
        (OVER, {"pruner": "medan"}, "Did you mean median"),
        (OVER, {"searcher": "hyperband", "pruner": "median"}, "by its own rule: leave out --pruner median"),
        (["retrain.epochs=2..9"], {"pruner": "median"}, "cannot be given up early"),
        (["retrain.epochs=2..9"], {"searcher": "hyperband"}, "cannot be given up early"),
        (OVER, {"genotype": None}, "Only the training is tuned"),
        (["search.channels=2..4"], {}, "search.channels is tuned, so each trial searches one"),
        (["architecture"], {}, "the architecture is tuned: leave out the cell"),
        (["retrain.optimiser=[sgd,adamm]"], {}, "With retrain.weights.optimiser adamm: .*Did you mean adam"),
        (["retrain.batch_size=8..100000"], {}, "With retrain.batch_size 100000: "),
        (["retrain.cells=1..3"], {}, "With retrain.cells 3: .*does nothing"),
        (OVER, {"folds": 0}, "--folds must be at least 1, not 0"),
        (OVER, {"genotype": parse("DARTS_V2")}, "has the cells normal, reduce, expected those of"),
    ],
)
def test_what_cannot_be_tuned_is_refused_before_the_first_trial(over, settings, words):
    with pytest.raises(UserError, match=words):
        planned(CONFIG, over, **({"genotype": CELL} | settings))


def test_a_network_whose_answer_is_constant_is_not_tuned():
    images = dataclasses.replace(CONFIG, space="nasbench201", data="digits:limit=100")
    nothing = parse("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|")
    with pytest.raises(UserError, match="train another cell"):
        planned(images, OVER[:1], genotype=nothing)


def test_the_weights_of_one_network_begin_no_trials_of_others():
    begun = dataclasses.replace(CONFIG, weights_from="runs/first")
    for over in (["search.channels=2..4"], ["architecture"]):
        with pytest.raises(UserError, match="the weights of runs/first, which fit one network"):
            planned(begun, over)
    with pytest.raises(UserError, match="runs/first"):
        planned(begun, OVER[:1], genotype=CELL)  # which is not there


@pytest.mark.parametrize(
    "arguments, words",
    [
        (["--trials", "0"], "--trials must be at least 1"),
        (["--workers", "-1"], "--workers must be at least 0"),
        (["--study", "x"], "--study names a study in a --storage"),
        (["--cell", "DARTS_V3"], "DARTS_V3"),
    ],
)
def test_the_command_says_what_is_wrong(arguments, words, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plans, "_built", lambda plan: plan.score)
    (tmp_path / "mine.py").write_text(f"from dnas.config import *\n\ndef config():\n    return {CONFIG!r}\n")
    (tmp_path / "cell.json").write_text(json.dumps(to_json(CELL)))
    cell = [] if "--cell" in arguments else ["--cell", "cell.json"]
    code = cli.main(["tune", "mine.py", *cell, "--over", OVER[0], *arguments])
    out, err = capsys.readouterr()
    assert code == 2 and words in err and err.count("\n") == 1 and not out
    assert not (tmp_path / "runs").exists()


def test_the_command_ends_with_commands_that_use_it(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plans, "_built", lambda plan: plan.score)
    (tmp_path / "mine.py").write_text(f"from dnas.config import *\n\ndef config():\n    return {CONFIG!r}\n")
    (tmp_path / "cell.json").write_text(json.dumps(to_json(CELL)))
    arguments = ["tune", "mine.py", "--cell", "cell.json", "--over", *OVER[:2], "--trials", "3", "--quiet"]
    assert cli.main(arguments) == 0
    out = capsys.readouterr().out
    assert "Best validation accuracy: " in out and "(3 complete)" in out and "Open runs/tune_mine/report.html" in out
    assert "retrain runs/tune_mine/cell.json --config runs/tune_mine/best.json" in out and "Search with" not in out


@pytest.mark.slow
def test_a_trial_is_a_search_and_a_training_that_the_files_repeat(tmp_path, monkeypatch):
    monkeypatch.undo()  # real trials, and real pictures
    config = dataclasses.replace(CONFIG, retrain=dataclasses.replace(CONFIG.retrain, epochs=2))
    joint = planned(config, ["search.alphas.learning_rate=1e-3..1e-1:log", OVER[0]], searcher="random", pruner="median")
    assert joint.searches and joint.genotype is None
    with monkeypatch.context() as patch:
        patch.setattr(job, "drawn", None)  # nobody looks at pictures of trials
        result = tune.run(joint, tmp_path, trials=2)
    assert not [*(tmp_path / "trials").iterdir()]  # the searches are done
    assert [row["epochs"] for row in rows_of(tmp_path)] == ["2", "2"]
    again = train.measured(load(tmp_path / "best.json"), result.genotype)
    assert again["accuracy"] == pytest.approx(result.score)
    assert search.run(result.config, tmp_path / "search", quiet=True).genotype == result.genotype


@pytest.mark.slow
def test_what_is_given_up_ends_its_training(monkeypatch, tmp_path):
    monkeypatch.undo()
    seen = []

    def watch(epoch, score):
        seen.append(score)
        if epoch == 2:
            raise optuna.TrialPruned

    with pytest.raises(optuna.TrialPruned):
        trials.evaluated(planned(CONFIG, OVER[:1], genotype=CELL), {OVER[0].partition("=")[0]: 0.1}, tmp_path, watch)
    assert len(seen) == 2 and all(0 <= score <= 1 for score in seen)


@pytest.mark.slow
def test_trainings_of_a_trial_are_those_of_its_seeds(monkeypatch, tmp_path):
    monkeypatch.undo()
    short = dataclasses.replace(CONFIG, retrain=dataclasses.replace(CONFIG.retrain, epochs=2))
    twice, seen = planned(short, OVER[:1], genotype=CELL, repeats=2), []
    values = {OVER[0].partition("=")[0]: 0.1}
    found = trials.evaluated(twice, values, tmp_path, lambda epoch, score: seen.append(score))
    once = trials.evaluated(dataclasses.replace(twice, repeats=1), values, tmp_path, None)
    assert found.score == seen[-1] == pytest.approx(np.mean(found.scores)) and found.scores[0] == once.score
    assert found.parameters == once.parameters and len(found.scores) == 2
    assert "repeats" in twice.described() and "repeats" not in dataclasses.replace(twice, repeats=1).described()


def test_of_several_trainings_the_spread_is_written(tmp_path, monkeypatch):
    def found(plan, values, folder, watch):
        return trials.Found(worth(values), CELL, 7, (worth(values) - 0.1, worth(values) + 0.1))

    monkeypatch.setattr(trials, "evaluated", found)
    tune.run(dataclasses.replace(plan(), repeats=2), tmp_path, trials=2)
    assert [float(row["accuracy_std"]) for row in rows_of(tmp_path)] == pytest.approx([0.02**0.5] * 2, rel=1e-3)
