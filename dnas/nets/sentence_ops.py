"""Candidate operations of layers of sentences: (channels, stride, norm, *, rngs) -> module of (x, mask), or None.

Those of TextNAS (Wang et al. 2019, arXiv:1912.10729), all of which keep the length: x [B, T, C] -> [B, T, C]. mask
[B, T, 1] is 1 where there is a token and 0 behind the end, where x is zero and so is what an operation gives: how far a
batch is filled up changes nothing. Every function below is a candidate; one through which nothing flows is None.
Axis letters: B batch, T time, C channels, K heads, G directions.
"""

import math

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dnas.architectures.topology import Norm
from dnas.kernels.norm import EPSILON
from dnas.nets.layers import Conv, pointwise_conv, uniform_fan_in

HEADS = 4  # of self-attention; where the channels are no multiple, as many as divide both
LOWEST = -1e30  # in the place of what is not there, before a maximum or a softmax


class TokenNorm(nnx.Module):
    """Batch norm over the tokens of a batch, none of which is padding. In training and evaluation as
    `layers.BatchNorm`."""

    def __init__(self, channels: int, *, affine: bool):
        zeros, ones = np.zeros(channels, np.float32), np.ones(channels, np.float32)
        self.scale = nnx.Param(ones) if affine else None
        self.bias = nnx.Param(zeros) if affine else None
        self.mean: nnx.BatchStat = nnx.BatchStat(zeros)
        self.var: nnx.BatchStat = nnx.BatchStat(ones)
        self.use_running_average = False

    def set_view(self, use_running_average: bool | None = None) -> None:
        """Called by `nnx.view`: True in evaluation."""
        if use_running_average is not None:
            self.use_running_average = use_running_average

    def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
        if self.use_running_average:
            mean, variance = self.mean[...].astype(x.dtype), self.var[...].astype(x.dtype)
        else:
            count = jnp.maximum(mask.sum(), 1)
            mean = (x * mask).sum((0, 1)) / count
            variance = (jnp.square(x - mean) * mask).sum((0, 1)) / count
            self.mean.set_value(mean)
            self.var.set_value(variance * (count / jnp.maximum(count - 1, 1)))
        y = (x - mean) * jax.lax.rsqrt(variance + EPSILON)
        if self.scale is not None and self.bias is not None:
            y = y * self.scale[...].astype(x.dtype) + self.bias[...].astype(x.dtype)
        return y * mask


class Convolution(nnx.Module):
    """Convolution over time, norm, ReLU."""

    drops = True  # whether dropout acts on what it gives

    def __init__(self, channels: int, width: int, norm: Norm, *, rngs: nnx.Rngs):
        self.conv = Conv(channels, channels, (1, width), rngs=rngs)
        self.norm = TokenNorm(channels, affine=norm.affine)

    def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
        return jax.nn.relu(self.norm(self.conv(x[:, None])[:, 0], mask))


class Pool(nnx.Module):
    """The mean, or the largest, of three tokens around each, as far as there are any; then the norm."""

    drops = False

    def __init__(self, channels: int, largest: bool, norm: Norm):
        self.largest = largest
        self.norm = TokenNorm(channels, affine=norm.affine)

    def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
        if self.largest:
            there = jnp.where(mask > 0, x, LOWEST)
            before, here, after = _around(there, LOWEST)
            pooled = jnp.where(mask > 0, jnp.maximum(jnp.maximum(before, here), after), 0)
        else:
            pooled = sum(_around(x, 0)) / jnp.maximum(sum(_around(mask, 0)), 1)
        return self.norm(pooled, mask)


def _around(x: jax.Array, filling: float) -> tuple[jax.Array, jax.Array, jax.Array]:
    """What stands before, at and after every place."""
    wide = jnp.pad(x, ((0, 0), (1, 1), (0, 0)), constant_values=filling)
    return wide[:, :-2], x, wide[:, 2:]


class SelfAttention(nnx.Module):
    """Attention of all tokens to all, of several heads; queries, keys and values are rectified; then the norm."""

    drops = True

    def __init__(self, channels: int, norm: Norm, *, rngs: nnx.Rngs):
        self.heads = math.gcd(HEADS, channels)
        self.kernel = uniform_fan_in(rngs, (channels, 3 * channels), channels)
        self.bias = uniform_fan_in(rngs, (3 * channels,), channels)
        self.norm = TokenNorm(channels, affine=norm.affine)

    def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
        batch, time, channels = x.shape
        parts = jax.nn.relu(pointwise_conv(x, self.kernel[...].astype(x.dtype)) + self.bias[...].astype(x.dtype))
        queries, keys, values = jnp.moveaxis(parts.reshape(batch, time, 3, self.heads, -1), 2, 0)
        scores = jnp.einsum("btkc,bskc->bkts", queries, keys) / np.sqrt(channels / self.heads).astype(x.dtype)
        scores = jnp.where(mask[:, None, None, :, 0] > 0, scores, LOWEST)
        mixed = jnp.einsum("bkts,bskc->btkc", jax.nn.softmax(scores), values)
        return self.norm(mixed.reshape(x.shape) * mask, mask)


