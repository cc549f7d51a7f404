"""DARTS-PT: the selection on a supernet whose accuracy is known, and a whole search that projects."""

import json

import numpy as np
import pytest

import dnas.search
from dnas import find
from dnas.architectures.genotype import check
from dnas.config import AugmentConfig, Config, SearchConfig, WeightConfig
from dnas.errors import UserError
from dnas.runs import records
from dnas.search import projection
from dnas.spaces import darts, nasbench201
from dnas.training.weights import rate_of

SPACE = darts.space(nodes=3, operations="none+skip_connect+sep_conv_3x3")
UNIFORM = {kind: np.full((9, 3), 1 / 3) for kind in SPACE.cells}


def worths(seed):
    rng = np.random.default_rng(seed)
    return {kind: rng.normal(size=(9, 3)) for kind in SPACE.cells}


def damage_of(worth):
    """A supernet in which every entry adds its worth, whatever its weight, as long as it is there."""
    return lambda mix: -sum(((m > 0) * worth[kind]).sum() for kind, m in mix.items())


@pytest.mark.parametrize("seed", range(3))
def test_the_most_valuable_operations_and_edges_are_left(seed):
    worth = worths(seed)
    mask = {kind: np.ones((9, 3)) for kind in SPACE.cells}
    for kind, plan in projection.projections(SPACE, seed).items():
        assert sorted(plan[:9]) == [("edge", e) for e in range(9)]
        assert sorted(plan[9:]) == [("node", 3), ("node", 4)]  # node 2 has two inputs, and keeps them
        for decision in plan:
            mix = {k: UNIFORM[k] * mask[k] for k in mask}
            mask = projection.project(mix, mask, kind, SPACE.cells[kind], decision, damage_of(worth))
    for kind, cell in SPACE.cells.items():
        best = worth[kind].argmax(-1)
        for node in cell.computed:
            incoming = cell.incoming(node)
            kept = sorted(incoming, key=lambda e: -worth[kind][e, best[e]])[:2]
            for e in incoming:
                expected = np.eye(3)[best[e]] * (e in kept)
                np.testing.assert_array_equal(mask[kind][e], expected)


def test_ties_go_to_the_first():
    assert projection.best_operation(UNIFORM, "normal", 4, range(3), lambda mix: 0.0) == 0
    sets = [(6, 7), (5, 7), (5, 6)]
    assert projection.best_edges(UNIFORM, "normal", [5, 6, 7], sets, lambda mix: 0.0) == (5, 6)


def test_nothing_is_renormalised_when_an_operation_is_removed():
    removed = projection.without(UNIFORM, "normal", 2, 1)
    np.testing.assert_allclose(removed["normal"][2], [1 / 3, 0, 1 / 3])
    np.testing.assert_array_equal(removed["reduce"], UNIFORM["reduce"])
    assert UNIFORM["normal"][2, 1] > 0


@pytest.mark.parametrize(
    "weights, end",
    [
        (WeightConfig(schedule="cosine"), 0.0),
        (WeightConfig(learning_rate=0.003), 0.0003),  # a tenth of the rate is below the end of the search
        (WeightConfig(schedule="step:milestones=10+20"), 0.00025),
        (WeightConfig(schedule="constant", warmup_epochs=25, warmup_start=0.1), 0.0025),
    ],
)
def test_tuning_falls_to_where_the_schedule_of_the_search_ended(weights, end):
    *_, tuning = find.resolve("method", "darts_pt").phases(SPACE, SearchConfig(epochs=50, weights=weights))
    rate = rate_of(tuning.config.weights, tuning.config.epochs, 3)
    assert rate(0) == pytest.approx(weights.learning_rate / 10)
    assert rate(tuning.config.epochs * 3) == pytest.approx(end, abs=1e-9)


def test_the_method_projects_at_the_end_of_the_search_and_then_every_few_epochs(view):
    method = find.resolve("method", "darts_pt:interval=2,criterion=loss")
    mask = {kind: np.ones((9, 3)) for kind in SPACE.cells}
    plan = projection.projections(SPACE, 0)
    search, tuning = method.phases(SPACE, SearchConfig(epochs=50))
    assert search.config.epochs == 50 and tuning.config.epochs == 2 * 10 + 1  # 11 decisions
    assert tuning.config.weights.learning_rate == pytest.approx(0.0025)
    assert tuning.config.weights.schedule == "cosine:end=0.001"
    asked = []

    def evaluate(mix, train):
        asked.append(train)
        return 0.0, damage_of(worths(0))(mix)

    def look(phase, epoch, epochs):
        seen = view(SPACE, UNIFORM, phase=phase, epoch=epoch, epochs=epochs, mask=mask, evaluate=evaluate)
        return method.between_epochs(seen)

    assert look(0, 49, 50).mask is None and look(1, 3, 21).mask is None and look(1, 21, 21).mask is None
    assert not asked
    first = look(0, 50, 50)
    for kind in SPACE.cells:
        ((_, edge), *_) = plan[kind]
        changed = np.flatnonzero((first.mask[kind] != 1).any(-1))
        assert changed.tolist() == [edge] and first.mask[kind][edge].argmax() == worths(0)[kind][edge].argmax()
    assert asked == [True] * 6
    later = look(1, 4, 21)
    assert later.notes["decided"] == {kind: list(plan[kind][2]) for kind in plan}


@pytest.mark.slow
@pytest.mark.parametrize("choice", ["darts_pt:interval=1,blank=true", "darts_pt:interval=1,on=darts_minus"])
def test_a_search_ends_with_one_operation_on_every_edge(tmp_path, choice):
    config = Config(
        space="nasbench201:nodes=3,operations=skip_connect+nor_conv_1x1+avg_pool_3x3",
        method=choice,
        data="digits:limit=100",
        search=SearchConfig(epochs=1, cells=1, channels=2, batch_size=25, augment=AugmentConfig(1, False)),
    )
    found = dnas.search.run(config, tmp_path / "run", quiet=True)
    check(found.genotype, nasbench201.space(nodes=3))
    rows = records.read_mix(found.folder)
    left = [sum(weight > 0 for row in r["mix"]["cell"].values() for weight in row.values()) for r in rows]
    assert left == [9, 7, 5, 3]  # the first decision falls after the first epoch is logged
    logged = records.read_metrics(found.folder)  # 3 evaluations for a decision, and one of what is left
    assert [row.get("evaluated") for row in logged] == [3, 3, 3, None, 1]
    last = rows[-1]["mix"]["cell"]
    for node, source, operation in found.genotype.cell("cell").edges:
        assert last[f"{node}<-{source}"][operation] == pytest.approx(1, abs=1e-5)
    again = dnas.search.run(config, found.folder, resume=True, quiet=True)
    assert again.genotypes == found.genotypes
    assert json.loads((found.folder / "genotype.json").read_text())["cells"]


def test_what_cannot_be_selected_on_is_one_sentence():
    with pytest.raises(UserError, match="prunes or stops on its own"):
        find.resolve("method", "darts_pt:on=robust_darts")
    with pytest.raises(UserError, match="criterion of method 'darts_pt'"):
        find.resolve("method", "darts_pt:criterion=size")
