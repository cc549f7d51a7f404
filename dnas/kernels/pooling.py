"""Pooling of x [B, H, W, C]: 3x3 with padding 1, where padding never counts, and 2x2.

By XLA it is written as shifted maxima and sums, since select-and-scatter is four times slower. On the CPU the maximum
is a native kernel and the sum a depthwise convolution with ones.
"""

from functools import partial, reduce

import jax
import jax.numpy as jnp
import numpy as np
from jax.interpreters import ad

from dnas.kernels import native
from dnas.kernels.axes import agree, at_least, one_float_type, rule
from dnas.kernels.conv import depthwise_conv


def max_pool_3x3(x: jax.Array, stride: int) -> jax.Array:
    """Largest value of each 3x3 window; of equal values the first gets the gradient."""
    _check(x, stride)
    return pick_p.bind(x, x, stride=stride)[0] if native.supports(x) else _max_by_xla(x, stride)


def avg_pool_3x3(x: jax.Array, stride: int) -> jax.Array:
    """Mean of each 3x3 window over the pixels inside the image (padding does not count)."""
    _check(x, stride)
    counts = _window_counts(x.shape[1], x.shape[2], stride).astype(x.dtype)
    if native.supports(x):
        return depthwise_conv(x, jax.lax.full((3, 3, x.shape[-1]), 1, x.dtype), stride, multiply_adds=0) / counts
    windows = _windows(x, stride, 0.0)
    return reduce(jnp.add, [w for row in windows for w in row]) / counts


def max_pool_2x2(x: jax.Array) -> jax.Array:
    """Largest value of each 2x2 window, stride 2; of an odd size the last row or column is a window of its own."""
    _check(x)
    b, h, w, c = x.shape
    even = jnp.pad(x, ((0, 0), (0, h % 2), (0, w % 2), (0, 0)), constant_values=-jnp.inf)
    return even.reshape(b, (h + 1) // 2, 2, (w + 1) // 2, 2, c).max((2, 4))


def _window_counts(height: int, width: int, stride: int) -> np.ndarray:
    """How many pixels of each 3x3 window lie inside the image [H, W, 1], counted in NumPy."""

    def counts(size: int) -> np.ndarray:
        inside = np.pad(np.ones(size), 1)
        return (inside[:-2] + inside[1:-1] + inside[2:])[::stride]

    return np.outer(counts(height), counts(width))[..., None]


def global_avg_pool(x: jax.Array) -> jax.Array:
    """Mean over the image: [B, H, W, C] -> [B, C]."""
    _check(x)
    return mean_p.bind(x)[0] if native.supports(x) else x.mean((1, 2))


def _check(x: jax.Array, stride: int = 1) -> None:
    agree("pooling", "x BHWC", x.shape)
    one_float_type("pooling", x)
    at_least("pooling", "stride", stride, 1)


def _windows(x: jax.Array, stride: int, fill: float) -> list[list[jax.Array]]:
    """The 3x3 shifted and strided views of a padded x [B, H, W, C]."""
    height, width = -(-x.shape[1] // stride), -(-x.shape[2] // stride)
    x = jnp.pad(x, ((0, 0), (1, 1), (1, 1), (0, 0)), constant_values=fill)
    rows = [jax.lax.slice_in_dim(x, i, i + stride * (height - 1) + 1, stride, 1) for i in range(3)]
    return [[jax.lax.slice_in_dim(r, j, j + stride * (width - 1) + 1, stride, 2) for j in range(3)] for r in rows]


@partial(jax.custom_vjp, nondiff_argnums=(1,))
def _max_by_xla(x, stride):
    return _max_and_winner(x, stride)[0]


def _max_and_winner(x, stride):
    windows = [w for row in _windows(x, stride, -jnp.inf) for w in row]
    best, winner = windows[0], jnp.zeros(windows[0].shape, jnp.int8)
    for i, window in enumerate(windows[1:], 1):
        winner = jnp.where(window > best, jnp.int8(i), winner)
        best = jnp.maximum(best, window)
    return best, winner


def _max_pool_forward(x, stride):
    best, winner = _max_and_winner(x, stride)
    return best, (winner, x)


def _max_pool_backward(stride, saved, g):
    winner, x = saved

    def on_input_grid(y, fill):  # back to the resolution of x, and one pixel more on every side
        sizes = [(x.shape[a] - stride * (y.shape[a] - 1), stride - 1) for a in (1, 2)]
        config = [(0, 0, 0), *((1, rest, inside) for rest, inside in sizes), (0, 0, 0)]
        return jax.lax.pad(y, jnp.array(fill, y.dtype), config)

    g, winner = on_input_grid(g, 0), on_input_grid(winner, -1)
    total = jnp.zeros_like(x)
    for i in range(9):  # window i of an output at p covers the input at p + (row - 1, column - 1)
        row, column = 2 - i // 3, 2 - i % 3
        at = (slice(None), slice(row, row + x.shape[1]), slice(column, column + x.shape[2]))
        total += jnp.where(winner[at] == i, g[at], 0)
    return (total,)


_max_by_xla.defvjp(_max_pool_forward, _max_pool_backward)


# Native: pick(x, t) is t where x is largest in its window, and scatter(x, g) its transpose. Both are linear in the
# second operand and do not change with the first, so that their derivatives stay among themselves.


def _of_windows(sizes, stride):
    at_least("pooling", "stride", stride, 1)
    return {"h": -(-sizes["H"] // stride), "w": -(-sizes["W"] // stride)}


pick_p = native.kernel("max_pick", rule("pooling", "x *HWC, t *HWC", "*hwC", _of_windows), batched=True)
scatter_p = native.kernel("max_scatter", rule("pooling", "x *HWC, g *hwC", "*HWC", _of_windows), batched=True)


def _linear_in_second(face, transposed):
    def derivative(primals, tangents, stride):
        of_second = face.bind(primals[0], ad.instantiate_zeros(tangents[1]), stride=stride)
        return face.bind(*primals, stride=stride), of_second

    ad.primitive_jvps[face] = derivative
    ad.primitive_transposes[face] = lambda ct, x, _, stride: [None, *transposed.bind(x, *ct, stride=stride)]


_linear_in_second(pick_p, scatter_p)
_linear_in_second(scatter_p, pick_p)


# Native: the mean over the pixels of an image.

mean_p = native.kernel("mean_pool", rule("pooling", "x *HWC", "*C"), batched=True)


def _mean_transpose(ct, x):
    height, width, _ = x.aval.shape[-3:]
    each = jax.lax.expand_dims(ct[0] / (height * width), (x.aval.ndim - 3, x.aval.ndim - 2))
    return [jnp.broadcast_to(each, x.aval.shape)]


ad.deflinear2(mean_p, _mean_transpose)
