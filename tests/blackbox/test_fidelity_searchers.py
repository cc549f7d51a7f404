"""Searchers that ask for parts of evaluations: rungs, promotions and what they find."""

from itertools import permutations

import numpy as np
import pytest

from dnas import find
from dnas.blackbox.dehb import Breeding, Dehb
from dnas.blackbox.rungs import Pending, best, brackets, rungs
from dnas.blackbox.searcher import Decisions, Problem, Proposal
from dnas.errors import UserError

PORTIONS = tuple(3.0**-k for k in (4, 3, 2, 1, 0))  # 1, 3, 9, 27 and 81 of 81
PROBLEM = Problem(Decisions((5,) * 10, tuple(range(10))), 1000, fidelities=PORTIONS)
WEIGHTS = np.random.default_rng(7).normal(size=(10, 5))


def started(choice, seed=0, problem=PROBLEM):
    return find.resolve("searcher", choice).host(problem, np.random.default_rng(seed))


def worth(proposal):
    """A sum over decisions, and what a short evaluation gets wrong of it."""
    exact = WEIGHTS[range(10), proposal.architecture].sum()
    return np.array([exact + (1 - proposal.fidelity) * np.sin(7 * exact)])


def driven(searcher, budget, workers=1):
    """All proposals with their scores until whole evaluations are spent; the worker that is told next is drawn."""
    draws, running, rows = np.random.default_rng(1), [], []
    while budget > 0:
        while len(running) < workers and (proposal := searcher.ask()) is not None:
            running.append(proposal)
            budget -= proposal.fidelity
        proposal = running.pop(draws.integers(len(running)))
        rows.append((proposal, worth(proposal)))
        searcher.tell(*rows[-1])
    return rows


def test_the_brackets_are_those_of_the_paper():
    """Table 1 of Hyperband, R = 81 and eta = 3."""
    found = brackets(PORTIONS, 3)
    assert [b.sizes for b in found] == [(81, 27, 9, 3, 1), (27, 9, 3, 1), (9, 3, 1), (6, 2), (5,)]
    for bracket in found:
        assert [round(81 * f) for f in bracket.fidelities] == [1, 3, 9, 27, 81][-len(bracket.sizes) :]


@pytest.mark.parametrize(
    "fidelities, eta, expected",
    [
        (PORTIONS, 3, PORTIONS),
        (PORTIONS, 9, (1 / 81, 1 / 9, 1)),
        (tuple(k / 12 for k in range(1, 13)), 3, (1 / 12, 4 / 12, 1)),
        ((0.06, 1.0), 3, (0.06, 1.0)),
        ((0.111111, 0.333333, 1.0), 3, (0.111111, 0.333333, 1.0)),
    ],
)
def test_rungs_are_what_the_evaluator_has(fidelities, eta, expected):
    assert rungs(fidelities, eta) == pytest.approx(expected)


@pytest.mark.parametrize("choice", ["hyperband", "asha", "dehb"])
def test_without_short_evaluations_there_are_no_rungs(choice):
    with pytest.raises(UserError, match="No evaluation is at most 1/3 of a whole one, .* there are 0.5, 1 of it"):
        started(choice, problem=PROBLEM._replace(fidelities=(0.5, 1.0)))
    assert find.resolve("searcher", choice).fidelities


def test_hyperband_promotes_the_best_of_a_rung():
    searcher = started("hyperband")
    sizes, rows = (81, 27, 9, 3, 1, 27, 9, 3, 1, 9, 3, 1, 6, 2, 5), []
    for size in sizes:
        rung = []
        for _ in range(size):
            proposal = searcher.ask()
            rung.append((proposal, worth(proposal)))
            searcher.tell(*rung[-1])
        assert len({proposal.fidelity for proposal, _ in rung}) == 1
        rows.append(rung)
    for low, high in zip(rows, rows[1:], strict=False):
        if high[0][0].fidelity > low[0][0].fidelity and len(high) < len(low):
            ordered = sorted(low, key=lambda row: -row[1][0])[: len(high)]
            assert [p.architecture.tolist() for p, _ in ordered] == [p.architecture.tolist() for p, _ in high]
    portions = [rung[0][0].fidelity for rung in rows]
    assert portions == pytest.approx([*PORTIONS, *PORTIONS[1:], *PORTIONS[2:], *PORTIONS[3:], 1])
    assert searcher.ask().fidelity == PORTIONS[0]  # the next round


