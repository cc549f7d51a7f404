"""Convolutions of several images with several kernels, dense and depthwise, as primitives with three faces each.

    y[x, r] = conv(images[x], kernels[x, r])

images [X, B, H, W, C], kernels [X, R, kh, kw, C, D] (depthwise: without D), y [X, R, B, H', W', D]: every group of
images meets R kernels of its own. <g, y> is linear in images, kernels and g, and its derivatives to each of the three
are the faces: `forward` (g), `to_x` (images) and `to_kernel` (kernels). The derivatives of each are the other two, so
any order of differentiation stays among them, and vmap only makes X, R or B larger.

On the CPU they are native kernels. Elsewhere, and without a compiler, they are XLA's convolutions in the layout
NHWC x HWIO -> NHWC: inside a loop on the CPU XLA runs any other layout 20 to 200 times slower.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import ad, batching, mlir

from dnas.errors import UserError
from dnas.kernels import native
from dnas.kernels.axes import agree, at_least, one_float_type, shape_of


def dense_conv(
    x: jax.Array, kernel: jax.Array, stride=(1, 1), padding=(0, 0), dilation: int = 1, multiply_adds: int = 0
) -> jax.Array:
    """Convolution of x [B, H, W, C_in] with kernel [kh, kw, C_in, C_out] and symmetric padding (pixels).

    multiply_adds: what one output pixel costs when written as published; 0 for a plain dense kernel.
    """
    agree("convolution", "images BHWC, kernel klCD", x.shape, kernel.shape)
    size = (x.shape[1], x.shape[2], kernel.shape[0], kernel.shape[1])
    settings = Settings(tuple(stride), tuple(padding), dilation, size, multiply_adds or kernel.size)
    return _one(DENSE, x, kernel, settings)


def depthwise_conv(
    x: jax.Array, kernel: jax.Array, stride: int = 1, dilation: int = 1, multiply_adds: int | None = None
) -> jax.Array:
    """x [B, H, W, C] and kernel [k, k, C], k odd, padded to "same" -> [B, H', W', C].

    multiply_adds: what one output pixel is counted as; None for what it costs, 0 for a pool in disguise.
    """
    agree("depthwise convolution", "images BHWC, kernel kkC", x.shape, kernel.shape)
    pad, size = dilation * (len(kernel) - 1) // 2, (x.shape[1], x.shape[2], len(kernel), len(kernel))
    cost = kernel.size if multiply_adds is None else multiply_adds
    return _one(DEPTHWISE, x, kernel, Settings((stride, stride), (pad, pad), dilation, size, cost))


def scaled(x: jax.Array, gate: jax.Array) -> jax.Array:
    """x [B, H, W, C] times gate [B, 1, 1, C]: a depthwise convolution of every image with a kernel of its own, so that
    the sums over pixels in its derivative have kernels too."""
    agree("gate", "images BHWC, gate BklC", x.shape, gate.shape, k=1, l=1)
    if not native.supports(x, gate):
        return x * gate
    settings = Settings((1, 1), (0, 0), 1, (x.shape[1], x.shape[2], 1, 1), 0)
    y = DEPTHWISE.forward.bind(jax.lax.expand_dims(x, (1,)), jax.lax.expand_dims(gate, (1,)), settings=settings)
    return jax.lax.squeeze(y, (1, 2))


def _one(faces: "Faces", x: jax.Array, kernel: jax.Array, settings: "Settings") -> jax.Array:
    """One group of images with one kernel. In lax's operations: those of jnp take several times longer to trace."""
    x, kernel = jax.lax.expand_dims(x, (0,)), jax.lax.expand_dims(kernel, (0, 1))
    return jax.lax.squeeze(faces.forward.bind(x, kernel, settings=settings), (0, 1))


class Settings(NamedTuple):
    """size: [H, W, kh, kw]; multiply_adds: of one output pixel of one image and one kernel."""

    stride: tuple[int, int]
    padding: tuple[int, int]
    dilation: int
    size: tuple[int, int, int, int]
    multiply_adds: int

    @property
    def output(self) -> tuple[int, int]:
        """[H', W']."""
        spans = [(k - 1) * self.dilation + 1 for k in self.size[2:]]
        h, w = (
            (n + 2 * p - k) // s + 1 for n, p, k, s in zip(self.size, self.padding, spans, self.stride, strict=False)
        )
        return h, w

    def check(self, what: str, depthwise: bool) -> None:
        """Errors: `UserError` for settings by which there is no such convolution."""
        for setting, values, least in (
            ("stride", self.stride, 1),
            ("padding", self.padding, 0),
            ("dilation", (self.dilation,), 1),
            ("size", self.size, 1),
        ):
            for value in values:
                at_least(what, setting, value, least)
        if len(self.stride) != 2 or len(self.padding) != 2:
            raise UserError(f"A {what} takes two strides and paddings, got {self.stride} and {self.padding}.")
        (height, width, kh, kw), pad = self.size, self.dilation * (self.size[2] - 1) // 2
        if min(self.output) < 1:
            raise UserError(
                f"A {what} by a kernel of {kh}x{kw} pixels, padding {self.padding} and dilation {self.dilation} gives "
                f"nothing for images of {height}x{width} pixels: take larger images, or pad more."
            )
        if depthwise and not (kh == kw and kh % 2 and len({*self.stride}) == 1 and self.padding == (pad, pad)):
            raise UserError(
                f"A {what} takes a square kernel of odd size, padding that keeps the image and one stride, got a "
                f"kernel of {kh}x{kw} pixels, padding {self.padding} and stride {self.stride}."
            )


