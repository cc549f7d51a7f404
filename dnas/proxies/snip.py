"""SNIP: how much the loss would change without each weight, |w dL/dw|, summed.

Lee et al., ICLR 2019, arXiv:1810.02340, as a score of networks in Abdelfattah et al. 2021, arXiv:2101.08134.
"""

import jax.numpy as jnp

from dnas.proxies.protocol import Proxy, Score, product, total


def proxy() -> Proxy:
    """It has no settings. Parts: |w dL/dw| of every weight."""

    def build(_):
        def measure(evidence) -> Score:
            return total(product(lambda w, g: jnp.abs(w * g), evidence.kernels, evidence.gradient.kernels))

        return measure

    return build
