"""DARTS-: the schedules, what an auxiliary skip does, and that the run folder shows candidates only."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dnas.search
from dnas import find
from dnas.architectures.topology import NetworkSize
from dnas.config import AugmentConfig, Config, SearchConfig
from dnas.errors import UserError
from dnas.methods.darts_minus import SCHEDULES
from dnas.nets.functional import functionalize
from dnas.nets.supernet import Supernet
from dnas.runs import records
from dnas.search import relax
from dnas.search.supernets import with_auxiliary_skip
from dnas.spaces import nasbench201
from dnas.types import Clock

SPACE = nasbench201.space(nodes=3, operations="none+skip_connect+nor_conv_1x1")


def test_the_coefficient_falls_from_one_to_almost_zero():
    epochs = np.arange(50)
    expected = {
        "linear": (50 - epochs) / 50,
        "cosine": (1 + np.cos(np.pi * epochs / 50)) / 2,
        "slow_cosine": np.cos(np.pi * epochs / 100),
    }
    assert set(expected) == set(SCHEDULES)
    for name, schedule in SCHEDULES.items():
        values = [float(schedule(Clock(jnp.int32(0), jnp.int32(e), 50))) for e in epochs]
        np.testing.assert_allclose(values, expected[name], atol=1e-6)


@pytest.mark.slow
def test_an_auxiliary_skip_is_a_skip_whose_weight_is_added():
    size = NetworkSize(1, 4, 3)
    plain, more = (
        functionalize(lambda rngs, s=s: Supernet(s, size, rngs=rngs)) for s in (SPACE, with_auxiliary_skip(SPACE))
    )
    weights, stats = jax.jit(plain.init)(jax.random.key(0))
    x = jax.random.normal(jax.random.key(1), (2, 6, 6, 3))
    alphas = {"cell": jax.random.normal(jax.random.key(2), (3, 3))}
    mix = relax.softmax(alphas, jax.random.key(0), None)
    added = relax.with_auxiliary(relax.softmax, lambda _: jnp.float32(0.3))(alphas, jax.random.key(0), None)
    assert added["cell"].shape == (3, 4)
    shifted = {"cell": mix["cell"].at[:, 1].add(0.3)}
    # nothing in these cells halves the image, so the auxiliary skip has no weights
    shapes = jax.eval_shape(more.init, jax.random.key(0))[0]
    assert [leaf.shape for leaf in jax.tree.leaves(weights)] == [leaf.shape for leaf in jax.tree.leaves(shapes)]
    expected, _ = plain.apply(weights, stats, x, shifted, train=True)
    same, same_stats = (
        jax.tree.unflatten(jax.tree.structure(s), jax.tree.leaves(t))
        for s, t in zip(jax.eval_shape(more.init, jax.random.key(0)), (weights, stats), strict=True)
    )
    found, _ = more.apply(same, same_stats, x, added, train=True)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-5)
    other, _ = plain.apply(weights, stats, x, mix, train=True)
    assert np.abs(other - expected).max() > 1e-3


@pytest.mark.slow
def test_the_run_folder_shows_the_candidates(tmp_path):
    config = Config(
        space="nasbench201:nodes=2",
        method="darts_minus",
        data="digits:limit=100",
        search=SearchConfig(epochs=2, cells=1, channels=2, batch_size=25, augment=AugmentConfig(1, False)),
    )
    found = dnas.search.run(config, tmp_path / "run", quiet=True)
    (row, _) = records.read_mix(found.folder)
    assert len(row["mix"]["cell"]["1<-0"]) == 5
    assert sum(row["mix"]["cell"]["1<-0"].values()) == pytest.approx(1)
    assert records.read_metrics(found.folder)[0]["entropy_cell"] == pytest.approx(np.log(5), abs=0.05)


def test_an_unknown_schedule_is_named():
    with pytest.raises(UserError, match="schedule of method 'darts_minus'"):
        find.resolve("method", "darts_minus:schedule=step")
