"""RobustDARTS: the Hessian, the rule, a search that returns an earlier genotype, and one that goes back in time."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dnas.search
from dnas import find
from dnas.architectures.genotype import from_json
from dnas.compare import costs
from dnas.config import AugmentConfig, Config, SearchConfig, WeightConfig
from dnas.errors import UserError
from dnas.runs import records
from dnas.search import stops
from dnas.search.levels import WHOLE
from dnas.search.method import Method, Outcome
from dnas.tasks.classification import Classification

SPACE = "nasbench201:nodes=2,operations=skip_connect+nor_conv_1x1"
CONFIG = Config(
    space=SPACE,
    method="robust_darts:order=first,every=1,begin=0",
    data="digits:limit=100",
    search=SearchConfig(epochs=8, cells=1, channels=2, batch_size=25, augment=AugmentConfig(1, False)),
)


def test_the_hessian_of_a_quadratic_is_its_matrix():
    rng = np.random.default_rng(0)
    square = rng.normal(size=(5, 5))
    matrix = square + square.T
    with jax.enable_x64(True):

        def loss(alphas):
            flat = jnp.concatenate([alphas["normal"].ravel(), alphas["reduce"].ravel()])
            return flat @ matrix @ flat / 2

        alphas = {"normal": jnp.ones((1, 2)), "reduce": jnp.zeros((3, 1))}
        found = stops.hessian(loss, alphas, 0.25)
    np.testing.assert_allclose(found, matrix + 0.25 * np.eye(5), atol=1e-12)
    largest = max(np.linalg.eigvals(matrix).real) + 0.25
    assert stops.dominant_eigenvalue(np.asarray(found)) == pytest.approx(largest)
    assert stops.dominant_eigenvalue(np.diag([-5.0, 2.0])) == 2  # by value, not by modulus


def test_averages_are_of_five_values_or_of_all_so_far():
    assert stops.local_averages([1.0, 2.0]) == []
    assert stops.local_averages([1.0, 2.0, 3.0, 4.0, 5.0, 6.0]) == pytest.approx([2, 2.5, 3, 4])


def test_growth_counts_from_the_beginning_epoch_on():
    values = [1.0] * 8 + [10.0]
    assert stops.sharpened(values, every=1, factor=1.3, begin=2) == 6  # epoch 8 goes back to 2
    assert stops.sharpened(values, every=1, factor=1.3, begin=3) is None
    assert stops.sharpened(values, every=2, factor=1.3, begin=4) == 12
    assert stops.sharpened(values, every=1, factor=3.0, begin=2) is None
    assert stops.sharpened([1.0] * 9, every=1, factor=1.3, begin=2) is None


def test_eigenvalues_are_measured_every_second_epoch_and_at_the_end(view):
    look, space = find.resolve("method", "robust_darts").between_epochs, find.resolve("space", SPACE)

    def measured(epoch):
        seen = view(space, {"cell": [[0.5, 0.5]]}, epoch=epoch, hessian=lambda: np.diag([1.0, 3.0]))
        return look(seen).notes.get("eigenvalue")

    assert [measured(e) for e in (1, 2, 3, 49, 50)] == [3, None, 3, 3, 3]


def grown(monkeypatch, sharp_from):
    """Measured eigenvalues are 1, and grow from the n-th measurement on."""
    count = iter(range(100))
    monkeypatch.setattr(stops, "dominant_eigenvalue", lambda _: 1.0 if next(count) < sharp_from else 9.0)


@pytest.mark.slow
def test_a_sharp_minimum_brings_back_an_earlier_genotype(tmp_path, monkeypatch):
    grown(monkeypatch, 6)
    found = dnas.search.run(CONFIG, tmp_path / "run", quiet=True)
    rows = records.read_metrics(found.folder)
    assert [row["epoch"] for row in rows] == [*range(1, 8), 7]  # the seventh measurement is sharp
    assert rows[-1]["selected_accuracy"] == rows[0]["valid_accuracy"] == found.scores[0]
    (first,) = records.read_genotypes(found.folder, 1)
    assert found.genotype == from_json(first)  # 6 epochs before


@pytest.mark.slow
def test_adaptive_regularisation_goes_back_and_decays_more(tmp_path, monkeypatch):
    grown(monkeypatch, 6)
    config = dataclasses.replace(CONFIG, method=f"{CONFIG.method},adaptive=true")
    found = dnas.search.run(config, tmp_path / "run", quiet=True)
    rows = records.read_metrics(found.folder)
    assert [row["epoch"] for row in rows] == list(range(1, 9))
    assert [row["eigenvalue"] for row in rows] == [1, *[9] * 7]
    assert [row["hessians"] for row in rows] == [1, 13, *[1] * 6]  # it went back twice by 6 epochs
    assert [row.get("undone", 0) for row in rows] == [0, 12, *[0] * 6]
    calm = dnas.search.run(dataclasses.replace(CONFIG, method="darts"), tmp_path / "calm", quiet=True)
    expected = records.read_metrics(calm.folder)
    assert rows[0]["train_loss"] == expected[0]["train_loss"]
    assert rows[1]["train_loss"] != expected[1]["train_loss"]
    gone, plain = costs.of_search(found.folder, config), costs.of_search(calm.folder, calm.config)
    monkeypatch.setattr(records, "read_metrics", lambda folder: [row | {"undone": 0} for row in rows])
    kept = costs.of_search(found.folder, config)
    assert kept > plain  # by 20 Hessians
    assert (gone - kept) * 8 == pytest.approx(12 * plain)
    for wrong in ({"seeds": 2}, {"checkpoint_epochs": 2}):
        with pytest.raises(UserError, match="set seeds and checkpoint_epochs to 1"):
            dnas.search.run(dataclasses.replace(config, **wrong), tmp_path / "wrong", quiet=True)


class Stopped(Exception):
    pass


def returning(stop_at=None):
    """A method that goes back from epoch 4 to 2 once, and may stop abruptly the second time."""

    def look(view):
        factor = view.knobs["decay_factor"]
        if factor > 1 and view.total == stop_at:
            raise Stopped
        notes = {"factor": factor}
        if view.total == 4 and factor == 1:
            return Outcome(notes, restart=2, knobs={"decay_factor": 5.0})
        return Outcome(notes)

    return Method(between_epochs=look, knobs={"decay_factor": 1.0}, maximum_rollback=2)


@pytest.mark.slow
@pytest.mark.parametrize("stop_at", [3, 4, 6])
def test_a_search_that_went_back_resumes_bit_identical(tmp_path, monkeypatch, stop_at):
    config = dataclasses.replace(CONFIG, method="darts", search=dataclasses.replace(CONFIG.search, epochs=6))
    resolve = find.resolve

    def search(folder, stop_at=None, resume=False):
        monkeypatch.setattr(
            find, "resolve", lambda what, name: returning(stop_at) if what == "method" else resolve(what, name)
        )
        return dnas.search.run(config, tmp_path / folder, resume=resume, quiet=True)

    whole = search("whole")
    rows = records.read_metrics(whole.folder)
    assert [(row["epoch"], row["factor"]) for row in rows] == [(1, 1), (2, 1), (3, 5), (4, 5), (5, 5), (6, 5)]
    with pytest.raises(Stopped):
        search("part", stop_at)
    resumed = search("part", resume=True)
    assert records.read_metrics(resumed.folder) == rows
    assert records.read_mix(resumed.folder) == records.read_mix(whole.folder)
    assert resumed.genotypes == whole.genotypes


@pytest.mark.slow
def test_the_decay_factor_multiplies_the_decay_of_the_config():
    from dnas.architectures.topology import NetworkSize
    from dnas.nets.functional import functionalize
    from dnas.nets.supernet import Supernet
    from dnas.search.bilevel import make_search
    from dnas.search.levels import Levels
    from dnas.types import Batch

    space = find.resolve("space", SPACE)
    network = functionalize(lambda rngs: Supernet(space, NetworkSize(1, 2, 3), rngs=rngs))
    batch = Batch(jax.random.normal(jax.random.key(1), (4, 4, 4, 3)), jnp.arange(4) % 3)

    def weights(decay, knobs):
        config = SearchConfig(weights=WeightConfig(decay=decay))
        search = make_search(network, space, Method(knobs=knobs), config, 1, WHOLE, task=Classification())
        state, _ = jax.jit(search.step)(search.init(jax.random.key(0)), Levels(batch, batch))
        return state.weights

    more, same = weights(0.01, {"decay_factor": 10.0}), weights(0.1, {})
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-6), more, same)
    less = weights(0.01, {})
    assert max(np.abs(a - b).max() for a, b in zip(*map(jax.tree.leaves, (less, same)), strict=True)) > 1e-4
