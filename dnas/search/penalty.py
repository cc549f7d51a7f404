"""Penalties: what is added to the outer loss. (alphas, mix, clock) -> scalar.

A resource's cost is linear in the mix: with c[e, o] the cost of operation o on edge e, in all cells of a kind, the
cost of a one-hot mix is that of the operations of its network, and of a softmax or of samples its expectation.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import digamma, gammaln

from dnas.config import SearchConfig
from dnas.errors import unknown
from dnas.nets import count
from dnas.search import relax
from dnas.spaces.topology import Body, Space
from dnas.types import Mix, Penalty

Costs = dict[str, np.ndarray]

IMAGE_SIZE = 32  # multiply-adds scale with the image's area, which neither a logarithm's nor a ratio's derivative sees


def operation_costs(space: Space, config: SearchConfig, resource: str) -> Costs:
    """{kind: [E, O]}: parameters or multiply-adds of every candidate in a network of the search's size."""
    body = Body(config.cells, config.channels, 10)
    tables = {kind: table._asdict() for kind, table in count.candidates(space, body, IMAGE_SIZE).items()}
    if resource not in count.Table._fields:
        raise unknown("resource", resource, count.Table._fields)
    return {kind: table[resource] for kind, table in tables.items()}


def cost(costs: Costs, mix: Mix) -> jax.Array:
    """sum over kinds, edges and operations of costs[e, o] mix[e, o]; columns that a method added are free."""
    return sum(
        ((m[:, : costs[kind].shape[1]] * costs[kind].astype(m.dtype)).sum() for kind, m in mix.items()), jnp.zeros(())
    )


def log_cost(costs: Costs, weight: float) -> Penalty:
    """weight log R with R the cost of the mix, in units of one (SNAS, section 2.4, with the logarithm of its code)."""
    return lambda alphas, mix, clock: weight * jnp.log(jnp.maximum(cost(costs, mix), 1.0))


def relative_cost(costs: Costs, weight: float) -> Penalty:
    """weight R / R_max: the cost of the mix relative to that of the costliest operation on every edge."""
    most = sum(float(table.max(-1).sum()) for table in costs.values())
    return lambda alphas, mix, clock: weight * cost(costs, mix) / max(most, 1.0)


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
