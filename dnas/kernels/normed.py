"""Convolutions that read images through a batch norm and its activation, and give the moments of what they write.

    y = conv(activation((x - mean) / deviation * scale + bias)),   mean and variance of y

An image that a norm would write and a convolution read again is never in memory: it is made where the convolution reads
it, in the backward pass, too, and moments are taken while the cache has what was written. The derivatives are those
of a norm and a convolution one after the other; none goes to the moments of x, which are not free, or from those of y,
which the next norm answers for. On the CPU, of float32 and float64 only (`native.supports`).
"""

from functools import partial

import jax
import jax.numpy as jnp
from jax.interpreters import ad

from dnas.kernels import native
from dnas.kernels.axes import at_least, rule
from dnas.kernels.conv import dense_conv, depthwise_conv
from dnas.kernels.norm import ACTIVATIONS, EPSILON, affine_known, affine_pulled

Normed = tuple[jax.Array, jax.Array, jax.Array]  # y [B, H, W, D], mean [D], biased variance [D]


@jax.custom_vjp
def pointwise(x: jax.Array, kernel: jax.Array) -> Normed:
    """1x1 convolution of x [B, H, W, C] as it is, with kernel [C, D]."""
    return tuple(pointwise_p.bind(x, kernel))


pointwise.defvjp(
    lambda x, kernel: (pointwise(x, kernel), (x, kernel)), lambda saved, g: jax.vjp(_dense, *saved)[1](g[0])
)


@partial(jax.custom_vjp, nondiff_argnums=(6,))
def normed_pointwise(
    x: jax.Array,
    mean: jax.Array,
    variance: jax.Array,
    scale: jax.Array,
    bias: jax.Array,
    kernel: jax.Array,
    activation: str,
) -> Normed:
    """1x1 convolution of x [B, H, W, C], normalised by moments and with scale and bias [C], with kernel [C, D]."""
    return _pointwise_forward(x, mean, variance, scale, bias, kernel, activation)[0]


def _pointwise_forward(x, mean, variance, scale, bias, kernel, activation):
    known = x, mean, jax.lax.rsqrt(variance + EPSILON), scale, bias
    return tuple(normed_pointwise_p.bind(*known, kernel, activation=_number(activation))), (known, kernel)


def _pointwise_backward(activation, saved, cotangents):
    (x, *moments), kernel = saved
    of_kernel = pointwise_to_kernel_p.bind(x, *moments, cotangents[0], activation=_number(activation))[0]
    of_x, of_scale, of_bias = pointwise_to_x_p.bind(x, *moments, cotangents[0], kernel, activation=_number(activation))
    return of_x, None, None, of_scale, of_bias, of_kernel


normed_pointwise.defvjp(_pointwise_forward, _pointwise_backward)


@partial(jax.custom_vjp, nondiff_argnums=(6, 7))
def normed_depthwise(
    x: jax.Array,
    mean: jax.Array,
    variance: jax.Array,
    scale: jax.Array,
    bias: jax.Array,
    kernel: jax.Array,
    stride: int,
    activation: str,
) -> Normed:
    """As `normed_pointwise`, depthwise with kernel [k, k, C], k odd, padded to "same"."""
    return _depthwise_forward(x, mean, variance, scale, bias, kernel, stride, activation)[0]


def _depthwise_forward(x, mean, variance, scale, bias, kernel, stride, activation):
    known, settings = (x, mean, jax.lax.rsqrt(variance + EPSILON), scale, bias), _settings(kernel, stride, activation)
    return tuple(normed_depthwise_p.bind(*known, kernel, **settings)), (known, kernel)


def _depthwise_backward(stride, activation, saved, cotangents):
    (x, *moments), kernel = saved
    of_kernel = depthwise_to_kernel_p.bind(x, *moments, cotangents[0], **_settings(kernel, stride, activation))[0]
    settings = {"stride": stride, "activation": _number(activation)}
    of_x, of_scale, of_bias = depthwise_to_x_p.bind(x, *moments, cotangents[0], kernel, **settings)
    return of_x, None, None, of_scale, of_bias, of_kernel


normed_depthwise.defvjp(_depthwise_forward, _depthwise_backward)


