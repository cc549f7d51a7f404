"""Depthwise convolution of several images with several kernels, as a primitive with three faces.

    y[x, r] = depthwise(images[x], kernel[x, r])        images [X, B, H, W, C], kernel [X, R, k, k, C]

Every image group x meets R kernels of its own, y is [X, R, B, H', W', C]. With c for the scalar <g, y>, which is linear
in each of images, kernel and g, the three faces are dc/dg (the convolution itself), dc/d images and dc/d kernel. Each
one's derivatives are the other two, so any order of differentiation stays among them; vmap only makes X, R or B larger.
On the CPU they are native kernels, elsewhere XLA's grouped convolution.
"""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from dnas.nets import native


def depthwise_conv(x: jax.Array, kernel: jax.Array, stride: int = 1, dilation: int = 1) -> jax.Array:
    """x [B, H, W, C] and kernel [k, k, C], k odd, padded to "same" -> [B, H', W', C]."""
    size = (*x.shape[1:3], kernel.shape[0])
    return forward_p.bind(x[None], kernel[None, None], stride=stride, dilation=dilation, size=size)[0, 0]


def _grouped(x, kernel, *, stride, dilation, size):
    """The convolution by XLA: image groups and channels become channels."""
    groups, batch, height, width, channels = x.shape
    count, k = kernel.shape[1:3]
    x = x.transpose(1, 2, 3, 0, 4).reshape(batch, height, width, -1)
    wide = kernel.transpose(2, 3, 0, 4, 1).reshape(k, k, 1, -1)
    pads = [(dilation * (k - 1) // 2,) * 2] * 2
    numbers = ("NHWC", "HWIO", "NHWC")
    y = jax.lax.conv_general_dilated(
        x, wide, (stride,) * 2, pads, None, (dilation,) * 2, numbers, feature_group_count=groups * channels
    )
    return y.reshape(*y.shape[:3], groups, channels, count).transpose(3, 5, 0, 1, 2, 4)


def _grouped_to_x(g, kernel, *, size, **settings):
    like = jax.ShapeDtypeStruct((g.shape[0], g.shape[2], *size[:2], g.shape[5]), g.dtype)
    return jax.linear_transpose(lambda x: _grouped(x, kernel, size=size, **settings), like)(g)[0]


def _grouped_to_kernel(x, g, *, size, **settings):
    like = jax.ShapeDtypeStruct((*g.shape[:2], size[2], size[2], g.shape[5]), g.dtype)
    return jax.linear_transpose(lambda kernel: _grouped(x, kernel, size=size, **settings), like)(g)[0]


def _face(name: str, grouped, shape) -> Primitive:
    """A primitive that XLA's grouped convolution defines and a native kernel computes on the CPU."""

    def result(a, b, *, stride, dilation, size):
        return jax.core.ShapedArray(shape(a.shape, b.shape, stride, size), a.dtype)

    def on_cpu(a, b, **settings):
        if not native.supports(a, b):
            return grouped(a, b, **settings)
        numbers = {key: np.int64(settings[key]) for key in ("stride", "dilation")}
        out = result(a, b, **settings)
        return jax.ffi.ffi_call(f"dnas_depthwise_{name}", jax.ShapeDtypeStruct(out.shape, out.dtype))(a, b, **numbers)

    face = Primitive(f"dnas_depthwise_{name}")
    face.def_impl(jax.jit(face.bind, static_argnames=("stride", "dilation", "size")))
    face.def_abstract_eval(result)
    mlir.register_lowering(face, mlir.lower_fun(grouped, multiple_results=False))
    mlir.register_lowering(face, mlir.lower_fun(on_cpu, multiple_results=False), platform="cpu")
    return face


def _output_shape(x, kernel, stride, size):
    return (*kernel[:2], x[1], -(-size[0] // stride), -(-size[1] // stride), x[-1])


forward_p = _face("forward", _grouped, _output_shape)
to_x_p = _face("to_x", _grouped_to_x, lambda g, kernel, _, size: (g[0], g[2], *size[:2], g[-1]))
to_kernel_p = _face("to_kernel", _grouped_to_kernel, lambda x, g, _, size: (*g[:2], size[2], size[2], g[-1]))
ad.defbilinear(
    forward_p,
    lambda g, x, kernel, **settings: to_x_p.bind(g, kernel, **settings),
    lambda g, x, kernel, **settings: to_kernel_p.bind(x, g, **settings),
)
ad.defbilinear(
    to_x_p,
    lambda x, g, kernel, **settings: forward_p.bind(x, kernel, **settings),
    lambda x, g, kernel, **settings: to_kernel_p.bind(x, g, **settings),
)
ad.defbilinear(
    to_kernel_p,
    lambda kernel, x, g, **settings: to_x_p.bind(g, kernel, **settings),
    lambda kernel, x, g, **settings: forward_p.bind(x, kernel, **settings),
)

# vmap. Where the axes X, R and B stand in images, kernels and outputs; None: not there.
IMAGES, KERNELS, OUTPUTS = {"X": 0, "B": 1}, {"X": 0, "R": 1}, {"X": 0, "R": 1, "B": 2}
FACES = {
    forward_p: ((IMAGES, KERNELS), OUTPUTS),
    to_x_p: ((OUTPUTS, KERNELS), IMAGES),
    to_kernel_p: ((IMAGES, OUTPUTS), KERNELS),
}


def _batched(face: Primitive, args, axes, **settings):
    """Merge the mapped axis into one that every mapped operand has, no other has, and the result has; else into X."""
    places, result = FACES[face]
    mapped = [axis is not None for axis in axes]
    into = next(
        (a for a in "RB" if a in result and all((a in p) == m for p, m in zip(places, mapped, strict=True))), "X"
    )
    count = next(arg.shape[axis] for arg, axis in zip(args, axes, strict=True) if axis is not None)
    merged = []
    for arg, axis, place in zip(args, axes, places, strict=True):
        if axis is None and into != "X":
            merged.append(arg)
            continue
        at = place[into]
        arg = jnp.broadcast_to(arg, (count, *arg.shape)) if axis is None else jnp.moveaxis(arg, axis, 0)
        arg = jnp.moveaxis(arg, 0, at)
        merged.append(arg.reshape(*arg.shape[:at], -1, *arg.shape[at + 2 :]))
    out = face.bind(*merged, **settings)
    at = result[into]
    return out.reshape(*out.shape[:at], count, -1, *out.shape[at + 1 :]), at


for _primitive in FACES:
    batching.primitive_batchers[_primitive] = partial(_batched, _primitive)
