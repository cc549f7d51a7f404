"""AdamW: Adam, the decay on the weights, as in PyTorch.

    m, v: bias-corrected means of g and g^2;   w -= rate (m / (sqrt(v) + eps) + decay w)

Loshchilov and Hutter, ICLR 2019, arXiv:1711.05101.
"""

import optax

from dnas.ranges import Factor, Portion
from dnas.training.optimisers.adam import ROOT
from dnas.training.protocols import Optimiser


def optimiser(*, beta1: Portion = 0.9, beta2: Portion = 0.999, eps: Factor = 1e-8) -> Optimiser:
    """`beta1`, `beta2`: decays of the means. `eps`: beside the root."""

    def make(rate: optax.Schedule, decay: float) -> optax.GradientTransformation:
        return optax.chain(
            optax.scale_by_adam(beta1, beta2, eps, ROOT),
            optax.add_decayed_weights(decay),
            optax.scale_by_learning_rate(rate),
        )

    return Optimiser(make, coupled=False)
