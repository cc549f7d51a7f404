"""A budget of networks in a search: the mix keeps it, the genotype meets it, and what cannot is refused."""

from dataclasses import replace
from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.architectures import flow
from dnas.architectures.genotype import CellGenotype, Edge, Genotype, as_mix, random
from dnas.architectures.topology import NetworkSize
from dnas.config import AlphaConfig, Config, RetrainConfig, SearchConfig
from dnas.costs import budget
from dnas.errors import UserError
from dnas.methods import gaea
from dnas.runs import records
from dnas.search import discretise, limits, relax
from dnas.search.run import build, run
from dnas.spaces import darts, fbnet, nasbench201

TINY, SIZE = fbnet.space(size="tiny"), NetworkSize(1, 4, 10)
SEARCH = SearchConfig(2, 64, alphas=AlphaConfig(0.05))
CONFIG = Config(space="fbnet:size=tiny", data="digits:limit=300", search=SEARCH, retrain=RetrainConfig(auxiliary=0))
CELLS = replace(
    CONFIG, space="darts:nodes=2", search=replace(SEARCH, cells=3, channels=4, epochs=3), retrain=RetrainConfig(cells=3)
)


def share(space, of, image=16):
    """The budget that lies so far between the smallest and the largest number of parameters."""
    least, most = budget.build("parameters<1e12", space, SIZE, image).additive[0].bounds(space)
    return f"parameters<{least + of * (most - least):.0f}"


def test_a_projection_is_the_nearest_distribution_within_the_budget(float64):
    """Of relative entropy: gradient of KL + multiplier x cost is the same for all operations of a row."""
    found = budget.build(share(TINY, 0.2), TINY, SIZE, 16)
    before = {"block": jax.random.normal(jax.random.key(0), TINY.mix_shapes["block"], jnp.float64)}
    read = lambda alphas: relax.softmax(alphas, None, None)  # noqa: E731
    after = limits.projection(found, lambda a, u: jax.tree.map(jnp.add, a, u))(before, read)
    cost = float(budget.relaxed(found)(read(after))[0])
    assert 0.999 < cost <= 1 < float(budget.relaxed(found)(read(before))[0])
    table = found.additive[0].tables["block"]
    slopes = np.asarray(before["block"] - after["block"]) / np.maximum(table - table.min(-1, keepdims=True), 1e-9)
    slopes = slopes[table > table.min(-1, keepdims=True)]
    np.testing.assert_allclose(slopes, slopes[0], rtol=1e-5)
    again = limits.projection(found, lambda a, u: jax.tree.map(jnp.add, a, u))(after, read)
    np.testing.assert_array_equal(again["block"], after["block"])  # what is within stays


@pytest.mark.parametrize("edges", [False, True])
def test_alphas_that_are_the_mix_and_weights_of_edges_keep_a_budget(edges):
    space = darts.space(nodes=2)
    method = gaea.method(edges=edges)
    space = space.within(1)
    found = budget.build("parameters<1e9,multiply_adds<1e12", space, SIZE, 8)
    before = method.alphas(space, jax.random.key(0), AlphaConfig())
    read = lambda alphas: method.relax(alphas, None, None)  # noqa: E731
    least = [budget.price(cost, budget.cheapest(space, cost.additive.tables)) for cost in found.costs]
    expected = np.asarray(budget.relaxed(found)(read(before))) * found.most
    found = replace(found, most=least + (expected - least) * [0.8, 0.7])
    after = limits.projection(found, method.move)(before, read)
    costs = np.asarray(budget.relaxed(found)(read(after)))
    assert (costs <= 1.0001).all() and costs.max() > 0.999


@pytest.mark.parametrize("seed", range(3))
def test_a_genotype_within_the_budget_is_near_the_best(seed):
    """Of all 729 networks of three layers, by their probability."""
    found = budget.build(share(TINY, 0.15), TINY, SIZE, 16)
    mix = {"block": np.asarray(jax.nn.softmax(2 * jax.random.normal(jax.random.key(seed), TINY.mix_shapes["block"])))}
    chosen = limits.discretised(discretise.strongest, found, 1)(TINY, mix)
    assert found.allows(chosen) and not found.allows(discretise.strongest(TINY, mix))
    weight = lambda one: float((as_mix(one, TINY)["block"] * np.log(mix["block"])).sum())  # noqa: E731
    table, constant = found.additive[0].tables["block"], found.additive[0].constant
    rows = [range(len(names)) for names in TINY.cells["block"].operations]
    best = max(
        sum(np.log(mix["block"][e, o]) for e, o in enumerate(options))
        for options in product(*rows)
        if constant + sum(table[e, o] for e, o in enumerate(options)) <= found.most[0]
    )
    assert best - 1 < weight(chosen) <= best + 1e-5


@pytest.mark.parametrize("most", [0.02, 0.1, 0.3])
def test_what_fits_a_budget_lets_something_through(most):
    """`none` costs nothing: 40 mixes of cells of three edges that like it, against all 125 of them."""
    space = nasbench201.space(nodes=3)
    found, names = budget.build(share(space, most), space, SIZE, 16), space.cells["cell"].operations[0]
    edges = space.cells["cell"].edges

    def of(operations):
        chosen = (Edge(*edge, name) for edge, name in zip(edges, operations, strict=True))
        return Genotype(space.name, (("cell", CellGenotype(tuple(chosen))),))

    every = [of(operations) for operations in product(names, repeat=3)]
    fitting = [one for one in every if found.allows(one) and not flow.is_constant(one, space, 1)]
    drawn = np.random.default_rng(0).normal(size=(40, 3, len(names))) + np.array([0.7, 0, 0, 0, 0])
    chosen = list[Genotype]()
    for rows in np.exp(drawn) / np.exp(drawn).sum(-1, keepdims=True):
        if not found.allows(discretise.strongest(space, {"cell": rows})):
            chosen.append(limits.discretised(discretise.strongest, found, 1)(space, {"cell": rows}))
    assert len(chosen) > 5 and {*chosen} <= {*fitting}


