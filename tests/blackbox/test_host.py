"""Searches on the host: they equal the traced ones, go on where they were, and survive what fails."""

import csv
import dataclasses
import json

import jax.numpy as jnp
import numpy as np
import pytest

from dnas import find
from dnas.architectures.genotype import check
from dnas.blackbox import adapter, host, journal, several, trials
from dnas.blackbox import run as blackbox
from dnas.blackbox.config import BlackboxConfig
from dnas.blackbox.jobs import build
from dnas.blackbox.searcher import Proposal, Strategy
from dnas.blackbox.workers import Here, on_host
from dnas.errors import StorageError, UserError
from dnas.evaluators.protocol import Evaluator, HostEvaluator, Measured
from dnas.runs.loop import Interrupted

SPACE = find.resolve("space", "nasbench201:nodes=3")  # 3 edges, 5 operations
DRAWS = np.random.default_rng(0)
NUMBERS = DRAWS.normal(size=(5, 5, 5)).astype(np.float32)
SIZES = DRAWS.normal(size=(5, 5, 5)).astype(np.float32)
MEASURES = {"score": True, "size": False}
CONFIG = BlackboxConfig("evolution:population=5", "numbers", "score", "20evaluations", runs=2)


def numbers() -> Evaluator:
    """A table of random numbers; each takes a second for every option of its first decision, and one more."""

    def evaluate(architectures):
        values = {"score": jnp.array(NUMBERS)[tuple(architectures.T)], "size": jnp.array(SIZES)[tuple(architectures.T)]}
        return Measured(values, 1.0 + architectures[:, 0])

    return Evaluator(
        SPACE, {"score": True, "size": False}, evaluate, (1.0, 5.0), lambda _: {}, {}, "", lambda a: a[:, 0]
    )


class Ladder:
    """Asks for every architecture at a third first, and twice for nothing."""

    def __init__(self, problem, generator):
        self.problem, self.generator, self.told = problem, generator, list[float]()

    def ask(self):
        low, _ = self.problem.fidelities
        options = self.generator.integers(0, self.problem.decisions.options).astype(np.int32)
        return Proposal(options, low if len(self.told) % 2 == 0 else 1.0)

    def tell(self, proposal, scores):
        self.told.append(float(scores[0]))


def slowly(fails=lambda architecture: None, fidelities=(1.0,)) -> HostEvaluator:
    """The same numbers, one after the other; of a fidelity that much less."""
    one = on_host(numbers()).evaluate

    def evaluate(architecture, fidelity, seed):
        if (why := fails(architecture)) is not None:
            raise UserError(why)
        values, seconds = one(architecture, 1.0, seed)
        return {"score": fidelity * values["score"], "size": values["size"]}, fidelity * seconds

    return HostEvaluator(SPACE, MEASURES, evaluate, fidelities)


@pytest.fixture
def known(monkeypatch):
    """`known(evaluator, strategy)`: what the names of CONFIG stand for from now on, None: what they are."""
    real, ours = find.resolve, {"evaluator": numbers()}

    def put(evaluator=None, strategy=None):
        ours.update({k: v for k, v in {"evaluator": evaluator, "searcher": strategy}.items() if v is not None})

    monkeypatch.setattr(find, "resolve", lambda what, text: ours[what] if what in ours else real(what, text))
    return put


def on_the_host(config, folder=None):
    job = build(config)
    return job, host.tried(job, Here(on_host(job.evaluator)), folder)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"budget": "40s"},
        {"budget": "40s", "past_budget": "interpolated", "searcher": "reinforce:learning_rate=0.1"},
        pytest.param({"searcher": "local_search:starts=2", "objective": "size"}, marks=pytest.mark.slow),
    ],
)
def test_a_traced_searcher_tries_the_same_on_the_host(changes, known):
    job, ours = on_the_host(dataclasses.replace(CONFIG, **changes))
    traced = blackbox.simulated(job)
    np.testing.assert_array_equal(ours.counts, traced.counts)
    np.testing.assert_allclose(ours.share, traced.share)
    for r, count in enumerate(ours.counts):
        for field in ("architectures", "scores", "spent"):
            np.testing.assert_array_equal(getattr(ours, field)[r, :count], getattr(traced, field)[r, :count])
    assert trials.summary(ours, job) == trials.summary(traced, job)
    np.testing.assert_allclose(trials.curve(ours, job), trials.curve(traced, job))


