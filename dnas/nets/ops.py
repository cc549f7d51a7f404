"""Candidate operations, each written for one edge: (channels, stride, norm, *, rngs) -> module, x [B, H, W, C].

Order inside follows quark0/darts `cnn/operations.py` and xautodl `cell_operations.py`. An operation through which
nothing flows is None. The supernet batches an operation over all edges that leave one node; write the simple thing.
"""

from collections.abc import Callable

import jax
from flax import nnx

from dnas.architectures.topology import Norm
from dnas.kernels import pooling
from dnas.keys import stream
from dnas.nets.layers import BatchNorm, Conv, FactorizedReduce, ReluConvNorm, SeparableConv
from dnas.types import Noise


class Identity(nnx.Module):
    """x itself. Drop-path spares it."""

    def __call__(self, x):
        return x


class GaussianNoise(nnx.Module):
    """Standard normal noise in the place of x, whatever x is. Without a key it is the same every time.

    RobustDARTS' code draws anew at every forward pass, in evaluation too; here evaluation repeats itself.
    """

    def __init__(self, stride: int):
        self.stride = stride

    def __call__(self, x, noise: Noise | None = None):
        y = x[:, :: self.stride, :: self.stride]
        key = jax.random.key(0) if noise is None else noise.key  # which all operations on an edge share
        return jax.random.normal(stream(key, "gaussian"), y.shape, y.dtype)


class Pool(nnx.Module):
    """3x3 pooling, followed by a non-affine norm where the space wants one."""

    def __init__(self, pool: Callable, channels: int, stride: int, norm: Norm, *, rngs: nnx.Rngs):
        self.pool, self.stride = pool, stride
        self.norm = BatchNorm(channels, affine=False, rngs=rngs) if norm.pools else None

    def __call__(self, x):
        y = self.pool(x, self.stride)
        return y if self.norm is None else self.norm(y)


class ReluSeparableNorm(nnx.Module):
    """ReLU, depthwise and pointwise convolution, norm."""

    def __init__(self, channels, size, stride, dilation, norm: Norm, *, rngs: nnx.Rngs):
        self.conv = SeparableConv(channels, channels, size, stride=stride, dilation=dilation, rngs=rngs)
        self.norm = BatchNorm(channels, affine=norm.affine, rngs=rngs)

    def __call__(self, x):
        return self.norm(self.conv(jax.nn.relu(x)))


class Twice(nnx.Module):
    """The separable convolution of NASNet and DARTS is applied twice; the first one strides."""

    def __init__(self, size, channels, stride, norm: Norm, *, rngs: nnx.Rngs):
        self.first = ReluSeparableNorm(channels, size, stride, 1, norm, rngs=rngs)
        self.second = ReluSeparableNorm(channels, size, 1, 1, norm, rngs=rngs)

    def __call__(self, x):
        return self.second(self.first(x))


class FactorisedConv(nnx.Module):
    """ReLU, 1xk convolution, kx1 convolution, norm (of NASNet and AmoebaNet)."""

    def __init__(self, size, channels, stride, norm: Norm, *, rngs: nnx.Rngs):
        self.row = Conv(channels, channels, (1, size), stride=(1, stride), rngs=rngs)
        self.column = Conv(channels, channels, (size, 1), stride=(stride, 1), rngs=rngs)
        self.norm = BatchNorm(channels, affine=norm.affine, rngs=rngs)

    def __call__(self, x):
        return self.norm(self.column(self.row(jax.nn.relu(x))))


def none(channels, stride, norm: Norm, *, rngs: nnx.Rngs):
    """Nothing flows: the value is zero, but the operation takes its share of the mix."""
    return None


def noise(channels, stride, norm: Norm, *, rngs: nnx.Rngs):
    """Gaussian noise that hides what came in (RobustDARTS, space S4)."""
    return GaussianNoise(stride)


def skip_connect(channels, stride, norm: Norm, *, rngs: nnx.Rngs):
    """Identity; a factorised reduction at stride 2."""
    if stride == 1:
        return Identity()
    return FactorizedReduce(channels, channels, affine=norm.affine, rngs=rngs)


def max_pool_3x3(channels, stride, norm: Norm, *, rngs: nnx.Rngs):
    """3x3 max pooling."""
    return Pool(pooling.max_pool_3x3, channels, stride, norm, rngs=rngs)


def avg_pool_3x3(channels, stride, norm: Norm, *, rngs: nnx.Rngs):
    """3x3 average pooling; padding does not count."""
    return Pool(pooling.avg_pool_3x3, channels, stride, norm, rngs=rngs)


def sep_conv_3x3(channels, stride, norm: Norm, *, rngs: nnx.Rngs):
    """3x3 depthwise separable convolution, twice."""
    return Twice(3, channels, stride, norm, rngs=rngs)


def sep_conv_5x5(channels, stride, norm: Norm, *, rngs: nnx.Rngs):
    """5x5 depthwise separable convolution, twice."""
    return Twice(5, channels, stride, norm, rngs=rngs)


def sep_conv_7x7(channels, stride, norm: Norm, *, rngs: nnx.Rngs):
    """7x7 depthwise separable convolution, twice."""
    return Twice(7, channels, stride, norm, rngs=rngs)


def dil_conv_3x3(channels, stride, norm: Norm, *, rngs: nnx.Rngs):
    """3x3 depthwise separable convolution of dilation 2."""
    return ReluSeparableNorm(channels, 3, stride, 2, norm, rngs=rngs)


def dil_conv_5x5(channels, stride, norm: Norm, *, rngs: nnx.Rngs):
    """5x5 depthwise separable convolution of dilation 2."""
    return ReluSeparableNorm(channels, 5, stride, 2, norm, rngs=rngs)


def conv_7x1_1x7(channels, stride, norm: Norm, *, rngs: nnx.Rngs):
    """1x7 then 7x1 convolution."""
    return FactorisedConv(7, channels, stride, norm, rngs=rngs)


def conv_3x1_1x3(channels, stride, norm: Norm, *, rngs: nnx.Rngs):
    """1x3 then 3x1 convolution."""
    return FactorisedConv(3, channels, stride, norm, rngs=rngs)


def nor_conv_1x1(channels, stride, norm: Norm, *, rngs: nnx.Rngs):
    """ReLU, 1x1 convolution, norm (NAS-Bench-201: biased where the norm is not affine)."""
    return ReluConvNorm(channels, channels, 1, stride=stride, affine=norm.affine, bias=not norm.affine, rngs=rngs)


def nor_conv_3x3(channels, stride, norm: Norm, *, rngs: nnx.Rngs):
    """ReLU, 3x3 convolution, norm (NAS-Bench-201: biased where the norm is not affine)."""
    return ReluConvNorm(channels, channels, 3, stride=stride, affine=norm.affine, bias=not norm.affine, rngs=rngs)


OPERATIONS = {
    name: value
    for name, value in vars().items()
    if callable(value) and getattr(value, "__module__", "") == __name__ and name[0].islower()
}  # every function above is an operation
ALWAYS_RANDOM = frozenset({"noise"})  # those that draw in evaluation too
