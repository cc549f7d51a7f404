"""Parameters, multiply-adds and activations of a derived network, as papers report them, and of every candidate,
without running it.

Multiply-adds are those of all convolutions and linear layers for one image in evaluation, a separable convolution
counted as its two parts; no norms, pools, additions or auxiliary head. Activations are the numbers that these layers
put out (Radosavovic et al. 2020, arXiv:2003.13678). Both are read off the traced network. A cell
traces slowly and its cost depends on its kind, channels and inputs only, so the network is traced with `_Meter`s in
the place of its cells, and every different cell once. A network of tokens is traced as it is.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.extend.core import ClosedJaxpr, Jaxpr

from dnas.architectures.genotype import Genotype, check
from dnas.architectures.topology import NetworkSize, Space
from dnas.errors import UserError
from dnas.kernels import native
from dnas.nets.functional import Deferred
from dnas.nets.network import DerivedCell, Network

# The three faces of a convolution (`kernels/conv.py`) cost the same; where each has what stands for its output.
OUTPUTS = {"forward": ("outvars", 0), "to_x": ("invars", 0), "to_kernel": ("invars", 1)}


class Counts(NamedTuple):
    """What a network costs. Papers' "FLOPs" are multiply-adds; their parameters are without the auxiliary head."""

    parameters: int
    parameters_with_auxiliary: int
    multiply_adds: int


class Cost(NamedTuple):
    """What a module costs for inputs of one shape, and the shape of its output."""

    parameters: int
    multiply_adds: int
    activations: int
    output: tuple[int, ...]


def count(genotype: Genotype, space: Space, size: NetworkSize, image_size: int) -> Counts:
    """Count the derived network of `size` for one image of image_size x image_size pixels.

    `parameters_with_auxiliary` equals `parameters` where the space has no auxiliary head.
    Errors: `UserError` if the genotype is not one of this space.
    """
    cost, head = of_network(genotype, space, size, image_size), 0
    if space.has_auxiliary:

        def core(kind: str, channels: int, rngs: nnx.Rngs) -> nnx.Module:
            return _Meter(genotype.cell(kind).concat, kind, channels, _not_asked)

        sizes = (replace(size, auxiliary=auxiliary, loop=True) for auxiliary in (True, False))
        most, least = (_parameters(space.backbone(core, one, space.network_norm, rngs=_rngs())) for one in sizes)
        head = most - least
    return Counts(cost.parameters, cost.parameters + head, cost.multiply_adds)


def of_network(genotype: Genotype, space: Space, size: NetworkSize, image_size: int = 0) -> Cost:
    """What the derived network of `size` costs without an auxiliary head, for one input: an image of image_size x
    image_size pixels, a token, or a row of features.

    Errors: `UserError` if the genotype is not one of this space.
    """
    size = replace(size, auxiliary=False, loop=True)
    if space.takes == "images" and space.network in (None, Network):
        return _of_cells(genotype, space, size, image_size)
    assert space.network is not None
    check(genotype, space, size.cells)
    shape, kind = {
        "images": ((1, image_size, image_size, size.image_channels), jnp.float32),
        "tokens": ((1, 1), jnp.int32),
        "features": ((1, *size.inputs), jnp.float32),
    }[space.takes]
    build = partial(space.network, genotype, space, size)
    return _cost(
        lambda rngs: build(rngs=rngs),
        lambda network, x: (network(x)[0] if space.recurrent else network(x)).logits,
        jax.ShapeDtypeStruct(shape, kind),
    )


def of_a_token(genotype: Genotype, space: Space, size: NetworkSize) -> Counts:
    """Count the derived network of `size`, of a space that reads tokens, for one token.

    Errors: `UserError` if the genotype is not one of this space.
    """
    cost = of_network(genotype, space, size)
    return Counts(cost.parameters, cost.parameters, cost.multiply_adds)


