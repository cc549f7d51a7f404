"""Black-box searches within a budget of what networks cost: every searcher."""

from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import pytest

from dnas import find
from dnas.architectures.choices import decode
from dnas.architectures.topology import NetworkSize
from dnas.blackbox import adapter, host
from dnas.blackbox import run as blackbox
from dnas.blackbox.config import BlackboxConfig, parse_budget
from dnas.blackbox.jobs import build
from dnas.blackbox.journal import Ended, Outcome
from dnas.blackbox.searcher import Proposal
from dnas.costs import budget
from dnas.errors import UserError
from dnas.evaluators.protocol import HostEvaluator
from dnas.reports.blackbox import described

SPACE = find.resolve("space", "nasbench201:nodes=3")
SIZE = NetworkSize(1, 4, 10)
MOST = budget.build("parameters<1e9", SPACE, SIZE, 8).additive[0].bounds(SPACE)
BUDGET = f"8evaluations,parameters<{MOST[0] + 0.4 * (MOST[1] - MOST[0])}"


@pytest.fixture
def evaluator(monkeypatch):
    """Scores that grow with the cost, so that whoever looks at nothing else leaves the budget."""

    def put(network):
        known, resolve = budget.build("parameters<1e9", SPACE, SIZE, 8), find.resolve

        def evaluate(architecture, fidelity, seed):
            score = float(known.of(decode(architecture, SPACE))[0])
            return {"score": score, "error": -score}, 1.0

        made = HostEvaluator(SPACE, {"score": True, "error": False}, evaluate, (1 / 9, 1 / 3, 1.0), network=network)
        monkeypatch.setattr(find, "resolve", lambda what, text: made if text == "own" else resolve(what, text))
        return BlackboxConfig("random_search", "own", "score", BUDGET, runs=1)

    return put


@pytest.mark.parametrize("name", sorted(find.described("searcher")))
def test_every_searcher_keeps_a_budget(name, evaluator):
    pytest.importorskip("optuna") if name in ("tpe", "cmaes") else None
    config = replace(evaluator((SIZE, 8)), searcher=name)
    job = build(config)
    done = blackbox.searched(job)
    tried = done.architectures[0, : done.counts[0]]
    assert job.limits is not None and len(tried) >= 8
    assert all(job.limits.allows(decode(row, SPACE)) for row in tried)
    drawn = np.random.default_rng(0).integers(0, 5, (100, 3))
    assert not all(job.limits.allows(decode(row, SPACE)) for row in drawn)


def test_what_is_refused_first_is_not_told_to_be_the_best(evaluator):
    """Of a measure of which less is better, whose scores are below 0."""
    job, told = build(replace(evaluator((SIZE, 8)), searcher="hyperband", objective="error")), []

    class Searcher:
        def ask(self):
            return Proposal(np.full(3, len(told) + 1 if len(told) < 3 else 0))

        def tell(self, proposal, scores):
            told.append(scores.tolist())

    first = SimpleNamespace(space=SPACE, allows=lambda genotype: genotype == decode(np.zeros(3, int), SPACE))
    run = host._Run(job._replace(limits=first), 0, Searcher(), 0.0)
    assert not run.ask().proposal.architecture.any() and told == [[-1e6]] * 3
    run.tell(Ended(0, 0, Outcome({"error": 3.0}, 1.0)))
    assert told[3:] == [[-3.0]]


def test_what_is_refused_later_is_told_to_be_the_worst_of_the_run(evaluator):
    job, told = build(replace(evaluator((SIZE, 8)), searcher="hyperband")), []

    class Searcher:
        def ask(self):
            return Proposal(np.full(3, 1 if len(told) == 2 else 0))

        def tell(self, proposal, scores):
            told.append(scores.tolist())

    first = SimpleNamespace(space=SPACE, allows=lambda genotype: genotype == decode(np.zeros(3, int), SPACE))
    run = host._Run(job._replace(limits=first), 0, Searcher(), 0.0)
    for trial, outcome in enumerate([Outcome({"score": 7.0}, 1.0), Outcome({"score": 9.0}, 1.0)]):
        run.ask()
        run.tell(Ended(0, trial, outcome))
    run.ask()
    assert told == [[7.0], [9.0], [7.0]]