class Killed(BaseException):
    """As a signal ends a process."""


def test_a_killed_search_goes_on_and_evaluates_nothing_twice(known, tmp_path):
    calls = []

    def counting(stop_at):
        inner = slowly().evaluate

        def evaluate(architecture, fidelity, seed):
            if len(calls) == stop_at:
                raise Killed
            calls.append((architecture.tolist(), seed))
            return inner(architecture, fidelity, seed)

        return dataclasses.replace(slowly(), evaluate=evaluate)

    known(counting(None))
    whole = blackbox.run(CONFIG, tmp_path / "whole")
    rows, all_calls = (tmp_path / "whole" / "trials.csv").read_text(), [*calls]
    calls.clear()
    for stop, torn in ((0, b""), (3, b'{"run": 0, "tri'), (27, b"")):
        known(counting(stop))
        with pytest.raises(Killed):
            blackbox.run(CONFIG, tmp_path / "killed")
        with open(tmp_path / "killed" / journal.FILE, "ab") as file:
            file.write(torn)
    known(counting(None))
    result = blackbox.run(CONFIG, tmp_path / "killed")
    assert calls == all_calls and len(calls) == 40
    assert (tmp_path / "killed" / "trials.csv").read_text() == rows
    assert result.summary == whole.summary and result.found == whole.found and result.seconds == whole.seconds
    assert len(result.found) == 2
    known(counting(len(calls)))  # what is finished is read
    assert blackbox.run(CONFIG, tmp_path / "killed").found == whole.found


def test_who_interrupts_a_search_learns_how_to_go_on(known, tmp_path):
    def evaluate(architecture, fidelity, seed):
        raise KeyboardInterrupt

    known(dataclasses.replace(slowly(), evaluate=evaluate))
    with pytest.raises(Interrupted, match="Stopped. What has ended is in .*: the same command goes on."):
        blackbox.run(CONFIG, tmp_path)
    with pytest.raises(KeyboardInterrupt):
        blackbox.run(CONFIG)


def test_a_journal_that_is_not_of_this_search_is_refused(known, tmp_path):
    known(slowly())
    blackbox.run(CONFIG, tmp_path)
    path = tmp_path / journal.FILE
    lines = path.read_text().splitlines(keepends=True)
    (tmp_path / "summary.json").unlink()
    path.write_text("".join([lines[0].replace('"trial": 0', '"trial": 1'), *lines[1:]]))
    with pytest.raises(StorageError, match="Trial 1 of run 0 in trials.jsonl is not what the searcher"):
        blackbox.run(CONFIG, tmp_path)
    path.write_text("".join([*lines[:3], "damage\n", *lines[4:]]))
    with pytest.raises(StorageError, match="Line 4 of .*trials.jsonl is damaged: remove it and all that follow"):
        blackbox.run(CONFIG, tmp_path)
    path.write_text("".join(lines[:3]))
    assert blackbox.run(CONFIG, tmp_path).summary["evaluations"]["mean"] == 20


