"""A run begins with the best of a pool: on the device and on the host, by every searcher; its cost, and resuming."""

import dataclasses
import json

import jax.numpy as jnp
import numpy as np
import pytest

from dnas import find, keys
from dnas.blackbox import host, several, warmup
from dnas.blackbox import run as blackbox
from dnas.blackbox.config import BlackboxConfig, WarmupConfig
from dnas.blackbox.jobs import build
from dnas.blackbox.workers import Here, on_host
from dnas.errors import StorageError, UserError
from dnas.evaluators.protocol import Evaluator, HostEvaluator, Measured

SPACE = find.resolve("space", "nasbench201:nodes=3")  # 3 edges, 5 operations
DRAWS = np.random.default_rng(0)
NUMBERS = DRAWS.normal(size=(5, 5, 5)).astype(np.float32)
COSTS = DRAWS.integers(1, 9, (5, 5, 5)) / 8  # seconds of a guess
SEARCHERS, QUICK = list(find.described("searcher")), ("asha", "bananas", "cmaes", "hyperband", "random_search", "tpe")
WARM = WarmupConfig("guess", pool=30, first=6)
CONFIG = BlackboxConfig("evolution:population=6", "numbers", "score", "20evaluations", runs=2, warmup=WARM)


def numbers() -> Evaluator:
    """Random numbers; each takes a second for every option of its first decision, and one more."""

    def evaluate(architectures):
        return Measured({"score": jnp.array(NUMBERS)[tuple(architectures.T)]}, 1.0 + architectures[:, 0])

    about = lambda _: {}, {}, "", lambda a: a[:, 0]  # noqa: E731
    return Evaluator(SPACE, {"score": True}, evaluate, (1.0, 5.0), *about, cheaper={1 / 3: evaluate})


def guess(seen=lambda architecture: None, fails=(3, 3)) -> HostEvaluator:
    """The square of the number, of which less is better. What begins with 3 and 3 has none."""

    def evaluate(architecture, fidelity, seed):
        seen(architecture.tolist())
        if tuple(architecture[:2]) == fails:
            raise UserError("Nothing flows.")
        return {"error": float(NUMBERS[tuple(architecture)] ** 2)}, float(COSTS[tuple(architecture)])

    return HostEvaluator(SPACE, {"error": False}, evaluate)


@pytest.fixture(autouse=True)
def known(monkeypatch):
    """`known(evaluator)`: what "guess" stands for from now on."""
    real, ours = find.resolve, {"numbers": numbers(), "guess": guess()}
    monkeypatch.setattr(find, "resolve", lambda what, text: ours[text] if text in ours else real(what, text))
    return lambda evaluator: ours.update(guess=evaluator)


def expected(run, config=CONFIG):
    """The best of a run's pool, and what the whole pool costs, but for what failed."""
    decisions = build(config).problem.decisions
    pool = warmup.distinct(keys.generator(config.seed, f"warm-up {run}"), decisions, config.warmup.pool).tolist()
    assert len({*map(tuple, pool)}) == len(pool)
    fine = [a for a in pool if a[:2] != [3, 3]]
    best = sorted(fine, key=lambda a: NUMBERS[tuple(a)] ** 2)[: config.warmup.first]
    return best, sum(COSTS[tuple(a)] for a in fine)


def test_on_device_and_host_runs_begin_with_the_best_and_pay_for_the_pool():
    config = dataclasses.replace(CONFIG, budget="60s")
    job = build(config)
    opening = warmup.openings(job.ranks, config, job.problem.decisions, None, True)
    traced = blackbox.searched(job)
    ours = host.tried(job, Here(on_host(job.evaluator)), opening=opening)
    np.testing.assert_array_equal(ours.counts, traced.counts)
    for run, count in enumerate(traced.counts):
        best, cost = expected(run)
        tried = traced.architectures[run, :count]
        assert tried[:6].tolist() == best and count > 9
        taken = cost + np.cumsum(1.0 + tried[:, 0])
        np.testing.assert_allclose(traced.spent[run, :count], taken, atol=1e-3)
        np.testing.assert_allclose(ours.spent[run, :count], taken, atol=1e-3)
        assert taken[-1] <= 60
        np.testing.assert_array_equal(ours.architectures[run, :count], tried)
        for child, number in zip(tried[6:9], range(6, 9), strict=True):  # mutations of what is in the population
            assert ((tried[number - 6 : number] != child).sum(1) == 1).any()