# Dense, by XLA, for one group of images: x [B, H, W, C], kernel [R, kh, kw, C, D], y [R, B, H', W', D].


def _canonical(x, kernel, stride, pads, x_dilation=(1, 1), dilation=(1, 1)):
    return jax.lax.conv_general_dilated(
        x, kernel, stride, pads, x_dilation, dilation, dimension_numbers=("NHWC", "HWIO", "NHWC")
    )


def _wide(kernel):
    """[R, kh, kw, C, D] -> [kh, kw, C, R * D]."""
    return jnp.moveaxis(kernel, 0, 3).reshape(*kernel.shape[1:4], -1)


def _dense(x, kernel, s: Settings):
    y = _canonical(x, _wide(kernel), s.stride, [(p, p) for p in s.padding], dilation=(s.dilation, s.dilation))
    return jnp.moveaxis(y.reshape(*y.shape[:3], len(kernel), -1), 3, 0)


def _dense_to_x(g, kernel, s: Settings):
    """The gradient spread by the stride, convolved with the kernel turned by 180 degrees."""
    pads = []
    for size, k, p, out, stride in zip(s.size[:2], s.size[2:], s.padding, s.output, s.stride, strict=True):
        reach = (k - 1) * s.dilation
        pads.append((reach - p, size + p - (out - 1) * stride - 1))
    turned = _wide(kernel)[::-1, ::-1].transpose(0, 1, 3, 2)
    g = jnp.moveaxis(g, 0, 3).reshape(*g.shape[1:4], -1)
    return _canonical(g, turned, (1, 1), pads, x_dilation=s.stride, dilation=(s.dilation, s.dilation))


def _dense_to_kernel(x, g, s: Settings):
    """x convolved with the gradient as a kernel; batch and channels change places."""
    pads = []
    for size, k, p, out, stride in zip(s.size[:2], s.size[2:], s.padding, s.output, s.stride, strict=True):
        pads.append((p, (k - 1) * s.dilation + (out - 1) * stride + 1 - size - p))
    count, depth = g.shape[0], g.shape[-1]
    x, g = x.transpose(3, 1, 2, 0), g.transpose(2, 3, 1, 0, 4).reshape(*g.shape[2:4], g.shape[1], -1)
    kernel = _canonical(x, g, (s.dilation, s.dilation), pads, dilation=s.stride)
    return jnp.moveaxis(kernel.transpose(1, 2, 0, 3).reshape(*s.size[2:], x.shape[0], count, depth), 3, 0)


# Depthwise, by XLA: kernel [R, kh, kw, C].


def _depthwise(x, kernel, s: Settings):
    channels = x.shape[-1]
    wide = kernel.transpose(1, 2, 3, 0).reshape(*s.size[2:], 1, -1)
    pads, numbers = [(p, p) for p in s.padding], ("NHWC", "HWIO", "NHWC")
    y = jax.lax.conv_general_dilated(
        x, wide, s.stride, pads, None, (s.dilation,) * 2, numbers, feature_group_count=channels
    )
    return y.reshape(*y.shape[:3], channels, -1).transpose(4, 0, 1, 2, 3)


def _depthwise_to_x(g, kernel, s: Settings):
    like = jax.ShapeDtypeStruct((g.shape[1], *s.size[:2], g.shape[-1]), g.dtype)
    return jax.linear_transpose(lambda x: _depthwise(x, kernel, s), like)(g)[0]


def _depthwise_to_kernel(x, g, s: Settings):
    like = jax.ShapeDtypeStruct((g.shape[0], *s.size[2:], g.shape[-1]), g.dtype)
    return jax.linear_transpose(lambda kernel: _depthwise(x, kernel, s), like)(g)[0]


# The faces.


class Faces(NamedTuple):
    """Three primitives (a, b, settings) -> array."""

    forward: Primitive
    to_x: Primitive
    to_kernel: Primitive


