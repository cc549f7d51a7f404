"""Methods that prune while they search, within a budget: what they leave always has a network that meets it."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from dnas import find
from dnas.architectures.genotype import as_mix, random
from dnas.architectures.topology import NetworkSize
from dnas.config import AlphaConfig, Config, RetrainConfig, SearchConfig
from dnas.costs import budget
from dnas.errors import UserError
from dnas.methods import darts
from dnas.runs import records
from dnas.search import limits, phases
from dnas.search.method import View
from dnas.search.run import build, run
from dnas.spaces import nasbench201

CONFIG = Config(
    space="nasbench201:nodes=3,operations=none+skip_connect+nor_conv_1x1+nor_conv_3x3",
    data="digits:limit=300",
    search=SearchConfig(8, 64, cells=1, channels=4, alphas=AlphaConfig(0.05)),
    retrain=RetrainConfig(auxiliary=0, cells=1, channels=4),
)
DARTS = replace(
    CONFIG,
    space="darts:nodes=2,operations=skip_connect+sep_conv_3x3+dil_conv_3x3",
    search=replace(CONFIG.search, cells=3),
    retrain=replace(CONFIG.retrain, cells=3),
)
PRUNERS = ("asap", "sgas:begin=1,every=1", "darts_pt:interval=1", "te_nas:repeats=1", "zero_cost_pt:validations=1")
LAYERS = [pytest.param(method, CONFIG, id=method) for method in PRUNERS]
SLOW = [pytest.param(m, DARTS, id=f"{m}, two edges of a node", marks=pytest.mark.slow) for m in PRUNERS[1:3]]


@cache
def most(space, cells, share):
    """What lies so far between the smallest and the largest network."""
    size = NetworkSize(cells, 4, 10, image_channels=1)
    (cost,) = budget.build("parameters<1e9", find.resolve("space", space).within(cells), size, 8).costs
    tables = cost.additive.tables
    largest = budget.cheapest(cost.space, {kind: -table for kind, table in tables.items()})
    low, high = (budget.price(cost, one) for one in (budget.cheapest(cost.space, tables), largest))
    return low + share * (high - low)


def within(config, share):
    """The config with a budget that lies there, and the budget."""
    found = most(config.space, config.retrain.cells, share)
    return replace(config, budget=f"parameters<{found}"), found


def pruned(job, prices, fits):
    """The masks of a search whose supernet is the better the more its operations cost, and what it selects."""
    space, draws = job.space, np.random.default_rng(0)
    mask = {kind: np.ones(shape) for kind, shape in space.mix_shapes.items()}
    notes, total = [], 0

    def worth(mix):
        return sum(float((np.asarray(mix[kind]) * prices[kind]).sum()) for kind in prices)

    for index, phase in enumerate(job.phases):
        for epoch in range(1, phase.config.epochs + 1):
            total += 1
            shares = {kind: draws.dirichlet(np.ones(shape[1]), shape[0]) for kind, shape in space.mix_shapes.items()}
            rows = {kind: share + prices[kind] / 1e3 for kind, share in shares.items()}
            mix = {kind: mask[kind] * row / row.sum(-1, keepdims=True) for kind, row in rows.items()}
            outcome = job.method.between_epochs(
                View(
                    space=space,
                    phase=index,
                    epoch=epoch,
                    epochs=phase.config.epochs,
                    total=total,
                    seed=0,
                    alphas=rows,
                    mix=mix,
                    mask=mask,
                    knobs={},
                    notes=notes,
                    evaluate=lambda mix, **_: (worth(mix), -worth(mix)),
                    hessian=lambda: np.ones((1, 1)),
                    score=lambda mix, number: (
                        dict.fromkeys(("jacob_cov", "linear_regions"), worth(mix)) | {"ntk": -1.0}
                    ),
                    fits=fits,
                )
            )
            notes.append(dict(outcome.notes))
            mask = mask if outcome.mask is None else {kind: np.array(m) for kind, m in outcome.mask.items()}
            yield mask
            if outcome.stop is not None:
                break
    yield job.method.select(space, {kind: mask[kind] * rows[kind] for kind in mask}, None, 0)


@pytest.mark.parametrize("method, config", LAYERS + SLOW)
def test_what_is_pruned_leaves_a_network_within_the_budget(method, config):
    config, limit = within(replace(config, method=method), 0.4)
    job = build(config)
    prices = job.limits.additive[0].tables
    *masks, found = pruned(job, prices, job._fits)
    assert all(budget.leaves(job.limits, mask) for mask in masks)
    assert job.limits.of(found)[0] <= limit
    assert all(rows.sum(-1).max() == 1 for rows in masks[-1].values()) or method == "asap"  # all is decided
    *masks, _ = pruned(job, prices, lambda mask, edges=None: True)
    assert not budget.leaves(job.limits, masks[-1])


def test_operations_of_the_genotype_survive_a_phase():
    space = nasbench201.space(nodes=3)
    draws = np.random.default_rng(0)
    own = [random(space, draws) for _ in range(3)]
    left = phases.prune(space, {"cell": draws.random((3, 3, 5))}, 2, own)
    for seed, genotype in enumerate(own):
        chosen = np.take_along_axis(as_mix(genotype, space)["cell"], np.maximum(left.columns["cell"], 0), -1)
        assert (left.mask["cell"][seed].sum(-1) == 2).all()
        assert ((chosen * left.mask["cell"][seed]).sum(-1) >= 1).all()


def test_a_method_that_looks_at_no_budget_while_it_prunes_is_refused():
    space, size = find.resolve("space", CONFIG.space), NetworkSize(1, 4, 10)
    limited = budget.build("parameters<1e9", space, size, 8)
    method = replace(darts.method(), masks=True)
    with pytest.raises(UserError, match="leaves out operations as it goes, whatever the rest costs"):
        limits.applied(method, limited, CONFIG)
    unknown = replace(limited, costs=(replace(limited.costs[0], additive=None),))
    with pytest.raises(UserError, match="parameters is no sum over decisions, so nobody knows what the rest costs"):
        limits.applied(replace(method, prunes_within=True), unknown, CONFIG)


@pytest.mark.slow
def test_two_phases_of_two_seeds_meet_a_budget(tmp_path):
    """Each seed keeps other operations in the second phase, and the mix keeps the budget there too."""
    config, limit = within(replace(CONFIG, method="drnas:partial=2+1,keep=2", seeds=2), 0.3)
    config = replace(config, search=replace(config.search, epochs=4))
    result = run(config, tmp_path / "run", quiet=True)
    wide = build(config).limits
    assert all(wide.of(genotype)[0] <= limit for genotype in result.genotypes)
    rows = records.read_metrics(tmp_path / "run")
    assert len(rows) == 8 and all(row["expected_parameters"] <= 1.001 * limit for row in rows)