def _of_cells(genotype: Genotype, space: Space, size: NetworkSize, image_size: int) -> Cost:
    """Of a network of cells, each different one traced once."""
    check(genotype, space, size.cells)
    known: dict[tuple, Cost] = {}
    seen: list[Cost] = []

    def cost_of(kind: str, channels: int, shapes: tuple[tuple[int, ...], ...]) -> Cost:
        key = kind, channels, shapes
        if key not in known:
            known[key] = _cost(
                lambda rngs: DerivedCell(genotype, space, kind, channels, space.network_norm, rngs=rngs),
                lambda cell, inputs: cell(inputs, (None, None)),
                [jax.ShapeDtypeStruct(shape, jnp.float32) for shape in shapes],
            )
        seen.append(known[key])
        return known[key]

    def core(kind: str, channels: int, rngs: nnx.Rngs) -> nnx.Module:
        return _Meter(genotype.cell(kind).concat, kind, channels, cost_of)

    image = jax.ShapeDtypeStruct((1, image_size, image_size, size.image_channels), jnp.float32)
    rest = _cost(
        lambda rngs: space.backbone(core, size, space.network_norm, rngs=rngs),
        lambda net, x: net(x, lambda _, cells: jnp.zeros(len(cells))).logits,
        image,
    )
    parameters, multiply_adds, activations = map(sum, zip(*(cost[:3] for cost in (rest, *seen)), strict=True))
    return Cost(parameters, multiply_adds, activations, rest.output)


def _not_asked(*_: Any) -> NoReturn:
    raise AssertionError("a backbone that is only built")


class Table(NamedTuple):
    """What the candidates of a kind of cell cost, in each of its N cells; arrays [N, E, O]."""

    parameters: np.ndarray
    multiply_adds: np.ndarray
    activations: np.ndarray


def candidates(space: Space, size: NetworkSize, image_size: int) -> dict[str, Table]:
    """The cost of every operation on every edge, as it would be in a derived network of `size`.

    Errors: `UserError` for a space that reads anything but images.
    """
    if space.takes != "images":
        raise UserError(f"The cost of single operations is counted in image spaces only, not in '{space.name}'.")
    found: dict[str, list[Table]] = {kind: [] for kind in space.cells}
    known: dict[tuple, Cost] = {}

    def cost_of(kind: str, channels: int, shapes: tuple[tuple[int, ...], ...]) -> Cost:
        cell, (batch, height, width, _) = space.cells[kind], shapes[-1]
        inner = -(-height // cell.stride(0)), -(-width // cell.stride(0))
        table = Table(*(np.zeros(cell.mix_shape) for _ in Table._fields))
        for e, (_, source) in enumerate(cell.edges):
            at = (height, width) if source < cell.inputs else inner
            for o, name in enumerate(cell.operations[e]):
                key = name, channels, cell.stride(source), at
                if key not in known:
                    known[key] = _operation_cost(space, name, channels, cell.stride(source), at)
                for array, number in zip(table, known[key], strict=False):  # an output comes last
                    array[e, o] = number
        found[kind].append(table)
        width_out = channels * (len(cell.concat) if cell.concat is not None else 1)
        return Cost(0, 0, 0, (batch, *inner, width_out))

    def build(rngs: nnx.Rngs) -> nnx.Module:
        def core(kind: str, channels: int, rngs: nnx.Rngs) -> nnx.Module:
            return _Meter(space.cells[kind].concat, kind, channels, cost_of)

        return space.backbone(core, replace(size, auxiliary=False, loop=True), space.network_norm, rngs=rngs)

    image = jax.ShapeDtypeStruct((1, image_size, image_size, size.image_channels), jnp.float32)
    _cost(build, lambda net, x: net(x, lambda _, cells: jnp.zeros(len(cells))).logits, image)
    rows = {kind: zip(*tables, strict=True) for kind, tables in found.items() if tables}
    return {kind: Table(*map(np.stack, all_of)) for kind, all_of in rows.items()}


def _operation_cost(space: Space, name: str, channels: int, stride: int, size: tuple[int, int]) -> Cost:
    """Of one operation for inputs of this size; nothing where nothing flows."""
    build = partial(space.operations[name], channels, stride, space.network_norm)
    if build(rngs=_rngs()) is None:
        return Cost(0, 0, 0, ())
    image = jax.ShapeDtypeStruct((1, *size, channels), jnp.float32)
    return _cost(lambda rngs: build(rngs=rngs), lambda operation, x: operation(x), image)


class _Meter(nnx.Module):
    """Stands where a cell stands and reports it: inputs of these shapes -> zeros of the shape that the cell gives."""

    def __init__(self, concat: tuple[int, ...] | None, kind: str, channels: int, cost_of: Callable[..., Cost]):
        self.width = len(concat) if concat is not None else 1
        self.kind, self.channels, self.cost_of = kind, channels, cost_of

    def __call__(self, inputs: list[jax.Array], _) -> jax.Array:
        return jnp.zeros(self.cost_of(self.kind, self.channels, tuple(x.shape for x in inputs)).output)


def _cost(build: Callable[[nnx.Rngs], nnx.Module], call: Callable[..., Any], inputs: Any) -> Cost:
    """Trace `call(build(rngs), inputs)` in evaluation."""
    graphdef, state = nnx.split(nnx.view(build(_rngs()), use_running_average=True, raise_if_not_found=False))

    def run(state, inputs):
        return call(nnx.merge(graphdef, state), inputs)

    abstract = jax.tree.map(lambda leaf: jax.ShapeDtypeStruct(leaf.shape, leaf.dtype), nnx.as_pure(state))
    with native.traced_for("any"):
        jaxpr = jax.make_jaxpr(run)(abstract, inputs)
    return Cost(_parameters(nnx.merge(graphdef, state)), *work(jaxpr.jaxpr), jaxpr.out_avals[0].shape)


def _parameters(module: nnx.Module) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.as_pure(nnx.state(module, nnx.Param))))


