"""Searchers of Optuna: asked and told as it wants it, and missed in one sentence."""

import sys

import numpy as np
import pytest

from dnas import find
from dnas.blackbox.searcher import Decisions, Problem
from dnas.errors import UserError

PROBLEM = Problem(Decisions((5, 1, 5, 3, 5), (0, 1, 2, 3, 4)), 100)
WEIGHTS = np.random.default_rng(3).normal(size=(5, 5))


def started(choice, seed=0, problem=PROBLEM):
    return find.resolve("searcher", choice).host(problem, np.random.default_rng(seed))


def worth(proposal):
    return np.array([WEIGHTS[range(5), proposal.architecture].sum()])


def driven(searcher, evaluations, value=worth, workers=1):
    running, rows = [], []
    for _ in range(evaluations):
        running.append(searcher.ask())
        if len(running) == workers:
            proposal = running.pop(0)
            rows.append((proposal, value(proposal)))
            searcher.tell(*rows[-1])
    return rows


@pytest.mark.parametrize("choice", ["tpe", "cmaes"])
def test_proposals_are_architectures_and_repeat(choice):
    one, two, other = (driven(started(choice, seed), 12, workers=3) for seed in (0, 0, 1))
    architectures = np.array([proposal.architecture for proposal, _ in one])
    assert architectures.dtype == np.int32 and all(proposal.fidelity == 1.0 for proposal, _ in one)
    assert (architectures >= 0).all() and (architectures < PROBLEM.decisions.options).all()
    np.testing.assert_array_equal(architectures, [proposal.architecture for proposal, _ in two])
    assert (architectures != [proposal.architecture for proposal, _ in other]).any()


@pytest.mark.parametrize("choice", ["tpe", "cmaes"])
def test_they_learn(choice):
    gains = []
    for seed in range(3):
        scores = np.array([scores[0] for _, scores in driven(started(choice, seed), 70)])
        gains.append(scores[-20:].mean() - scores[:10].mean())
    assert min(gains) > 0.5


def test_tpe_takes_several_objectives():
    searcher = started("tpe:startup=5", problem=PROBLEM._replace(objectives=2))

    def value(proposal):
        return np.array([float(proposal.architecture[1:].sum()), -float(proposal.architecture[0])])

    rows = driven(searcher, 60, value)
    late = np.array([proposal.architecture for proposal, _ in rows[-20:]])
    assert find.resolve("searcher", "tpe").several and not find.resolve("searcher", "cmaes").several
    assert late[:, 0].mean() < 1.7 and late[:, [2, 4]].mean() > 2.3  # both have moved from 2


@pytest.mark.parametrize("choice, missing", [("tpe", "optuna"), ("cmaes", "optuna"), ("cmaes", "cmaes")])
def test_without_optuna_a_sentence_names_the_extra(choice, missing, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    with pytest.raises(UserError, match=rf"{missing} is not installed: pip install 'dnas\[optuna\]'"):
        find.resolve("searcher", choice)
