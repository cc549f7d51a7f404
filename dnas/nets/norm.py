"""Normalisation by the moments of the batch, the heart of batch norm (Ioffe and Szegedy 2015, arXiv:1502.03167).

    y = (x - mean) / deviation,   dL/dx = W(dL/dy),   W(g) = (g - mean(g) - y mean(g y)) / deviation

W is linear and its own transpose, so it is also what carries a change of x to y. On the CPU both are native kernels.
"""

import jax
import jax.numpy as jnp
from jax.interpreters import ad

from dnas.nets import native

EPSILON = 1e-5
AXES = (-4, -3, -2)  # B, H, W


def normalise(x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """x [B, H, W, C] -> (x with zero mean and unit variance per channel, mean [C], biased variance [C])."""
    if native.supports(x):
        y, mean, variance, _ = normalise_p.bind(x, epsilon=EPSILON)
        return y, mean, variance
    return _by_xla(x)


@jax.custom_vjp
def _by_xla(x):
    y, mean, variance, _ = _moments(x)
    return y, mean, variance


def _moments(x):
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    mean = wide.mean(AXES)
    centred = wide - mean
    variance = jnp.square(centred).mean(AXES)
    inverse = jax.lax.rsqrt(variance + EPSILON)
    return (centred * inverse).astype(x.dtype), mean, variance, inverse


def _forward(x):
    y, mean, variance, inverse = _moments(x)
    return (y, mean, variance), (y, inverse)


def _backward(saved, cotangents):
    y, inverse = saved
    g = cotangents[0]  # the moments feed running statistics only: nobody differentiates them
    wide = g.astype(inverse.dtype)
    projected = wide - wide.mean(AXES) - y.astype(inverse.dtype) * (g * y).astype(inverse.dtype).mean(AXES)
    return ((projected * inverse).astype(y.dtype),)


_by_xla.defvjp(_forward, _backward)


# Native: x -> y, mean, variance, 1 / deviation; and W(y, 1 / deviation, g).


def _per_channel(shape):
    return *shape[:-4], shape[-1]


normalise_p = native.kernel("norm_forward", lambda x, epsilon: (x, *[_per_channel(x)] * 3), batched=True)
# mostly nobody reads it, so it is one operation, quickly traced and quickly dropped
moments_p = native.kernel(
    "moments", lambda y, inverse, dx: (inverse,) * 3, batched=True, by_xla=lambda *args: _change_of_moments(*args)
)
whiten_p = native.kernel("norm_backward", lambda y, inverse, g: (y,), batched=True)


def _change_of_moments(y, inverse, dx):
    """How mean, variance and 1 / deviation change with x."""
    product = (dx * y).mean(AXES)
    return [dx.mean(AXES), 2 * product / inverse, -jnp.square(inverse) * product]


def _normalise_derivative(primals, tangents, epsilon):
    (x,), (dx,) = primals, tangents
    y, mean, variance, inverse = normalise_p.bind(x, epsilon=epsilon)
    return (y, mean, variance, inverse), whiten_p.bind(y, inverse, dx) + moments_p.bind(y, inverse, dx)


def _whiten_derivative(primals, tangents):
    (y, inverse, g), (dy, d_inverse, dg) = primals, map(ad.instantiate_zeros, tangents)
    out = whiten_p.bind(y, inverse, g)[0]
    r, wide = inverse[..., None, None, None, :], {"axis": AXES, "keepdims": True}
    of_y = r * (dy * (g * y).mean(**wide) + y * (g * dy).mean(**wide))
    of_inverse = out * (d_inverse / inverse)[..., None, None, None, :]
    return (out,), (whiten_p.bind(y, inverse, dg)[0] + of_inverse - of_y,)


ad.primitive_jvps[normalise_p] = _normalise_derivative
ad.primitive_jvps[whiten_p] = _whiten_derivative
ad.primitive_jvps[moments_p] = lambda primals, tangents: jax.jvp(
    _change_of_moments, primals, tuple(map(ad.instantiate_zeros, tangents))
)
ad.primitive_transposes[moments_p] = lambda cts, y, inverse, dx: [
    None,
    None,
    *jax.linear_transpose(lambda dx: _change_of_moments(y, inverse, dx), dx.aval)(list(map(ad.instantiate_zeros, cts))),
]
ad.primitive_transposes[whiten_p] = lambda ct, y, inverse, g: [None, None, whiten_p.bind(y, inverse, ct[0])[0]]
