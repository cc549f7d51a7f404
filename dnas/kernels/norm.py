"""Normalisation by the moments of the batch, the heart of batch norm (Ioffe and Szegedy 2015, arXiv:1502.03167).

    y = (x - mean) / deviation,   dL/dx = W(dL/dy),   W(g) = (g - mean(g) - y mean(g y)) / deviation

W is linear and its own transpose, so it is also what carries a change of x to y. On the CPU both are native kernels;
a scale and a bias per channel, and the sums that are their gradients, are part of the same passes over x.
"""

import math
from collections.abc import Callable
from functools import partial

import jax
import jax.numpy as jnp
from jax.custom_derivatives import SymbolicZero
from jax.interpreters import ad

from dnas.errors import UserError
from dnas.kernels import native
from dnas.kernels.axes import agree, one_float_type, rule

EPSILON = 1e-5
AXES = (-4, -3, -2)  # B, H, W


def linear(x: jax.Array) -> jax.Array:
    """x itself."""
    return x


def relu6(x: jax.Array) -> jax.Array:
    """min(max(x, 0), 6)."""
    return jnp.clip(x, 0, 6)


def hard_sigmoid(x: jax.Array) -> jax.Array:
    """relu6(x + 3) / 6."""
    return relu6(x + 3) / 6


def hard_swish(x: jax.Array) -> jax.Array:
    """x relu6(x + 3) / 6."""
    return x * hard_sigmoid(x)


# The activations that a norm computes in its own passes, in the order of native.cc, and their derivatives.
ACTIVATIONS: dict[str, Callable[[jax.Array], jax.Array]] = {
    "linear": linear,
    "relu": jax.nn.relu,
    "relu6": relu6,
    "hswish": hard_swish,
}
SLOPES: dict[str, Callable[[jax.Array], jax.Array]] = {
    "linear": jnp.ones_like,
    "relu": lambda x: (x > 0).astype(x.dtype),
    "relu6": lambda x: ((x > 0) & (x < 6)).astype(x.dtype),
    "hswish": lambda x: jnp.where(x <= -3, 0, jnp.where(x >= 3, 1, x / 3 + 0.5)),
}


def normalise(
    x: jax.Array, scale: jax.Array | None = None, bias: jax.Array | None = None, activation: str = "linear"
) -> tuple[jax.Array, jax.Array, jax.Array]:
    """x [B, H, W, C] -> (x with zero mean and unit variance per channel, mean [C], biased variance [C]).

    With scale [C] and bias [C] the first is y * scale + bias. activation: of `ACTIVATIONS`, taken of the first.
    """
    if activation not in ACTIVATIONS:
        raise UserError(f"A batch norm computes the activations {', '.join(ACTIVATIONS)}, not '{activation}'.")
    if scale is None or bias is None:
        agree("batch norm", "x BHWC", x.shape)
        one_float_type("batch norm", x)
        y, mean, variance = normalise_p.bind(x, epsilon=EPSILON)[:3] if native.supports(x) else _by_xla(x)
        return ACTIVATIONS[activation](y), mean, variance
    agree("batch norm", "x BHWC, scale C, bias C", x.shape, scale.shape, bias.shape)
    one_float_type("batch norm", x, scale, bias)
    if native.supports(x, scale, bias):
        number = [*ACTIVATIONS].index(activation)
        return tuple(affine_p.bind(x, scale, bias, epsilon=EPSILON, activation=number)[:3])
    y, mean, variance = _by_xla(x)
    return ACTIVATIONS[activation](y * scale + bias), mean, variance


@partial(jax.custom_vjp, nondiff_argnums=(5,))
def normalise_again(x, mean, variance, scale, bias, activation="linear"):
    """What `normalise` gave for x with scale and bias, from the moments that it gave: x is read once. The derivative to
    x is that of `normalise`; none goes to the moments, which are not free. float32 and float64 on the CPU only."""
    return _again_forward(x, mean, variance, scale, bias, activation)[0]


def _again_forward(x, mean, variance, scale, bias, activation):
    saved = x, mean, jax.lax.rsqrt(variance + EPSILON), scale, bias
    return again_p.bind(*saved, activation=[*ACTIVATIONS].index(activation))[0], saved


def _again_backward(activation, saved, g):
    of_x, of_scale, of_bias = pull_p.bind(*saved, g, activation=[*ACTIVATIONS].index(activation))
    return of_x, None, None, of_scale, of_bias


normalise_again.defvjp(_again_forward, _again_backward)


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
    y, mean, variance, inverse = _moments(x.value)
    return (y, mean, variance), (y, inverse)


