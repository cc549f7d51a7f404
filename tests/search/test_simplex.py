"""Relaxations on the simplex against closed forms."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from dnas.search import relax
from dnas.spaces import darts, nasbench201
from dnas.types import Clock

NOW = Clock(jnp.int32(0), jnp.int32(0), 1)
ALPHAS = jnp.array([[0.5, -1.0, 2.0], [0.0, 0.0, 0.0]])


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def samples(alphas, count=20000):
    draw = jax.jit(jax.vmap(lambda key: relax.dirichlet({"cell": alphas}, key, NOW)["cell"]))
    return draw(jax.random.split(jax.random.key(0), count))


def test_dirichlet_samples_have_its_mean_and_variance():
    drawn = np.asarray(samples(ALPHAS))
    np.testing.assert_allclose(drawn.sum(-1), 1, rtol=1e-12)
    for row, alphas in enumerate(np.asarray(ALPHAS)):
        c = np.where(alphas > 0, alphas + 1, np.exp(alphas))
        expected = stats.dirichlet(c)
        error = np.sqrt(expected.var() / len(drawn))
        assert (np.abs(drawn[:, row].mean(0) - expected.mean()) < 5 * error).all()
        np.testing.assert_allclose(drawn[:, row].var(0), expected.var(), rtol=0.05)


@pytest.mark.slow
def test_the_pathwise_derivative_is_that_of_the_expectation():
    """E of x_0^2 under Dir(c) is c_0 (c_0 + 1) / (s (s + 1)), s the sum of c: its derivative is known."""

    def square(alphas, key):
        return relax.dirichlet({"cell": alphas}, key, NOW)["cell"][0, 0] ** 2

    def expectation(alphas):
        c = relax.concentration(alphas)[0]
        return c[0] * (c[0] + 1) / (c.sum() * (c.sum() + 1))

    keys = jax.random.split(jax.random.key(1), 40000)
    slopes = np.asarray(jax.jit(jax.vmap(jax.grad(square), (None, 0)))(ALPHAS, keys))[:, 0]
    error = slopes.std(0) / np.sqrt(len(slopes))
    assert (error < 0.002).all()
    assert (np.abs(slopes.mean(0) - jax.grad(expectation)(ALPHAS)[0]) < 5 * error).all()


def test_kinds_draw_different_samples():
    mix = relax.dirichlet({"normal": ALPHAS, "reduce": ALPHAS}, jax.random.key(0), NOW)
    assert np.abs(mix["normal"] - mix["reduce"]).min() > 0


def test_the_edges_of_every_node_share_a_total_of_one():
    space = darts.space()
    alphas = relax.noise_with_edges(space, jax.random.key(0), type("C", (), {"initial_scale": 1.0}))
    mix = relax.edge_normalised(relax.softmax)(alphas, jax.random.key(0), NOW)
    for kind, cell in space.cells.items():
        for node, logits in zip(cell.computed, alphas["edges"][kind], strict=True):
            rows = np.asarray(mix[kind])[cell.incoming(node)]
            np.testing.assert_allclose(rows.sum(), 1, rtol=1e-12)
            np.testing.assert_allclose(rows.sum(-1), np.exp(logits) / np.exp(logits).sum(), rtol=1e-12)


def test_the_simplex_starts_uniform():
    space = nasbench201.space()
    alphas = relax.uniform_with_edges(space, jax.random.key(0), None)
    np.testing.assert_array_equal(alphas["operations"]["cell"], np.full((6, 5), 0.2))
    mix = relax.simplex_with_edges(alphas, jax.random.key(0), NOW)["cell"]
    np.testing.assert_allclose(mix.sum(-1), [1, 1 / 2, 1 / 2, 1 / 3, 1 / 3, 1 / 3], rtol=1e-12)
