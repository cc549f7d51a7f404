"""The walk over a network of ours, and what its modules are called in the PyTorch reference codes.

`name` is the reference's, `path` ours, `index` chooses one of the stacked copies.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from flax import nnx

from dnas.errors import UserError
from dnas.nets import layers, ops
from dnas.nets.entangled import Entangled
from dnas.nets.network import DerivedCell
from dnas.nets.supernet import MixedCell
from dnas.search.supernets import AUXILIARY_SKIP
from dnas.spaces import darts, nasbench201

# What the parts of a module are called in the reference's module of the same kind. A `Chain` counts as `nn.Sequential`.
PARTS: dict[type, dict[str, str]] = {
    layers.Conv: {"kernel": "weight", "bias": "bias"},
    layers.Linear: {"kernel": "weight", "bias": "bias"},
    layers.BatchNorm: {"scale": "weight", "bias": "bias", "mean": "running_mean", "var": "running_var"},
    layers.ReluConvNorm: {"conv": "op.1", "norm": "op.2"},
    layers.FactorizedReduce: {"even": "conv_1", "odd": "conv_2", "norm": "bn"},
    ops.Identity: {},
    ops.GaussianNoise: {},
    ops.Pool: {"norm": "1"},
    ops.ReluSeparableNorm: {
        "conv.depthwise": "op.1.weight",
        "conv.pointwise": "op.2.weight",
        "norm": "op.3",
    },
    ops.Twice: {
        "first.conv.depthwise": "op.1.weight",
        "first.conv.pointwise": "op.2.weight",
        "first.norm": "op.3",
        "second.conv.depthwise": "op.5.weight",
        "second.conv.pointwise": "op.6.weight",
        "second.norm": "op.7",
    },
    ops.FactorisedConv: {"row": "1", "column": "2", "norm": "3"},
    darts.AuxiliaryHead: {
        "first": "features.2",
        "first_norm": "features.3",
        "second": "features.5",
        "second_norm": "features.6",
        "classifier": "classifier",
    },
    nasbench201.Residual: {"first": "conv_a", "second": "conv_b", "shortcut": "downsample.1"},
}
AXES = {1: (0,), 2: (1, 0), 4: (3, 2, 0, 1)}  # the order of our axes in PyTorch, by rank: IO -> OI, HWIO -> OIHW


class Pair(NamedTuple):
    """An array of the reference and its place in our trees.

    name, shape: in the reference. weight: whether it stands in the weights, else in the statistics.
    path: of our leaf. at: index into the leaf's leading axes (cells, edges). ours, leaf: shapes there and of the leaf.
    """

    name: str
    shape: tuple[int, ...]
    weight: bool
    path: tuple[str | int, ...]
    at: tuple[int, ...]
    ours: tuple[int, ...]
    leaf: tuple[int, ...]


def pairs_of(node: Any, name: str, path: tuple, index: tuple[int, ...] = ()) -> Iterator[Pair]:
    if node is None:
        return
    if isinstance(node, nnx.Variable):
        leaf = node.get_value().shape
        ours = leaf[len(index) :]
        wide = {"depthwise": (*ours[:-1], 1, *ours[-1:]), "pointwise": (1, 1, *ours)}.get(path[-1], ours)
        shape = tuple(wide[axis] for axis in AXES[len(wide)])
        yield Pair(name, shape, isinstance(node, nnx.Param), path, index, ours, leaf)
    elif type(node) in PARTS:
        for part, theirs in PARTS[type(node)].items():
            inner, *attributes = node, *part.split(".")
            for attribute in attributes:
                inner = getattr(inner, attribute)
            yield from pairs_of(inner, f"{name}.{theirs}", (*path, *attributes), index)
    else:
        raise UserError(f"The layer '{type(node).__name__}' has no counterpart in the PyTorch reference codes.")


def chain(chain: Any, name: str, path: tuple) -> Iterator[Pair]:
    for i, layer in enumerate(chain.layers):
        if isinstance(layer, nnx.Module):
            yield from pairs_of(layer, f"{name}.{i}", (*path, "layers", i))


def operations(core: nnx.Module, names: tuple[str, str, str], prefix: str, path: tuple, cell: int) -> Iterator[Pair]:
    derived, mixed, auxiliary = names
    if isinstance(core, DerivedCell):
        for edge, operation in enumerate(core.operations):
            name = f"{prefix}.{derived.format(edge=edge)}"
            yield from pairs_of(operation, name, (*path, "operations", edge), (cell,))
    elif isinstance(core, MixedCell):
        for c, candidate in enumerate(core.candidates):
            if isinstance(candidate, Entangled):
                raise UserError("Entangled weights have no counterpart in the PyTorch reference codes.")
            for copy, (edge, column) in enumerate(zip(candidate.edges, candidate.columns, strict=True)):
                node, source = core.cell.edges[edge]
                pattern = auxiliary if core.cell.operations[edge][column] == AUXILIARY_SKIP else mixed
                name = f"{prefix}.{pattern.format(edge=edge, column=column, node=node, source=source)}"
                index = (cell,) if candidate.shared else (cell, copy)
                yield from pairs_of(candidate.operation, name, (*path, "candidates", c, "operation"), index)