def test_what_a_budget_never_allows_ends_with_a_sentence(evaluator, monkeypatch):
    monkeypatch.setattr(host, "REFUSALS", 3)
    monkeypatch.setattr(adapter, "REFUSALS", 3)
    never = SimpleNamespace(space=SPACE, allows=lambda genotype: False)
    config = evaluator((SIZE, 8))
    for searcher in ("random_search", "hyperband"):
        job = build(replace(config, searcher=searcher))
        with pytest.raises(UserError, match=f"'{searcher}' has proposed .* beyond the budget"):
            blackbox.searched(job._replace(limits=never))


def test_neighbours_are_not_listed_of_costs_that_are_no_sums(evaluator, monkeypatch):
    config = replace(evaluator((SIZE, 8)), searcher="local_search", budget="8evaluations,multiply_adds<1e9")
    elastic = replace(build(config).evaluator, space=find.resolve("space", "ofa:size=tiny"))
    resolve = find.resolve
    monkeypatch.setattr(find, "resolve", lambda what, text: elastic if text == "own" else resolve(what, text))
    with pytest.raises(UserError, match="no sum over decisions"):
        build(config)


def test_what_is_refused(evaluator):
    assert parse_budget("3evaluations, parameters<3,latency:device=a,by=mlp<2").limits.startswith("parameters<3,l")
    for text in ("parameters<3e6", "parameters<3e6,300evaluations"):
        with pytest.raises(UserError, match="not when a run ends"):
            parse_budget(text)
    with pytest.raises(UserError, match="does not say how large its networks are"):
        build(evaluator(None))
    with pytest.raises(UserError, match="the smallest has"):
        build(replace(evaluator((SIZE, 8)), budget="8evaluations,parameters<1"))


def test_a_front_of_a_score_and_of_costs(evaluator, tmp_path):
    """What grows with its cost is never dominated but by what scores as much."""
    config = replace(evaluator((SIZE, 8)), searcher="nsga2:population=4", budget="12evaluations")
    config = replace(config, objective="score,activation_memory:bits=8,parameters")
    job = build(config)
    assert job.objectives == ("score", "activation_memory:bits=8", "parameters")
    done = blackbox.run(config, tmp_path / "run")
    assert done.summary["hypervolume"]["mean"] > 0
    header, *rows = (tmp_path / "run" / "front.csv").read_text().splitlines()
    assert header.endswith("score,activation_memory:bits=8,parameters") and rows
    assert all(float(row.split(",")[-1]) == float(row.split(",")[-3]) > 0 for row in rows)
    assert (tmp_path / "run" / "front.png").exists()
    labels = ["score", "activation_memory:bits=8 [bytes]", "parameters"]
    assert [*done.summary["labels"].values()] == labels
    found = described(tmp_path / "run")
    assert (
        found["columns"] == ["architecture", *labels] and "[bytes]" in found["costs"][0] and labels[1] in found["tiles"]
    )
    with pytest.raises(UserError, match="nothing is known of their parameters"):
        build(replace(evaluator(None), searcher="nsga2", budget="9evaluations", objective="score+parameters"))


@pytest.mark.parametrize("exponents, below, above", [("-0.07", -0.07, -0.07), ("0|-1", 0, -1)])
def test_rewards_of_a_score_and_a_cost(exponents, below, above, evaluator):
    target = (MOST[0] + MOST[1]) / 2
    text = f"score*(parameters/{target})^{exponents}"
    config = replace(evaluator((SIZE, 8)), searcher="reinforce", budget="12evaluations", objective=text)
    done = blackbox.searched(build(config))
    price = budget.build("parameters<1e9", SPACE, SIZE, 8)
    costs = np.array([price.of(decode(row, SPACE))[0] for row in done.architectures[0]])
    expected = costs * (costs / target) ** np.where(costs <= target, below, above)
    np.testing.assert_allclose(done.scores[0, :, 0], expected, rtol=1e-6)
    assert (costs > target).any() and (costs < target).any()


@pytest.mark.parametrize(
    "text, said",
    [
        ("score*parameters", "Cannot read the objective"),
        ("score*(parameters/0)^-1", "a target above 0"),
        ("score*(parameters/9)^1", "exponents from -100 to 0"),
        ("score*(parameters/x)^-1", "a target above 0"),
        ("worth*(parameters/9)^-1", "measure of the evaluator"),
        ("error*(parameters/9)^-1", "a measure of which more is better"),
        ("score*(score/9)^-1", "a measure of which more is better"),
        ("score*(parametres/9)^-1", "Did you mean parameters|measure of the evaluator"),
    ],
)
def test_bad_rewards_are_one_sentence(text, said, evaluator):
    with pytest.raises(UserError, match=said):
        build(replace(evaluator((SIZE, 8)), budget="9evaluations", objective=text))