def test_a_trial_that_fails_is_a_row_with_its_reason_and_the_worst_score(known, tmp_path):
    told = []

    class Listens(Ladder):
        def ask(self):
            return super().ask()._replace(fidelity=1.0)

        def tell(self, proposal, scores):
            told.append((proposal.architecture[0], scores[0]))
            super().tell(proposal, scores)

    def fails(architecture):
        return "It burns, it does." if architecture[0] == 2 else None

    inner = slowly(fails)

    def evaluate(architecture, fidelity, seed):
        values, seconds = inner.evaluate(architecture, fidelity, seed)
        return values | ({"score": float("nan")} if architecture[0] == 3 else {}), seconds

    known(dataclasses.replace(inner, evaluate=evaluate, fidelities=(0.5, 1.0)), Strategy(host=Listens, fidelities=True))
    result = blackbox.run(dataclasses.replace(CONFIG, runs=1), tmp_path)
    rows = list(csv.DictReader((tmp_path / "trials.csv").open(newline="")))
    for row, (first, score) in zip(rows, told, strict=True):
        if first in (2, 3):
            assert row["failed"] == ("It burns, it does." if first == 2 else "Its score is nan.") and row["score"] == ""
            before = [float(r["score"]) for r in rows[: rows.index(row)] if not r["failed"]]
            assert score == pytest.approx(min(before, default=0.0))
        else:
            assert row["failed"] == "" and float(row["score"]) == pytest.approx(score, abs=1e-6)
    assert {first for first, _ in told} == {0, 1, 2, 3, 4}
    best = max(float(row["score"]) for row in rows if row["score"])
    assert result.summary["objectives"]["score"]["mean"] == pytest.approx(best, abs=1e-6)


def test_a_search_in_which_all_fails_says_why(known):
    known(slowly(lambda architecture: "No."))
    with pytest.raises(UserError, match="All 20 evaluations of run 0 failed, the first: No."):
        blackbox.run(CONFIG)


def test_a_budget_below_what_an_evaluation_took(known):
    known(slowly())
    with pytest.raises(UserError, match="The budget '0.5s' is less than one evaluation by 'numbers', which took"):
        blackbox.run(dataclasses.replace(CONFIG, budget="0.5s"))


def test_a_cheap_evaluation_counts_for_its_part_and_stands_below_a_whole_one(known, tmp_path):
    known(slowly(fidelities=(1 / 3, 1.0)), Strategy(host=Ladder, fidelities=True))
    job, done = on_the_host(dataclasses.replace(CONFIG, budget="8evaluations", runs=3))
    assert job.problem.fidelities == (1 / 3, 1.0) and job.problem.evaluations == 24
    assert done.counts.tolist() == [12, 12, 12]  # 6 and 6
    assert done.fidelities[0, :4].tolist() == [1 / 3, 1, 1 / 3, 1]
    best = trials.incumbents(done)
    for r in range(3):
        assert best[r, 0] == 0 and best[r, 1] == 1
        whole = done.scores[r, 1::2, 0]
        assert best[r, -1] == 1 + 2 * whole.argmax() and done.scores[r, best[r, -1], 0] == whole.max()
    text = trials.table(done, job).splitlines()
    assert text[0] == "run,evaluation,seconds,architecture,fidelity,score" and ",0.3333333," in text[1]
    curve = trials.curve(done, job)
    assert curve[-1, 0] == 8 and (np.diff(curve[:, 0]) > 0).all()


def test_the_table_has_shorter_trainings_as_fidelities():
    table = find.resolve("table", "nasbench201")
    known = on_host(find.resolve("evaluator", "table:data=cifar100,epochs=200"))
    assert known.fidelities == (0.06, 1.0)
    assert find.resolve("evaluator", "table").fidelities == (1.0,)
    for fidelity, epochs in ((0.06, 12), (1.0, 200)):
        values, seconds = known.evaluate(np.array([0, 0, 0, 0, 0, 3]), fidelity, 0)
        assert values["accuracy"] == pytest.approx(table.visible("cifar100", epochs)[3])
        assert seconds == pytest.approx(table.seconds("cifar100", epochs)[3])


def both(problem, generator):
    """Random search that takes several objectives."""

    class Draws(Ladder):
        def ask(self):
            return super().ask()._replace(fidelity=1.0)

    problem = problem._replace(fidelities=(1.0, 1.0))
    return Draws(problem, generator)