def _backward(saved, cotangents):
    y, inverse = saved
    g, of_mean, of_variance = cotangents
    found = []  # what nobody differentiates costs nothing, as the moments where they feed running statistics only
    if not isinstance(g, SymbolicZero):
        wide = g.astype(inverse.dtype)
        projected = wide - wide.mean(AXES) - y.astype(inverse.dtype) * (g * y).astype(inverse.dtype).mean(AXES)
        found.append(projected * inverse)
    count = math.prod(y.shape[:-1])
    if not isinstance(of_mean, SymbolicZero):
        found.append(jnp.broadcast_to(of_mean / count, y.shape))
    if not isinstance(of_variance, SymbolicZero):
        found.append(y.astype(inverse.dtype) * (2 / count * of_variance / inverse))
    return (sum(found[1:], found[0]).astype(y.dtype) if found else jnp.zeros_like(y),)


_by_xla.defvjp(_forward, _backward, symbolic_zeros=True)


# Native: x -> y, mean, variance, 1 / deviation; and W(y, 1 / deviation, g).


def _sound(sizes, epsilon, activation=0):
    if not (math.isfinite(epsilon) and epsilon > 0):
        raise UserError(f"The epsilon of a batch norm is {epsilon}, expected a number above 0.")
    return {}


NORM, TO_X, MOMENTS = "batch norm", "batch norm's derivative", "*BHWC, *C, *C, *C"
normalise_p = native.kernel("norm_forward", rule(NORM, "x *BHWC", MOMENTS, _sound), batched=True)
whiten_p = native.kernel("norm_backward", rule(TO_X, "y *BHWC, inverse *C, g *BHWC", "*BHWC"), batched=True)
# how mean, variance and 1 / deviation change with x; how W changes with y, 1 / deviation and g
moments_p = native.kernel("norm_moments", rule(TO_X, "y *BHWC, inverse *C, dx *BHWC", "*C, *C, *C"), batched=True)
bend_p = native.kernel(
    "norm_bend",
    rule(TO_X, "y *BHWC, inverse *C, g *BHWC, dy *BHWC, d_inverse *C, dg *BHWC", "*BHWC"),
    batched=True,
)


def _over_pixels(moment):
    """[..., C] -> [..., 1, 1, 1, C]."""
    return jax.lax.expand_dims(moment, range(moment.ndim - 1, moment.ndim + 2))


def _change_of_moments(y, inverse, dx):
    """What the kernel `norm_moments` computes."""
    product = (dx * y).mean(AXES)
    return [dx.mean(AXES), 2 * product / inverse, -jnp.square(inverse) * product]


def _bend(y, inverse, g, dy, d_inverse, dg):
    """What the kernel `norm_bend` computes."""
    out, r, wide = whiten_p.bind(y, inverse, g)[0], _over_pixels(inverse), {"axis": AXES, "keepdims": True}
    of_y = r * (dy * (g * y).mean(**wide) + y * (g * dy).mean(**wide))
    return [whiten_p.bind(y, inverse, dg)[0] + out * _over_pixels(d_inverse / inverse) - of_y]


def _normalise_derivative(primals, tangents, epsilon):
    (x,), (dx,) = primals, tangents
    y, mean, variance, inverse = normalise_p.bind(x, epsilon=epsilon)
    return (y, mean, variance, inverse), whiten_p.bind(y, inverse, dx) + moments_p.bind(y, inverse, dx)


def _whiten_derivative(primals, tangents):
    return whiten_p.bind(*primals), bend_p.bind(*primals, *map(ad.instantiate_zeros, tangents))


def _derivative_of(function):
    def derivative(primals, tangents, **settings):
        return jax.jvp(partial(function, **settings), primals, tuple(map(ad.instantiate_zeros, tangents)))

    return derivative


def _transpose_of(function, constants):
    """Of a function that is linear in all arguments but the first ones."""

    def transpose(cotangents, *args):
        fixed, changes = args[:constants], args[constants:]
        avals = {i: change.aval for i, change in enumerate(changes) if ad.is_undefined_primal(change)}

        def of_unknown(*values):
            given = dict(zip(avals, values, strict=True))
            known = (given[i] if i in given else jnp.zeros_like(change) for i, change in enumerate(changes))
            return function(*fixed, *known)

        found = jax.linear_transpose(of_unknown, *avals.values())(list(map(ad.instantiate_zeros, cotangents)))
        gradients = dict(zip(avals, found, strict=True))
        return [*[None] * constants, *(gradients.get(i) for i in range(len(changes)))]

    return transpose