@pytest.mark.parametrize("choice", [c if c in QUICK else pytest.param(c, marks=pytest.mark.slow) for c in SEARCHERS])
def test_every_searcher_begins_with_the_best_or_says_that_it_cannot(choice):
    named = f"{choice}:epochs=3,initial=2" if choice == "bananas" else choice
    config = dataclasses.replace(CONFIG, searcher=named, runs=1, budget="9evaluations")
    strategy = find.resolve("searcher", choice)
    if strategy.build is None and not strategy.opens:
        assert choice in ("cmaes", "dehb")
        with pytest.raises(UserError, match=f"'{choice}' cannot begin with given architectures"):
            build(config)
        return
    done = blackbox.searched(build(config))
    cheapest = done.fidelities[0] == done.fidelities[0].min()
    count = 3 if choice == "hyperband" else 6  # in its first bracket
    assert done.architectures[0][cheapest][:count].tolist() == expected(0)[0][:count]


@pytest.mark.slow
def test_local_search_asks_for_nothing_twice():
    """With more given ones than it has starts."""
    config = dataclasses.replace(CONFIG, searcher="local_search:starts=3", budget="80evaluations")
    tried = blackbox.searched(build(config)).architectures
    assert all(len(np.unique(run, axis=0)) == 80 for run in tried)


class Killed(BaseException):
    """As a signal ends a process."""


@pytest.mark.parametrize("searcher", ["evolution:population=6", "asha"])
def test_a_killed_warm_up_goes_on_and_scores_nothing_twice(searcher, known, tmp_path):
    config, calls = dataclasses.replace(CONFIG, searcher=searcher), []

    def counting(stop_at):
        def seen(architecture):
            if len(calls) == stop_at:
                raise Killed
            calls.append(architecture)

        return guess(seen, fails=None)  # the seconds of what fails are measured

    known(counting(None))
    whole = blackbox.run(config, tmp_path / "whole")
    assert len({*map(tuple, calls)}) == len(calls) < 2 * 30  # both pools have some
    all_calls = [*calls]
    calls.clear()
    for stop, torn in ((4, b'{"archi'), (31, b"")):
        known(counting(stop))
        with pytest.raises(Killed):
            blackbox.run(config, tmp_path / "killed")
        with open(tmp_path / "killed" / warmup.FILE, "ab") as file:
            file.write(torn)
    known(counting(None))
    result = blackbox.run(config, tmp_path / "killed")
    assert calls == all_calls and result.summary == whole.summary
    assert (tmp_path / "killed" / "trials.csv").read_text() == (tmp_path / "whole" / "trials.csv").read_text()


def test_scores_that_are_damaged_are_refused(tmp_path):
    file = tmp_path / warmup.FILE
    file.write_text(json.dumps({"architecture": [1, 2, 3], "value": None, "seconds": 1.0}) + "\n")
    assert warmup.read(tmp_path) == {np.array([1, 2, 3], np.int32).tobytes(): (-np.inf, 1.0)}
    file.write_text(file.read_text() + '{"architecture": "3"}\n')
    with pytest.raises(StorageError, match="Line 2 of .*warmup.jsonl is damaged"):
        warmup.read(tmp_path)


def test_figures_show_a_search_with_and_without_it(tmp_path, monkeypatch):
    shown = {}
    monkeypatch.setattr("dnas.reports.budgets.plot_budgets", lambda panels, path, title="": shown.update(panels))
    plain = dataclasses.replace(CONFIG, warmup=WarmupConfig())
    several.run({"warm": CONFIG, "plain": plain}, tmp_path)
    assert any(set(curves) == {CONFIG.searcher, f"{CONFIG.searcher}, warmed up"} for _, curves in shown.values())
    assert several.with_fields({"warm": CONFIG, "plain": plain}, dataclasses.replace(CONFIG, runs=3))["plain"].runs == 3


@pytest.mark.parametrize(
    "changes, says",
    [
        ({"evaluator": ""}, "warmup.pool and warmup.first act with warmup.evaluator only"),
        ({"evaluator": "gues"}, "Unknown evaluator 'gues'"),
        ({"evaluator": "table"}, "'table' is of another space than 'numbers'"),
        ({"pool": 126}, "warmup.pool is 126, and it can be at most the 125 architectures"),
        ({"pool": 5}, "warmup.first is 6, and warmup.pool is 5"),
        ({"first": 21}, "warmup.first is 21, and the budget in evaluations is 20"),
    ],
)
def test_what_cannot_be_warmed_up_is_refused_when_it_is_built(changes, says):
    with pytest.raises(UserError, match=says):
        build(dataclasses.replace(CONFIG, warmup=dataclasses.replace(WARM, **changes)))


def test_what_a_warm_up_leaves_nothing_of_is_refused(known, tmp_path):
    with pytest.raises(UserError, match="warm-up took .* leaves less than one evaluation"):
        blackbox.run(dataclasses.replace(CONFIG, budget="20s"), tmp_path / "out")
    known(dataclasses.replace(guess(), evaluate=lambda *_: ({"error": float("nan")}, 0.1)))
    with pytest.raises(UserError, match="gives none of 30 architectures a score"):
        blackbox.run(CONFIG)
