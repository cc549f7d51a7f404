"""Adam, the decay in the gradient, as in PyTorch.

    d = g + decay w;   m, v: bias-corrected means of d and d^2;   w -= rate m / (sqrt(v) + eps)

Kingma and Ba, ICLR 2015, arXiv:1412.6980.
"""

import optax

from dnas.ranges import Factor, Portion
from dnas.training.protocols import Optimiser

ROOT = 1e-30  # under the root: of a gradient of zero the update has a derivative, which hypergradients ask for


def optimiser(*, beta1: Portion = 0.9, beta2: Portion = 0.999, eps: Factor = 1e-8) -> Optimiser:
    """`beta1`, `beta2`: decays of the means. `eps`: beside the root."""

    def make(rate: optax.Schedule, decay: float) -> optax.GradientTransformation:
        return optax.chain(
            optax.add_decayed_weights(decay),
            optax.scale_by_adam(beta1, beta2, eps, ROOT),
            optax.scale_by_learning_rate(rate),
        )

    return Optimiser(make, coupled=True)
