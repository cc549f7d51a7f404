"""Penalties: what is added to the outer loss. (alphas, mix, clock) -> scalar.

A resource's cost is linear in the mix: with c[n, e, o] the cost of operation o on edge e in cell n of a kind, the cost
of a one-hot mix is that of the operations of its network, and of a softmax or of samples its expectation.
"""

from collections.abc import Callable, Iterable

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.special import digamma, gammaln

from dnas.architectures.topology import NetworkSize, Space
from dnas.config import SearchConfig
from dnas.errors import unknown
from dnas.nets import count
from dnas.search import relax
from dnas.types import Alphas, Clock, Mix, Penalty

Costs = dict[str, np.ndarray]
RESOURCES = count.Table._fields
DISTANCES = {"l2": jnp.square, "l1": jnp.abs}

IMAGE_SIZE = 32  # multiply-adds scale with the image's area, which neither a logarithm's nor a ratio's derivative sees
LEAST = 1.0  # cost of an edge, for its logarithm: as in SNAS' code


def operation_costs(space: Space, config: SearchConfig, resource: str) -> Costs:
    """{kind: [N, E, O]}: parameters or multiply-adds of every candidate in each cell of a network of the search's size.

    Errors: `UserError` for another resource.
    """
    size = NetworkSize(config.cells, config.channels, 10)
    if resource not in RESOURCES:
        raise unknown("resource", resource, RESOURCES)
    tables = {kind: table._asdict() for kind, table in count.candidates(space, size, IMAGE_SIZE).items()}
    return {kind: table[resource] for kind, table in tables.items()}


def cost(costs: Costs, mix: Mix) -> jax.Array:
    """The sum of costs[n, e, o] mix[e, o] over the cells of all kinds, edges and operations."""
    return _total(edges.sum() for edges in _of_edges(costs, mix))


def _of_edges(costs: Costs, mix: Mix) -> list[jax.Array]:
    """What every edge costs in every cell of a kind [N, E]; columns that a method added to the mix are free."""
    return [(m[:, : costs[kind].shape[-1]] * costs[kind].astype(m.dtype)).sum(-1) for kind, m in mix.items()]


def _total(parts: Iterable[jax.Array]) -> jax.Array:
    return sum(parts, jnp.zeros(()))


def mean_cost(costs: Costs, weight: float) -> Penalty:
    """weight times the cost of a cell, the mean over those of a kind, summed over the kinds (SNAS, section 2.4)."""
    return lambda alphas, mix, clock: weight * _total(edges.sum(-1).mean() for edges in _of_edges(costs, mix))


def log_cost(costs: Costs, weight: float) -> Penalty:
    """The same with the logarithm of each edge's cost in place of the cost, which is at least 1 (SNAS' code)."""

    def penalty(alphas: Alphas, mix: Mix, clock: Clock) -> jax.Array:
        logs = [jnp.log(jnp.maximum(edges, LEAST)) for edges in _of_edges(costs, mix)]
        return weight * _total(edges.sum(-1).mean() for edges in logs)

    return penalty


def relative_cost(costs: Costs, weight: float) -> Penalty:
    """weight R / R_max: the cost of the mix relative to that of the costliest operation on every edge."""
    most = sum(float(table.sum(0).max(-1).sum()) for table in costs.values())
    return lambda alphas, mix, clock: weight * cost(costs, mix) / max(most, 1.0)


Expected = Callable[[Mix], jax.Array]  # a mix -> what its network costs on average


def log_power(expected: Expected, scale: float, power: float) -> Penalty:
    """A factor of the loss, scale log(cost of the mix)^power, of a cost above 1 (FBNet, equation 2)."""
    return lambda alphas, mix, clock: scale * jnp.log(expected(mix)) ** power


def log_power_of_target(expected: Expected, target: float, scale: float, power: float) -> Penalty:
    """A factor of the loss, scale (log E / log target)^power, E of the softmax of the alphas (ProxylessNAS' code)."""

    def factor(alphas: Alphas, mix: Mix, clock: Clock) -> jax.Array:
        return scale * (jnp.log(expected(jax.tree.map(jax.nn.softmax, alphas))) / np.log(target)) ** power

    return factor


def beyond_target(expected: Expected, target: float, weight: float) -> Penalty:
    """weight (E / target - 1), E of the softmax of the alphas (ProxylessNAS, equation 8, divided as in its code)."""
    return lambda alphas, mix, clock: weight * (expected(jax.tree.map(jax.nn.softmax, alphas)) / target - 1)


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
