"""Penalties: what is added to the outer loss. (alphas, mix, clock) -> scalar."""

import jax
import jax.numpy as jnp
from jax.scipy.special import digamma, gammaln

from dnas.search import relax
from dnas.types import Penalty


def dirichlet_kl(scale: float) -> Penalty:
    """scale * sum over edges of KL(Dir(c) || Dir(1)), c = `relax.concentration` [E, O] (DrNAS, section 2).

    KL = lnG(sum c) - lnG(O) - sum_o lnG(c_o) + sum_o (c_o - 1) (psi(c_o) - psi(sum c)),  G the gamma function.
    """

    def penalty(alphas, mix, clock):
        return scale * jnp.sum(jnp.stack([divergence(c) for c in jax.tree.leaves(relax.concentration(alphas))]))

    def divergence(c: jax.Array) -> jax.Array:
        total = c.sum(-1, keepdims=True)
        of_rows = gammaln(total[:, 0]) - gammaln(c.shape[-1]) - gammaln(c).sum(-1)
        return jnp.sum(of_rows + ((c - 1) * (digamma(c) - digamma(total))).sum(-1))

    return penalty
