"""Parameters, multiply-adds and activations of a derived network, as papers report them, and of every candidate,
without running it.

Multiply-adds are those of all convolutions and linear layers for one image in evaluation, a separable convolution
counted as its two parts; no norms, pools, additions or auxiliary head. Activations are the numbers that these layers
put out (Radosavovic et al. 2020, arXiv:2003.13678). Both are read off the traced network (`work.py`). A cell traces
slowly and costs what its operations cost, so the network is traced with `_Meter`s in the place of its cells, and every
different operation once in a process. A chain costs what its blocks cost, and each different one is traced once in a
process as well. A network of tokens is traced as it is, of tokens that see each other with a whole text.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import lru_cache, partial
from typing import Any, NamedTuple, NoReturn

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dnas.architectures.blocks import Block, genotype_of, parse, placed
from dnas.architectures.genotype import Genotype, check
from dnas.architectures.topology import Cell, NetworkSize, Norm, Space
from dnas.errors import UserError
from dnas.nets import blocks, sequences
from dnas.nets.chain import check_size, words_of
from dnas.nets.network import Network
from dnas.nets.work import Cost, deferred, parameters_of, traced


class Counts(NamedTuple):
    """What a network costs. Papers' "FLOPs" are multiply-adds; their parameters are without the auxiliary head."""

    parameters: int
    parameters_with_auxiliary: int
    multiply_adds: int


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
        most, least = (parameters_of(space.backbone(core, one, space.network_norm, rngs=deferred())) for one in sizes)
        head = most - least
    return Counts(cost.parameters, cost.parameters + head, cost.multiply_adds)


def of_network(genotype: Genotype, space: Space, size: NetworkSize, image_size: int = 0) -> Cost:
    """What the derived network of `size` costs without an auxiliary head, for one input: an image of image_size x
    image_size pixels (see `image_of`), a token, a text or frames of `NetworkSize.inputs` where there is no state, or a
    row of features.

    Errors: `UserError` if the genotype is not one of this space.
    """
    size = replace(size, auxiliary=False, loop=True)
    if space.takes == "images" and space.network in (None, Network):
        return _of_cells(genotype, space, size, image_size)
    assert space.network is not None
    check(genotype, space, size.cells)
    if space.chain:
        return _of_chain(genotype, space, size, image_size)
    build, numbers = partial(space.network, genotype, space, size), partial(jax.ShapeDtypeStruct, dtype=jnp.float32)
    if space.takes in ("images", "features"):
        one = numbers(image_of(size, image_size) if space.takes == "images" else (1, *size.inputs))
    else:
        one = sequences.example(replace(size, inputs=()) if space.recurrent else size)
    return traced(
        lambda rngs: build(rngs=rngs),
        lambda network, x: (network(x)[0] if space.recurrent else network(x)).logits,
        (one, one) if space.takes == "pairs" else one,
    )


def of_a_token(genotype: Genotype, space: Space, size: NetworkSize) -> Counts:
    """Count the derived network of `size`, of a space that reads tokens, for one token or text as of `of_network`.

    Errors: `UserError` if the genotype is not one of this space.
    """
    cost = of_network(genotype, space, size)
    return Counts(cost.parameters, cost.parameters, cost.multiply_adds)


def image_of(size: NetworkSize, image_size: int, batch: int = 1) -> tuple[int, ...]:
    """Shape of a batch of images of so many pixels a side; those of `size` that are as high have their own width."""
    own = size.inputs if len(size.inputs) == 3 and size.inputs[0] == image_size else (image_size, image_size)
    return batch, *own[:2], size.image_channels


