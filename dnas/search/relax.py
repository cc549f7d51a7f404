"""Relaxations: from alphas to the mix that multiplies the operations. (alphas, key, step) -> mix."""

import jax

from dnas.types import Alphas, Mix


def softmax(alphas: Alphas, key: jax.Array, step: jax.Array) -> Mix:
    """Softmax over the operations of each edge, `none` included (DARTS, equation 2)."""
    return jax.tree.map(lambda a: jax.nn.softmax(a, -1), alphas)
