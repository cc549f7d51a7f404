"""Entropies, margins, agreement and stability of given arrays, and which mixes an ablation is made of."""

import re

import numpy as np
import pytest

from dnas import find
from dnas.architectures.genotype import Genotype, as_mix, from_json
from dnas.architectures.genotype_data import of_decisions
from dnas.explain import ablation, agreement, history, sentence
from dnas.explain.ablation import Variant
from dnas.explain.decisions import decisions_of, is_table
from dnas.explain.neighbours import ordered
from dnas.reports.plots import MixHistory
from dnas.tasks.task import Score

CELLS = find.resolve("space", "darts:nodes=2,operations=none+skip_connect+sep_conv_3x3")
TABLES = find.resolve(
    "space", "tabular:layers=2,widths=1,norms=none,dropouts=0,activations=relu+tanh,skips=none+identity"
)


def cells(operation: str = "skip_connect", last: int = 2) -> Genotype:
    """Both cells alike: node 2 reads both inputs, node 3 the first input and another node."""
    edges = [[2, 0, "skip_connect"], [2, 1, operation], [3, 0, "skip_connect"], [3, last, "sep_conv_3x3"]]
    one = {"edges": edges, "concat": [2, 3]}
    return from_json({"space": "darts", "cells": {"normal": one, "reduce": one}})


def layers(*skips: str) -> Genotype:
    return of_decisions(
        "tabular",
        [{"width": "1", "activation": "relu", "skip": skip, "norm": "none", "dropout": "0"} for skip in skips],
    )


def test_entropy_is_relative_to_the_uniform_one_and_changes_are_dated():
    nan = np.nan
    weights = np.array([[0.25, 0.25, 0.25, 0.25], [0.1, 0.7, 0.1, 0.1], [0.8, 0.2, nan, nan], [2.0, 0.0, nan, nan]])
    found = history.course(weights, [1, 2, 5, 6])
    p = np.array([0.1, 0.7, 0.1, 0.1])
    expected = [1, -(p * np.log(p)).sum() / np.log(4), -(0.8 * np.log(0.8) + 0.2 * np.log(0.2)) / np.log(2), 0]
    np.testing.assert_allclose(found.entropy, expected, atol=1e-12)
    np.testing.assert_allclose(found.margin, [0, 0.6, 0.6, 1], atol=1e-12)
    assert found.last_change == 5
    assert history.course(weights[2:], [5, 6]).last_change is None
    gone = history.course(np.zeros((1, 3)), [1])
    assert (gone.entropy, gone.margin) == ([None], [None])
    assert history.mean_over([found, history.Course([None, 0.0, 0.0, 1.0], [], None)])[0] == 1


def test_a_mix_agrees_with_what_options_are_worth():
    nan = np.nan
    same = agreement.agreement([0.1, 0.3, 0.6], agreement.ranks([0.0, 0.1, 0.2], [0, 0, 0]))
    assert same == (1, 2, True)
    other = agreement.agreement([0.1, 0.3, 0.6], agreement.ranks([0.2, 0.1, 0.0], [0, 0, 0]))
    assert other == (-1, 2, False)
    assert agreement.agreement([0.1, 0.3, 0.6], agreement.ranks([nan, 0.1, 0.0], [nan, 0, 0])) == (-1, 2, False)
    by_loss = agreement.ranks([0.1, 0.1, 0.0], [-2.0, -1.0, 0.0])
    assert by_loss.tolist() == [1, 2, 0] and agreement.first(by_loss) == 1
    assert agreement.agreement([0.1, 0.3, 0.6], agreement.ranks([0.1, 0.1, 0.1], [1, 1, 1])) is None
    assert agreement.agreement([0.3, 0.3, 0.3], by_loss) is None
    assert agreement.agreement([0.3], [nan]) is None


def test_seeds_are_compared_decision_by_decision():
    found = agreement.stability([cells(), cells("sep_conv_3x3"), cells(last=1)], CELLS)
    # of ten decisions the second differs in one of each cell, the third in two, as an edge came and another went
    assert found.distances == pytest.approx({(0, 1): 0.2, (0, 2): 0.4, (1, 2): 0.6})
    assert found.agreement == pytest.approx(0.6)
    assert found.options["normal", (2, 1)] == {"skip_connect": 2, "sep_conv_3x3": 1}
    assert found.options["reduce", (3, 1)] == {"no edge": 2, "sep_conv_3x3": 1}
    # both edges into the first node always stay, of those into the second two of three
    first, second = 1 / 2, (1 / 3) ** 2 + (2 / 3) ** 2 / 2
    assert found.chance == pytest.approx((2 * first + 3 * second) / 5)
    tables = agreement.stability([layers("none", "none"), layers("none", "identity")], TABLES)
    assert tables.distances == {(0, 1): 0.1} and tables.chance == pytest.approx((3 + 2 / 2) / 5)


