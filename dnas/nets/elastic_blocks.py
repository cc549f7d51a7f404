"""The block of elastic networks: kernel and hidden width are decisions whose options share their weights.

The sources and the rules of sharing are those of `elastic`. With paths="one" on the CPU a block computes what its
choice needs, with the first channels of its weights and a kernel that is no larger, by convolutions that read through
its norms where there are kernels (`kernels.normed`); a block that is not used computes nothing. Everywhere else every option is computed in the shapes of the largest, with masks: mapped over seeds, a
conditional would compute all of its branches. Axis letters: B H W C, O options.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dnas.architectures.blocks import Block
from dnas.architectures.topology import Norm, Paths
from dnas.kernels import native, normed
from dnas.kernels.conv import depthwise_conv, scaled
from dnas.kernels.norm import ACTIVATIONS as FUSED
from dnas.kernels.norm import hard_sigmoid, normalise_again
from dnas.kernels.pooling import global_avg_pool
from dnas.nets import blocks
from dnas.nets.layers import BatchNorm, Conv, pointwise_conv, uniform_fan_in
from dnas.nets.supernet import parameters, statistics
from dnas.nets.tabular import weighted_sum
from dnas.types import Tree

Conv2d = Callable[..., Any]  # (*what is convolved, kernel) -> images
Step = tuple[Callable[[jax.Array], tuple[jax.Array, ...]], BatchNorm | None]  # x -> y, moments of y; whose they are


class Depthwise(nnx.Module):
    """Depthwise convolution whose kernel is one of several sizes; kernel [K, K, C] of the largest, matrices [k^2, k^2]
    of the others, largest first, as flax multiplies them: from the second axis to the first."""

    def __init__(self, channels: int, sizes: Sequence[int], stride: int, *, rngs: nnx.Rngs):
        self.sizes, self.stride = tuple(sorted(sizes)), stride
        largest = self.sizes[-1]
        self.kernel = uniform_fan_in(rngs, (largest, largest, channels), largest**2)
        self.matrices = nnx.List([nnx.Param(np.eye(size**2, dtype=np.float32)) for size in self.sizes[-2::-1]])

    def kernels(self) -> list[jax.Array]:
        """[k, k, C] of every size, smallest first."""
        found = [self.kernel[...]]
        for size, matrix in zip(self.sizes[-2::-1], self.matrices, strict=True):
            edge = (len(found[-1]) - size) // 2
            crop = found[-1][edge : edge + size, edge : edge + size]
            found.append(pointwise_conv(matrix[...][None, None], crop.reshape(size**2, -1)).reshape(crop.shape))
        return found[::-1]

    def __call__(self, x: jax.Array, row: jax.Array, paths: Paths = "all") -> jax.Array:
        """x [B, H, W, C], row [O] -> [B, H', W', C]."""
        edges = [(self.sizes[-1] - size) // 2 for size in self.sizes]
        filled = [jnp.pad(k, ((e, e), (e, e), (0, 0))) for k, e in zip(self.kernels(), edges, strict=True)]
        return depthwise_conv(x, weighted_sum(row, filled, paths).astype(x.dtype), self.stride)

    def one(self, conv: Conv2d, row: jax.Array, *args: jax.Array) -> Any:
        """conv(*args, kernel), the kernel of the chosen size; of `depthwise_conv` a call with paths="one"."""
        which = row[: len(self.sizes)].argmax()
        kernels = tuple((row[which] * kernel).astype(args[0].dtype) for kernel in self.kernels())
        return one_conv(conv, args, kernels, which)


@partial(jax.custom_vjp, nondiff_argnums=(0,))
def one_conv(conv: Conv2d, args: tuple[jax.Array, ...], kernels: tuple[jax.Array, ...], which: jax.Array) -> Any:
    """conv(*args, kernel) with one of several kernels [k, k, C]. Its derivative is written by hand: that of a
    conditional keeps copies of the images."""
    return jax.lax.switch(which, _each(conv, len(kernels)), args, kernels)


def _each(conv: Conv2d, count: int) -> list[Callable[..., Any]]:
    return [lambda args, kernels, i=i: conv(*args, kernels[i]) for i in range(count)]


def _one_conv_forward(conv, args, kernels, which):
    return one_conv(conv, args, kernels, which), (args, kernels, which)


def _one_conv_backward(conv, saved, g):
    args, kernels, which = saved
    gradients = [lambda g, *args, one=one: jax.vjp(one, *args)[1](g) for one in _each(conv, len(kernels))]
    return *jax.lax.switch(which, gradients, g, args, kernels), None


one_conv.defvjp(_one_conv_forward, _one_conv_backward)


class ElasticBlock(nnx.Module):
    """An inverted residual, as `blocks.Residual`, of one of several kernels and hidden widths.

    block: the largest. sizes: of kernels. widths: of the hidden layer. Whether there is a first convolution is that of
    the largest.
    """

    def __init__(
        self,
        block: Block,
        c_in: int,
        sizes: Sequence[int],
        widths: Sequence[int],
        norm: Norm,
        paths: Paths = "all",
        *,
        rngs: nnx.Rngs,
    ):
        hidden, c_out, self.paths = max(widths), block.outputs(c_in), paths
        self.widths, self.activation = tuple(widths), block.activation
        self.squeezed = tuple(replace(block, hidden=width).squeezed(c_in) for width in widths)
        self.shortcut = block.shortcut(c_in)
        self.expand = Conv(c_in, hidden, 1, rngs=rngs) if hidden != c_in else None
        self.expand_norm = BatchNorm(hidden, affine=norm.affine, rngs=rngs) if hidden != c_in else None
        self.depthwise = Depthwise(hidden, sizes, block.stride, rngs=rngs)
        self.depthwise_norm = BatchNorm(hidden, affine=norm.affine, rngs=rngs)
        squeeze = blocks.SqueezeExcite(hidden, max(self.squeezed), "relu", True, rngs=rngs) if block.squeeze else None
        self.squeeze = squeeze
        self.project = Conv(hidden, c_out, 1, rngs=rngs)
        self.project_norm = BatchNorm(c_out, affine=norm.affine, rngs=rngs)

    def __call__(self, x: jax.Array, kernel: jax.Array, width: jax.Array, used: jax.Array) -> jax.Array:
        """x [B, H, W, C]; kernel, width: rows [O]; used: whether statistics move, bool [] -> [B, H', W', D]."""
        if narrows(self.paths):
            return self._one(x, kernel, width, used)
        mask, own = (
            weighted_sum(width, _masks(counts, x.dtype), self.paths) for counts in (self.widths, self.squeezed)
        )
        before = statistics(self)
        y = self._computed(x, partial(self.depthwise, row=kernel, paths=self.paths), mask, own)

        def kept(path, new, old):
            return jnp.where(used if path[0].key == "project_norm" else used & (mask != 0), new, old)

        nnx.update(self, jax.tree_util.tree_map_with_path(kept, statistics(self), before))
        return y

    def _one(self, x: jax.Array, kernel: jax.Array, width: jax.Array, used: jax.Array) -> jax.Array:
        """By the first channels, as many as the largest weight says; nothing where the block is not used."""
        which, count = width[: len(self.widths)].argmax(), len(self.widths)
        if self.shortcut:  # where shapes differ, a block is always used
            which = jnp.where(used, which, count)
        one = one_width(nnx.graphdef(self), tuple(zip(self.widths, self.squeezed, strict=True)), self.shortcut)
        y, stats = one(parameters(self), statistics(self), x, kernel, width, which)
        nnx.update(self, stats)
        return y

    def narrow(self, hidden: int, squeezed: int) -> None:
        """Keep so many of the hidden channels, and of those of the squeeze."""
        norms = [norm for norm in (self.expand_norm, self.depthwise_norm) if norm is not None]
        last: list[Any] = [v for norm in norms for v in (norm.scale, norm.bias, norm.mean, norm.var)]
        last += [self.depthwise.kernel, None if self.expand is None else self.expand.kernel]
        if self.squeeze is not None:
            reduce, expand = self.squeeze.reduce, self.squeeze.expand
            reduce.kernel.set_value(reduce.kernel[...][:hidden, :squeezed])
            expand.kernel.set_value(expand.kernel[...][:squeezed, :hidden])
            if reduce.bias is not None:
                reduce.bias.set_value(reduce.bias[...][:squeezed])
            last.append(expand.bias)
        for variable in last:
            if variable is not None:
                variable.set_value(variable[...][..., :hidden])
        self.project.kernel.set_value(self.project.kernel[...][:, :, :hidden])

    def _computed(
        self, x: jax.Array, depthwise: Callable[..., jax.Array], mask: jax.Array, own: jax.Array
    ) -> jax.Array:
        """mask: what multiplies the hidden channels, [C] or []; own: those of the squeeze."""
        y = x
        for step, _ in self.steps(depthwise, mask, own):
            (y,) = step(y)
        return x + y if self.shortcut else y

    def steps(self, depthwise: Callable[..., jax.Array], mask: jax.Array, own: jax.Array) -> list[Step]:
        """What comes one after the other, up to each convolution and the last norm; see `_computed`."""

        def filtered(y: jax.Array) -> tuple[jax.Array]:
            return (depthwise(y if self.expand_norm is None else self._activated(self.expand_norm, y)),)

        def projected(y: jax.Array) -> tuple[jax.Array]:
            y, kernel = self._gated(self._activated(self.depthwise_norm, y), mask, own)
            return (pointwise_conv(y, kernel),)

        expand = self.expand
        first: list[Step] = [] if expand is None else [(lambda x: (expand(x),), None)]
        return [*first, (filtered, None), (projected, None), (lambda y: (self.project_norm(y),), None)]

    def normed_steps(self, row: jax.Array, mask: jax.Array, own: jax.Array) -> list[Step]:
        """The same by kernels that read through a norm whose moments the step before has given."""
        assert self.expand is not None and self.expand_norm is not None
        expand, expand_norm = self.expand.kernel[...][0, 0], self.expand_norm
        conv = partial(normed.normed_depthwise, stride=self.depthwise.stride, activation=self.activation)

        def filtered(y: jax.Array) -> normed.Normed:
            return self.depthwise.one(conv, row, *expand_norm.known(y))

        def projected(y: jax.Array) -> normed.Normed:
            known = self.depthwise_norm.known(y)
            if self.squeeze is None:
                return normed.normed_pointwise(*known, self._masked(y, mask), self.activation)
            return normed.pointwise(*self._gated(normalise_again(*known, self.activation), mask, own))

        def last(y: jax.Array) -> tuple[jax.Array]:
            return (normalise_again(*self.project_norm.known(y)),)

        return [
            (lambda x: normed.pointwise(x, expand.astype(x.dtype)), expand_norm),
            (filtered, self.depthwise_norm),
            (projected, self.project_norm),
            (last, None),
        ]

    def reads_through_norms(self, x: jax.Array) -> bool:
        """Whether there are `normed_steps` for images x."""
        norms = self.expand_norm, self.depthwise_norm, self.project_norm
        return self.activation in FUSED and all(norm is not None and norm.knows(x) for norm in norms)

    def _gated(self, y: jax.Array, mask: jax.Array, own: jax.Array) -> tuple[jax.Array, jax.Array]:
        """What the last convolution reads, and its kernel [C, D]; of the two one is multiplied by the mask."""
        if self.squeeze is None:
            return y, self._masked(y, mask)
        pooled = global_avg_pool(y)[:, None, None] * mask  # images of one pixel, for which there are kernels
        inner = jax.nn.relu(self.squeeze.reduce(pooled))
        gate = hard_sigmoid(self.squeeze.expand(inner * own.astype(inner.dtype))) * mask
        return scaled(y, gate.astype(y.dtype)), self.project.kernel[...][0, 0].astype(y.dtype)

    def _masked(self, y: jax.Array, mask: jax.Array) -> jax.Array:
        """The last kernel times the mask, rather than the image."""
        return self.project.kernel[...][0, 0].astype(y.dtype) * jnp.reshape(mask, (-1, 1)).astype(y.dtype)

    def _activated(self, norm: BatchNorm, x: jax.Array) -> jax.Array:
        if self.activation in FUSED:
            return norm(x, self.activation)
        return blocks.ACTIVATIONS[self.activation](norm(x))


def _steps_of(graph: Any, sizes: Sequence[tuple[int, int]], number: int, params, stats, x, kernel, width):
    """The narrowed block of a graph, and what it does with images x one after the other."""
    block = nnx.merge(graph, params, stats)
    block.narrow(*sizes[number])
    if block.reads_through_norms(x):
        return block, block.normed_steps(kernel, width[number], width[number])
    depthwise = partial(block.depthwise.one, partial(depthwise_conv, stride=block.depthwise.stride), kernel)
    return block, block.steps(depthwise, width[number], width[number])


def _values(steps: Sequence[Step], x: jax.Array) -> list[jax.Array]:
    """x and what each step gives. The moments of what it gives are those of the norm that it names."""
    values = [x]
    for step, norm in steps:
        value, *moments = step(values[-1])
        if norm is not None:
            mean, variance = moments
            norm.keep(mean, variance, value.size // value.shape[-1])
        values.append(value)
    return values


def _slots(values: Sequence[jax.Array], sizes: Sequence[tuple[int, int]], number: int) -> list[list[jax.Array]]:
    """Of every width its hidden images, of which those of one are these."""
    return [
        [
            value if own == number else native.unwritten((*value.shape[:-1], hidden), value.dtype, 2 * own + place)
            for place, value in enumerate(values)
        ]
        for own, (hidden, _) in enumerate(sizes)
    ]


def _unwritten(tree: Tree) -> Tree:
    """Arrays like these, each of its own."""
    leaves, structure = jax.tree.flatten(tree)
    arrays = [native.unwritten(leaf.shape, leaf.dtype, number) for number, leaf in enumerate(leaves)]
    return jax.tree.unflatten(structure, arrays)


def _zeros(tree: Tree) -> Tree:
    return jax.tree.map(jnp.zeros_like, tree)


def one_width(graph: Any, sizes: Sequence[tuple[int, int]], shortcut: bool) -> Callable[..., tuple[jax.Array, Tree]]:
    """(params, stats, x, kernel, width, which) -> (y, stats) of the elastic block of a graph, narrowed to the hidden
    and squeezed channels `sizes[which]`; beyond them x itself.

    The derivative is written by hand: what convolutions gave is kept, each width's in arrays of its own, of which
    nobody writes those of the others, and the rest computed again. That of a conditional would copy it again and again.
    Nothing flows through stats.
    """

    steps_of = partial(_steps_of, graph, sizes)

    def forward(number: int, keeps: bool, params, stats, x, kernel, width):
        block, steps = steps_of(number, params, stats, x, kernel, width)
        values = _values(steps, x)
        joined = jax.tree.map(lambda new, old: jnp.concatenate([new, old[len(new) :]]), statistics(block), stats)
        kept = (_slots(values[1:-2], sizes, number), values[-2]) if keeps else ()
        return x + values[-1] if shortcut else values[-1], joined, kept

    def backward(number: int, params, stats, x, kernel, width, kept, g):
        values = [x, *kept[0][number], kept[1]]
        found, of_y = [], g
        for place in reversed(range(len(values))):

            def step(params, kernel, width, value, place=place):
                return steps_of(number, params, stats, x, kernel, width)[1][place][0](value)[0]

            *others, of_y = jax.vjp(step, params, kernel, width, values[place])[1](of_y)
            found.append(others)
        of_params, of_kernel, of_width = jax.tree.map(lambda *parts: sum(parts[1:], parts[0]), *found)
        return of_params, of_y + g if shortcut else of_y, of_kernel, of_width

    def switched(keeps: bool, params, stats, x, kernel, width, which):
        branches: list[Any] = [partial(forward, number, keeps) for number in range(len(sizes))]
        if shortcut:
            like = jax.eval_shape(branches[0], params, stats, x, kernel, width)[2]
            branches.append(lambda params, stats, x, *_: (x, stats, _unwritten(like)))
        return jax.lax.switch(which, branches, params, stats, x, kernel, width)

    @jax.custom_vjp
    def one(*args):
        return switched(False, *args)[:2]

    def one_forward(*args):
        y, joined, kept = switched(True, *args)
        params, _, *others = args
        return (y, joined), ((params, joined, *others), kept)

    def one_backward(saved, cotangents):
        (*args, which), kept = saved
        branches: list[Any] = [partial(backward, number) for number in range(len(sizes))]
        if shortcut:
            branches.append(lambda params, stats, x, *more: (_zeros(params), more[-1], *_zeros(more[:2])))
        of_params, of_x, of_kernel, of_width = jax.lax.switch(which, branches, *args, kept, cotangents[0])
        return of_params, None, of_x, of_kernel, of_width, None

    one.defvjp(one_forward, one_backward)
    return one


def narrows(paths: Paths) -> bool:
    """Whether programs that are traced now compute no more than one path needs."""
    return paths == "one" and native.platform_of_programs() == "cpu"


def _masks(widths: Sequence[int], dtype) -> list[jax.Array]:
    """1 for the channels that each width has [max(widths)]."""
    return [jnp.asarray(np.arange(max(widths)) < width, dtype) for width in widths]
