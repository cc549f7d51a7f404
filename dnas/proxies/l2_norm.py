"""l2_norm: the sum over layers of the L2 norm of their weights. No paper: a baseline without data, as in NASLib."""

import jax.numpy as jnp

from dnas.proxies.protocol import Proxy, Score, norms, product, total


def proxy() -> Proxy:
    """It has no settings. Parts: the norms of every layer, 0 of those that the network does not use."""

    def build(subject):
        def measure(evidence) -> Score:
            return total(product(jnp.multiply, evidence.used, norms(evidence.kernels, subject.kernels)))

        return measure

    return build
