"""The divergence from a Dirichlet prior against integrals."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import integrate, stats

from dnas.search.penalty import dirichlet_kl
from dnas.types import Clock


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def test_dirichlet_kl_is_the_integral_over_the_simplex():
    """Two operations: Dir(a, b) is Beta(a, b), and Dir(1, 1) has the density 1."""
    alphas = np.array([[0.5, -0.3], [1.2, 0.0]])
    c = np.where(alphas > 0, alphas + 1, np.exp(alphas))

    def divergence(a, b):
        beta = stats.beta(a, b)
        return integrate.quad(lambda x: beta.pdf(x) * beta.logpdf(x), 0, 1)[0]

    found = dirichlet_kl(0.1)({"cell": jnp.asarray(alphas)}, (), Clock(jnp.int32(0), jnp.int32(0), 1))
    np.testing.assert_allclose(found, 0.1 * sum(divergence(*row) for row in c), rtol=1e-6)


def test_dirichlet_kl_is_least_at_the_prior():
    now = Clock(jnp.int32(0), jnp.int32(0), 1)
    value, gradient = jax.value_and_grad(dirichlet_kl(1.0))({"cell": jnp.zeros((2, 5))}, (), now)
    np.testing.assert_allclose(value, 0, atol=1e-12)
    np.testing.assert_allclose(gradient["cell"], 0, atol=1e-12)
    assert dirichlet_kl(1.0)({"cell": jnp.full((2, 5), 0.1)}, (), now) > 1e-3
