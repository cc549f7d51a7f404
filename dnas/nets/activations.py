"""Candidate activations of a recurrent cell, each for one edge: (channels, stride, norm, *, rngs) -> module of any x.

Those of DARTS' and ENAS' recurrent cells (Liu et al. 2019, arXiv:1806.09055, section 3.1.2; Pham et al. 2018,
arXiv:1802.03268). Every function below is a candidate; one through which nothing flows is None.
"""

from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx

from dnas.architectures.topology import Norm
from dnas.nets.ops import Identity


class Elementwise(nnx.Module):
    """A function of every value by itself."""

    def __init__(self, function: Callable[[jax.Array], jax.Array]):
        self.function = function

    def __call__(self, x: jax.Array) -> jax.Array:
        return self.function(x)


def none(channels, stride, norm: Norm, *, rngs: nnx.Rngs):
    """Nothing flows: the value is zero, but the operation takes its share of the mix."""
    return None


def tanh(channels, stride, norm: Norm, *, rngs: nnx.Rngs):
    """Hyperbolic tangent."""
    return Elementwise(jnp.tanh)


def relu(channels, stride, norm: Norm, *, rngs: nnx.Rngs):
    """Rectifier."""
    return Elementwise(jax.nn.relu)


def sigmoid(channels, stride, norm: Norm, *, rngs: nnx.Rngs):
    """Logistic function."""
    return Elementwise(jax.nn.sigmoid)


def identity(channels, stride, norm: Norm, *, rngs: nnx.Rngs):
    """The candidate itself."""
    return Identity()


ACTIVATIONS = {
    name: value
    for name, value in vars().items()
    if callable(value) and getattr(value, "__module__", "") == __name__ and name[0].islower()
}  # every function above is an activation