def _of_cells(genotype: Genotype, space: Space, size: NetworkSize, image_size: int) -> Cost:
    """Of a network of cells, each different operation traced once."""
    check(genotype, space, size.cells)
    seen: list[Cost] = []

    def cost_of(kind: str, channels: int, shapes: tuple[tuple[int, ...], ...]) -> Cost:
        cell, chosen = space.cells[kind], genotype.cell(kind)
        outer, inner = _image_sizes(cell, shapes[-1])
        for edge in chosen.edges:
            at = outer if edge.source < cell.inputs else inner
            seen.append(_operation_cost(space, edge.operation, channels, cell.stride(edge.source), at))
        return Cost(0, 0, 0, (1, *inner, channels * (len(chosen.concat) if chosen.concat is not None else 1)))

    def core(kind: str, channels: int, rngs: nnx.Rngs) -> nnx.Module:
        return _Meter(genotype.cell(kind).concat, kind, channels, cost_of)

    image = jax.ShapeDtypeStruct(image_of(size, image_size), jnp.float32)
    rest = traced(
        lambda rngs: space.backbone(core, size, space.network_norm, rngs=rngs),
        lambda net, x: net(x, lambda _, cells: jnp.zeros(len(cells))).logits,
        image,
    )
    parameters, multiply_adds, activations = map(sum, zip(*(cost[:3] for cost in (rest, *seen)), strict=True))
    return Cost(parameters, multiply_adds, activations, rest.output)


def _not_asked(*_: Any) -> NoReturn:
    raise AssertionError("a backbone that is only built")


def _of_chain(genotype: Genotype, space: Space, size: NetworkSize, image_size: int) -> Cost:
    """The sum over its blocks."""
    costs = [placed.cost for placed in blocks_of_chain(genotype, space, size, image_size)]
    parameters, multiply_adds, activations = map(sum, zip(*(cost[:3] for cost in costs), strict=True))
    return Cost(parameters, multiply_adds, activations, costs[-1].output)


class OfChain(NamedTuple):
    """A block of a chain's network: the layer that it is, below 0 or beyond the last for those around the layers, the
    shape of its input, and what it costs."""

    layer: int
    block: Block
    shape: tuple[int, ...]
    cost: Cost


def blocks_of_chain(genotype: Genotype, space: Space, size: NetworkSize, image_size: int) -> list[OfChain]:
    """The blocks of a network; costs are looked up, so that thousands of networks are counted in a second."""
    check_size(space, size)
    words, first = words_of(genotype, space)
    chain = placed([_parsed(word) for word in words], size.image_channels)
    found = list[OfChain]()
    shape = image_of(size, image_size)
    for number, (block, *_) in enumerate(chain):
        cost = _of_block(block, size.classes if block.kind == "logits" else 0, space.network_norm, shape)
        found.append(OfChain(number - first, block, shape, cost))
        shape = cost.output
    return found


_parsed = lru_cache(maxsize=100_000)(parse)


@lru_cache(maxsize=100_000)
def _of_block(block: Block, classes: int, norm: Norm, shape: tuple[int, ...]) -> Cost:
    """Of a block for an input of this shape, traced once in a process."""
    return traced(
        lambda rngs: blocks.build(block, shape[-1], classes, norm, rngs=rngs),
        lambda module, x: module(x),
        jax.ShapeDtypeStruct(shape, jnp.float32),
    )


class Table(NamedTuple):
    """What the candidates of a kind of cell cost, in each of its N cells; arrays [N, E, O]."""

    parameters: np.ndarray
    multiply_adds: np.ndarray
    activations: np.ndarray


def candidates(space: Space, size: NetworkSize, image_size: int) -> dict[str, Table]:
    """The cost of every operation on every edge, as it would be in a derived network of `size`.

    Errors: `UserError` for a space that reads anything but images, or whose options have no costs of their own.
    """
    check_own_costs(space)
    known: dict[tuple, Cost] = {}
    tables: dict[str, Table] = {}
    for place in places(space, size, image_size):
        if place.kind not in tables:
            shape = place.cells, *space.mix_shapes[place.kind]
            tables[place.kind] = Table(*(np.zeros(shape) for _ in Table._fields))
        if place.operation not in known:
            known[place.operation] = _operation_cost(space, *place.operation)
        for array, number in zip(tables[place.kind], known[place.operation], strict=False):  # an output comes last
            array[place.cell, place.edge, place.option] = number
    return tables


def check_own_costs(space: Space) -> None:
    """Errors: `UserError` for a space of which single options have no cost."""
    if space.takes != "images":
        raise UserError(f"The cost of single operations is counted in image spaces only, not in '{space.name}'.")
    if space.joint:
        raise UserError(
            f"What an option of '{space.name}' costs depends on its other decisions: only whole networks have a cost "
            "there, as black-box search and selection read it."
        )