def test_cells_that_keep_some_edges_meet_a_budget():
    space = darts.space(nodes=3).within(1)
    mix = {kind: np.asarray(jax.random.uniform(jax.random.key(1), shape)) for kind, shape in space.mix_shapes.items()}
    free = discretise.strongest(space, mix)
    most = float(budget.build("multiply_adds<1e12", space, SIZE, 8).of(free)[0])
    found = budget.build(f"multiply_adds<{0.8 * most}", space, SIZE, 8)
    chosen = limits.discretised(discretise.strongest, found, 1)(space, mix)
    assert found.allows(chosen) and len(chosen.cells[0][1].edges) == len(free.cells[0][1].edges)


@pytest.mark.slow
@pytest.mark.parametrize("method", ["gdas", "spos:population=6,generations=3,parents=2"])
def test_a_search_meets_its_budget(method, tmp_path):
    """Where it binds, to 2 % in expectation; a genotype never costs more."""
    config = replace(CONFIG, space="nasbench201:nodes=3,operations=skip_connect+nor_conv_1x1", method=method)
    small = replace(SEARCH, cells=1, channels=4), RetrainConfig(auxiliary=0, cells=1, channels=4)
    config = replace(config, search=small[0], retrain=small[1])
    wide = build(replace(config, budget="parameters<1e9")).limits
    least, most = wide.additive[0].bounds(wide.space)
    config = replace(config, budget=f"parameters<{least + 0.4 * (most - least)}")
    result, most = run(config, tmp_path / "run", quiet=True), least + 0.4 * (most - least)
    row = records.read_metrics(tmp_path / "run")[-2 if "spos" in method else -1]
    assert wide.of(result.genotype)[0] <= most and row["parameters"] <= most
    assert 0.98 < row["expected_parameters"] / most < 1.02 or "spos" in method


TIGHT = share(TINY, 0.0001)
ELASTIC = replace(CONFIG, space="ofa:size=tiny", retrain=RetrainConfig(auxiliary=0, cells=1, drop_path=0))


@pytest.mark.parametrize(
    "change, said",
    [
        (replace(CELLS, method="enas"), "not one table of operations"),
        (replace(CELLS, retrain=RetrainConfig(cells=1)), "has other kinds"),
        (
            replace(CONFIG, method="spos", budget=TIGHT),
            "of 1 random ones none is within .* a method with alphas",
        ),
        (replace(ELASTIC, method="spos", budget="parameters<10"), "give more, or choose a space with smaller networks"),
        (replace(CONFIG, budget="parameters<10"), "the smallest has"),
    ],
)
def test_what_no_budget_reaches_is_refused_when_it_is_built(change, said, monkeypatch):
    monkeypatch.setattr(limits, "DRAWS", 1)
    with pytest.raises(UserError, match=said):
        build(replace(change, budget=change.budget or "parameters<1e9"))


def test_the_log_has_every_cost_of_a_budget_also_one_twice_with_other_settings():
    found = budget.build("activation_memory:bits=8<1e9,activation_memory:bits=16<1e9", TINY, SIZE, 16)
    genotype = random(TINY, 0)
    row = limits.row(found, as_mix(genotype, TINY), genotype)
    names = ["activation_memory:bits=8", "activation_memory:bits=16"]
    assert [*row] == [*names, *(f"expected_{name}" for name in names)]
    assert row[names[1]] == 2 * row[names[0]] > 0


@pytest.mark.parametrize(
    "method",
    [
        "once_for_all:rule=sandwich,probes=4,population=4,generations=1,finalists=1",
        "spos:population=4,generations=2,parents=2",
    ],
)
def test_selection_keeps_a_budget_of_costs_that_are_no_sums(method, monkeypatch):
    """All that is asked costs at most as much; a budget that nothing drawn meets says what the least cost was."""
    monkeypatch.setattr(limits, "DRAWS", 20)
    config = replace(ELASTIC, method=method, search=replace(SEARCH, cells=1))
    job, tried = build(replace(config, budget="multiply_adds<150000")), []

    def evaluate(mix, **norms):
        tried.append(job.limits.of(discretise.strongest(job.space, mix))[0])
        return tried[-1]

    found = job.method.select(job.space, {}, evaluate, 0)
    assert len(tried) >= 4 and job.limits.of(found)[0] == max(tried) <= 150_000
    monkeypatch.setattr(limits, "DRAWS", 3)
    with pytest.raises(UserError, match="of 3 random ones none .* the least among them is multiply_adds"):
        build(replace(config, budget="multiply_adds<20"))


def test_without_a_budget_nothing_is_projected():
    job = build(CONFIG)
    assert job.limits is None and job.method.within is None
    assert build(replace(CONFIG, budget="parameters<1e9")).method.within is not None
    assert random(TINY, 0).space == "fbnet"
