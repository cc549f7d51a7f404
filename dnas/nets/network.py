"""The derived network: the genotype's operations only, in the same stem, stages and head as the supernet."""

from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from dnas import find, ranges
from dnas.architectures.genotype import Genotype, check
from dnas.architectures.topology import NetworkSize, Norm, Space
from dnas.errors import UserError, unknown
from dnas.nets.functional import Deferred, functionalize, own_noise, run, takes_noise
from dnas.nets.layers import Outputs, checked_images, checked_numbers
from dnas.nets.nodes import Nodes, zero_node
from dnas.nets.ops import Identity
from dnas.ranges import Count, Depth, Seed, Width
from dnas.types import Noise


class DerivedCell(nnx.Module):
    """A discrete cell. `drop_path` [E, B] multiplies what an edge carries; a plain identity is spared.

    rows: of each edge the number of its noise: its row in the supernet's mix, so that both draw the same.
    """

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
        self.random, known = tuple(map(takes_noise, self.operations)), space.cells[kind].edges
        self.rows = tuple(known.index(e) if e in known else len(known) + i for i, e in enumerate(self.edges))

    def __call__(self, inputs: list[jax.Array], extra: tuple[jax.Array | None, Noise | None]) -> jax.Array:
        drop_path, noise = extra
        nodes = Nodes(inputs, self.nodes - self.inputs, zero_node(inputs, self.stride))
        order = sorted(range(len(self.edges)), key=lambda e: self.edges[e][0])
        for e in order:
            node, source = self.edges[e]
            operation = self.operations[e]
            if operation is None:
                continue
            if self.random[e] and noise is not None:
                own = noise._replace(key=jax.random.fold_in(noise.key, self.rows[e]))
                value = operation(nodes.value(source), own)
            else:
                value = operation(nodes.value(source))
            if drop_path is not None and not isinstance(operation, Identity):
                value = value * drop_path[e, :, None, None, None].astype(value.dtype)
            nodes.add([node], [value])
        return nodes.output(self.concat)


class Network(nnx.Module):
    """`network(x)`: normalised images x [B, H, W, C] -> Outputs.

    drop_path: [cells, E, B] multiplies edges, see `drop_path_factors`; E is that of the cell with the most.
    noise: for operations that are random. Each edge of each cell draws its own. Training needs it; in evaluation the
    default is the same noise at every call, which differs between edges, cells and the images of a batch.

    In training, a new module's state, it normalises by the batch and leaves the moments of the batch in its statistics;
    in evaluation, `nnx.view(network, use_running_average=True)`, it reads them and changes nothing.
    Errors: `UserError` for images and factors of other shapes or types than it was built for.
    """

    def __init__(
        self, genotype: Genotype, space: Space, size: NetworkSize, *, norm: Norm | None = None, rngs: nnx.Rngs
    ):
        norm, random = space.network_norm if norm is None else norm, []

        def core(kind: str, channels: int, rngs: nnx.Rngs):
            cell = DerivedCell(genotype, space, kind, channels, norm, rngs=rngs)
            random.append(any(cell.random))
            return cell

        self.image_channels, self.use_running_average = size.image_channels, False
        self.droppable = (
            space.cell_count(size.cells),
            max(len(cell.edges) for _, cell in genotype.cells),
        )  # cells, edges
        self.backbone = space.backbone(core, size, norm, rngs=rngs)
        self.random = any(random)

    def set_view(self, use_running_average: bool | None = None) -> None:
        """Called by `nnx.view`: True in evaluation."""
        if use_running_average is not None:
            self.use_running_average = use_running_average

    def __call__(self, x: jax.Array, drop_path: jax.Array | None = None, noise: Noise | None = None) -> Outputs:
        x = checked_images(x, self.image_channels, self.backbone.classifier.kernel[...].dtype)
        expected = (*self.droppable, x.shape[0])
        if drop_path is not None:
            checked_numbers("The array of drop-path", drop_path, expected, f"[cells, E, B]: {list(expected)}")
            drop_path = jnp.asarray(drop_path)
        if self.random and noise is None:
            if not self.use_running_average:
                raise UserError("In training this network draws noise: call it with noise=dnas.types.Noise(key).")
            noise = Noise(jax.random.key(0))

        def argument(kind: str, cells: range):
            rows = None if drop_path is None else drop_path[cells.start : cells.stop]
            return rows, own_noise(noise, cells) if self.random and noise is not None else None

        return run(self.backbone, x, argument, evaluates=self.use_running_average)


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
    """A new network in evaluation: `network(x).logits`, also under `jax.jit`. The space is the one the genotype names.

    x: normalised images [B, H, W, image_channels]; NumPy arrays become float32. Running statistics are those of
    standard normal values until it is trained. `nnx.view(network, use_running_average=False)` normalises by the batch
    instead, and writes the moments of the batch into the statistics, which both share. To train it, see
    `functional.functionalize` and `dnas.retrain`.
    Errors: `UserError` for numbers and genotypes of which no network can be built.
    """
    for name, number, allowed in (
        ("classes", classes, Count),
        ("cells", cells, Depth),
        ("channels", channels, Width),
        ("image_channels", image_channels, Width),
        ("seed", seed, Seed),
    ):
        if type(number) is not int:
            raise UserError(f"The number '{name}' of a network is a whole number, not {number!r}.")
        ranges.check(number, allowed, f"The number '{name}' of a network")
    if stem not in ("cifar", "imagenet"):
        raise unknown("stem of a network", str(stem), ("cifar", "imagenet"))
    space = find.resolve("space", genotype.space)
    if space.takes != "images":
        raise UserError(f"Networks of the space '{space.name}' read {space.takes}: build them with its 'network'.")
    check(genotype, space, cells)
    shape = NetworkSize(cells, channels, classes, image_channels, stem, auxiliary)

    built_by = space.network
    assert built_by is not None

    def make(rngs: nnx.Rngs) -> Any:
        return built_by(genotype, space, shape, rngs=rngs)

    weights, stats = jax.jit(functionalize(make).init)(jax.random.key(seed))
    layout = nnx.view(make(Deferred(params=jax.random.key(0))), use_running_average=True, raise_if_not_found=False)
    return nnx.merge(nnx.graphdef(layout), nnx.State(weights), nnx.State(stats))
