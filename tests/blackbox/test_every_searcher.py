"""What holds for every searcher: a new file is tested without an edit here. Then what single ones are known for."""

import sys
from pathlib import Path
from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dnas.blackbox
from dnas import find
from dnas.blackbox import run as blackbox
from dnas.blackbox.config import BlackboxConfig
from dnas.blackbox.evolution import Population
from dnas.blackbox.searcher import Decisions, Problem, Searcher, decisions_of, mutated, neighbours
from dnas.errors import UserError
from dnas.evaluators.protocol import Evaluator, Measured

SPACE = find.resolve("space", "nasbench201:nodes=3")  # 3 edges, 5 operations
DECISIONS = Decisions((5, 5, 5), (1, 2, 2), tuple(SPACE.cells.values()))
SEARCHERS = list(find.described("searcher"))
FASTER = {"bananas": "bananas:epochs=3"}  # settings for what takes long and is tested elsewhere
DRAWS = np.random.default_rng(0)
EFFECTS = DRAWS.normal(size=(5, 1, 1)) + DRAWS.normal(size=(1, 5, 1)) + DRAWS.normal(size=(1, 1, 5))
WEIGHTS = (EFFECTS + 0.5 * DRAWS.normal(size=(5, 5, 5))).astype(np.float32)


def of_numbers() -> Evaluator:
    """A table of 125 random numbers; each takes a second for every option of its first decision, and one more."""
    table = jnp.array(WEIGHTS)

    def evaluate(architectures):
        return Measured({"score": table[tuple(architectures.T)]}, 1.0 + architectures[:, 0])

    def truth(architectures):
        return {"truth": WEIGHTS[tuple(np.moveaxis(architectures, -1, 0))]}

    def rank(architectures):
        return (WEIGHTS[None] > truth(architectures)["truth"][:, None, None, None]).sum((1, 2, 3)) + 1

    about = truth, {"truth": "Truth"}, "truth", rank
    return Evaluator(SPACE, {"score": True}, evaluate, (1.0, 5.0), *about, cheaper={1 / 9: evaluate, 1 / 3: evaluate})


@pytest.fixture
def trials(monkeypatch):
    """`trials("evolution", runs=3)`: what so many runs of 100 evaluations tried, of a space of 125."""
    real = find.resolve
    monkeypatch.setattr(find, "resolve", lambda what, text: of_numbers() if what == "evaluator" else real(what, text))

    def made(choice, runs=3, budget="100evaluations", **others):
        config = BlackboxConfig(choice, "numbers", "score", budget, runs=runs, **others)
        done = blackbox.searched(blackbox.build(config))
        return done._replace(scores=done.scores[..., 0])

    return made


@pytest.mark.parametrize("choice", SEARCHERS)
def test_runs_are_independent_repeatable_and_legal(choice, trials):
    choice = FASTER.get(choice, choice)
    three, two = trials(choice), trials(choice, runs=2)
    for run, count in enumerate(two.counts):
        for field in ("architectures", "scores", "spent"):
            np.testing.assert_array_equal(getattr(three, field)[run, :count], getattr(two, field)[run, :count])
    assert (three.architectures[0, :50] != three.architectures[1, :50]).any()
    assert (three.architectures >= 0).all() and (three.architectures < 5).all()
    for architectures, scores, portions, count in zip(
        three.architectures, three.scores, three.fidelities, three.counts, strict=True
    ):
        np.testing.assert_allclose(scores[:count], WEIGHTS[tuple(architectures[:count].T)])
        assert 99 < portions[:count].sum() < 100.001
    assert (three.counts == 100).all() or find.resolve("searcher", choice).fidelities
    assert len(np.unique(three.architectures[0], axis=0)) > 20


@pytest.mark.parametrize("choice, late", [("evolution", 50), ("reinforce:learning_rate=0.1", 50), ("local_search", 10)])
def test_what_learns_gets_better(choice, late, trials):
    """late: when; local search soon has asked for all that is good."""
    scores = trials(choice, runs=20, seed=1).scores
    assert scores[:, late : 2 * late].mean() > scores[:, :10].mean() + 0.3
    assert choice != "evolution" or (scores != trials(choice, runs=20).scores).any()


def test_mutations_are_those_published():
    decisions = Decisions((5,) * 6, (1, 2, 2, 3, 3, 3))
    start = jnp.array([0, 1, 2, 3, 4, 0])

    def counts(by_group):
        ours = jax.random.split(jax.random.key(0), 6000)
        children = np.asarray(jax.vmap(lambda key: mutated(key, start, decisions, by_group))(ours))
        changed = children != np.asarray(start)
        assert (changed.sum(1) == 1).all()
        assert all(len(set(children[changed[:, d], d].tolist())) == 4 for d in range(6))
        return changed.mean(0)

    np.testing.assert_allclose(counts(True), [1 / 3, 1 / 6, 1 / 6, 1 / 9, 1 / 9, 1 / 9], atol=0.02)
    np.testing.assert_allclose(counts(False), [1 / 6] * 6, atol=0.02)


def test_a_decision_without_alternatives_is_never_mutated():
    decisions = Decisions((1, 2), (1, 1))
    ours = jax.random.split(jax.random.key(0), 20)
    children = jax.vmap(lambda key: mutated(key, jnp.array([0, 1]), decisions, True))(ours)
    assert (np.asarray(children) == [0, 0]).all()


def test_neighbours_differ_in_one_decision():
    found, places = neighbours(jnp.array([4, 0, 2]), DECISIONS)
    found = np.asarray(found)
    assert len({tuple(row) for row in found.tolist()}) == 12
    differs = found != [4, 0, 2]
    assert (differs.sum(1) == 1).all() and (differs.argmax(1) == places).all()


