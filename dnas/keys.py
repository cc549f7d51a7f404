"""Random keys by name, so that no two places of a run draw from one key.

`jax.random.split(key, n)[i]` equals `jax.random.fold_in(key, i)`: places that fold small numbers into one key meet. A
stream has a name of its own, and numbers are folded into the stream's key: `stream(key, "augment", step)`.
"""

import zlib
from typing import Any

import jax
import numpy as np


def stream(key: jax.Array, name: str, *numbers: Any) -> jax.Array:
    """The key of one stream of a key, for these numbers (whole, perhaps traced: a step, an epoch, an edge).

    Every list of numbers below one name has the same length, and what this gives is either split or drawn from.
    """
    key = jax.random.fold_in(key, zlib.crc32(name.encode()))
    for number in numbers:
        key = jax.random.fold_in(key, number)
    return key


def generator(seed: int, name: str) -> np.random.Generator:
    """What draws on the host, by name as well; any whole number is a seed."""
    return np.random.default_rng([seed % 2**64, zlib.crc32(name.encode())])
