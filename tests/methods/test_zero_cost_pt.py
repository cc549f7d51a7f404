"""Zero-Cost-PT: the selection by a score that is known, and whole searches beside a second computation."""

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dnas.search
from dnas import data as datasets
from dnas import find
from dnas.architectures.genotype import as_mix, from_json
from dnas.compare import costs
from dnas.config import AugmentConfig, Config, SearchConfig
from dnas.errors import UserError
from dnas.loading import load
from dnas.runs import records
from dnas.search import projection, relax
from dnas.search.job import Job
from dnas.spaces import darts
from dnas.tasks import binding

SPACE = darts.space(nodes=3, operations="skip_connect+sep_conv_3x3+max_pool_3x3")
UNIFORM = jax.tree.map(np.asarray, relax.uniform(SPACE, jax.random.key(0), None))
VALIDATIONS, DECISIONS = 3, 11  # of 9 edges and the 2 nodes that three and four edges enter


def worth(number):
    """What every operation adds to the score on a batch {kind: [E, O]}."""
    rng = np.random.default_rng(number)
    return {kind: rng.normal(size=(9, 3)) for kind in SPACE.cells}


def score(mix, number):
    table = worth(number)
    return sum(float(((np.asarray(m) > 0) * table[kind]).sum()) for kind, m in mix.items())


def proposed(epoch):
    """The mask of a proposal: the operation of an edge and the edges of a node worth most, each on its batch."""
    masks = {}
    for kind, plan in projection.projections(SPACE, 0, f"proposal {epoch}").items():
        cell, mask = SPACE.cells[kind], np.zeros((9, 3))
        for decision, (what, index) in enumerate(plan):
            table = worth(VALIDATIONS + (epoch - 1) * DECISIONS + decision)[kind]
            if what == "edge":
                mask[index, table[index].argmax()] = 1
            else:
                edges = cell.incoming(index)
                worst = sorted(edges, key=lambda e: (mask[e] * table[e]).sum())[:-2]
                mask[worst] = 0
        masks[kind] = mask
    return masks


def test_the_best_proposal_is_found_and_no_cell_is_scored_twice(view):
    method = find.resolve("method", f"zero_cost_pt:validations={VALIDATIONS}")
    asked, notes, expected, mask = [], [], [], {kind: np.ones((9, 3)) for kind in SPACE.cells}

    def scored(mix, number):
        asked.append(number)
        return {"jacob_cov": score(mix, number)}

    for epoch in (1, 2, 3, 4):
        seen = view(SPACE, UNIFORM, epoch=epoch, epochs=4, notes=notes, mask=mask, score=scored)
        outcome = method.between_epochs(seen._replace(alphas=UNIFORM))
        notes.append(outcome.notes)
        mask = outcome.mask or mask
        proposal = proposed(epoch)
        np.testing.assert_equal(as_mix(from_json(outcome.notes["proposal"]), SPACE), proposal)
        value = sum(score(proposal, number) for number in range(VALIDATIONS))
        assert outcome.notes["proposal_score"] == pytest.approx(value, abs=1e-12)
        expected.append((value, epoch))
        np.testing.assert_equal(jax.tree.map(np.asarray, mask), proposed(max(expected)[1]))
        edges, nodes = 2 * 9 * 3, 2 * (3 + 4)
        assert len(asked) == edges + nodes + VALIDATIONS
        assert min(asked[:-VALIDATIONS]) == VALIDATIONS + (epoch - 1) * DECISIONS
        assert asked[-VALIDATIONS:] == list(range(VALIDATIONS))
        asked.clear()
    again = view(SPACE, UNIFORM, epoch=4, epochs=4, notes=notes, mask=mask, score=scored)
    assert method.between_epochs(again._replace(alphas=UNIFORM)).mask is None and len(asked) == edges + nodes


def test_what_is_no_number_is_worst(view):
    """The third operation is what everything flows through; and where no proposal has a number, the first stays."""
    method = find.resolve("method", "zero_cost_pt:validations=1")

    def scored(mix, number):
        flows = all((np.asarray(m)[0, 2] > 0) for m in mix.values())
        return {"jacob_cov": score(mix, number) if flows and number else -np.inf}

    seen = view(SPACE, UNIFORM, score=scored)._replace(alphas=UNIFORM)
    outcome = method.between_epochs(seen)
    assert outcome.notes["proposal_score"] is None
    assert all(m[0].argmax() == 2 for m in outcome.mask.values())
    assert method.between_epochs(seen._replace(epoch=2, notes=[outcome.notes])).mask is None


CONFIG = Config(
    space="nasbench201:nodes=3,operations=skip_connect+nor_conv_3x3+avg_pool_3x3",
    method="zero_cost_pt:validations=2",
    data="digits:limit=60",
    seeds=2,
    search=SearchConfig(epochs=3, cells=1, channels=2, batch_size=6, augment=AugmentConfig(pad=1, flip=False)),
)