def test_asha_promotes_what_is_among_the_best_so_far():
    """Replayed: every promotion was due, and every random one had none that was."""
    rows, known = driven(started("asha"), 30), {f: [] for f in PORTIONS}
    gone = {f: [] for f in PORTIONS}
    for proposal, scores in rows:
        due = None
        for low, high in reversed(list(zip(PORTIONS, PORTIONS[1:], strict=False))):
            top = sorted(range(len(known[low])), key=lambda i: (-known[low][i][1], i))[: len(known[low]) // 3]
            if left := [i for i in top if i not in gone[low]]:
                due = high, low, left[0]
                break
        if due is None:
            assert proposal.fidelity == PORTIONS[0]
        else:
            high, low, i = due
            assert proposal.fidelity == high and (proposal.architecture == known[low][i][0]).all()
            gone[low].append(i)
        known[proposal.fidelity].append((proposal.architecture, scores[0]))
    assert all(known[f] for f in PORTIONS)


@pytest.mark.parametrize("choice", ["hyperband", "asha", "dehb"])
def test_with_several_workers_nobody_waits_and_all_repeats(choice):
    one, two = (driven(started(choice), 20, workers=4) for _ in range(2))
    assert [p.architecture.tolist() for p, _ in one] == [p.architecture.tolist() for p, _ in two]
    assert {p.fidelity for p, _ in one} == set(PORTIONS)
    other = driven(started(choice, seed=1), 20, workers=4)
    assert [p.architecture.tolist() for p, _ in one] != [p.architecture.tolist() for p, _ in other]
    for proposal, _ in one:
        assert proposal.architecture.dtype == np.int32 and proposal.architecture.shape == (10,)
        assert (proposal.architecture >= 0).all() and (proposal.architecture < 5).all()


def test_equal_proposals_belong_to_the_first_that_waits():
    pending: Pending[int] = Pending()
    twins = [Proposal(np.array([1, 2], np.int32), 0.5) for _ in range(2)]
    for number, twin in enumerate(twins):
        pending.put(twin, number)
    assert [pending.take(twins[1]), pending.take(twins[0])] == [0, 1]
    with pytest.raises(LookupError):
        pending.take(twins[0])
    assert best([1.0, 3.0, 3.0, 2.0], 3) == [1, 2, 3]


def test_dehb_finds_more_than_random_evaluations():
    budget, gains = 40, []
    for seed in range(8):
        whole = [scores[0] for p, scores in driven(started("dehb", seed), budget) if p.fidelity == 1.0]
        drawn = np.random.default_rng(100 + seed).integers(0, 5, (budget, 10))
        gains.append(max(whole) - WEIGHTS[range(10), drawn].sum(1).max())
    assert np.mean(gains) > 1.0 and np.mean(np.array(gains) > 0) > 0.7


def test_dehb_begins_as_hyperband_and_then_breeds():
    searcher: Dehb = started("dehb")
    first = [row for row in driven(searcher, 5.0)]
    rung = [p.architecture.tolist() for p, _ in first[:81]]
    best_27 = best([scores[0] for _, scores in first[:81]], 27)
    assert [p.architecture.tolist() for p, _ in first[81:108]] == [rung[place] for place in best_27]
    assert {f: len(p.members) for f, p in searcher.populations.items()} == dict(
        zip(PORTIONS, (81, 27, 9, 6, 5), strict=True)
    )


def test_challengers_are_bred_as_published():
    parents = np.array([[0.5, 0.5, 0.5], [0.9, 0.1, 0.5], [0.7, 0.3, 0.1]])
    breeding = Breeding(np.random.default_rng(0), 0.5, 0.5)
    ways = {tuple((a + 0.5 * (b - c)).round(6)) for a, b, c in permutations(parents)}
    assert {tuple(breeding.mutant(parents).round(6)) for _ in range(60)} == ways
    target, mutant = np.zeros(1000), np.full(1000, 0.25)
    child = breeding.crossed(target, mutant)
    assert set(child) == {0.0, 0.25} and 0.4 < (child > 0).mean() < 0.6
    never = Breeding(np.random.default_rng(0), 0.5, 0.0)
    assert (never.crossed(target, mutant) > 0).sum() == 1
    outside = breeding.crossed(target, np.full(1000, 1.5))
    assert (outside <= 1).all() and len(set(outside)) > 400  # drawn anew, not cut


def test_a_member_stays_until_a_challenger_is_as_good():
    problem = Problem(Decisions((5,) * 3, (0, 1, 2)), 100, fidelities=(1 / 3, 1.0))
    searcher = started("dehb", problem=problem)
    neutral = 0  # challengers that were as good, not better
    for _ in range(200):
        before = {f: p.scores.copy() for f, p in searcher.populations.items()}
        members = searcher.populations[1.0].members.copy()
        proposal = searcher.ask()
        score = -float(proposal.architecture.sum())
        searcher.tell(proposal, np.array([score]))
        for fidelity, population in searcher.populations.items():
            assert (population.scores >= before[fidelity]).all()
            assert (population.scores != before[fidelity]).sum() <= (fidelity == proposal.fidelity)
        top = searcher.populations[1.0]
        neutral += (top.members != members).any() and (top.scores == before[1.0]).all()
    assert neutral > 3 and max(searcher.populations[1.0].scores) == 0
