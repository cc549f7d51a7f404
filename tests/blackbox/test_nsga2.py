"""NSGA-II: sorting and crowding against loops, and fronts against those of random search and of the whole table."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas import find
from dnas.blackbox.nsga2 import crowded, fronts
from dnas.blackbox.searcher import Problem, Searcher, decisions_of
from dnas.tables.protocol import place

RUNS, EVALUATIONS = 10, 160


def ranked(scores):
    """The fronts, peeled with loops."""
    ranks, left, front = np.full(len(scores), -1), set(range(len(scores))), 0
    while left:
        free = [
            i for i in left if not any((scores[j] >= scores[i]).all() and (scores[j] > scores[i]).any() for j in left)
        ]
        ranks[free] = front
        left -= set(free)
        front += 1
    return ranks


def distances(scores, ranks):
    """Crowding distances as Deb et al. write them, front by front and objective by objective."""
    found = np.zeros(len(scores))
    for front in set(ranks):
        members = np.flatnonzero(ranks == front)
        for values in scores.T:
            order = members[np.argsort(values[members], kind="stable")]
            found[order[[0, -1]]] = np.inf
            span = values[order[-1]] - values[order[0]]
            for before, here, after in zip(order, order[1:], order[2:], strict=False):
                found[here] += (values[after] - values[before]) / span if span else 0
    return found


@pytest.mark.parametrize("objectives", [1, 2, 3])
def test_ranks_and_crowding_are_those_of_loops(objectives):
    scores = np.random.default_rng(objectives).normal(size=(40, objectives)).astype(np.float32)
    scores[5:8] = scores[4]  # equal ones do not dominate each other
    ranks = np.asarray(fronts(jnp.array(scores)))
    np.testing.assert_array_equal(ranks, ranked(scores))
    np.testing.assert_allclose(crowded(jnp.array(scores), jnp.array(ranks)), distances(scores, ranks), rtol=1e-5)


def searched(choice, objectives=2, seed=0):
    """Scores [R, T, M] of runs on NAS-Bench-201: accuracy and millions of parameters, fewer are better."""
    table = find.resolve("table", "nasbench201")
    columns = [table.column("cifar10", "single_200"), -table.column("cifar10", "parameters")]
    values = jnp.asarray(np.stack(columns[:objectives], 1), jnp.float32)
    decisions = decisions_of(table.space)
    strategy = find.resolve("searcher", choice)
    ours: Searcher = strategy.build(Problem(decisions, EVALUATIONS, objectives))

    def run(key):
        def step(state, number):
            state, architecture = ours.ask(state, jax.random.fold_in(key, number))
            scores = values[place(architecture, table.options)]
            return ours.tell(state, architecture, scores if strategy.several else scores[0]), (architecture, scores)

        return jax.lax.scan(step, ours.init(key), jnp.arange(EVALUATIONS))

    state, rows = jax.jit(jax.vmap(run))(jax.random.split(jax.random.key(seed), RUNS))
    return state, *map(np.asarray, rows), np.asarray(values)


def volume(scores, worst, best):
    """The part of the rectangle between worst and best that the scores [N, 2] dominate."""
    scaled = np.clip((scores - worst) / (best - worst), 0, 1)
    found = height = 0.0
    for x, y in scaled[np.lexsort((-scaled[:, 1], -scaled[:, 0]))]:
        found, height = found + x * max(y - height, 0), max(height, y)
    return found


@pytest.mark.slow
def test_it_finds_more_of_the_front_than_random_search():
    state, architectures, scores, values = searched("nsga2")
    *_, drawn, _ = searched("random_search")
    worst, best = np.array([80.0, values[:, 1].min()]), values.max(0)  # what is below 80 % is on nobody's front
    whole = volume(values, worst, best)
    ours, others = (np.array([volume(run, worst, best) / whole for run in rows]) for rows in (scores, drawn))
    assert (ours <= 1).all() and ours.mean() > 0.9
    assert ours.mean() > others.mean() + 2 * others.std() / np.sqrt(RUNS)
    assert (architectures >= 0).all() and (architectures < 5).all()
    for run in range(RUNS):
        first = fronts(jnp.array(scores[run])) == 0  # as many of the best front of a run survive as there is room for
        kept = {tuple(row) for row in np.asarray(state.scores[run]).tolist()}
        best_found = {tuple(row) for row in scores[run][np.asarray(first)].tolist()}
        assert kept <= best_found or best_found <= kept


def test_one_objective_is_a_front_too():
    _, _, scores, _ = searched("nsga2", objectives=1)
    assert scores.shape == (RUNS, EVALUATIONS, 1)
    assert scores[:, -40:].mean() > scores[:, :20].mean() + 3


@pytest.mark.slow
def test_children_have_their_parents_decisions_but_for_mutations():
    decisions = decisions_of(find.resolve("space", "nasbench201"))
    ours = find.resolve("searcher", "nsga2:population=2,crossover=1").build(Problem(decisions, 10, 1))
    state = ours.init(jax.random.key(0))
    for number in range(2):
        state = ours.tell(state, jnp.full(6, 2 * number), jnp.array([float(number)]))
    assert sorted(np.asarray(state.parents)[:, 0].tolist()) == [0, 2] and state.ranks.tolist() == [0, 1]
    keys = jax.random.split(jax.random.key(1), 2000)
    children = np.asarray(jax.vmap(lambda key: ours.ask(state, key)[1])(keys))
    shares = [(children == option).mean() for option in range(5)]
    # a parent is the better one in three of four tournaments; one decision of six mutates
    mixed = ((children == 0).sum(1) > 1) & ((children == 2).sum(1) > 1)
    assert 0.2 < mixed.mean() < 0.4  # winners differ in three of eight pairs
    np.testing.assert_allclose(shares, [5 / 24 + 1 / 32, 1 / 24, 5 / 8 + 1 / 96, 1 / 24, 1 / 24], atol=0.02)


def test_of_the_last_front_survives_what_stands_alone():
    decisions = decisions_of(find.resolve("space", "nasbench201"))
    ours = find.resolve("searcher", "nsga2:population=3").build(Problem(decisions, 10, 2))
    state = ours.init(jax.random.key(0))
    rows = [(0, 10), (1, 9), (10, 0), (5, 5), (1.2, 8.8), (4, 4)]  # all of one front but the last
    for number, score in enumerate(rows):
        state = ours.tell(state, jnp.full(6, number), jnp.array(score, jnp.float32))
    assert sorted(np.asarray(state.parents)[:, 0].tolist()) == [0, 2, 3]
