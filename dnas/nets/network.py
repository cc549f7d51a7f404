"""The derived network: the genotype's operations only, in the same stem, stages and head as the supernet."""

import jax
from flax import nnx

from dnas import find
from dnas.nets.functional import Deferred, functionalize
from dnas.nets.layers import Outputs
from dnas.nets.nodes import Nodes, zero_node
from dnas.spaces.genotype import Genotype, check
from dnas.spaces.ops import Identity
from dnas.spaces.topology import Body, Norm, Space


class DerivedCell(nnx.Module):
    """A discrete cell. `drop_path` [E, B] multiplies what an edge carries; a plain identity is spared."""

    def __init__(self, genotype: Genotype, space: Space, kind: str, channels: int, norm: Norm, *, rngs: nnx.Rngs):
        cell, self.inputs = genotype.cell(kind), space.cells[kind].inputs
        self.stride = space.cells[kind].stride(0)
        self.concat = cell.concat
        self.width = len(cell.concat) if cell.concat is not None else 1
        self.edges = tuple((edge.node, edge.source) for edge in cell.edges)
        self.nodes = max([*(edge.node for edge in cell.edges), *(cell.concat or ()), self.inputs]) + 1
        self.operations = nnx.List(
            [
                space.operations[edge.operation](channels, space.cells[kind].stride(edge.source), norm, rngs=rngs)
                for edge in cell.edges
            ]
        )

    def __call__(self, inputs: list[jax.Array], drop_path: jax.Array | None) -> jax.Array:
        nodes = Nodes(inputs, self.nodes - self.inputs, zero_node(inputs, self.stride))
        order = sorted(range(len(self.edges)), key=lambda e: self.edges[e][0])
        for e in order:
            node, source = self.edges[e]
            operation = self.operations[e]
            if operation is None:
                continue
            value = operation(nodes.value(source))
            if drop_path is not None and not isinstance(operation, Identity):
                value = value * drop_path[e, :, None, None, None].astype(value.dtype)
            nodes.add([node], [value])
        return nodes.output(self.concat)


class Network(nnx.Module):
    """`network(x)`: x [B, H, W, C] -> Outputs; `drop_path` [cells, E, B] multiplies edges, see `drop_path_factors`."""

    def __init__(self, genotype: Genotype, space: Space, body: Body, *, norm: Norm | None = None, rngs: nnx.Rngs):
        norm = space.network_norm if norm is None else norm

        def core(kind: str, channels: int, rngs: nnx.Rngs):
            return DerivedCell(genotype, space, kind, channels, norm, rngs=rngs)

        self.backbone = space.backbone(core, body, norm, rngs=rngs)

    def __call__(self, x: jax.Array, drop_path: jax.Array | None = None) -> Outputs:
        def argument(kind: str, cells: range):
            return None if drop_path is None else drop_path[cells.start : cells.stop]

        return self.backbone(x, argument)


def drop_path_factors(key: jax.Array, probability: jax.Array | float, shape: tuple[int, ...]) -> jax.Array:
    """What drop-path multiplies edges by, [cells, E, B]: 0 with this probability, else 1 / (1 - probability).

    Larsson, Maire and Shakhnarovich 2017, arXiv:1605.07648, as in quark0/darts: one draw per image and edge.
    """
    return jax.random.bernoulli(key, 1 - probability, shape) / (1 - probability)


def build(
    genotype: Genotype,
    *,
    classes: int,
    cells: int = 20,
    channels: int = 36,
    image_channels: int = 3,
    stem: str = "cifar",
    auxiliary: bool = False,
    seed: int = 0,
) -> Network:
    """An initialised network to call: `network(x).logits`. The space is the one the genotype names."""
    space = find.resolve("space", genotype.space)
    check(genotype, space)
    shape = Body(cells, channels, classes, image_channels, stem, auxiliary)

    def make(rngs: nnx.Rngs) -> Network:
        return Network(genotype, space, shape, rngs=rngs)

    weights, stats = jax.jit(functionalize(make).init)(jax.random.key(seed))
    return nnx.merge(nnx.graphdef(make(Deferred(params=jax.random.key(0)))), nnx.State(weights), nnx.State(stats))