def jacobian_score(stage, state, arrays):
    """(mix, number) -> the score by NumPy, of the Jacobian of the supernet."""

    @jax.jit
    def jacobian(images, mix):
        def total(images):
            return stage.network.apply(state.weights, state.stats, images, mix, train=True)[0].sum()

        return jax.grad(total)(images)

    def score(mix, number):
        images = stage.scoring.draw(state.key, arrays, np.int32(number)).inputs
        assert images.shape == (6, 8, 8, 1)
        found = jacobian(images, {kind: jnp.asarray(m, jnp.float32) for kind, m in mix.items()})
        values = np.linalg.eigvalsh(np.corrcoef(np.asarray(found, np.float64).reshape(6, -1))) + 1e-5
        return -(np.log(values) + 1 / values).sum()

    return score


@pytest.mark.slow
def test_a_search_finds_what_a_second_computation_does_and_trains_nothing(tmp_path):
    whole = dnas.search.run(CONFIG, tmp_path / "whole", quiet=True)
    shorter = replace(CONFIG, search=replace(CONFIG.search, epochs=2))
    with pytest.MonkeyPatch.context() as patch:
        original, count = projection.project, iter(range(100))

        def interrupted(*args):
            if next(count) == 8:  # of 3 decisions for each of 2 seeds: in the second epoch
                raise KeyboardInterrupt
            return original(*args)

        patch.setattr(projection, "project", interrupted)
        with pytest.raises(KeyboardInterrupt):
            dnas.search.run(shorter, tmp_path / "part", quiet=True)
    resumed = dnas.search.run(CONFIG, tmp_path / "part", resume=True, quiet=True)
    assert resumed.genotypes == whole.genotypes and resumed.scores == whole.scores
    rows = [row for row in records.read_metrics(whole.folder) if "proposal_score" in row]
    assert [row["proposal_score"] for row in rows] == [
        row["proposal_score"] for row in records.read_metrics(resumed.folder) if "proposal_score" in row
    ]
    assert len(rows) == 6 and not any("train_loss" in row or row["learning_rate"] for row in rows)

    new = {row["seed"]: set() for row in rows}
    for row in rows:  # 3 edges of 3 operations, and 2 batches for a cell that is new
        is_new = row["proposal_score"] not in new[row["seed"]]
        assert row["scored"] == 9 + 2 * is_new
        new[row["seed"]].add(row["proposal_score"])
    found = load(whole.folder)
    scored = sum(row["scored"] for row in rows)
    once = costs.of_questions(found.stage, "scored", 1)
    expected = 3 * costs.of_epoch(found.stage) + scored * once
    expected += costs.of_questions(found.stage, "evaluated", 2)  # of what was found
    assert costs.of_search(whole.folder, CONFIG) == expected
    of_image = costs.of_epoch(found.stage) / 2 / 30  # a validation: 30 images for each of 2 seeds, forward
    assert once / 6 == pytest.approx(2 * of_image, rel=0.1)  # forward, and back to the image
    first = found.stage.init(found.stage.seeds).state
    for new, old in ((first.weights, found.state.weights), (first.stats, found.state.stats)):
        jax.tree.map(np.testing.assert_array_equal, new, old)
    space, train = found.stage.space, found.stage.arrays[0]
    for seed in (0, 1):
        score = jacobian_score(found.stage, jax.tree.map(lambda leaf, i=seed: leaf[i], found.state), train)
        tried = []
        for epoch in (1, 2, 3):
            mix = {"cell": np.full((3, 3), 1 / 3)}
            for decision, (_, edge) in enumerate(projection.projections(space, seed, f"proposal {epoch}")["cell"]):
                number = 2 + 3 * (epoch - 1) + decision
                left = [score(projection.without(mix, "cell", edge, o), number) for o in range(3)]
                mix["cell"][edge] = np.eye(3)[np.argmin(left)]
            tried.append((sum(score(mix, number) for number in (0, 1)), -epoch, mix))
        noted = [row["proposal_score"] for row in rows if row["seed"] == seed]
        np.testing.assert_allclose(noted, [value for value, *_ in tried], rtol=1e-3)
        np.testing.assert_array_equal(as_mix(whole.genotypes[seed], space)["cell"], max(tried)[2]["cell"])


def test_proxies_that_do_not_see_the_mix_are_refused_when_the_search_is_built():
    """Of all that there are."""
    space = find.resolve("space", "nasbench201:nodes=2,operations=skip_connect+nor_conv_1x1")
    proxies = {name: find.resolve("proxy", name) for name in find.described("proxy")}
    task, plan = binding.bind(datasets.load(CONFIG.data), CONFIG, "search", space)
    method = replace(find.resolve("method", "zero_cost_pt"), proxies=proxies)
    with pytest.raises(UserError, match="By 'flops', 'l2_norm', 'params' a supernet scores the same"):
        Job(replace(CONFIG, search=plan), space, method, task, True)
