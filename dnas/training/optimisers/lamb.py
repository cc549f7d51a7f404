"""LAMB: AdamW with steps in proportion to the norm of each layer, for large batches.

    u = m / (sqrt(v) + eps) + decay w;   w -= rate |w| / |u| u

You et al., ICLR 2020, arXiv:1904.00962. A layer is an array of weights: what a supernet stacks in one array, over edges
or cells, has one ratio.
"""

import optax

from dnas.ranges import Factor, Portion
from dnas.training.optimisers.adam import ROOT
from dnas.training.protocols import Optimiser


def optimiser(*, beta1: Portion = 0.9, beta2: Portion = 0.999, eps: Factor = 1e-6) -> Optimiser:
    """`beta1`, `beta2`: decays of the means. `eps`: beside the root."""

    def make(rate: optax.Schedule, decay: float) -> optax.GradientTransformation:
        return optax.chain(
            optax.scale_by_adam(beta1, beta2, eps, ROOT),
            optax.add_decayed_weights(decay),
            optax.scale_by_trust_ratio(),
            optax.scale_by_learning_rate(rate),
        )

    return Optimiser(make, coupled=False)