class Recurrence(nnx.Module):
    """Gated recurrent units in both directions (Cho et al. 2014, arXiv:1406.1078), whose states are added; then the
    norm. Behind the end a state stays what it is, and before the first token it is zero."""

    drops = True

    def __init__(self, channels: int, norm: Norm, *, rngs: nnx.Rngs):
        self.inputs = uniform_fan_in(rngs, (channels, 6 * channels), channels)
        self.states = uniform_fan_in(rngs, (2, channels, 3 * channels), channels)
        self.bias = uniform_fan_in(rngs, (6 * channels,), channels)
        self.state_bias = uniform_fan_in(rngs, (2, 1, channels), channels)
        self.norm = TokenNorm(channels, affine=norm.affine)

    def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
        batch, time, channels = x.shape
        kernel, state_bias = self.states[...].astype(x.dtype), self.state_bias[...].astype(x.dtype)
        gates = pointwise_conv(x, self.inputs[...].astype(x.dtype)) + self.bias[...].astype(x.dtype)
        gates = jnp.moveaxis(gates.reshape(batch, time, 2, -1), (1, 2), (0, 1))  # [T, G, B, 3 C]
        there = jnp.broadcast_to(jnp.moveaxis(mask, 1, 0)[:, None], (time, 2, batch, 1))
        gates, there = _turned(gates), _turned(there)

        def step(state, row):
            gate, here = row
            of_state = jnp.einsum("gbc,gcd->gbd", state, kernel)
            reset, update = (
                jax.nn.sigmoid(gate[..., start:end] + of_state[..., start:end])
                for start, end in ((0, channels), (channels, 2 * channels))
            )
            new = jnp.tanh(gate[..., 2 * channels :] + reset * (of_state[..., 2 * channels :] + state_bias))
            state = jnp.where(here > 0, (1 - update) * new + update * state, state)
            return state, state

        _, states = jax.lax.scan(step, jnp.zeros((2, batch, channels), x.dtype), (gates, there))
        return self.norm(jnp.moveaxis(_turned(states).sum(1), 0, 1) * mask, mask)


def _turned(x: jax.Array) -> jax.Array:
    """x [T, G, ...] with time turned round in the second direction."""
    return jnp.stack([x[:, 0], x[::-1, 1]], 1)


class Unchanged(nnx.Module):
    """x itself."""

    drops = False

    def __call__(self, x: jax.Array, mask: jax.Array) -> jax.Array:
        return x


def conv_1(channels, stride, norm: Norm, *, rngs: nnx.Rngs):
    """Every token by itself."""
    return Convolution(channels, 1, norm, rngs=rngs)


def conv_3(channels, stride, norm: Norm, *, rngs: nnx.Rngs):
    """Convolution of width 3."""
    return Convolution(channels, 3, norm, rngs=rngs)


def conv_5(channels, stride, norm: Norm, *, rngs: nnx.Rngs):
    """Convolution of width 5."""
    return Convolution(channels, 5, norm, rngs=rngs)


def conv_7(channels, stride, norm: Norm, *, rngs: nnx.Rngs):
    """Convolution of width 7."""
    return Convolution(channels, 7, norm, rngs=rngs)


def avg_pool_3(channels, stride, norm: Norm, *, rngs: nnx.Rngs):
    """Mean of three tokens."""
    return Pool(channels, False, norm)


def max_pool_3(channels, stride, norm: Norm, *, rngs: nnx.Rngs):
    """Largest of three tokens."""
    return Pool(channels, True, norm)


def gru(channels, stride, norm: Norm, *, rngs: nnx.Rngs):
    """Gated recurrent units, there and back."""
    return Recurrence(channels, norm, rngs=rngs)


def attention(channels, stride, norm: Norm, *, rngs: nnx.Rngs):
    """Self-attention of four heads."""
    return SelfAttention(channels, norm, rngs=rngs)


def identity(channels, stride, norm: Norm, *, rngs: nnx.Rngs):
    """The input."""
    return Unchanged()


def none(channels, stride, norm: Norm, *, rngs: nnx.Rngs):
    """Nothing flows: the value is zero, but the operation takes its share of the mix."""
    return None


SENTENCE_OPERATIONS = {
    name: value
    for name, value in vars().items()
    if callable(value) and getattr(value, "__module__", "") == __name__ and name[0].islower()
}  # every function above is an operation