def _rngs() -> nnx.Rngs:
    return Deferred(params=jax.random.key(0))


def multiply_adds(jaxpr: Any) -> int:
    """Multiply-adds of the convolutions, of their derivatives and of the matrix products of a jaxpr, those of its inner
    jaxprs included: the dearest branch, and one round of a loop that does not say how many it takes."""
    return work(jaxpr).multiply_adds


class Work(NamedTuple):
    """What the convolutions and matrix products of a program do, and how many numbers they give."""

    multiply_adds: int
    activations: int


def work(jaxpr: Any) -> Work:
    """As of `multiply_adds`; of the derivative of a convolution, the activations are those of the convolution."""
    total = np.zeros(2, object)  # of Python's numbers, which have no bound
    for equation in jaxpr.eqns:
        name, settings = equation.primitive.name, equation.params
        if (face := name.partition("_conv_")[2] or name.partition("_depthwise_")[2]) in OUTPUTS:
            among, place = OUTPUTS[face]
            output = getattr(equation, among)[place].aval
            total += math.prod(output.shape[:-1]) * settings["settings"].multiply_adds, output.size
        elif name == "dot_general":
            (axes, _), _ = settings["dimension_numbers"]
            contracted = math.prod(equation.invars[0].aval.shape[axis] for axis in axes)
            size = equation.outvars[0].aval.size
            total += size * contracted, size
        elif name == "cond":
            total += max(work(branch.jaxpr) for branch in settings["branches"])
        else:
            inner = [work(getattr(p, "jaxpr", p)) for p in settings.values() if _is_jaxpr(p)]
            rounds = settings["length"] if name == "scan" else 1
            total += np.array(inner, object).reshape(-1, 2).sum(0) * rounds
    return Work(*total.tolist())


def _is_jaxpr(value: Any) -> bool:
    return isinstance(value, Jaxpr | ClosedJaxpr)
