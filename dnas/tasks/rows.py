"""Which examples are in which batch: in a random order for steps, in their own for measures.

Axis letters: N batches, B batch.
"""

import jax
import jax.numpy as jnp
import numpy as np


def random_order(key: jax.Array, count: int, needed: int) -> jax.Array:
    """A random order of `count` examples, repeated from its start until it is `needed` long."""
    return jax.random.permutation(key, count)[jnp.arange(needed) % count]


def padded_rows(count: int, size: int) -> tuple[np.ndarray, np.ndarray]:
    """Which of `count` examples fill batches of `size`, [N, B], and whether they count [N, B]; the last batch is filled
    with repeats that do not."""
    index = np.arange(-(-count // size) * size)
    return (index % count).reshape(-1, size), (index < count).reshape(-1, size)
