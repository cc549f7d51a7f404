"""RMSProp, the decay in the gradient, in PyTorch's form or TensorFlow's.

    d = g + decay w;   v = average v + (1 - average) d^2;   m = momentum m + d / (sqrt(v) + eps);   w -= rate m

Tieleman and Hinton 2012, "Lecture 6.5". The defaults are PyTorch's. TensorFlow's, by which MnasNet and EfficientNet
were trained, are `rmsprop:average=0.9,momentum=0.9,eps=0.001,eps_inside=true,initial=1,rate_inside=true`.
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from dnas.errors import UserError
from dnas.ranges import Amount, Factor, Portion
from dnas.training.protocols import Optimiser
from dnas.types import Tree

SMALLEST = 1e-30  # under the root: rounding may make a variance negative, and a root of zero has no derivative


class Means(NamedTuple):
    """Of the squares of the gradients, and, where they are centred, of the gradients."""

    square: Tree
    mean: Tree


def optimiser(
    *,
    average: Portion = 0.99,
    momentum: Portion = 0.0,
    eps: Factor = 1e-8,
    centred: bool = False,
    eps_inside: bool = False,
    initial: Amount = 0.0,
    rate_inside: bool = False,
) -> Optimiser:
    """`average`: decay of the mean square, `initial`: its first value. `centred`: the variance in its place.
    `eps_inside`: under the root. `rate_inside`: the momentum is of steps, not of directions."""
    if rate_inside and not momentum:
        raise UserError(
            "Optimiser 'rmsprop' has rate_inside=true and momentum=0: set a momentum, or rate_inside=false."
        )

    def make(rate: optax.Schedule, decay: float) -> optax.GradientTransformation:
        buffer, by_rate = optax.trace(momentum), optax.scale_by_learning_rate(rate)
        last = (by_rate, buffer) if rate_inside else (buffer, by_rate)
        scaled = _by_root(average, eps, centred, eps_inside, initial)
        return optax.chain(optax.add_decayed_weights(decay), scaled, *last)

    return Optimiser(make, coupled=True)


def _by_root(
    average: float, eps: float, centred: bool, eps_inside: bool, initial: float
) -> optax.GradientTransformation:
    """The gradient over the root of its mean square."""

    def init(weights):
        square = jax.tree.map(lambda w: jnp.full_like(w, initial), weights)
        return Means(square, jax.tree.map(jnp.zeros_like, weights) if centred else ())

    def direction(g, square, mean=0.0):
        variance = square - mean**2
        if eps_inside:
            return g / jnp.sqrt(variance + eps)
        return g / (jnp.sqrt(jnp.maximum(variance, SMALLEST)) + eps)

    def update(gradient, means, _=None):
        def moved(old, new):
            return jax.tree.map(lambda o, n: average * o + (1 - average) * n, old, new)

        square = moved(means.square, jax.tree.map(jnp.square, gradient))
        mean = moved(means.mean, gradient) if centred else ()
        trees = (gradient, square, mean) if centred else (gradient, square)
        return jax.tree.map(direction, *trees), Means(square, mean)

    return optax.GradientTransformation(init, update)
