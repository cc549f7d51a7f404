"""TE-NAS: what is removed by known scores, beside the loops of the paper's code, and a whole search."""

from dataclasses import replace

import jax
import numpy as np
import pytest

import dnas.search
from dnas import find
from dnas.architectures.genotype import as_mix
from dnas.config import AugmentConfig, Config, SearchConfig
from dnas.errors import UserError
from dnas.loading import load
from dnas.methods import te_nas
from dnas.runs import records
from dnas.search import projection, relax
from dnas.spaces import darts

SPACE = darts.space(nodes=3, operations="none+skip_connect+sep_conv_3x3+max_pool_3x3")
KINDS = list(SPACE.cells)
UNIFORM = jax.tree.map(np.asarray, relax.uniform(SPACE, jax.random.key(0), None))


def worth(number):
    """What operations add to both scores on a draw {kind: [2, E, O]}; two are worth the same."""
    found = {kind: np.random.default_rng(number).uniform(0.2, 1, (2, 9, 4)) for kind in KINDS}
    found[KINDS[0]][:, 1] = found[KINDS[0]][:, 0]
    return found


def score(mix, number):
    """By the mixed operations: of every edge, the mean of what is left."""
    condition, regions = (sum((mix[kind] * worth(number)[kind][i]).sum() for kind in mix) for i in (0, 1))
    return {"ntk": -np.exp(condition), "linear_regions": 100 * regions}


def lost(mask, numbers, players):
    """The players (kind, edge, operation or None), the first to go first: sorted lists as in the paper's code."""

    def scores(mask, number):
        found = score({kind: m / np.maximum(m.sum(-1, keepdims=True), 1) for kind, m in mask.items()}, number)
        return -found["ntk"], found["linear_regions"]

    changes = []
    for kind, edge, operation in players:
        without = {k: np.array(m) for k, m in mask.items()}
        without[kind][edge, slice(None) if operation is None else operation] = 0
        pairs = [(scores(mask, n), scores(without, n)) for n in numbers]
        changes.append([np.mean([round((a[i] - b[i]) / a[i], 3) for a, b in pairs]) for i in (0, 1)])
    by_condition = sorted({c for c, _ in changes}, reverse=True)
    by_regions = sorted({r for _, r in changes})
    ranks = [(by_condition.index(c) + by_regions.index(r), by_condition.index(c)) for c, r in changes]
    return [players[i] for i in sorted(range(len(players)), key=lambda i: ranks[i])]


@pytest.mark.parametrize("prune, rounds", [(1, 2), (2, 1)])
def test_every_edge_loses_what_is_least_important_and_then_every_node(prune, rounds, view):
    method = find.resolve("method", f"te_nas:prune={prune},repeats=2")
    expected = {kind: np.array([[0.0, 1, 1, 1]] * 9) for kind in KINDS}
    mask = {kind: np.ones((9, 4)) for kind in KINDS}
    for epoch in range(1, rounds + 1):
        numbers = [2 * epoch - 2, 2 * epoch - 1]
        players = [(k, e, o) for k in KINDS for e in range(9) for o in range(4) if expected[k][e, o]]
        order = lost(expected, numbers, players)
        for kind in KINDS:
            for edge in range(9):
                gone = [o for k, e, o in order if (k, e) == (kind, edge)][:prune]
                expected[kind][edge, gone] = 0
        if epoch == rounds:
            assert all((m.sum(1) == 1).all() for m in expected.values())
            for kind in KINDS:
                for edges in ((2, 3, 4), (5, 6, 7, 8)):
                    for _, edge, _ in lost(expected, numbers, [(kind, e, None) for e in edges])[:-2]:
                        expected[kind][edge] = 0
        seen = view(SPACE, UNIFORM, epoch=epoch, epochs=9, mask=mask, score=score)
        outcome = method.between_epochs(seen)
        assert outcome.stop is None
        np.testing.assert_equal(outcome.mask, expected)
        mask = outcome.mask
    genotype = projection.remaining(SPACE, mask)
    np.testing.assert_equal(as_mix(genotype, SPACE), expected)
    assert method.between_epochs(view(SPACE, UNIFORM, epoch=rounds + 1, mask=mask)).stop == rounds + 1


def test_changes_of_what_is_no_number():
    assert te_nas.change(4.0, 3.0) == 0.25 and te_nas.change(3.0, 4.0) == -0.333
    assert te_nas.change(np.inf, np.inf) == 0 and te_nas.change(np.inf, 9.0) == 1
    assert te_nas.change(9.0, np.inf) == -np.inf
    assert te_nas.ranked(np.array([3.0, 1.0, 3.0, 2.0])).tolist() == [2, 0, 2, 1]


CONFIG = Config(
    space="nasbench201:nodes=3,operations=none+skip_connect+nor_conv_3x3+avg_pool_3x3",
    method="te_nas:repeats=2",
    data="digits:limit=60",
    seeds=2,
    search=SearchConfig(epochs=9, cells=1, channels=2, batch_size=6, augment=AugmentConfig(pad=1, flip=False)),
)


def test_too_few_rounds_are_refused_when_the_search_is_built(tmp_path):
    with pytest.raises(UserError, match="takes 2 rounds in the space 'nasbench201', and search.epochs is 1"):
        dnas.search.run(replace(CONFIG, search=replace(CONFIG.search, epochs=1)), tmp_path, quiet=True)


@pytest.mark.slow
def test_a_search_ends_with_one_operation_of_every_edge(tmp_path):
    result = dnas.search.run(CONFIG, tmp_path / "run", quiet=True)
    rows = [row for row in records.read_metrics(result.folder) if "seed" in row]
    assert max(row["epoch"] for row in rows) == 3  # two rounds, and the one that sees that all is decided
    scored = [row.get("scored") or 0 for row in rows if row["seed"] == 0]
    assert scored == [2 * (1 + 9), 2 * (1 + 6), 0, 0]  # the last row is of what is selected
    found = load(result.folder)
    for genotype in result.genotypes:
        chosen = as_mix(genotype, found.stage.space)["cell"]
        assert (chosen.sum(1) == 1).all() and not chosen[:, 0].any()
    one = jax.tree.map(lambda leaf: leaf[0], found.state)
    empty = one._replace(weights=jax.tree.map(lambda leaf: 0 * leaf, one.weights))
    mix = {"cell": np.full((3, 4), 0.25)}
    scores = [found.stage.scores(state)(mix, number) for state, number in ((one, 5), (empty, 5), (one, 6))]
    assert scores[0] == scores[1] and np.isfinite([*scores[0].values()]).all()  # weights are drawn for every number
    assert scores[0]["ntk"] != scores[2]["ntk"] and 1 < scores[0]["linear_regions"] <= 1000
