"""Costs of all networks of a table at once: objectives and budgets of searches in one program."""

from dataclasses import replace

import jax.numpy as jnp
import numpy as np
import pytest

from dnas import find
from dnas.architectures.choices import decode
from dnas.architectures.topology import NetworkSize
from dnas.blackbox import host, jobs, prices, traced
from dnas.blackbox import run as blackbox
from dnas.blackbox.config import BlackboxConfig, WarmupConfig
from dnas.blackbox.workers import Here, on_host
from dnas.costs import budget, latency_table, published
from dnas.errors import UserError
from dnas.evaluators.protocol import Evaluator, HostEvaluator, Measured
from dnas.tables import nasbench201
from dnas.tables.protocol import at, place

SPACE, SIZE = find.resolve("space", "nasbench201:nodes=3"), NetworkSize(1, 4, 10)
OPTIONS = (5, 5, 5)
COST = budget.build("parameters<1e9", SPACE, SIZE, 8).costs[0]
COSTS = prices.of_all(COST, SPACE)
SCORES = (COSTS / COSTS.max() + np.random.default_rng(0).normal(size=125)).astype(
    np.float32
)  # the dear ones are better
LIMIT = float(np.quantile(COSTS, 0.3))
BUDGET = f"30evaluations,parameters<{LIMIT}"


@pytest.fixture
def config(monkeypatch):
    """A search of 125 networks that somebody has trained."""
    score, resolve = jnp.array(SCORES), find.resolve

    def evaluate(architectures):
        return Measured({"score": score[place(architectures, OPTIONS)]}, jnp.ones(len(architectures)))

    def truth(architectures):
        return {"truth": SCORES[place(architectures.astype(np.int64), OPTIONS)]}

    about = truth, {"truth": "Truth"}, "truth", lambda architectures: np.ones(len(architectures))
    made = Evaluator(SPACE, {"score": True}, evaluate, (1.0, 1.0), *about, network=(SIZE, 8))
    monkeypatch.setattr(find, "resolve", lambda what, text: made if text == "numbers" else resolve(what, text))
    return BlackboxConfig("random_search", "numbers", "score", BUDGET, runs=3)


def places(done):
    return place(done.architectures.astype(np.int64), OPTIONS)


@pytest.mark.parametrize("dataset", nasbench201.DATASETS)
def test_all_networks_of_the_table_are_counted_as_it_counts_them(dataset):
    known = find.resolve("evaluator", f"table:data={dataset}")
    assert known.network is not None
    for name, column, factor in (("parameters", "parameters", 1), ("multiply_adds", "mflops", 1e-6)):
        cost = budget.cost_of(name, "", known.space, *known.network)
        counted = prices.of_all(cost, known.space)
        np.testing.assert_allclose(factor * counted, nasbench201.table().column(dataset, column), rtol=1e-4)
        some = np.random.default_rng(0).integers(0, len(counted), 20)
        cells = [decode(row, known.space) for row in at(some, nasbench201.OPTIONS)]
        assert [budget.price(cost, cell) for cell in cells] == counted[some].tolist()


@pytest.mark.slow
@pytest.mark.skipif(published.locate().found is None, reason="needs hw_latency.tar.xz of DNAS_SHARED")
def test_the_table_is_searched_within_a_measured_latency():
    """All cells are costed by what HELP measured, and each that is tried is within."""
    budgets = "20evaluations,latency_ms:device=raspi4<20,parameters<5e5"
    done = blackbox.searched(jobs.build(BlackboxConfig("random_search", budget=budgets, runs=2)))
    known = find.resolve("evaluator", "table")
    limits = budget.build(budgets.partition(",")[2], known.space, *known.network)
    chosen = [limits.of(decode(row, known.space)) for row in done.architectures.reshape(-1, 6)]
    assert len(chosen) == 40 and (np.array(chosen) <= limits.most).all()
    with pytest.raises(UserError, match="meets the budget .* the least is latency"):
        jobs.build(BlackboxConfig(budget="20evaluations,latency_ms:device=raspi4<0.01"))


