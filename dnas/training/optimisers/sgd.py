"""SGD with momentum, the decay in the gradient, as in PyTorch.

    d = g + decay w;   m = momentum m + d;   w -= rate m,   with Nesterov's form w -= rate (d + momentum m)

Sutskever et al. 2013, "On the importance of initialization and momentum in deep learning". The buffer starts at zero.
"""

import optax

from dnas.errors import UserError
from dnas.ranges import Portion
from dnas.training.protocols import Optimiser


def optimiser(*, momentum: Portion = 0.9, nesterov: bool = False) -> Optimiser:
    """`momentum`: 0 for none. `nesterov`: look ahead."""
    if nesterov and not momentum:
        raise UserError("Optimiser 'sgd' has nesterov=true and momentum=0: set a momentum above 0, or nesterov=false.")

    def make(rate: optax.Schedule, decay: float) -> optax.GradientTransformation:
        return optax.chain(
            optax.add_decayed_weights(decay), optax.trace(momentum, nesterov), optax.scale_by_learning_rate(rate)
        )

    return Optimiser(make, coupled=True)
