"""ReinMax by enumeration of all samples: exact for quadratics, Heun's formula for anything."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.search import relax

A = np.array([[0.5, -0.3, 1.2], [0.1, 0.9, -0.4]])  # two edges, three operations
EDGES, OPERATIONS = A.shape


@pytest.fixture(autouse=True)
def always(float64):
    pass


def drawn(*shape):
    return np.random.default_rng(len(shape)).normal(size=shape)


LINEAR, SQUARE = drawn(EDGES * OPERATIONS), drawn(EDGES * OPERATIONS, EDGES * OPERATIONS)
HARDS = np.eye(OPERATIONS)[list(itertools.product(range(OPERATIONS), repeat=EDGES))]  # all samples [9, E, O]


def quadratic(mix):
    return LINEAR @ mix.ravel() + mix.ravel() @ SQUARE @ mix.ravel()


def chance(hard, a):
    return (jax.nn.softmax(a) * hard).sum(-1).prod()


def exact(function):
    """The gradient of the mean over all samples."""
    return jax.jit(jax.grad(lambda a: jax.vmap(lambda hard: chance(hard, a) * function(hard))(HARDS).sum()))(A)


def estimated(function, sample):
    """The mean over all samples of the gradient through sample(hard, alphas)."""

    def one(hard):
        return chance(hard, A) * jax.grad(lambda a: function(sample(hard, a)))(jnp.asarray(A))

    return jax.jit(jax.vmap(one))(HARDS).sum(0)


def first_order(hard, a):
    soft = jax.nn.softmax(a)
    return hard + soft - jax.lax.stop_gradient(soft)


def test_its_mean_is_the_gradient_of_the_mean_of_a_quadratic():
    expected = exact(quadratic)
    np.testing.assert_allclose(estimated(quadratic, relax.second_order), expected, rtol=1e-10)
    assert np.abs(expected).max() > 0.1
    assert np.abs(estimated(quadratic, first_order) - expected).max() > 0.05, "straight-through is as good"
    cooler = estimated(quadratic, lambda hard, a: relax.second_order(hard, a, 2.0))
    assert np.abs(cooler - expected).max() > 0.01, "the temperature does nothing"


def test_its_mean_is_heuns_formula_for_any_function():
    """sum_ij (f'(I_i) + f'(I_j)) / 2 . (I_i - I_j) p_j dp_i/da, on one edge, for what is not quadratic."""
    a, one = jnp.asarray(A[0]), np.eye(OPERATIONS)

    def other(mix):
        return (LINEAR[:3] * mix).sum() ** 3 + jnp.sin(3 * mix[0])

    @jax.jit
    def found():
        through = jax.vmap(lambda hard: jax.grad(lambda a: other(relax.second_order(hard[None], a[None])[0]))(a))(one)
        true = jax.grad(lambda a: jax.nn.softmax(a) @ jax.vmap(other)(one))(a)
        p = jax.nn.softmax(a)
        return p @ through, true, jax.vmap(jax.grad(other))(one), p, jax.jacobian(jax.nn.softmax)(a)

    mean, true, slopes, p, dp = map(np.asarray, found())
    pairs = itertools.product(range(OPERATIONS), repeat=2)
    heun = sum((slopes[i] + slopes[j]) / 2 @ (one[i] - one[j]) * p[j] * dp[i] for i, j in pairs)
    np.testing.assert_allclose(mean, heun, rtol=1e-10)
    assert np.abs(true - heun).max() > 0.01, "a function that Heun's method is exact for"


def test_the_derivative_at_a_temperature_is_that_of_the_original_code():
    hard, g, t = np.eye(OPERATIONS)[[2, 0]], drawn(EDGES, OPERATIONS), 1.7
    found = jax.grad(lambda a: (g * relax.second_order(hard, a, t)).sum())(jnp.asarray(A))
    for row, (h, gradient, a) in enumerate(zip(hard, g, A, strict=True)):
        p = np.exp(a) / np.exp(a).sum()
        q = (h + np.exp(a / t) / np.exp(a / t).sum()) / 2
        expected = 2 * q * (gradient - q @ gradient) - p * (gradient - p @ gradient) / 2
        np.testing.assert_allclose(found[row], expected, rtol=1e-10)