# Where the axes X, R and B stand in images, kernels and outputs.
IMAGES, KERNELS, OUTPUTS = {"X": 0, "B": 1}, {"X": 0, "R": 1}, {"X": 0, "R": 1, "B": 2}


def _faces(name: str, forward: Callable[..., Any], to_x: Callable[..., Any], to_kernel: Callable[..., Any]) -> Faces:
    """Primitives from XLA's convolutions of one group of images."""
    dense = name == "conv"
    images, kernels, outputs = "XBHWC", "XRklCD" if dense else "XRklC", "XRBhwD" if dense else "XRBhwC"
    faces = Faces(
        _face(f"{name}_forward", forward, f"images {images}, kernels {kernels}", outputs),
        _face(f"{name}_to_x", to_x, f"outputs {outputs}, kernels {kernels}", images),
        _face(f"{name}_to_kernel", to_kernel, f"images {images}, outputs {outputs}", kernels),
    )
    to_y, to_x_, to_k = (face.bind for face in faces)
    ad.defbilinear(faces.forward, lambda g, x, k, **s: to_x_(g, k, **s), lambda g, x, k, **s: to_k(x, g, **s))
    ad.defbilinear(faces.to_x, lambda x, g, k, **s: to_y(x, k, **s), lambda x, g, k, **s: to_k(x, g, **s))
    ad.defbilinear(faces.to_kernel, lambda k, x, g, **s: to_x_(g, k, **s), lambda k, x, g, **s: to_y(x, k, **s))
    places = ((IMAGES, KERNELS), OUTPUTS), ((OUTPUTS, KERNELS), IMAGES), ((IMAGES, OUTPUTS), KERNELS)
    for face, place in zip(faces, places, strict=True):
        batching.primitive_batchers[face] = partial(_batched, face, *place)
    return faces


def _face(name: str, by_xla: Callable[..., Any], takes: str, gives: str) -> Primitive:
    face, depthwise = Primitive(f"dnas_{name}"), name.startswith("depthwise")
    what = "depthwise convolution" if depthwise else "convolution"

    def shape(a, b, settings):
        settings.check(what, depthwise)
        known = dict(zip("HWklhw", (*settings.size, *settings.output), strict=True))
        one_float_type(what, a, b)
        return shape_of(gives, agree(what, takes, a.shape, b.shape, **known))

    def result(a, b, *, settings):
        return jax.core.ShapedArray(shape(a, b, settings), a.dtype)

    def anywhere(a, b, *, settings):
        return jax.vmap(partial(by_xla, s=settings))(a, b)

    def on_cpu(a, b, *, settings):
        if native.supports(a, b):
            like = jax.ShapeDtypeStruct(shape(a, b, settings), a.dtype)
            stride, padding = np.array(settings.stride), np.array(settings.padding)
            call = jax.ffi.ffi_call(f"dnas_{name}", like)
            return call(a, b, stride=stride, padding=padding, dilation=np.int64(settings.dilation))
        if len(a) == 1:
            return by_xla(a[0], b[0], settings)[None]
        return jax.lax.map(lambda pair: by_xla(*pair, settings), (a, b))  # vmap would make a grouped convolution

    native.eagerly(face)
    face.def_abstract_eval(result)
    mlir.register_lowering(face, mlir.lower_fun(anywhere, multiple_results=False))
    mlir.register_lowering(face, mlir.lower_fun(on_cpu, multiple_results=False), platform="cpu")
    return face


def _batched(face: Primitive, places: tuple[dict, dict], result: dict, args, axes, *, settings):
    """Merge the mapped axis into one that every mapped operand has, no other has, and the result has; else into X."""
    mapped = [axis is not None for axis in axes]
    into = next((a for a in "RB" if a in result and [a in place for place in places] == mapped), "X")
    count = next(arg.shape[axis] for arg, axis in zip(args, axes, strict=True) if axis is not None)
    merged = []
    for arg, axis, place in zip(args, axes, places, strict=True):
        if axis is None and into != "X":
            merged.append(arg)
            continue
        at = place[into]
        if axis is None:
            axis, arg = 0, jax.lax.broadcast(arg, (count,))
        arg = arg if axis == at else jnp.moveaxis(arg, axis, at)
        merged.append(jax.lax.reshape(arg, (*arg.shape[:at], count * arg.shape[at + 1], *arg.shape[at + 2 :])))
    out = face.bind(*merged, settings=settings)
    at = result[into]
    return jax.lax.reshape(out, (*out.shape[:at], count, out.shape[at] // count, *out.shape[at + 1 :])), at


DENSE = _faces("conv", _dense, _dense_to_x, _dense_to_kernel)
DEPTHWISE = _faces("depthwise", _depthwise, _depthwise_to_x, _depthwise_to_kernel)
