"""Layers: convolutions and batch norm, in the forms that XLA runs and compiles fast.

All act on x [B, H, W, C]. Kernels: dense [kh, kw, C_in, C_out], depthwise [k, k, C], pointwise [C_in, C_out].
Padding is that of PyTorch: symmetric, `dilation * (k - 1) / 2` for odd k.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dnas.errors import UserError
from dnas.kernels import native
from dnas.kernels.axes import FLOATS, agree, one_float_type
from dnas.kernels.conv import dense_conv, depthwise_conv
from dnas.kernels.norm import ACTIVATIONS, EPSILON, normalise
from dnas.kernels.pooling import global_avg_pool
from dnas.nets.functional import Deferred

MOMENTUM = 0.9  # of the running statistics; PyTorch calls this 0.1


def separable_conv(x: jax.Array, depthwise: jax.Array, pointwise: jax.Array, stride=1, dilation=1) -> jax.Array:
    """Depthwise [k, k, C] then pointwise [C, D] convolution with "same" padding, k odd.

    On the CPU with its native kernels. Elsewhere, since nothing stands between the two, they are one dense convolution
    with the kernel depthwise * pointwise: more arithmetic in fewer operations, which compile and run fast.
    """
    agree("separable convolution", "x BHWC, depthwise kkC, pointwise CD", x.shape, depthwise.shape, pointwise.shape)
    if native.supports(x, depthwise):
        return pointwise_conv(depthwise_conv(x, depthwise, stride, dilation), pointwise)
    kernel = depthwise[..., None] * pointwise
    padding = (dilation * (depthwise.shape[0] - 1) // 2,) * 2
    return dense_conv(x, kernel, (stride, stride), padding, dilation, depthwise.size + pointwise.size)


def pointwise_conv(x: jax.Array, kernel: jax.Array) -> jax.Array:
    """1x1 convolution of x [..., C_in] with kernel [C_in, C_out]: a matrix product."""
    agree("pointwise convolution", "x *C, kernel CD", x.shape, kernel.shape)
    one_float_type("pointwise convolution", x, kernel)
    if x.ndim == 4 and native.supports(x, kernel):
        return dense_conv(x, jax.lax.expand_dims(kernel, (0, 1)))
    return jax.lax.dot_general(x, kernel, (((x.ndim - 1,), (0,)), ((), ())))


class BatchNorm(nnx.Module):
    """Batch norm over B, H, W (Ioffe and Szegedy 2015, arXiv:1502.03167).

    In training, `mean` and `var` are overwritten by the moments of the batch (the variance unbiased, as PyTorch's
    running one, unless it is to be `biased`); in evaluation they are read. `absorb` turns moments into running
    statistics. `norm(x, "relu")` is followed by a ReLU, in the same pass over x where there are kernels.
    """

    def __init__(self, channels: int, *, affine: bool, rngs: nnx.Rngs):
        zeros, ones = np.zeros(channels, np.float32), np.ones(channels, np.float32)
        self.scale = nnx.Param(ones) if affine else None
        self.bias = nnx.Param(zeros) if affine else None
        self.mean: nnx.BatchStat[Any] = nnx.BatchStat(zeros)
        self.var: nnx.BatchStat[Any] = nnx.BatchStat(ones)
        self.use_running_average, self.biased = False, False

    def set_view(self, use_running_average: bool | None = None) -> None:
        """Called by `nnx.view`: True in evaluation."""
        if use_running_average is not None:
            self.use_running_average = use_running_average

    def __call__(self, x: jax.Array, activation: str = "linear") -> jax.Array:
        agree("batch norm", "x BHWC, mean C", x.shape, self.mean[...].shape)
        one_float_type("batch norm", x)
        affine = [p[...].astype(x.dtype) for p in (self.scale, self.bias) if p is not None]
        if not self.use_running_average:
            scale, bias = affine or (None, None)
            y, mean, variance = normalise(x, scale, bias, activation)
            self.keep(mean, variance, x.size // x.shape[-1])
            return y
        wide = x.astype(self.var[...].dtype)
        y = ((wide - self.mean[...]) * jax.lax.rsqrt(self.var[...] + EPSILON)).astype(x.dtype)
        y = y * affine[0] + affine[1] if affine else y
        return ACTIVATIONS[activation](y)

    def keep(self, mean: jax.Array, variance: jax.Array, count: int) -> None:
        """Moments [C] of images of so many pixels, their variance biased."""
        self.mean.set_value(mean)
        self.var.set_value(variance if self.biased else unbiased(variance, count))

    def known(self, x: jax.Array) -> tuple[jax.Array, jax.Array, jax.Array, jax.Array, jax.Array]:
        """x with its moments, which are kept already, the variance biased, and scale and bias, for `dnas.kernels`."""
        assert self.scale is not None and self.bias is not None
        variance = self.var[...]
        if not self.biased:
            variance = variance / unbiased(jnp.ones((), variance.dtype), x.size // x.shape[-1])
        return x, self.mean[...], variance, self.scale[...], self.bias[...]

    def knows(self, x: jax.Array) -> bool:
        """Whether there are kernels for `known`: in training, with scale and bias, where native ones are there."""
        variables = [v[...] for v in (self.mean, self.var, self.scale, self.bias) if v is not None]
        return not self.use_running_average and len(variables) == 4 and native.supports(x, *variables)


def unbiased(variance: jax.Array, count: int) -> jax.Array:
    """The variance that PyTorch keeps, from the mean square of `count` values."""
    return variance * (count / max(count - 1, 1))


def absorb(stats, moments):
    """Running statistics after one more training forward pass: an exponential moving average.

    A norm that was used K times in the pass has moments [..., K, C], of which one after the other is absorbed; of P
    passes [..., K, P, C], of which one pass after the other.
    """

    def one(running, seen):
        if seen.ndim == running.ndim:
            return MOMENTUM * running + (1 - MOMENTUM) * seen
        if seen.ndim == running.ndim + 2:
            seen = jnp.swapaxes(seen, -3, -2).reshape(*running.shape[:-1], -1, running.shape[-1])
        ages = np.arange(seen.shape[-2])[::-1]
        shares = ((1 - MOMENTUM) * MOMENTUM**ages).astype(seen.dtype)
        return MOMENTUM ** len(ages) * running + jnp.einsum("k,...kc->...c", shares, seen)

    return jax.tree.map(one, stats, moments)


# Modules. PyTorch's default initialisation, which the reference codes use: uniform within 1/sqrt(fan_in).


def uniform_fan_in(rngs: nnx.Rngs, shape: tuple[int, ...], fan_in: int) -> nnx.Param:
    """A parameter uniform in +-1/sqrt(fan_in), see `uniform`."""
    return uniform(rngs, shape, float(1 / np.sqrt(fan_in)))


def uniform(rngs: nnx.Rngs, shape: tuple[int, ...], bound: float) -> nnx.Param:
    """A parameter uniform in +-bound; with `Deferred` rngs a hole that `functional.fill` fills."""
    if isinstance(rngs, Deferred):
        return nnx.Param(np.zeros(shape, np.float32), bound=bound)
    return nnx.Param(jax.random.uniform(rngs.params(), shape, minval=-bound, maxval=bound), bound=bound)


class Conv(nnx.Module):
    """Dense convolution, kernel [kh, kw, C_in, C_out]; `padding` None keeps the size at stride 1."""

    def __init__(self, c_in, c_out, size, *, stride=1, padding=None, bias=False, rngs: nnx.Rngs):
        kh, kw = (size, size) if isinstance(size, int) else size
        self.stride = (stride, stride) if isinstance(stride, int) else stride
        self.padding = padding
        self.kernel = uniform_fan_in(rngs, (kh, kw, c_in, c_out), kh * kw * c_in)
        self.bias = uniform_fan_in(rngs, (c_out,), kh * kw * c_in) if bias else None

    def __call__(self, x):
        kernel = self.kernel[...].astype(x.dtype)
        agree("convolution", "images BHWC, kernel klCD", x.shape, kernel.shape)
        half, strided = [(k - 1) // 2 for k in kernel.shape[:2]], self.stride != (1, 1)
        # XLA for GPUs aborts on a slice with strides between a ReLU and a matrix product (openxla/xla#47381)
        if kernel.shape[:2] == (1, 1) and not (strided and native.platform_of_programs() != "cpu"):
            x = x[:, :: self.stride[0], :: self.stride[1]] if strided else x
            y = pointwise_conv(x, jax.lax.squeeze(kernel, (0, 1)))
        else:
            padding = (half[0], half[1]) if self.padding is None else (self.padding, self.padding)
            y = dense_conv(x, kernel, self.stride, padding)
        return y if self.bias is None else y + self.bias[...].astype(x.dtype)


class SeparableConv(nnx.Module):
    """Depthwise [k, k, C] then pointwise [C, D] convolution, without anything in between."""

    def __init__(self, c_in, c_out, size, *, stride=1, dilation=1, rngs: nnx.Rngs):
        self.stride, self.dilation = stride, dilation
        self.depthwise = uniform_fan_in(rngs, (size, size, c_in), size * size)
        self.pointwise = uniform_fan_in(rngs, (c_in, c_out), c_in)

    def __call__(self, x):
        kernels = self.depthwise[...].astype(x.dtype), self.pointwise[...].astype(x.dtype)
        return separable_conv(x, *kernels, self.stride, self.dilation)


class Linear(nnx.Module):
    """x [B, C_in] -> [B, C_out], in float32 or better."""

    def __init__(self, c_in, c_out, *, bias=True, rngs: nnx.Rngs):
        self.kernel = uniform_fan_in(rngs, (c_in, c_out), c_in)
        self.bias = uniform_fan_in(rngs, (c_out,), c_in) if bias else None

    def __call__(self, x):
        kernel = self.kernel[...]
        y = pointwise_conv(x.astype(kernel.dtype), kernel)
        return y if self.bias is None else y + self.bias[...]


class GlobalPool(nnx.Module):
    """Mean over the image: [B, H, W, C] -> [B, C]."""

    def __call__(self, x):
        return global_avg_pool(x)


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
        agree("factorised reduction", "images BHWC", x.shape)
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


def checked_images(x: Any, channels: int, dtype: Any) -> jax.Array:
    """A batch of images [B, H, W, channels] as a network takes it; what is not a JAX array becomes one of type `dtype`.

    Errors: `UserError` for other shapes and for numbers that are not normalised, one sentence that says what to do.
    """
    shape, given = shape_and_type("The batch of images", x)
    if len(shape) != 4 or shape[3] != channels or 0 in shape:
        built = f"This network was built for images [B, H, W, {channels}], got {list(shape)}"
        raise UserError(f"{built}: {_advice(shape, channels)}.")
    if given.name not in FLOATS:
        raise UserError(
            f"This network takes normalised images of {', '.join(FLOATS[:-1])} or {FLOATS[-1]}, got {given.name}: "
            "subtract the data set's mean and divide by its std, see dnas.data.augment.normalise."
        )
    return x if isinstance(x, jax.Array) else jnp.asarray(x, dtype)


def checked_numbers(what: str, x: Any, shape: tuple[int, ...], expected: str) -> None:
    """Errors: `UserError` for anything but an array of real numbers of this shape, which is said as `expected`."""
    found, given = shape_and_type(what, x)
    if found != shape:
        raise UserError(f"{what} is {list(found)}, expected {expected}.")
    if not any(jnp.issubdtype(given, kind) for kind in (jnp.floating, jnp.integer, jnp.bool_)):
        raise UserError(f"{what} is of type {given.name}, expected real numbers, {expected}.")


def shape_and_type(what: str, x: Any) -> tuple[tuple[int, ...], Any]:
    """Those of an array, or of whatever NumPy makes one of. Errors: `UserError` where it cannot, as of ragged lists."""
    try:
        array = x if isinstance(x, jax.Array) else np.asarray(x)
    except (ValueError, TypeError) as error:
        raise UserError(
            f"{what} cannot be read as one array: give a NumPy or JAX array, whose rows all have the same length."
        ) from error
    return array.shape, array.dtype


def _advice(shape: tuple[int, ...], channels: int) -> str:
    if 0 in shape:
        return "there must be at least one image of at least one pixel"
    if len(shape) == 3 and shape[2] == channels:
        return "add the axis of the batch, x[None]"
    if len(shape) == 3 and channels == 1:
        return "add the axis of the channels, x[..., None]"
    if len(shape) == 4 and shape[1] == channels:
        return "move the channels to the end, x.transpose(0, 2, 3, 1)"
    if len(shape) == 4:
        return f"give it images of {channels} channels, or build it for {shape[3]}"
    return "its axes must be images, rows, columns and channels"


class Outputs(NamedTuple):
    """Logits [B, classes] of the head, and of the auxiliary head where there is one."""

    logits: jax.Array
    auxiliary: jax.Array | None = None