def test_several_objectives_find_a_front(known, tmp_path):
    known(strategy=Strategy(host=both, several=True))
    config = dataclasses.replace(CONFIG, objective="score+size", budget="30evaluations")
    result = blackbox.run(config, tmp_path)
    rows = list(csv.DictReader((tmp_path / "trials.csv").open(newline="")))
    points = np.array([(float(row["score"]), float(row["size"])) for row in rows])
    beaten = [
        ((points[:, 0] >= s) & (points[:, 1] <= z) & ((points[:, 0] > s) | (points[:, 1] < z))).any() for s, z in points
    ]
    front = json.loads((tmp_path / "front.json").read_text())
    assert sorted(row["score"] for row in front) == pytest.approx(
        sorted({s for (s, _), b in zip(points, beaten, strict=True) if not b})
    )
    assert [row["score"] for row in front] == sorted((row["score"] for row in front), reverse=True)
    written = list(csv.DictReader((tmp_path / "front.csv").open(newline="")))
    assert [row["architecture"] for row in written] == [row["architecture"] for row in front]
    assert (tmp_path / "front.png").read_bytes()[:4] == b"\x89PNG"
    assert 0 < result.summary["hypervolume"]["least"] <= result.summary["hypervolume"]["most"] <= 1
    assert blackbox.run(config, tmp_path).summary == result.summary
    shown = several.table({"a": result, "b": blackbox.run(dataclasses.replace(config, objective="size"))})
    assert [str(column.header) for column in shown.columns] == [
        "search",
        "volume",
        "front",
        "size",
        "rank",
        "evaluations",
    ]


def test_what_does_not_go_together_is_refused(known):
    known(slowly())
    for strategy, changes, says in (
        (Strategy(host=Ladder, fidelities=True), {}, "asks for cheaper evaluations too, and 'numbers' has whole"),
        (Strategy(host=both), {"objective": "score+size"}, "needs one number to search for"),
        (
            Strategy(host=both, several=True),
            {"objective": "score+loss"},
            "Unknown objective .* 'loss'. Known: score, size",
        ),
        (
            Strategy(host=both, several=True),
            {"objective": "score+size", "budget": "9s", "past_budget": "interpolated"},
            "fronts cannot be interpolated",
        ),
    ):
        known(strategy=strategy)
        with pytest.raises(UserError, match=says):
            build(dataclasses.replace(CONFIG, **changes))
    known(strategy=Strategy(host=both, parallel=False))
    with pytest.raises(UserError, match="decides by each score what to try next, so several workers"):
        blackbox.run(CONFIG, workers="2")


def test_a_space_whose_nodes_keep_some_of_their_edges(known):
    space = find.resolve("space", "darts:nodes=3")

    def evaluate(architecture, fidelity, seed):
        return {"score": float(architecture[2])}, 1.0  # which two edges its second node keeps

    known(HostEvaluator(space, {"score": True}, evaluate))
    result = blackbox.run(dataclasses.replace(CONFIG, searcher="evolution:population=5", budget="40evaluations"))
    for genotype in result.found:
        check(genotype, space)
        assert [edge.source for edge in genotype.cells[0][1].edges if edge.node == 3] == [1, 2]  # the last of the sets


def test_a_searcher_that_stops_proposing_is_a_defect(known):
    class Silent(Ladder):
        def ask(self):
            return None

    known(slowly(), Strategy(host=Silent))
    with pytest.raises(RuntimeError, match="proposes nothing and waits for nothing"):
        blackbox.run(CONFIG)


def test_a_searcher_on_the_host_has_a_generator_of_its_run(known):
    known(slowly(), Strategy(host=both))
    made = adapter.searchers(build(CONFIG))
    draws = [made(run).ask().architecture.tolist() for run in (0, 1, 0)]
    assert draws[0] == draws[2] != draws[1]
