"""Parameters and multiply-adds of a derived network, as papers report them, and of every candidate, without running it.

Multiply-adds are those of all convolutions and linear layers for one image in evaluation, a separable convolution
counted as its two parts; no norms, pools, additions or auxiliary head. They are read off the traced network. A cell
traces slowly and its cost depends on its kind, channels and inputs only, so the network is traced with `_Meter`s in
the place of its cells, and every different cell once. A network of tokens is traced as it is.
"""

import math
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

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
from dnas.nets.network import DerivedCell

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
    output: tuple[int, ...]


def count(genotype: Genotype, space: Space, size: NetworkSize, image_size: int) -> Counts:
    """Count the derived network of `size` for one image of image_size x image_size pixels.

    `parameters_with_auxiliary` equals `parameters` where the space has no auxiliary head.
    Errors: `UserError` if the genotype is not one of this space.
    """
    check(genotype, space, size.cells)
    if space.chain:
        return _of_chain(genotype, space, size, image_size)
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

    def around(auxiliary: bool) -> Callable[[nnx.Rngs], nnx.Module]:
        sizes = NetworkSize(
            size.cells, size.channels, size.classes, size.image_channels, size.stem, auxiliary, loop=True
        )
        return lambda rngs: space.backbone(core, sizes, space.network_norm, rngs=rngs)

    image = jax.ShapeDtypeStruct((1, image_size, image_size, size.image_channels), jnp.float32)
    rest = _cost(around(False), lambda net, x: net(x, lambda _, cells: jnp.zeros(len(cells))).logits, image)
    parameters = rest.parameters + sum(cell.parameters for cell in seen)
    head = _parameters(around(True)(_rngs())) - rest.parameters
    return Counts(parameters, parameters + head, rest.multiply_adds + sum(cell.multiply_adds for cell in seen))


def _of_chain(genotype: Genotype, space: Space, size: NetworkSize, image_size: int) -> Counts:
    """Block by block, each different one once."""
    assert space.network is not None
    network = space.network(genotype, space, replace(size, auxiliary=False), rngs=_rngs())
    known, costs = dict[tuple, Cost](), list[Cost]()
    shape: tuple[int, ...] = (1, image_size, image_size, size.image_channels)
    for block, place in zip(network.blocks, network.chain, strict=True):
        key = place.block, shape
        if key not in known:
            known[key] = _of_block(block, shape)
        costs.append(known[key])
        shape = known[key].output
    parameters = sum(cost.parameters for cost in costs)
    return Counts(parameters, parameters, sum(cost.multiply_adds for cost in costs))


def _of_block(block: nnx.Module, shape: tuple[int, ...]) -> Cost:
    return _cost(lambda rngs: block, lambda block, x: block(x), jax.ShapeDtypeStruct(shape, jnp.float32))


def of_a_token(genotype: Genotype, space: Space, size: NetworkSize) -> Counts:
    """Count the derived network of `size`, of a space that reads tokens, for one token.

    Errors: `UserError` if the genotype is not one of this space.
    """
    assert space.network is not None
    token = jax.ShapeDtypeStruct((1, 1), jnp.int32)
    build = partial(space.network, genotype, space, size)
    cost = _cost(lambda rngs: build(rngs=rngs), lambda network, tokens: network(tokens)[0].logits, token)
    return Counts(cost.parameters, cost.parameters, cost.multiply_adds)


class Table(NamedTuple):
    """What the candidates of a kind of cell cost, in each of its N cells; arrays [N, E, O]."""

    parameters: np.ndarray
    multiply_adds: np.ndarray