@pytest.mark.parametrize("searcher", ["evolution:population=5", "local_search"])
def test_one_program_keeps_a_budget_and_tries_what_the_host_tries(searcher, config):
    job = jobs.build(replace(config, searcher=searcher))
    ours = blackbox.searched(job)
    assert (COSTS[places(ours)] <= LIMIT).all() and (ours.counts == 30).all()
    theirs = host.tried(job._replace(config=replace(job.config, runs=2)), Here(on_host(job.evaluator)))
    np.testing.assert_array_equal(ours.architectures[:2], theirs.architectures)


@pytest.mark.parametrize("move", ["best", "decision"])
def test_local_search_climbs_among_what_is_allowed(move, config):
    """Nothing is asked for twice while there is more, and the best that is allowed is found."""
    within = np.flatnonzero(COSTS <= LIMIT)
    done = blackbox.searched(jobs.build(replace(config, searcher=f"local_search:move={move},starts=3")))
    for row in places(done):
        assert {*row} <= {*within} and len({*row}) == len(row) < len(within)
    assert SCORES[places(done)].max() == SCORES[within].max()


def test_what_no_proposal_meets_ends_with_a_sentence(config, monkeypatch):
    monkeypatch.setattr(traced, "REFUSALS", 2)
    job = jobs.build(replace(config, budget=f"30evaluations,parameters<{COSTS.min() + 0.5}"))
    with pytest.raises(UserError, match="'random_search' has proposed .* beyond the budget"):
        blackbox.searched(job)


def test_costs_and_rewards_are_objectives_of_one_program(config):
    reward = f"score*(parameters/{LIMIT})^-0.5|-2"
    job = jobs.build(replace(config, searcher="nsga2:population=4", objective=f"score,parameters,{reward}"))
    done, expected = blackbox.searched(job), SCORES * (COSTS / LIMIT) ** np.where(COSTS <= LIMIT, -0.5, -2)
    np.testing.assert_allclose(done.scores[..., 1], -COSTS[places(done)], rtol=1e-6)
    np.testing.assert_allclose(done.scores[..., 2], expected[places(done)], rtol=1e-5)
    assert job.evaluator.bounds["parameters"] == (COSTS.min(), COSTS.max())


def test_a_warm_up_begins_within_the_budget(config, monkeypatch):
    resolve = find.resolve
    cheap = HostEvaluator(SPACE, {"cost": True}, lambda a, f, s: ({"cost": float(COSTS[place(a, OPTIONS)])}, 0.0))
    monkeypatch.setattr(find, "resolve", lambda what, text: cheap if text == "cheap" else resolve(what, text))
    warm = replace(config, warmup=WarmupConfig("cheap", 10, 3))
    done = blackbox.searched(jobs.build(warm))
    assert (COSTS[places(done)] <= LIMIT).all()
    assert (np.diff(COSTS[places(done)][:, :3]) <= 0).all(), "it begins with the best of the pool, the dearest first"
    with pytest.raises(UserError, match="warmup.pool is 100, .* within the budget"):
        blackbox.searched(jobs.build(replace(warm, warmup=WarmupConfig("cheap", 100, 3))))


def test_a_space_that_is_too_large_to_list_is_refused(monkeypatch):
    monkeypatch.setattr(prices, "MOST", 124)
    with pytest.raises(UserError, match="has 125 architectures, too many"):
        prices.of_all(COST, SPACE)


def test_what_reaches_no_output_is_free_as_it_is_for_one_network(tmp_path):
    """Measured latencies leave out dead operations, so that their sums over decisions are a bound only."""
    rows = {"cell": [{name: float(o) for o, name in enumerate(names)} for names in SPACE.cells["cell"].operations]}
    latency_table.write(latency_table.LatencyTable("nasbench201", "here", rows, "made up"), tmp_path / "t.json")
    cost = find.resolve("cost", f"latency:table={tmp_path / 't.json'}")(SPACE, SIZE, 8)
    found, numbers = prices.of_all(cost, SPACE), at(np.arange(125), OPTIONS)
    np.testing.assert_array_equal(found, [cost.of(decode(row, SPACE)) for row in numbers])
    bounds = [cost.expected.of(decode(row, SPACE), SPACE) for row in numbers]
    assert (found <= bounds).all() and (found < bounds).any()
