"""Penalties: what a method adds to the outer loss. (alphas, mix, clock) -> scalar."""

import jax
import jax.numpy as jnp

from dnas.types import Alphas, Clock, Mix, Penalty

DISTANCES = {"l2": jnp.square, "l1": jnp.abs}


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
