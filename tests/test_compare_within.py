"""A comparison of methods within budgets of networks: what chance finds within the same."""

from dataclasses import replace

import numpy as np
import pytest

from dnas import compare
from dnas.architectures.genotype import parse
from dnas.blackbox.config import BlackboxConfig
from dnas.compare import equal_cost, within
from dnas.compare.rows import Row, random_name
from dnas.compare.run import _random
from dnas.config import Config, RetrainConfig, SearchConfig
from dnas.errors import UserError
from dnas.tables import nasbench201 as tabular

LIMIT = "parameters<2e5"
FREE = BlackboxConfig("random_search", budget="2000s", runs=2)
LIMITED = replace(FREE, budget=f"2000s, {LIMIT}")
GRADIENT = Config(
    space="nasbench201",
    data="digits:limit=200",
    budget=LIMIT,
    search=SearchConfig(epochs=1, cells=1, channels=2),
    retrain=RetrainConfig(cells=5, channels=16, auxiliary=0),
)
CELLS = [parse(f"{number}") for number in (1835, 6111, 9930)]


def parameters(genotypes):
    return np.array([tabular.nasbench201(genotype).parameters for genotype in genotypes])


def test_random_cells_are_within_the_budget_of_the_methods_beside_them(monkeypatch):
    configs = {"a": LIMITED, "b": FREE, "c": replace(LIMITED, searcher="evolution")}
    limited, free = _random(configs, 30, within.limits(configs))
    assert (limited.name, free.name) == (f"random cells within {LIMIT}", "random cells")
    assert (limited.budget, free.budget) == (LIMIT, "")
    assert parameters(limited.genotypes).max() <= 2e5 < parameters(free.genotypes).max()
    assert len({*limited.genotypes}) > 20
    monkeypatch.setattr(within, "DRAWS", 1)
    tight = {"a": replace(FREE, budget="2000s,parameters<73307")}  # a twentieth of all cells
    with pytest.raises(UserError, match="Of 1 random cells none is within"):
        _random(tight, 10, within.limits(tight))


@pytest.mark.slow
def test_random_search_at_equal_cost_is_within_the_budget():
    (known,) = within.limits({"a": LIMITED}).values()
    able = within.of_table(known, LIMIT)
    np.testing.assert_array_equal(able, tabular.table().column("cifar10", "parameters") <= 2e5)
    paid = {"seconds": 2000.0}
    free, limited, again = equal_cost.references([paid, paid, paid], [None, able, able])
    assert limited["seconds"].found == again["seconds"].found != free["seconds"].found
    test = tabular.table().column("cifar10", "test_200")
    assert {*limited["seconds"].found} <= {*test[able]} and not {*free["seconds"].found} <= {*test[able]}
    assert equal_cost.references([paid]) == [free]


def test_methods_are_held_against_random_cells_of_their_own_budget():
    rows = [Row(name, config, CELLS, 0.0, [], [90.0, 91.0, 92.0]) for name, config in {"a": LIMITED, "b": FREE}.items()]
    rows += [Row(random_name(LIMIT), FREE, CELLS, 0.0, [], [90.0, 91.0, 92.0])]
    rows += [Row(random_name(""), FREE, CELLS, 0.0, [], [60.0, 61.0, 62.0])]
    header, lines = compare.cells(rows)
    better = {line[0]: line[header.index("better than random")] for line in lines}
    assert better == {"a": "50%", "b": "100%", random_name(LIMIT): "-", compare.RANDOM: "-"}
    assert [row.plain()["budget"] for row in rows] == [LIMIT, "", LIMIT, ""]


def test_one_budget_is_of_networks_of_one_size(tmp_path):
    """Images of one colour have another stem than those of the table."""
    assert [*within.limits({"a": GRADIENT, "b": FREE, "c": replace(GRADIENT, seed=1)})] == [LIMIT]
    with pytest.raises(UserError, match="a cell has other costs as 'b' counts them"):
        within.limits({"a": LIMITED, "b": GRADIENT})
    with pytest.raises(UserError, match="'c' is refused: .* the smallest has"):
        within.limits({"c": replace(FREE, budget="2000s,parameters<9")})
    with pytest.raises(UserError, match="cannot name a method"):
        compare.check({random_name(LIMIT): FREE}, tmp_path / "x", train=False)