ad.primitive_jvps[normalise_p] = _normalise_derivative
ad.primitive_jvps[whiten_p] = _whiten_derivative
ad.primitive_jvps[moments_p] = _derivative_of(_change_of_moments)
ad.primitive_jvps[bend_p] = _derivative_of(_bend)
ad.primitive_transposes[moments_p] = _transpose_of(_change_of_moments, 2)
ad.primitive_transposes[bend_p] = _transpose_of(_bend, 3)
ad.primitive_transposes[whiten_p] = lambda ct, y, inverse, g: [None, None, whiten_p.bind(y, inverse, ct[0])[0]]


# With scale and bias. From x, mean and 1 / deviation, so that y is not kept beside the result: `affine_p`, the linear
# map `push_p` of changes (dx, dscale, dbias) to the result, and its transpose `pull_p`, the native backward pass. Both
# are gated by the slope of the activation, which is computed again.


def _standard(x, mean, inverse):
    return (x - _over_pixels(mean)) * _over_pixels(inverse)


def _gated(y, scale, bias, g, activation):
    slope = [*SLOPES.values()][activation]
    return g * slope(y * _over_pixels(scale) + _over_pixels(bias)) if activation else g


def _push(x, mean, inverse, scale, bias, dx, dscale, dbias, *, activation):
    y = _standard(x, mean, inverse)
    change = whiten_p.bind(y, inverse, dx)[0] * _over_pixels(scale) + y * _over_pixels(dscale) + _over_pixels(dbias)
    return [_gated(y, scale, bias, change, activation)]


def affine_pulled(x, mean, inverse, scale, bias, g, *, activation: int) -> list[jax.Array]:
    """What the kernel `affine_backward` computes: the gradients of x, scale and bias."""
    y = _standard(x, mean, inverse)
    g = _gated(y, scale, bias, g, activation)
    return [whiten_p.bind(y, inverse, g)[0] * _over_pixels(scale), (g * y).sum(AXES), g.sum(AXES)]


def affine_known(x, mean, inverse, scale, bias, *, activation: int) -> list[jax.Array]:
    """What the kernel `affine_again` computes, by XLA."""
    function = [*ACTIVATIONS.values()][activation]
    return [function(_standard(x, mean, inverse) * _over_pixels(scale) + _over_pixels(bias))]


def _gate_only(sizes, activation):
    return {}


FIXED, CHANGES = "x *BHWC, mean *C, inverse *C, scale *C, bias *C", "dx *BHWC, dscale *C, dbias *C"
affine_p = native.kernel("affine_forward", rule(NORM, "x *BHWC, scale *C, bias *C", MOMENTS, _sound), batched=True)
again_p = native.kernel("affine_again", rule(NORM, FIXED, "*BHWC", _gate_only), batched=True)
push_p = native.kernel(
    "affine_push", rule(TO_X, f"{FIXED}, {CHANGES}", "*BHWC", _gate_only), batched=True, by_xla=_push
)
pull_p = native.kernel("affine_backward", rule(TO_X, f"{FIXED}, g *BHWC", "*BHWC, *C, *C", _gate_only), batched=True)


def _affine_derivative(primals, tangents, epsilon, activation):
    (x, scale, bias), changes = primals, [ad.instantiate_zeros(t) for t in tangents]
    out, mean, variance, inverse = affine_p.bind(*primals, epsilon=epsilon, activation=activation)
    moments = moments_p.bind(_standard(x, mean, inverse), inverse, changes[0])
    change = push_p.bind(x, mean, inverse, scale, bias, *changes, activation=activation)
    return (out, mean, variance, inverse), change + moments


def _push_transpose(cts, *args, activation):
    gradients = pull_p.bind(*args[:5], ad.instantiate_zeros(cts[0]), activation=activation)
    wanted = map(ad.is_undefined_primal, args[5:])
    return [*[None] * 5, *(g if w else None for g, w in zip(gradients, wanted, strict=True))]


def _pull_transpose(cts, *args, activation):
    return [*[None] * 5, *push_p.bind(*args[:5], *map(ad.instantiate_zeros, cts), activation=activation)]


ad.primitive_jvps[affine_p] = _affine_derivative
ad.primitive_jvps[again_p] = _derivative_of(affine_known)
ad.primitive_jvps[push_p] = _derivative_of(_push)
ad.primitive_jvps[pull_p] = _derivative_of(affine_pulled)
ad.primitive_transposes[push_p] = _push_transpose
ad.primitive_transposes[pull_p] = _pull_transpose
