"""What averages have in common: a mean of which a share is kept when the next weights come."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from dnas.types import Tree


class Mean(NamedTuple):
    """Of `number` iterates, int32 []; of none it is the last one."""

    number: jax.Array
    values: Tree


def nothing(values: Tree) -> Mean:
    """The mean of no iterates."""
    return Mean(jnp.zeros((), jnp.int32), values)


def moved(mean: Mean, values: Tree, active: jax.Array | bool, kept: jax.Array) -> Mean:
    """The mean of which this share is kept; where none is, the values to the last bit."""

    def one(old, new):
        share = kept.astype(new.dtype)
        return jnp.where(share > 0, share * old + (1 - share) * new, new)

    return Mean(jnp.where(active, mean.number + 1, 0), jax.tree.map(one, mean.values, values))