def test_variants_of_cells_take_away_and_exchange():
    mix = {kind: np.full(shape, 0.25) + np.arange(3) / 10 for kind, shape in CELLS.mix_shapes.items()}
    mix = {kind: np.pad(rows, ((0, 0), (0, 1)), constant_values=0.5) for kind, rows in mix.items()}  # an added column
    found = {kind: np.pad(rows, ((0, 0), (0, 1))) for kind, rows in as_mix(cells(), CELLS).items()}
    decisions = decisions_of(CELLS, cells(), {kind: np.ones((5, 3)) for kind in CELLS.cells})
    assert [one.found for one in decisions[:5]] == [
        "skip_connect",
        "skip_connect",
        "skip_connect",
        None,
        "sep_conv_3x3",
    ]
    assert decisions[0].open_to == (False, True, True) and decisions[0].label == "edge 2<-0 of the normal cell"
    made = ablation.variants(decisions, {"mix": mix, "found": found}, is_table(cells()))
    removed = made[Variant("mix", "removed", 3, 2)]["normal"]
    np.testing.assert_allclose(removed[3], [0.25, 0.35, 0, 0.5])
    np.testing.assert_allclose(np.delete(removed, 3, 0), np.delete(mix["normal"], 3, 0))
    np.testing.assert_allclose(made[Variant("mix", "alone", 3, 1)]["normal"][3], [0, 1.05, 0, 0.5])
    np.testing.assert_allclose(made[Variant("mix", "without", 3)]["normal"][3], [0, 0, 0, 0.5])
    np.testing.assert_allclose(made[Variant("found", "replaced", 0, 2)]["normal"][0], [0, 0, 1, 0])
    np.testing.assert_allclose(made[Variant("found", "replaced", 0, 2)]["reduce"], found["reduce"])
    assert not made[Variant("found", "without", 4)]["normal"][4].any()
    assert Variant("found", "without", 3) not in made and Variant("mix", "removed", 3, 0) not in made
    # two bases; ten edges with two options: removed, alone, without; eight found ones: replaced, without
    assert len(made) == 2 + 10 * (2 + 2 + 1) + 8 * (2 + 1)


def test_pruned_options_are_no_options_and_tables_lose_no_row():
    genotype = layers("identity", "none")
    mask = {kind: np.ones(shape) for kind, shape in TABLES.mix_shapes.items()}
    mask["skip"][0] = [0, 1]
    decisions = decisions_of(TABLES, genotype, mask)
    assert next(one for one in decisions if one.label == "skip 1").open_to == (False, True)
    made = ablation.variants(decisions, {"found": as_mix(genotype, TABLES)}, is_table(genotype))
    assert {variant.change for variant in made} == {"", "replaced"}


def test_neighbours_come_with_the_strongest_alternative_of_every_decision_first():
    genotype, mix = layers("none", "identity"), {kind: np.zeros(shape) for kind, shape in TABLES.mix_shapes.items()}
    found = ordered(genotype, TABLES, mix)
    assert {(one.kind, one.before.node) for one in found} == {(k, n) for k in ("activation", "skip") for n in (1, 2)}
    assert len(found) == 4 and all(one.genotype != genotype for one in found)
    mix = {kind: np.tile([0.1, 0.2, 0.7], (5, 1)) for kind in CELLS.cells}
    found = ordered(cells(), CELLS, mix)
    first = found[: len(set((one.kind, one.before) for one in found))]
    assert len({(one.kind, one.before) for one in first}) == 8
    # a skip connection becomes the convolution, which weighs more; of the edge of the convolution another is exchanged
    assert all(one.after.operation == "sep_conv_3x3" for one in first)


def test_a_bare_number_is_called_an_option():
    assert [sentence.option(name) for name in ("5", "0.25", "sep_conv_3x3")] == ["option 5", "option 0.25", "sep 3x3"]


def test_a_mix_that_is_an_architecture_at_every_epoch_is_known():
    def of(*epochs):
        rows = np.array(epochs, float)[:, None]
        return MixHistory([*range(len(epochs))], ["2<-0"], [["a", "b", ""]], rows)

    assert history.is_one_hot(of([1, 0, np.nan], [0, 1, np.nan]))
    assert not history.is_one_hot(of([0.5, 0.5, np.nan], [0, 1, np.nan]))


@pytest.mark.parametrize(
    "lost, says",
    [
        (0.068, "Edge 2<-0 decides: without its skip the supernet loses 6.8"),
        (0.01, "No decision stands out: at most, for edge 2<-0, .* which may be chance"),
        (-0.01, "No decision by itself matters: the supernet loses nothing"),
    ],
)
def test_the_sentence_says_what_decides_unless_it_may_be_chance(lost, says):
    edge = {"label": "edge 2<-0", "found": "skip_connect", "lost": lost, "chance": 0.03, "in_found": None}
    said = {
        "base": {"mix": {"score": 0.9, "loss": 1.0}, "found": None},
        "decisions": [edge, edge | {"lost": None}],
        "agreement": {"kendall": 0.61, "same": 6, "of": 8},
    }
    text = sentence.of(said, Score("accuracy"))
    assert re.match(says, text)
    assert text.endswith("the mix agrees with the ablation on 6 of 8 edges (Kendall .61).")


@pytest.mark.parametrize(
    "lost, says",
    [
        (12.0, "Edge 2<-0 decides: without its tanh the perplexity of the supernet goes from 100 to 112."),
        (0.05, "No decision stands out: the perplexity of the supernet hardly changes without any of them."),
    ],
)
def test_other_scores_are_said_by_where_they_go(lost, says):
    edge = {"label": "edge 2<-0", "found": "tanh", "lost": lost, "chance": None, "in_found": None}
    base = {"mix": {"score": 100.0, "loss": 4.6}, "found": None}
    said = {"base": base, "decisions": [edge], "agreement": None}
    assert sentence.of(said, Score("perplexity", more=False)) == says