class Place(NamedTuple):
    """Where an operation may stand: the kind of cell, which of so many `cells` of the kind, edge, column of the mix.

    operation: its name, the channels that it reads, its stride, and height and width of the images that reach it.
    """

    kind: str
    cell: int
    cells: int
    edge: int
    option: int
    operation: tuple[str, int, int, tuple[int, int]]


def places(space: Space, size: NetworkSize, image_size: int) -> list[Place]:
    """All operations on all edges of all cells of a network of `size`, in the order of the cells."""
    if space.chain:
        return _places_of_chain(space, size, image_size)
    found: dict[str, list[list[Place]]] = {kind: [] for kind in space.cells}

    def cost_of(kind: str, channels: int, shapes: tuple[tuple[int, ...], ...]) -> Cost:
        cell, number, own = space.cells[kind], len(found[kind]), []
        outer, inner = _image_sizes(cell, shapes[-1])
        for e, (_, source) in enumerate(cell.edges):
            at = outer if source < cell.inputs else inner
            operations = [(name, channels, cell.stride(source), at) for name in cell.operations[e]]
            own += [Place(kind, number, 0, e, o, operation) for o, operation in enumerate(operations)]
        found[kind].append(own)
        width_out = channels * (len(cell.concat) if cell.concat is not None else 1)
        return Cost(0, 0, 0, (1, *inner, width_out))

    def core(kind: str, channels: int, rngs: nnx.Rngs) -> nnx.Module:
        return _Meter(space.cells[kind].concat, kind, channels, cost_of)

    image = jax.ShapeDtypeStruct(image_of(size, image_size), jnp.float32)
    traced(
        lambda rngs: space.backbone(core, replace(size, auxiliary=False, loop=True), space.network_norm, rngs=rngs),
        lambda net, x: net(x, lambda _, cells: jnp.zeros(len(cells))).logits,
        image,
    )
    return [place._replace(cells=len(cells)) for cells in found.values() for own in cells for place in own]


def _places_of_chain(space: Space, size: NetworkSize, image_size: int) -> list[Place]:
    ((kind, cell),) = space.cells.items()
    shapes = {part.layer: part.shape for part in blocks_of_chain(first_of_chain(space), space, size, image_size)}
    return [
        Place(kind, 0, 1, e, o, (word, shapes[e][3], 1, (shapes[e][1], shapes[e][2])))
        for e, words in enumerate(cell.operations)
        for o, word in enumerate(words)
    ]


def first_of_chain(space: Space) -> Genotype:
    """The network of the first option of every layer; all of a layer give values of one shape."""
    ((_, cell),) = space.cells.items()
    return genotype_of(space.name, [words[0] for words in cell.operations])


def _image_sizes(cell: Cell, shape: tuple[int, ...]) -> tuple[tuple[int, int], tuple[int, int]]:
    """Height and width of the inputs [B, H, W, C] of a cell, and of its other nodes."""
    _, height, width, _ = shape
    return (height, width), (-(-height // cell.stride(0)), -(-width // cell.stride(0)))


def _operation_cost(space: Space, name: str, channels: int, stride: int, size: tuple[int, int]) -> Cost:
    """Of one operation for inputs of this size; nothing where nothing flows."""
    return _traced_cost(space.operations[name], channels, stride, space.network_norm, size)


@lru_cache(maxsize=10_000)
def _traced_cost(operation: Callable[..., Any], channels: int, stride: int, norm: Norm, size: tuple[int, int]) -> Cost:
    build = partial(operation, channels, stride, norm)
    if build(rngs=deferred()) is None:
        return Cost(0, 0, 0, ())
    image = jax.ShapeDtypeStruct((1, *size, channels), jnp.float32)
    return traced(lambda rngs: build(rngs=rngs), lambda module, x: module(x), image)


class _Meter(nnx.Module):
    """Stands where a cell stands and reports it: inputs of these shapes -> zeros of the shape that the cell gives."""

    def __init__(self, concat: tuple[int, ...] | None, kind: str, channels: int, cost_of: Callable[..., Cost]):
        self.width = len(concat) if concat is not None else 1
        self.kind, self.channels, self.cost_of = kind, channels, cost_of

    def __call__(self, inputs: list[jax.Array], _) -> jax.Array:
        return jnp.zeros(self.cost_of(self.kind, self.channels, tuple(x.shape for x in inputs)).output)
