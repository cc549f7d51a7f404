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
from dnas.types import Alphas, Clock, Mix, Penalty

Costs = dict[str, np.ndarray]
DISTANCES = {"l2": jnp.square, "l1": jnp.abs}

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


def zero_one(weight: float, distance: str) -> Penalty:
    """-weight times the mean distance ("l2", squared, or "l1") of the mix from 1/2: pushes every entry to 0 or 1.

    Chu et al. 2020 (FairDARTS), arXiv:1911.12126, section 4.1. The mean is over the entries of all kinds of cells.
    """

    def penalty(alphas: Alphas, mix: Mix, clock: Clock) -> jax.Array:
        entries = jnp.concatenate([m.ravel() for m in jax.tree.leaves(mix)])
        return -weight * DISTANCES[distance](entries - 0.5).mean()

    return penalty


def beta_decay(weight: float) -> Penalty:
    """The mean over edges of the log-sum-exp of the alphas, with a weight that rises linearly from 0 to `weight`.

    Ye et al. 2022 (beta-DARTS), arXiv:2203.01665, equation 12. The mean is over the edges of all kinds of cells.
    """

    def penalty(alphas: Alphas, mix: Mix, clock: Clock) -> jax.Array:
        rows = jnp.concatenate([jax.nn.logsumexp(a, -1) for a in jax.tree.leaves(alphas)])
        return weight * clock.epoch / clock.epochs * rows.mean()

    return penalty
