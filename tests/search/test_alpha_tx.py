"""Steps on the simplex."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.config import AlphaConfig
from dnas.search.alpha_tx import FLOOR, euclidean, exponentiated, gradient_descent, relative_entropy

CONFIG = AlphaConfig(learning_rate=0.5, decay=0.0)


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def stepped(p, gradient, config=CONFIG, move=exponentiated, edge_rate=0.1):
    tx = gradient_descent(config, edge_rate)
    return move(p, tx.update(gradient, tx.init(p), p)[0])


def test_exponentiated_gradient_is_gradient_descent_on_logits():
    """softmax(log p - rate g) = p exp(-rate g) / sum."""
    rng = np.random.default_rng(0)
    p, g = jnp.asarray(rng.dirichlet(np.ones(4), 3)), jnp.asarray(rng.normal(size=(3, 4)))
    found = stepped({"cell": p}, {"cell": g})["cell"]
    np.testing.assert_allclose(found, jax.nn.softmax(jnp.log(p) - 0.5 * g), rtol=1e-12)


def test_a_linear_loss_is_minimised_at_a_corner_and_faster_than_by_plain_steps():
    loss = jnp.array([[0.3, 0.1, 0.2]])
    entropies = {}
    for move in (exponentiated, euclidean):
        p = {"cell": jnp.full((1, 3), 1 / 3)}
        for _ in range(50):
            p = stepped(p, {"cell": loss}, move=move)
        assert p["cell"].argmax() == 1
        entropies[move] = -float((p["cell"] * jnp.log(p["cell"])).sum())
    assert entropies[exponentiated] < np.log(3) / 2


def test_no_operation_is_lost_but_an_edge_may_be():
    p = {"operations": {"cell": jnp.full((2, 2), 0.5)}, "edges": {"cell": (jnp.ones(1), jnp.array([0.5, 0.5]))}}
    huge = {
        "operations": {"cell": jnp.array([[1e3, 0.0]] * 2)},
        "edges": {"cell": (jnp.ones(1), jnp.array([1e4, 0.0]))},
    }
    new = stepped(p, huge)
    np.testing.assert_allclose(new["operations"]["cell"][0], [FLOOR / (0.5 + FLOOR), 0.5 / (0.5 + FLOOR)], rtol=1e-12)
    np.testing.assert_array_equal(new["edges"]["cell"][0], [1.0])
    np.testing.assert_array_equal(new["edges"]["cell"][1], [0.0, 1.0])


def test_decay_is_the_weight_of_the_relative_entropy():
    p = {"cell": jnp.array([[0.7, 0.2, 0.1]])}
    nothing = {"cell": jnp.zeros((1, 3))}
    np.testing.assert_allclose(stepped(p, nothing)["cell"], p["cell"], rtol=1e-12)
    pulled = stepped(p, nothing, AlphaConfig(learning_rate=0.5, decay=0.1))
    expected = p["cell"] * jnp.exp(-0.5 * 0.1 * (jnp.log(3 * p["cell"]) + 1))
    np.testing.assert_allclose(pulled["cell"], expected / expected.sum(), rtol=1e-12)
    assert relative_entropy(pulled) < relative_entropy(p)


@pytest.mark.parametrize("size", [-1e6, -500.0, 500.0, 1e6])
def test_steps_of_any_size_leave_distributions(size):
    """In float32 the exponential of 89 is infinite, that of -104 zero."""
    with jax.enable_x64(False):
        one, two = jnp.ones(1), jnp.array([1e-20, 1.0])
        p = {"operations": {"cell": jnp.full((2, 2), 0.5)}, "edges": {"cell": (one, two)}}
        u = {"operations": {"cell": jnp.array([[1.0, 0.9], [1, -1]])}, "edges": {"cell": (one, jnp.array([1.0, 1.0]))}}
        new = exponentiated(p, jax.tree.map(lambda leaf: size * leaf, u))
        for rows in (*new["operations"]["cell"], *new["edges"]["cell"]):
            np.testing.assert_allclose(rows.sum(), 1, rtol=1e-6)
        assert (new["operations"]["cell"] > 0).all()
        np.testing.assert_allclose(new["edges"]["cell"][1], two, rtol=1e-5)
        lost = exponentiated({"cell": jnp.array([[0.0, 1.0]])}, {"cell": jnp.array([[abs(size), 0.0]])})["cell"]
        np.testing.assert_allclose(lost, [[FLOOR, 1]], rtol=1e-4)  # what has no weight gains none but the floor
