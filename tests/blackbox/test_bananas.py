"""BANANAS: its networks, its features, its candidates, and what it finds."""

import json
from pathlib import Path

import numpy as np
import pytest

from dnas import find
from dnas.blackbox.bananas import Bananas, encoder
from dnas.blackbox.config import BlackboxConfig, load_several
from dnas.blackbox.ensemble import Sizes, initial, predictor
from dnas.blackbox.searcher import Decisions, Problem, decisions_of
from dnas.config import from_dict
from dnas.tables.protocol import place

DECISIONS = decisions_of(find.resolve("space", "nasbench201"))
REPOSITORY = Path(__file__).parents[2]


@pytest.fixture(scope="module")
def predict():
    return predictor(Sizes(networks=2, layers=10, width=20, epochs=150, learning_rate=0.01))


def test_networks_learn_what_they_are_shown(predict):
    draws = np.random.default_rng(0)
    features = draws.integers(0, 2, (500, 30))  # as large as those of cells, for one program
    targets = features[:, :8] @ draws.normal(size=8)
    targets = (targets - targets.mean()) / targets.std()
    found = predict(np.random.default_rng(1), features[:200], targets[:200], features)
    errors = np.abs(found - targets)
    assert found.shape == (2, 500) and errors[:, :200].mean() < 0.2 and errors[:, 200:].mean() < 0.5
    assert (found[0] != found[1]).all()  # each from its own start
    again = predict(np.random.default_rng(1), features[:200], targets[:200], features)
    np.testing.assert_array_equal(found, again)


def test_networks_begin_uniform():
    network = initial(np.random.default_rng(0), Sizes(3, 10, 20, 1, 0.01), 8)
    assert [leaf.shape for leaf in network] == [(3, 8, 20), (3, 20), (3, 9, 20, 20), (3, 9, 20), (3, 20), (3,)]
    assert 0.4 < np.abs(network.first).max() <= np.sqrt(6 / 28) and not network.hidden_bias.any()


def test_features_are_paths_or_options():
    architectures = np.array([[0] * 6, [4] * 6, [0, 1, 2, 3, 4, 0]])
    found = encoder(DECISIONS, 30)(architectures)
    assert found.shape == (3, 30)
    assert found.sum(1).tolist() == [2, 2, 3]  # of all alike, a path of one edge and one of two; else two of two
    assert encoder(DECISIONS, 155)(architectures).sum(1).tolist() == [3, 3, 4]
    assert encoder(DECISIONS, 0)(architectures).sum(1).tolist() == [6, 6, 6]
    uneven = encoder(Decisions((2, 3), (0, 1)), 30)
    assert uneven(np.array([[1, 2], [0, 0]])).tolist() == [[0, 1, 0, 0, 1], [1, 0, 1, 0, 0]]


def likeness(generator, features, targets, candidates):
    """A predictor that knows without training: the score of the nearest example, alike for all networks."""
    distances = np.abs(candidates[:, None] - features[None]).sum(-1)
    return np.tile(targets[distances.argmin(1)], (2, 1))


def started(decisions=DECISIONS, seed=0, predict=likeness, initial=10, size=10):
    return Bananas(Problem(decisions, 100), np.random.default_rng(seed), initial, size, encoder(decisions, 30), predict)


def driven(searcher, evaluations, value, workers=1):
    running, rows = [], []
    for _ in range(evaluations):
        running.append(searcher.ask())
        if len(running) == workers:
            rows.append((running[0].architecture, value(running[0].architecture)))
            searcher.tell(running.pop(0), np.array([rows[-1][1]]))
    return np.array([a for a, _ in rows]), np.array([v for _, v in rows])


def test_proposals_are_new_and_mutations_of_the_best():
    values = np.random.default_rng(0).normal(size=5**6)
    architectures, scores = driven(started(), 80, lambda a: values[place(a.astype(int), DECISIONS.options)])
    assert len({tuple(row) for row in architectures.tolist()}) == 80
    changes = []
    for t in range(10, 80):
        shown = t // 10 * 10  # what had been told when the batch was made
        parents = architectures[:shown][np.argsort(-scores[:shown])[:2]]  # the second where the first gave too few
        changes.append((parents != architectures[t]).sum(1).min())
    assert 1 < np.mean(changes) < 2.5 and max(changes) <= 5


def test_a_batch_is_what_the_predictor_likes():
    seen = []

    def noted(generator, features, targets, candidates):
        seen.append((targets, candidates))
        return np.stack([candidates.sum(1), candidates.sum(1)])  # as sure as can be: no deviation

    searcher = started(predict=noted)
    architectures, scores = driven(searcher, 20, lambda a: 50.0 + a.sum())
    ((targets, candidates),) = seen
    np.testing.assert_allclose(targets, (scores[:10] - scores[:10].mean()) / scores[:10].std())
    liked = searcher.encode(architectures[10:]).sum(1)
    assert (np.diff(liked) <= 0).all() and liked[0] == candidates[:199].sum(1).max()


def test_doubt_makes_draws_differ():
    """Thompson sampling: of candidates with one mean, those with more deviation are drawn to the top."""

    def doubtful(generator, features, targets, candidates):
        doubt = candidates[:, 0] * 10
        return np.stack([doubt, -doubt])

    architectures, _ = driven(started(predict=doubtful), 200, lambda a: float(a.sum()))
    shares = encoder(DECISIONS, 30)(architectures)[:, 0]
    assert shares[10:].mean() > shares[:10].mean() + 0.3


def test_a_space_that_is_used_up_is_asked_for_again():
    decisions = Decisions((2, 2, 1), (0, 0, 0))
    architectures, _ = driven(started(decisions, initial=2, size=2), 10, lambda a: float(a.sum()))
    assert len({tuple(row) for row in architectures.tolist()}) == 4 and (architectures < [2, 2, 1]).all()


def test_with_several_workers_nothing_is_proposed_twice():
    architectures, _ = driven(started(), 60, lambda a: float(a.sum()), workers=12)
    assert len({tuple(row) for row in architectures.tolist()}) == len(architectures) == 49


def test_it_finds_better_cells_than_random_search(predict):
    """By the accuracy of one training of 200 epochs, with 60 evaluations of three runs."""
    values = find.resolve("table", "nasbench201").column("cifar100", "single_200")
    strategy, found = find.resolve("searcher", "bananas"), []
    assert isinstance(strategy.host(Problem(DECISIONS, 60), np.random.default_rng(0)), Bananas)
    for seed in range(3):
        searcher = started(seed=seed, predict=predict)
        found.append(driven(searcher, 60, lambda a: values[place(a.astype(int), DECISIONS.options)])[1].max())
    drawn = np.random.default_rng(0).choice(values, (1000, 60)).max(1)
    assert np.mean(found) > drawn.mean() + 0.5


def test_the_numbers_of_record_are_of_the_experiment_and_as_published():
    """Published is an order: BANANAS above evolution, and that above random search."""
    numbers = json.loads((REPOSITORY / "benchmarks" / "results" / "nasbench201_searchers.json").read_text())["searches"]
    configs = load_several(REPOSITORY / "experiments" / "nasbench201_searchers.py")
    assert {name: from_dict(found["config"], BlackboxConfig) for name, found in numbers.items()} == configs
    means = {name: found["truths"]["cifar100_test_200"]["mean"] for name, found in numbers.items()}
    assert means["bananas"] > means["evolution"] > means["random"] + 1
