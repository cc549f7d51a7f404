"""Layers: convolutions, pooling and batch norm whose derivatives are written by hand where XLA's are slow.

All act on x [B, H, W, C]. Kernels: dense [kh, kw, C_in, C_out], depthwise [k, k, C], pointwise [C_in, C_out].
Padding is that of PyTorch: symmetric, `dilation * (k - 1) / 2` for odd k.
"""

from collections.abc import Callable
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dnas.errors import UserError

EPSILON = 1e-5
MOMENTUM = 0.9  # of the running statistics; PyTorch calls this 0.1


# Depthwise convolution: a sum of shifted products. XLA's grouped convolution is 30-50 times slower on the CPU.


def _windows(x: jax.Array, k: int, stride: int, dilation: int, fill: float = 0.0) -> list[list[jax.Array]]:
    """The k x k shifted and strided views of a padded x [..., H, W, C]."""
    pad = dilation * (k - 1) // 2
    height, width = -(-x.shape[-3] // stride), -(-x.shape[-2] // stride)
    edges = [(0, 0)] * (x.ndim - 3) + [(pad, pad), (pad, pad), (0, 0)]
    x = jnp.pad(x, edges, constant_values=fill)

    def view(axis: int, size: int, y: jax.Array, i: int) -> jax.Array:
        start = i * dilation
        return jax.lax.slice_in_dim(y, start, start + stride * (size - 1) + 1, stride, axis)

    rows = [view(x.ndim - 3, height, x, i) for i in range(k)]
    return [[view(x.ndim - 2, width, row, j) for j in range(k)] for row in rows]


def _shifted_products(x: jax.Array, kernel: jax.Array, stride: int, dilation: int) -> jax.Array:
    windows = _windows(x, kernel.shape[0], stride, dilation)
    return sum(w * kernel[i, j] for i, row in enumerate(windows) for j, w in enumerate(row))


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def depthwise_conv(x: jax.Array, kernel: jax.Array, stride: int = 1, dilation: int = 1) -> jax.Array:
    """Depthwise convolution of x [B, H, W, C] with kernel [k, k, C], k odd -> [B, ceil(H/stride), ..., C]."""
    return _shifted_products(x, kernel, stride, dilation)


def _depthwise_forward(x, kernel, stride, dilation):
    return _shifted_products(x, kernel, stride, dilation), (x, kernel)


def _depthwise_backward(stride, dilation, saved, g):
    x, kernel = saved
    spread = g
    if stride > 1:  # put the gradient back on the input's grid, with zeros between
        grid = [(0, 0, 0)] * g.ndim
        for axis in (1, 2):
            reached = stride * (g.shape[axis] - 1) + 1
            grid[axis] = (0, x.shape[axis] - reached, stride - 1)
        spread = jax.lax.pad(g, jnp.zeros((), g.dtype), grid)
    to_x = _shifted_products(spread, kernel[::-1, ::-1], 1, dilation)
    windows = _windows(x, kernel.shape[0], stride, dilation)
    to_kernel = jnp.stack([jnp.stack([_channel_sums(w * g) for w in row]) for row in windows])
    return to_x, to_kernel


def _channel_sums(product: jax.Array) -> jax.Array:
    """Sum over B, H, W in the order the CPU does fastest: rows of W * C first, then over W."""
    b, h, w, c = product.shape
    return product.reshape(b * h, w * c).sum(0).reshape(w, c).sum(0)


depthwise_conv.defvjp(_depthwise_forward, _depthwise_backward)


def pointwise_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """1x1 convolution of x [..., C_in] with kernel [C_in, C_out]: a matrix product."""
    return jax.lax.dot_general(x, kernel, (((x.ndim - 1,), (0,)), ((), ())))


def dense_conv(x: jax.Array, kernel: jax.Array, stride: tuple[int, int], padding: tuple[int, int]) -> jax.Array:
    """Convolution of x [B, H, W, C_in] with kernel [kh, kw, C_in, C_out] and symmetric padding (pixels)."""
    pads = [(p, p) for p in padding]
    return jax.lax.conv_general_dilated(x, kernel, stride, pads, dimension_numbers=("NHWC", "HWIO", "NHWC"))


# Pooling, 3x3 with padding 1, as shifted maxima and sums: select-and-scatter is four times slower.


def max_pool_3x3(x: jax.Array, stride: int) -> jax.Array:
    """Largest value of each 3x3 window; padding never wins."""
    windows = _windows(x, 3, stride, 1, -jnp.inf)
    rows = [jnp.maximum(jnp.maximum(row[0], row[1]), row[2]) for row in windows]
    return jnp.maximum(jnp.maximum(rows[0], rows[1]), rows[2])


def avg_pool_3x3(x: jax.Array, stride: int) -> jax.Array:
    """Mean of each 3x3 window over the pixels inside the image (padding does not count)."""
    windows = _windows(x, 3, stride, 1)
    total = sum(w for row in windows for w in row)
    return total / _window_counts(x.shape[1], x.shape[2], stride).astype(x.dtype)


def _window_counts(height: int, width: int, stride: int) -> np.ndarray:
    """How many pixels of each 3x3 window lie inside the image [H, W, 1], counted in NumPy."""

    def counts(size: int) -> np.ndarray:
        inside = np.pad(np.ones(size), 1)
        return (inside[:-2] + inside[1:-1] + inside[2:])[::stride]

    return np.outer(counts(height), counts(width))[..., None]


def global_avg_pool(x: jax.Array) -> jax.Array:
    """Mean over the image: [B, H, W, C] -> [B, C]."""
    return x.mean((1, 2))


# Batch norm. Training normalises by the batch and reports its moments; the caller decides which to absorb.


@jax.custom_vjp
def normalise(x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array]:
    """x [B, H, W, C] -> (x with zero mean and unit variance per channel, mean [C], biased variance [C])."""
    y, mean, variance, _ = _normalise(x)
    return y, mean, variance


def _normalise(x):
    wide = x.astype(jnp.promote_types(x.dtype, jnp.float32))
    mean = wide.mean((0, 1, 2))
    centred = wide - mean
    variance = jnp.square(centred).mean((0, 1, 2))
    inverse = jax.lax.rsqrt(variance + EPSILON)
    return (centred * inverse).astype(x.dtype), mean, variance, inverse


def _normalise_forward(x):
    y, mean, variance, inverse = _normalise(x)
    return (y, mean, variance), (y, inverse)


def _normalise_backward(saved, cotangents):
    y, inverse = saved
    g = cotangents[0]  # the moments feed running statistics only: nobody differentiates them
    wide = inverse.dtype
    g_mean = g.astype(wide).mean((0, 1, 2))
    gy_mean = (g * y).astype(wide).mean((0, 1, 2))
    return (((g.astype(wide) - g_mean - y.astype(wide) * gy_mean) * inverse).astype(y.dtype),)


normalise.defvjp(_normalise_forward, _normalise_backward)


class BatchNorm(nnx.Module):
    """Batch norm over B, H, W (Ioffe and Szegedy 2015, arXiv:1502.03167).

    In training, `mean` and `var` are overwritten by the moments of the batch (the variance unbiased, as PyTorch's
    running one); in evaluation they are read. `absorb` turns moments into running statistics.
    """

    def __init__(self, channels: int, *, affine: bool, rngs: nnx.Rngs):
        self.scale = nnx.Param(jnp.ones(channels)) if affine else None
        self.bias = nnx.Param(jnp.zeros(channels)) if affine else None
        self.mean = nnx.BatchStat(jnp.zeros(channels))
        self.var = nnx.BatchStat(jnp.ones(channels))
        self.use_running_average = False

    def set_view(self, use_running_average: bool | None = None) -> None:
        """Called by `nnx.view`: True in evaluation."""
        if use_running_average is not None:
            self.use_running_average = use_running_average

    def __call__(self, x: jax.Array) -> jax.Array:
        if self.use_running_average:
            wide = x.astype(self.var[...].dtype)
            y = ((wide - self.mean[...]) * jax.lax.rsqrt(self.var[...] + EPSILON)).astype(x.dtype)
        else:
            y, mean, variance = normalise(x)
            count = x.size // x.shape[-1]
            self.mean[...] = mean
            self.var[...] = variance * (count / max(count - 1, 1))
        if self.scale is not None and self.bias is not None:
            y = y * self.scale[...].astype(x.dtype) + self.bias[...].astype(x.dtype)
        return y


def absorb(stats, moments):
    """Running statistics after one more training forward pass: an exponential moving average."""
    return jax.tree.map(lambda s, m: MOMENTUM * s + (1 - MOMENTUM) * m, stats, moments)


# Modules. PyTorch's default initialisation, which the reference codes use: uniform within 1/sqrt(fan_in).


def uniform_fan_in(rngs: nnx.Rngs, shape: tuple[int, ...], fan_in: int) -> nnx.Param:
    """A parameter uniform in +-1/sqrt(fan_in)."""
    bound = 1 / np.sqrt(fan_in)
    return nnx.Param(jax.random.uniform(rngs.params(), shape, minval=-bound, maxval=bound))


class Conv(nnx.Module):
    """Dense convolution, kernel [kh, kw, C_in, C_out]; `padding` None keeps the size at stride 1."""

    def __init__(self, c_in, c_out, size, *, stride=1, padding=None, bias=False, rngs: nnx.Rngs):
        kh, kw = (size, size) if isinstance(size, int) else size
        self.stride = (stride, stride) if isinstance(stride, int) else stride
        self.padding = ((kh - 1) // 2, (kw - 1) // 2) if padding is None else (padding, padding)
        self.kernel = uniform_fan_in(rngs, (kh, kw, c_in, c_out), kh * kw * c_in)
        self.bias = uniform_fan_in(rngs, (c_out,), kh * kw * c_in) if bias else None

    def __call__(self, x):
        kernel = self.kernel[...].astype(x.dtype)
        if kernel.shape[:2] == (1, 1):
            y = pointwise_conv(x[:, :: self.stride[0], :: self.stride[1]], kernel[0, 0])
        else:
            y = dense_conv(x, kernel, self.stride, self.padding)
        return y if self.bias is None else y + self.bias[...].astype(x.dtype)


class Depthwise(nnx.Module):
    """Depthwise convolution, kernel [k, k, C]."""

    def __init__(self, channels, size, *, stride=1, dilation=1, rngs: nnx.Rngs):
        self.stride, self.dilation = stride, dilation
        self.kernel = uniform_fan_in(rngs, (size, size, channels), size * size)

    def __call__(self, x):
        return depthwise_conv(x, self.kernel[...].astype(x.dtype), self.stride, self.dilation)


class Linear(nnx.Module):
    """x [B, C_in] -> [B, C_out], in float32 or better."""

    def __init__(self, c_in, c_out, *, rngs: nnx.Rngs):
        self.kernel = uniform_fan_in(rngs, (c_in, c_out), c_in)
        self.bias = uniform_fan_in(rngs, (c_out,), c_in)

    def __call__(self, x):
        kernel = self.kernel[...]
        return pointwise_conv(x.astype(kernel.dtype), kernel) + self.bias[...]


class ReluConvNorm(nnx.Module):
    """ReLU, dense convolution, batch norm: the unit of both papers' codes."""

    def __init__(self, c_in, c_out, size, *, stride=1, affine=True, bias=False, rngs: nnx.Rngs):
        self.conv = Conv(c_in, c_out, size, stride=stride, bias=bias, rngs=rngs)
        self.norm = BatchNorm(c_out, affine=affine, rngs=rngs)

    def __call__(self, x):
        return self.norm(self.conv(jax.nn.relu(x)))


class FactorizedReduce(nnx.Module):
    """Halves the image: ReLU, two 1x1 convolutions of stride 2, the second shifted by one pixel, concatenated, norm."""

    def __init__(self, c_in, c_out, *, affine=True, bias=False, rngs: nnx.Rngs):
        if c_out % 2:
            raise UserError(f"A factorised reduction halves its channels, and {c_out} is odd: choose an even number.")
        self.even = Conv(c_in, c_out // 2, 1, stride=2, bias=bias, rngs=rngs)
        self.odd = Conv(c_in, c_out // 2, 1, stride=2, bias=bias, rngs=rngs)
        self.norm = BatchNorm(c_out, affine=affine, rngs=rngs)

    def __call__(self, x):
        x = jax.nn.relu(x)
        shifted = jnp.pad(x[:, 1:, 1:], ((0, 0), (0, x.shape[1] % 2), (0, x.shape[2] % 2), (0, 0)))
        return self.norm(jnp.concatenate([self.even(x), self.odd(shifted)], -1))


class Chain(nnx.Module):
    """Layers and plain functions of x, one after the other."""

    def __init__(self, *layers: Callable):
        self.layers = nnx.List(layers)

    def __call__(self, x):
        for layer in self.layers:
            x = layer(x)
        return x


class Outputs(NamedTuple):
    """Logits [B, classes] of the head, and of the auxiliary head where there is one."""

    logits: jax.Array
    auxiliary: jax.Array | None = None
