"""SGAS: its scores against NumPy, and the order of its decisions."""

import numpy as np
import pytest

from dnas import find
from dnas.config import SearchConfig
from dnas.errors import UserError
from dnas.methods import sgas
from dnas.search.method import adapted
from dnas.spaces import darts, nasbench201

SPACE = darts.space(nodes=3, operations="none+skip_connect+sep_conv_3x3")  # nodes 2, 3, 4 with 2, 3, 4 edges


def rows_of(seed, edges=9, operations=3):
    return np.random.default_rng(seed).dirichlet(np.ones(operations), edges)


def by_hand(rows, past=()):
    """Importance, certainty and stability, edge by edge."""
    importance, certainty, stability = [], [], []
    for e, row in enumerate(rows):
        p = row[1:] / row[1:].sum()
        importance.append(1 - row[0])
        certainty.append(1 + sum(x * np.log(x) for x in p) / np.log(len(p)))
        then = [old[e][1:] / old[e][1:].sum() for old in past]
        stability.append(np.mean([sum(min(a, b) for a, b in zip(p, q, strict=True)) for q in then]) if past else 1)
    score = np.ones(len(rows))
    for factor in (importance, certainty, stability):
        low, high = min(factor), max(factor)
        score *= [(x - low) / (high - low) if high > low else 1 for x in factor]
    return score


def test_scores_are_those_of_the_paper():
    cell, past = SPACE.cells["normal"], [rows_of(seed) for seed in (1, 2, 3, 4)]
    for seed in (0, 5):
        np.testing.assert_allclose(sgas.scores(cell, rows_of(seed), []), by_hand(rows_of(seed)), rtol=1e-12)
        np.testing.assert_allclose(sgas.scores(cell, rows_of(seed), past), by_hand(rows_of(seed), past), rtol=1e-12)
    assert np.abs(by_hand(rows_of(0)) - by_hand(rows_of(0), past)).max() > 0.01


def test_without_none_edges_are_equally_important():
    cell = nasbench201.space(nodes=3, operations="skip_connect+nor_conv_1x1").cells["cell"]
    rows = np.array([[0.5, 0.5], [0.1, 0.9], [0.3, 0.7 + 1e-7]])  # sums that are 1 but for rounding
    assert list(np.argsort(-sgas.scores(cell, rows, []))) == [1, 2, 0]


@pytest.mark.parametrize("criterion", [1, 2])
def test_the_best_edge_is_decided_then_every_few_epochs_until_all_nodes_have_theirs(view, criterion):
    settings = f"sgas:begin=3,every=2,criterion={criterion}" + (",history=2" if criterion == 2 else "")
    look = find.resolve("method", settings).between_epochs
    mask, notes = {kind: np.ones((9, 3)) for kind in SPACE.cells}, []
    frozen, order, incoming = {}, [], {2: [0, 1], 3: [2, 3, 4], 4: [5, 6, 7, 8]}
    for epoch in range(1, 17):
        mixes = {"normal": rows_of(epoch), "reduce": rows_of(100 + epoch)}
        seen = view(SPACE, mixes, epoch=epoch, mask=mask, notes=notes)
        outcome = look(seen)
        rows = np.array([frozen.get(e, row) for e, row in enumerate(mixes["normal"])])
        if epoch >= 4 and epoch % 2 == 0 and len(frozen) < 9:
            past = [np.array(note["rows"]["normal"]) for note in notes[-2:]] if criterion == 2 else []
            score = by_hand(rows, past)
            edge = max((e for e in range(9) if e not in frozen), key=score.__getitem__)
            node = next(n for n, edges in incoming.items() if edge in edges)
            order.append((edge, 1 + int(rows[edge, 1:].argmax())))
            frozen[edge] = rows[edge]
            if sum(e in incoming[node] for e, _ in order) == 2:
                frozen |= {e: rows[e] for e in incoming[node] if e not in frozen}
        mask = outcome.mask
        chosen = dict(order)
        for e in range(9):
            expected = np.eye(3)[chosen[e]] if e in chosen else np.zeros(3) if e in frozen else np.ones(3)
            np.testing.assert_array_equal(mask["normal"][e], expected)
        notes.append(outcome.notes)
    assert len(order) == 6 and [pair for pair in notes[-1]["decided"]["normal"] if pair[1] >= 0] == [*map(list, order)]
    assert (mask["reduce"].sum(-1) == 1).sum() == 6 and (mask["reduce"].sum(-1) == 0).sum() == 3


def test_every_edge_of_a_cell_that_keeps_all_is_decided(view):
    space = nasbench201.space(nodes=3, operations="none+skip_connect+nor_conv_1x1")
    look = find.resolve("method", "sgas:begin=0,every=1").between_epochs
    mask, notes = {"cell": np.ones((3, 3))}, []
    for epoch in (1, 2, 3):
        outcome = look(view(space, {"cell": rows_of(epoch, 3)}, epoch=epoch, mask=mask, notes=notes))
        mask, notes = outcome.mask, [*notes, outcome.notes]
        assert ((mask["cell"].sum(-1) == 1) & (mask["cell"][:, 0] == 0)).sum() == epoch


def test_it_needs_the_epochs_that_its_decisions_take():
    default = find.resolve("method", "sgas")
    with pytest.raises(UserError, match="last edge of 'darts' after epoch 45, and search.epochs is 44"):
        adapted(default, darts.space(), SearchConfig(epochs=44))
    adapted(default, darts.space(), SearchConfig(epochs=45))
