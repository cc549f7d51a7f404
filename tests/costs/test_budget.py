"""Budgets of networks: how they are written, the smallest network there is, and expected costs by enumeration."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.architectures.encoding import every
from dnas.architectures.genotype import as_mix, random
from dnas.architectures.topology import NetworkSize, with_operations
from dnas.costs import budget, latency_table, published
from dnas.errors import UserError
from dnas.spaces import darts, fbnet, nasbench201

needs_files = pytest.mark.skipif(published.locate().found is None, reason="needs hw_latency.tar.xz of DNAS_SHARED")
SIZE, TINY = NetworkSize(1, 4, 10), fbnet.space(size="tiny")
FEW = with_operations(
    darts.space(nodes=2), {kind: [("none", "skip_connect", "sep_conv_3x3")] * 5 for kind in ("normal", "reduce")}
)


def test_a_budget_is_read():
    assert budget.parse("parameters<3e6, latency_ms:device=raspi4,by=mlp<20") == (
        ("parameters", "", 3e6),
        ("latency:device=raspi4,by=mlp", "ms", 20.0),
    )
    assert budget.parse("activation_memory_bytes:bits=8<100")[0] == ("activation_memory:bits=8", "bytes", 100.0)


@pytest.mark.parametrize(
    "text, said",
    [
        ("parameters", "expected a cost, < and a number"),
        ("parametres<3", "Did you mean parameters"),
        ("parameters<-3", "'-3' behind <"),
        ("parameters<many", "'many' behind <"),
        ("parameters<nan", "'nan' behind <"),
        ("parameters<1,parameters<2", "twice"),
        ("parameters_ms<3e9", "is a count, not in ms"),
        ("latency_ms<20", "needs a table or a device"),
        pytest.param("latency:device=raspi<20", "Did you mean raspi4", marks=needs_files),
        ("parameters<10", "the smallest has 1,"),
        ("activation_memory<10", "bytes"),
    ],
)
def test_bad_budgets_are_one_sentence(text, said):
    space = fbnet.space() if "device" in text else TINY
    with pytest.raises(UserError, match=said) as caught:
        budget.build(text, space, SIZE, 16)
    assert str(caught.value).count(". ") <= 1 and "\n" not in str(caught.value)


def test_tables_of_other_spaces_and_with_gaps_are_refused(tmp_path):
    rows = [{name: 1.0 for name in names} for names in TINY.cells["block"].operations]
    for name, layers, said in (("proxyless", rows, "of the space 'proxyless'"), ("fbnet", [{}, *rows[1:]], "no entry")):
        file = tmp_path / f"{name}.json"
        latency_table.write(latency_table.LatencyTable(name, "here", {"block": layers}, "by hand"), file)
        with pytest.raises(UserError, match=said):
            budget.build(f"latency_ms:table={file}<20", TINY, SIZE, 16)


@pytest.mark.parametrize("space", [FEW, nasbench201.space(nodes=3, operations="none+skip_connect+nor_conv_1x1")])
def test_the_smallest_network_and_the_expected_cost_are_those_of_enumeration(space, float64):
    space = space.within(SIZE.cells)
    found = budget.build("parameters<1e9,multiply_adds<1e12", space, SIZE, 8)
    every_one = list(every(space))
    costs = np.array([found.of(genotype) for genotype in every_one])
    np.testing.assert_array_equal(costs[0], [cost.of(every_one[0]) for cost in found.costs])
    for n, cost in enumerate(found.costs):
        assert budget.price(cost, budget.cheapest(space, cost.additive.tables)) == costs[:, n].min()
    ((kind, shape),) = space.mix_shapes.items()
    mix = jax.nn.softmax(jax.random.normal(jax.random.key(0), shape, jnp.float64))
    allowed, _ = budget.weighted_by_edge(found)[kind]
    rows = np.asarray(mix * allowed / (mix * allowed).sum(-1, keepdims=True))
    chosen = np.stack([as_mix(genotype, space)[kind] for genotype in every_one])
    chances = np.where(chosen.any(-1), (chosen * rows).sum(-1), 1).prod(-1)
    chances /= chances.sum()
    np.testing.assert_allclose(budget.relaxed(found)({kind: mix}) * found.most, chances @ costs, rtol=1e-9)


@pytest.mark.parametrize("count", [1, 2])
def test_what_is_left_has_a_network_within_the_budget_or_not(count):
    """By enumeration of random masks of cells that keep two edges of a node."""
    space = FEW.within(SIZE.cells)
    wide = budget.build("parameters<1e9,multiply_adds<1e12", space, SIZE, 8)
    every_one = list(every(space))
    costs, chosen = np.array([wide.of(one) for one in every_one]), [as_mix(one, space) for one in every_one]
    limits = replace(wide, costs=wide.costs[:count], most=np.quantile(costs, 0.2, 0)[:count])
    draws, seen = np.random.default_rng(0), []
    for _ in range(60):
        mask = {kind: (draws.random(shape) < 0.5).astype(float) for kind, shape in space.mix_shapes.items()}
        left = np.array([all((mix[kind] <= mask[kind]).all() for kind in mask) for mix in chosen])
        seen.append(bool((left & (costs[:, :count] <= limits.most).all(1)).any()))
        assert budget.leaves(limits, mask) == seen[-1]
        kept = [e for e in (0, 3) if draws.random() < 0.5]  # of the two nodes one edge each
        with_them = left & np.array([all(rows[kept].any(-1).all() for rows in mix.values()) for mix in chosen])
        expected = bool((with_them & (costs[:, :count] <= limits.most).all(1)).any())
        assert budget.leaves(limits, mask, dict.fromkeys(mask, kept)) == expected
    assert 10 < sum(seen) < 50


def test_a_budget_of_what_pruning_has_left_is_the_same():
    space = FEW.within(SIZE.cells)
    wide = budget.build("parameters<1e9,multiply_adds<1e12", space, SIZE, 8)
    fewer = with_operations(space, {kind: [("sep_conv_3x3", "skip_connect")] * 5 for kind in space.cells})
    left, one = budget.on(wide, fewer), random(fewer, 0)
    assert left.of(one).tolist() == wide.of(one).tolist() and budget.on(wide, space) is wide
    assert {kind: table.shape for kind, table in left.additive[0].tables.items()} == fewer.mix_shapes


def test_a_budget_that_only_each_cost_meets_is_refused():
    """Of nine blocks the smallest in parameters is not that in multiply-adds where the sum decides."""
    one = budget.build("parameters<1e9", TINY, SIZE, 16)
    least = [budget.price(one.costs[0], budget.cheapest(TINY, one.costs[0].additive.tables))]
    assert budget.build(f"parameters<{least[0]},multiply_adds<1e12", TINY, SIZE, 16).allows(
        budget.cheapest(TINY, one.costs[0].additive.tables)
    )
    assert not one.__class__(TINY, one.costs, np.array([least[0] - 1])).allows(random(TINY, 0))