def candidates(space: Space, size: NetworkSize, image_size: int) -> dict[str, Table]:
    """The cost of every operation on every edge, as it would be in a derived network of `size`.

    Errors: `UserError` for a space that reads anything but images.
    """
    if space.takes != "images":
        raise UserError(f"The cost of single operations is counted in image spaces only, not in '{space.name}'.")
    if space.chain:
        return _candidates_of_chain(space, size, image_size)
    found: dict[str, list[Table]] = {kind: [] for kind in space.cells}
    known: dict[tuple, Cost] = {}

    def cost_of(kind: str, channels: int, shapes: tuple[tuple[int, ...], ...]) -> Cost:
        cell, (batch, height, width, _) = space.cells[kind], shapes[-1]
        inner = -(-height // cell.stride(0)), -(-width // cell.stride(0))
        table = Table(np.zeros(cell.mix_shape), np.zeros(cell.mix_shape))
        for e, (_, source) in enumerate(cell.edges):
            at = (height, width) if source < cell.inputs else inner
            for o, name in enumerate(cell.operations[e]):
                key = name, channels, cell.stride(source), at
                if key not in known:
                    known[key] = _operation_cost(space, name, channels, cell.stride(source), at)
                table.parameters[e, o], table.multiply_adds[e, o], _ = known[key]
        found[kind].append(table)
        width_out = channels * (len(cell.concat) if cell.concat is not None else 1)
        return Cost(0, 0, (batch, *inner, width_out))

    def build(rngs: nnx.Rngs) -> nnx.Module:
        def core(kind: str, channels: int, rngs: nnx.Rngs) -> nnx.Module:
            return _Meter(space.cells[kind].concat, kind, channels, cost_of)

        return space.backbone(core, replace(size, auxiliary=False, loop=True), space.network_norm, rngs=rngs)

    image = jax.ShapeDtypeStruct((1, image_size, image_size, size.image_channels), jnp.float32)
    _cost(build, lambda net, x: net(x, lambda _, cells: jnp.zeros(len(cells))).logits, image)
    rows = {kind: zip(*tables, strict=True) for kind, tables in found.items() if tables}
    return {kind: Table(*map(np.stack, both)) for kind, both in rows.items()}


def _operation_cost(space: Space, name: str, channels: int, stride: int, size: tuple[int, int]) -> Cost:
    """Of one operation for inputs of this size; nothing where nothing flows."""
    build = partial(space.operations[name], channels, stride, space.network_norm)
    if build(rngs=_rngs()) is None:
        return Cost(0, 0, ())
    image = jax.ShapeDtypeStruct((1, *size, channels), jnp.float32)
    return _cost(lambda rngs: build(rngs=rngs), lambda operation, x: operation(x), image)


def _candidates_of_chain(space: Space, size: NetworkSize, image_size: int) -> dict[str, Table]:
    """Those of every layer, for the images that reach it."""
    (kind,) = space.cells
    assert space.supernet is not None
    supernet = space.supernet(replace(space, search_norm=space.network_norm), size, rngs=_rngs())
    table, known = Table(*(np.zeros(space.mix_shapes[kind]) for _ in Table._fields)), dict[tuple, Cost]()
    shape: tuple[int, ...] = (1, image_size, image_size, size.image_channels)
    layers = iter(range(len(space.cells[kind].edges)))
    for part in supernet.parts:
        candidates = getattr(part, "candidates", None)
        if candidates is None:
            shape = _of_block(part, shape).output
            continue
        e = next(layers)
        for o, (word, block) in enumerate(zip(space.cells[kind].operations[e], candidates, strict=True)):
            key = word, shape
            if key not in known:
                known[key] = _of_block(block, shape)
            table.parameters[e, o], table.multiply_adds[e, o], _ = known[key]
        shape = known[key].output
    return {kind: Table(*(array[None] for array in table))}


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
    return Cost(_parameters(nnx.merge(graphdef, state)), multiply_adds(jaxpr.jaxpr), jaxpr.out_avals[0].shape)


def _parameters(module: nnx.Module) -> int:
    return sum(leaf.size for leaf in jax.tree.leaves(nnx.as_pure(nnx.state(module, nnx.Param))))


def _rngs() -> nnx.Rngs:
    return Deferred(params=jax.random.key(0))


def multiply_adds(jaxpr: Any) -> int:
    """Multiply-adds of the convolutions, of their derivatives and of the matrix products of a jaxpr, those of its inner
    jaxprs included: the dearest branch, and one round of a loop that does not say how many it takes."""
    total = 0
    for equation in jaxpr.eqns:
        name, settings = equation.primitive.name, equation.params
        if (face := name.partition("_conv_")[2] or name.partition("_depthwise_")[2]) in OUTPUTS:
            among, place = OUTPUTS[face]
            output = getattr(equation, among)[place].aval
            total += math.prod(output.shape[:-1]) * settings["settings"].multiply_adds
        elif name == "dot_general":
            (axes, _), _ = settings["dimension_numbers"]
            contracted = math.prod(equation.invars[0].aval.shape[axis] for axis in axes)
            total += equation.outvars[0].aval.size * contracted
        elif name == "cond":
            total += max(multiply_adds(branch.jaxpr) for branch in settings["branches"])
        else:
            inner = sum(multiply_adds(getattr(p, "jaxpr", p)) for p in settings.values() if _is_jaxpr(p))
            total += inner * (settings["length"] if name == "scan" else 1)
    return total


def _is_jaxpr(value: Any) -> bool:
    return isinstance(value, Jaxpr | ClosedJaxpr)
