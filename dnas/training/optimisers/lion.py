"""Lion: the sign of a mean of gradients, the decay on the weights.

    w -= rate (sign(beta1 m + (1 - beta1) g) + decay w);   m = beta2 m + (1 - beta2) g

Chen et al., NeurIPS 2023, arXiv:2302.06675. Rates are 3 to 10 times smaller than AdamW's and decays as many times
larger. A sign has no slope: hypergradients through a step of it have their direct term only.
"""

import optax

from dnas.ranges import Portion
from dnas.training.protocols import Optimiser


def optimiser(*, beta1: Portion = 0.9, beta2: Portion = 0.99) -> Optimiser:
    """`beta1`: decay of the mean whose sign is taken. `beta2`: of the mean that is kept."""

    def make(rate: optax.Schedule, decay: float) -> optax.GradientTransformation:
        return optax.chain(
            optax.scale_by_lion(beta1, beta2), optax.add_decayed_weights(decay), optax.scale_by_learning_rate(rate)
        )

    return Optimiser(make, coupled=False)
