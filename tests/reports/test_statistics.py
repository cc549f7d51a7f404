"""Tests of significance against answers by hand and by enumeration; tables in the forms that people pass on."""

from itertools import combinations, product

import numpy as np
import pytest

from dnas.reports import statistics, tables


@pytest.mark.parametrize("a, b", [([1.0, 2, 3], [4.0, 5, 6]), ([1.0, 5, 2, 8], [3.0, 4, 4]), ([1.0, 1], [1.0, 1])])
def test_the_permutation_test_is_that_of_all_permutations(a, b):
    both = np.array([*a, *b])
    seen = np.mean(a) - np.mean(b)
    distances = []
    for chosen in combinations(range(len(both)), len(a)):
        mask = np.isin(np.arange(len(both)), chosen)
        distances.append(both[mask].mean() - both[~mask].mean())
    sides = [np.mean(np.array(distances) <= seen + 1e-12), np.mean(np.array(distances) >= seen - 1e-12)]
    assert statistics.permutation_p(a, b) == pytest.approx(min(1, 2 * min(sides)))


def test_the_side_that_a_skewed_reference_does_not_reach_is_not_asked():
    """One score in ten is a failure: means as far below as that of 8 good ones is above are common."""
    reference = [10.0] * 20 + [90.0 + 0.01 * i for i in range(180)]
    assert statistics.permutation_p([94.0] * 8, reference) < 1e-3


def test_the_signed_rank_test_is_that_of_all_signs():
    a, b = np.array([5.0, 3, 9, 8, 2, 7, 12]), np.array([1.0, 4, 3, 6, 5, 0, 4])
    ranks = np.argsort(np.argsort(np.abs(a - b))) + 1
    seen = ranks[a > b].sum()
    sums = np.array([ranks[np.array(signs)].sum() for signs in product([False, True], repeat=len(a))])
    one_sided = min((sums >= seen).mean(), (sums <= seen).mean())
    assert statistics.wilcoxon_p(a, b) == pytest.approx(2 * one_sided)
    assert statistics.wilcoxon_p(a, a) == 1


def test_many_scores_take_no_more_numbers_than_few():
    random = np.random.default_rng(0)
    many, few = random.normal(size=2000), random.normal(1, size=3)
    p = statistics.permutation_p(few, many)
    share = np.mean([abs(random.choice(many, 3).mean() - many.mean()) >= few.mean() - many.mean() for _ in range(2000)])
    assert p == pytest.approx(share, abs=0.03)


def test_every_method_has_a_reference_of_its_own():
    found = statistics.differences_each(
        {"a": ([2.0, 3.0], [0.0, 1.0]), "b": ([2.0, 3.0], [4.0, 5.0]), "c": ([1.0], [])}
    )
    assert {name: one.superiority for name, one in found.items()} == {"a": 1.0, "b": 0.0}


def test_holms_correction_is_that_of_the_paper():
    assert statistics.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert statistics.holm([0.9, 0.8]) == [1.0, 1.0]
    assert statistics.holm([]) == []


def test_superiority_counts_pairs():
    assert statistics.superiority([2, 3], [1, 2]) == pytest.approx(3.5 / 4)
    assert statistics.superiority([1], [1]) == 0.5


def test_only_what_has_several_scores_is_compared():
    reference = [1.0, 2.0, 3.0, 4.0]
    found = statistics.differences({"better": [8.0, 9.0, 7.0, 8.5], "one": [9.0], "same": reference}, reference)
    assert set(found) == {"better", "same"}
    assert found["better"].superiority == 1 and found["better"].p == pytest.approx(2 * 2 / 70)
    assert found["same"] == (1.0, 0.5)
    assert statistics.differences({"better": [8.0, 9.0]}, [1.0]) == {}


def test_tables_are_written_as_others_read_them():
    header, lines = ["method", "retrained %"], [["a_b", "94.0 ± 0.2"], ["c|d, e", "-"]]
    assert tables.as_csv(header, lines) == 'method,retrained %\na_b,94.0 ± 0.2\n"c|d, e",-\n'
    assert tables.as_markdown(header, lines).splitlines() == [
        "| method | retrained % |",
        "| --- | ---: |",
        "| a_b | 94.0 ± 0.2 |",
        r"| c\|d, e | - |",
    ]
    latex = tables.as_latex(header, lines)
    assert r"a\_b & 94.0 $\pm$ 0.2 \\" in latex and r"retrained \%" in latex and r"\begin{tabular}{lr}" in latex