def _dense(x, kernel):
    return dense_conv(x, jax.lax.expand_dims(kernel, (0, 1)))


def _number(activation: str) -> int:
    return [*ACTIVATIONS].index(activation)


def _settings(kernel, stride, activation):
    return {"size": len(kernel), "stride": stride, "activation": _number(activation)}


# The kernels, and what they compute, for derivatives of derivatives.


def _with_moments(y):
    return [y, y.mean((0, 1, 2)), y.var((0, 1, 2))]


def _pointwise(x, kernel):
    return _with_moments(_dense(x, kernel))


def _normed_pointwise(*args, activation):
    return _with_moments(_dense(_read(args, activation), args[5]))


def _normed_depthwise(*args, size, stride, activation):
    return _with_moments(depthwise_conv(_read(args, activation), args[5], stride))


def _pointwise_to_kernel(*args, activation):
    images, kernel = _read(args, activation), jnp.zeros((args[0].shape[-1], args[5].shape[-1]), args[5].dtype)
    return [*jax.linear_transpose(lambda kernel: _dense(images, kernel), kernel)(args[5])]


def _depthwise_to_kernel(*args, size, stride, activation):
    images, kernel = _read(args, activation), jnp.zeros((size, size, args[0].shape[-1]), args[5].dtype)
    return [*jax.linear_transpose(lambda kernel: depthwise_conv(images, kernel, stride), kernel)(args[5])]


def _pointwise_to_x(*args, activation):
    (of_read,) = jax.linear_transpose(lambda images: _dense(images, args[6]), args[0])(args[5])
    return affine_pulled(*(*args[:5], of_read), activation=activation)


def _depthwise_to_x(*args, stride, activation):
    (of_read,) = jax.linear_transpose(lambda images: depthwise_conv(images, args[6], stride), args[0])(args[5])
    return affine_pulled(*(*args[:5], of_read), activation=activation)


def _read(args, activation):
    return affine_known(*args[:5], activation=activation)[0]


def _no_stride(sizes, activation):
    return {}


def _strided(sizes, stride, activation, size=None):
    at_least("depthwise convolution", "stride", stride, 1)
    return ({} if size is None else {"k": size}) | {"h": -(-sizes["H"] // stride), "w": -(-sizes["W"] // stride)}


def _kernel(name, what, takes, gives, further, computes):
    primitive = native.kernel(name, rule(what, takes, gives, further), batched=False)

    def derivative(primals, tangents, **settings):
        return jax.jvp(partial(computes, **settings), primals, tuple(map(ad.instantiate_zeros, tangents)))

    ad.primitive_jvps[primitive] = derivative
    return primitive


DENSE, DEPTHWISE, NORM = "convolution", "depthwise convolution", "x BHWC, mean C, inverse C, scale C, bias C"
pointwise_p = _kernel("pointwise_moments", DENSE, "x BHWC, kernel CD", "BHWD, D, D", None, _pointwise)
normed_pointwise_p = _kernel(
    "normed_pointwise", DENSE, f"{NORM}, kernel CD", "BHWD, D, D", _no_stride, _normed_pointwise
)
normed_depthwise_p = _kernel(
    "normed_depthwise", DEPTHWISE, f"{NORM}, kernel kkC", "BhwC, C, C", _strided, _normed_depthwise
)
pointwise_to_kernel_p = _kernel(
    "normed_pointwise_to_kernel", DENSE, f"{NORM}, g BHWD", "CD", _no_stride, _pointwise_to_kernel
)
depthwise_to_kernel_p = _kernel(
    "normed_depthwise_to_kernel", DEPTHWISE, f"{NORM}, g BhwC", "kkC", _strided, _depthwise_to_kernel
)
pointwise_to_x_p = _kernel(
    "normed_pointwise_to_x", DENSE, f"{NORM}, g BHWD, kernel CD", "BHWC, C, C", _no_stride, _pointwise_to_x
)
depthwise_to_x_p = _kernel(
    "normed_depthwise_to_x", DEPTHWISE, f"{NORM}, g BhwC, kernel kkC", "BHWC, C, C", _strided, _depthwise_to_x
)