def test_decisions_of_a_space_know_their_nodes():
    assert decisions_of(SPACE) == DECISIONS
    darts = decisions_of(find.resolve("space", "darts:nodes=3"))
    assert darts.options == (7, 7, 3, 7, 7, 6, 7, 7) * 2  # two edges of 2, 3 and 4, and an operation for each
    assert darts.groups == tuple(cell + node for cell in (0, 1000) for node in (2, 2, 3, 3, 3, 4, 4, 4))


def searcher(choice, evaluations=100):
    return find.resolve("searcher", choice).build(Problem(DECISIONS, evaluations))


def test_evolution_forgets_the_oldest_and_mutates_the_best():
    ours = Searcher(*map(jax.jit, searcher("evolution:population=3,tournament=200")))
    state: Population = ours.init(jax.random.key(0))
    for number, score in enumerate((9.0, 3.0, 2.0, 1.0)):
        state, _ = ours.ask(state, jax.random.key(number))
        state = ours.tell(state, jnp.full(3, number), jnp.float32(score))
    assert sorted(state.members[:, 0].tolist()) == [1, 2, 3]  # not the best ever, which is too old
    _, children = jax.vmap(lambda key: ours.ask(state, key))(jax.random.split(jax.random.key(5), 50))
    assert ((np.asarray(children) != 1).sum(1) == 1).all()


def test_reinforce_subtracts_a_baseline_that_knows_the_score():
    ours = searcher("reinforce:learning_rate=0.1")
    start = ours.init(jax.random.key(0))
    first = ours.tell(start, jnp.array([0, 1, 2]), 50.0)
    np.testing.assert_allclose(first.logits, start.logits, atol=1e-4)  # 50 less a mean of 50
    second = ours.tell(first, jnp.array([0, 1, 2]), 60.0)
    moved = np.asarray(second.logits - first.logits)
    assert (moved[range(3), [0, 1, 2]] > 0.05).all() and (np.sort(moved, 1)[:, :4] < 0).all()
    assert second.average / second.weight == pytest.approx((0.9 * 50 + 60) / 1.9)


@pytest.mark.parametrize("move", ["first", "best", "decision"])
def test_local_search_climbs_as_published(move, trials):
    """Replayed with sets and loops: nothing twice, starts, neighbours of where we are, moves, restarts."""
    starts = 4
    tried = trials(f"local_search:move={move},starts={starts}", budget="60evaluations")
    for architectures, scores in zip(tried.architectures, tried.scores, strict=True):
        rows = [(tuple(a), s) for a, s in zip(architectures.tolist(), scores.tolist(), strict=True)]
        assert len({a for a, _ in rows}) == len(rows)
        climb = SimpleNamespace(seen=set(), begun=0, here=(None, -np.inf), shown=[], restarts=0, gained=True)
        for a, score in rows:
            if climb.begun >= starts:
                left = around(climb.here[0]) - climb.seen
                if move != "first" and climb.shown and not same_part(a, climb, move, left):
                    best = max(climb.shown, key=lambda row: row[1])
                    if best[1] > climb.here[1]:
                        climb.here = best
                        left = around(best[0]) - climb.seen
                    climb.shown = []
                if not left or (move == "decision" and a not in left):
                    assert a not in left
                    climb.begun, climb.here, climb.shown = 0, (None, -np.inf), []
                    climb.restarts += 1
                else:
                    assert a in left
            if climb.begun < starts:
                climb.begun += 1
                climb.here = max(climb.here, (a, score), key=lambda row: row[1])
            elif move == "first":
                climb.here = max(climb.here, (a, score), key=lambda row: row[1])
            else:
                climb.shown.append((a, score))
            climb.seen.add(a)
        assert climb.restarts > 0
        assert max(s for _, s in rows) == pytest.approx(WEIGHTS.max(), abs=1.0)


def around(a):
    return {tuple(o if d == e else a[e] for e in range(3)) for d in range(3) for o in range(5) if o != a[d]}


def part_of(a, here):
    return next(d for d in range(3) if a[d] != here[d])


def same_part(a, climb, move, left):
    """Whether an architecture is asked for before the part of the neighbourhood that was begun has ended."""
    if move == "best":
        return bool(left)
    part = part_of(climb.shown[0][0], climb.here[0])
    return any(part_of(other, climb.here[0]) == part for other in left)


def test_local_search_asks_again_where_all_has_been_asked(trials):
    architectures = trials("local_search", runs=1, budget="130evaluations").architectures[0]
    assert len(np.unique(architectures, axis=0)) > 115


@pytest.mark.parametrize(
    "choice, says",
    [
        ("evolution:mutation=both", "Unknown mutation 'both'"),
        ("local_search:move=up", "Unknown move 'up'"),
        ("evolution:population=0", "'population' of searcher 'evolution' must be at least 1"),
        ("evolution:population=10+20", "'population' of searcher 'evolution' is a number, not '10.20'"),
        ("evolutoin", "Did you mean evolution"),
    ],
)
def test_settings_that_are_none(choice, says):
    with pytest.raises(UserError, match=says):
        find.resolve("searcher", choice)


def test_the_example_of_the_manual_is_a_searcher(trials, tmp_path, monkeypatch):
    manual = (Path(__file__).parents[2] / "CONTRIBUTING.md").read_text()
    example = next(part for part in manual.split("```") if "def searcher(" in part).removeprefix("python\n")
    (tmp_path / "greedy.py").write_text(example)
    monkeypatch.setattr(dnas.blackbox, "__path__", [*dnas.blackbox.__path__, str(tmp_path)])
    try:
        scores = trials("greedy", runs=5).scores
    finally:
        sys.modules.pop("dnas.blackbox.greedy", None)
    assert scores[:, 50:].mean() > scores[:, :10].mean()
