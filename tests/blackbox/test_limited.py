"""Black-box searches within a budget of what networks cost: every searcher."""

from dataclasses import replace

import numpy as np
import pytest

from dnas import find
from dnas.architectures.choices import decode
from dnas.architectures.topology import NetworkSize
from dnas.blackbox import run as blackbox
from dnas.blackbox.config import BlackboxConfig, parse_budget
from dnas.blackbox.jobs import build
from dnas.costs import budget
from dnas.errors import UserError
from dnas.evaluators.protocol import HostEvaluator

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
            return {"score": float(known.of(decode(architecture, SPACE))[0])}, 1.0

        made = HostEvaluator(SPACE, {"score": True}, evaluate, (1 / 9, 1 / 3, 1.0), network=network)
        monkeypatch.setattr(find, "resolve", lambda what, text: made if text == "own" else resolve(what, text))
        return BlackboxConfig("random_search", "own", "score", BUDGET, runs=1)

    return put


@pytest.mark.parametrize("name", sorted(find.described("searcher")))
def test_every_searcher_keeps_a_budget(name, evaluator):
    pytest.importorskip("optuna") if name in ("tpe", "cmaes") else None
    config = replace(evaluator((SIZE, 8)), searcher=name)
    if name == "local_search":
        with pytest.raises(UserError, match="no proposal can be refused"):
            build(config)
        return
    job = build(config)
    done = blackbox.searched(job)
    tried = done.architectures[0, : done.counts[0]]
    assert job.limits is not None and len(tried) >= 8
    assert all(job.limits.allows(decode(row, SPACE)) for row in tried)
    drawn = np.random.default_rng(0).integers(0, 5, (100, 3))
    assert not all(job.limits.allows(decode(row, SPACE)) for row in drawn)


def test_what_is_refused(evaluator):
    assert parse_budget("3evaluations, parameters<3,latency:device=a,by=mlp<2").limits.startswith("parameters<3,l")
    for text in ("parameters<3e6", "parameters<3e6,300evaluations"):
        with pytest.raises(UserError, match="not when a run ends"):
            parse_budget(text)
    with pytest.raises(UserError, match="does not say how large its networks are"):
        build(evaluator(None))
    with pytest.raises(UserError, match="the smallest has"):
        build(replace(evaluator((SIZE, 8)), budget="8evaluations,parameters<1"))
