"""jacob_cov: how differently a network at initialisation sees different images.

    -sum over the eigenvalues v of the correlation matrix of the images' Jacobians of log(v + k) + 1 / (v + k)

The first score of Mellor et al., "Neural Architecture Search without Training", arXiv:2006.04647 (version 1), as in
Abdelfattah et al. 2021, arXiv:2101.08134. In float32 the smallest eigenvalues are noise: enable float64 for it, the
network may stay in float32.
"""

import jax.numpy as jnp

from dnas.proxies.jacobian import NOISE, correlations
from dnas.proxies.protocol import Proxy, Score


def proxy() -> Proxy:
    """It has no settings. Parts: the correlation matrix [B, B]."""

    def build(_):
        def measure(evidence) -> Score:
            matrix = correlations(evidence.jacobian)
            values = jnp.linalg.eigvalsh(matrix) + NOISE
            return Score(-(jnp.log(values) + 1 / values).sum(), matrix)

        return measure

    return build
