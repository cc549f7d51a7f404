"""Weights to and from the PyTorch reference codes: quark0/darts and D-X-Y/AutoDL-Projects (NAS-Bench-201).

    pairs = layout(build)                             # `build(rngs) -> Supernet or Network`, as for `functionalize`
    weights, stats = from_torch(load("weights.pt"), pairs)
    save("weights.npz", to_torch(weights, stats, pairs))

Both directions read one list of pairs: an array of the reference and its place in our trees. The reference has one
array for every cell and edge, in OIHW; ours have equal cells and equal edges on leading axes, in HWIO. The texts of
genotypes are read and written by `spaces/genotype.py`.
"""

import os
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from flax.traverse_util import flatten_dict, unflatten_dict

from dnas.errors import UserError
from dnas.nets import layers, ops
from dnas.nets.functional import Deferred
from dnas.nets.network import DerivedCell
from dnas.nets.supernet import MixedCell
from dnas.search.supernets import AUXILIARY_SKIP
from dnas.spaces import darts, nasbench201
from dnas.types import Tree, Weights

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
EDGE_NAMES = {  # of the operations in a derived cell and in a cell of a supernet, and of an auxiliary one there
    darts.Backbone: ("_ops.{edge}", "_ops.{edge}._ops.{column}", "_ops.{edge}.auxiliary_op"),
    nasbench201.Backbone: (
        "layers.{edge}",
        "edges.{node}<-{source}.{column}",
        "edges.{node}<-{source}.auxiliary_op",
    ),
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


def layout(build: Callable[[nnx.Rngs], nnx.Module]) -> tuple[Pair, ...]:
    """The pairs of the network that `build(rngs)` makes, in the order of the reference's modules.

    An array of ours may stand in several pairs: what equal edges share, the reference repeats.
    Errors: `UserError` for a layer that the reference codes do not have.
    """
    network: Any = build(Deferred(params=jax.random.key(0)))
    backbone = network.backbone
    walk: dict[type, Callable] = {darts.Backbone: _darts, nasbench201.Backbone: _nasbench201}
    if type(backbone) not in walk:
        raise UserError(f"Weights of '{type(backbone).__module__}' networks cannot be exchanged with PyTorch.")
    return tuple(walk[type(backbone)](backbone))


def from_torch(arrays: dict[str, np.ndarray], pairs: tuple[Pair, ...]) -> tuple[Weights, Tree]:
    """The reference's arrays as (weights, stats) for `functionalize(build).apply`; float64 needs `jax_enable_x64`.

    Arrays without any running statistics get those of a new network.
    Errors: `UserError` for missing, unknown or wrongly shaped arrays, and where statistics differ that are one here.
    """
    arrays = {name: a for name, a in arrays.items() if not name.endswith("num_batches_tracked")}
    if not any(name.endswith(("running_mean", "running_var")) for name in arrays):
        arrays |= {p.name: np.full(p.shape, p.path[-1] == "var", np.float32) for p in pairs if not p.weight}
    _check_names(arrays, pairs)
    dtype = np.result_type(np.float32, *arrays.values())
    leaves = {(p.weight, p.path): np.zeros(p.leaf, dtype) for p in pairs}
    first: dict[tuple, Pair] = {}
    for pair in pairs:
        array, place = np.asarray(arrays[pair.name]), (pair.weight, pair.path)
        if array.shape != pair.shape:
            raise UserError(f"The array '{pair.name}' has the shape {array.shape}, expected {pair.shape}.")
        value = array.transpose(np.argsort(AXES[len(pair.shape)])).reshape(pair.ours)
        origin = first.setdefault((place, pair.at), pair)
        if origin is not pair and not np.allclose(leaves[place][pair.at], value, rtol=1e-4, atol=1e-6):
            raise UserError(
                f"The arrays '{origin.name}' and '{pair.name}' differ, but here equal operations on one node are one."
            )
        if origin is pair:
            leaves[place][pair.at] = value
    weights = {path: jnp.asarray(leaf) for (weight, path), leaf in leaves.items() if weight}
    stats = {path: jnp.asarray(leaf) for (weight, path), leaf in leaves.items() if not weight}
    return unflatten_dict(weights), unflatten_dict(stats)


def to_torch(weights: Weights, stats: Tree, pairs: tuple[Pair, ...]) -> dict[str, np.ndarray]:
    """Our trees under the reference's names and in its layout; also for trees like them: gradients, moments."""
    leaves = {True: flatten_dict(jax.device_get(weights)), False: flatten_dict(jax.device_get(stats))}
    arrays = {}
    for pair in pairs:
        order = AXES[len(pair.shape)]
        part = np.asarray(leaves[pair.weight][pair.path])[pair.at]
        wide = part.reshape([pair.shape[axis] for axis in np.argsort(order)])
        arrays[pair.name] = np.ascontiguousarray(wide.transpose(order))
    return arrays


def load(path: str | Path, prefix: str = "") -> dict[str, np.ndarray]:
    """The arrays of a `.npz`, or of a `.pt` or `.pth` if PyTorch is installed: a state_dict, or a checkpoint with one.

    prefix: only arrays whose names begin with it, without it.
    Errors: `UserError` for a file that is missing or damaged, that holds none or several, or where PyTorch is needed.
    """
    path = Path(path)
    readers = {".npz": _load_npz, ".pt": _load_torch, ".pth": _load_torch}
    if path.suffix not in readers:
        raise UserError(f"Cannot read weights from '{path}': expected a file that ends in .npz, .pt or .pth.")
    if not os.path.isfile(path):  # of a pathlib.Path, this raises for odd names
        raise UserError(f"There is no file of weights '{path}'.")
    arrays = readers[path.suffix](path)
    return {name.removeprefix(prefix): a for name, a in arrays.items() if name.startswith(prefix)}


def save(path: str | Path, arrays: dict[str, np.ndarray]) -> None:
    """Write arrays as `.npz`, or as a state_dict in `.pt` or `.pth` if PyTorch is installed. Errors: `UserError`."""
    path = Path(path)
    try:
        if path.suffix == ".npz":
            np.savez(path, **arrays)  # type: ignore[arg-type]
        elif path.suffix in (".pt", ".pth"):
            torch = _torch(path)
            torch.save({name: torch.from_numpy(np.array(a)) for name, a in arrays.items()}, path)
        else:
            raise UserError(f"Cannot write weights to '{path}': expected a file that ends in .npz, .pt or .pth.")
    except (OSError, ValueError) as error:  # ValueError: no file can have such a name
        reason = error.strerror if isinstance(error, OSError) else error
        raise UserError(f"Cannot write weights to '{path}': {reason}.") from None


def _load_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        found = np.load(path, allow_pickle=False)
        if not isinstance(found, np.lib.npyio.NpzFile):
            raise ValueError("one array")
        with found as archive:
            return {name: archive[name] for name in archive.files}
    except Exception:  # numpy and zipfile raise whatever damage makes them raise
        raise UserError(f"The file of weights '{path}' is not a complete .npz of plain arrays.") from None


def _load_torch(path: Path) -> dict[str, np.ndarray]:
    torch = _torch(path)
    try:
        found = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises whatever its unpickler and its zip reader raise
        raise UserError(
            f"PyTorch cannot read '{path}' as weights only ({type(error).__name__}): save model.state_dict()."
        ) from None
    return {WRAPPERS.sub("", name): _array(tensor) for name, tensor in _state_dict(found, path, torch.Tensor).items()}


STATE_DICTS = ("state_dict", "model_state_dict", "model", "model_state", "net", "network")  # what checkpoints call it
WRAPPERS = re.compile(r"^(module\.|_orig_mod\.)+")  # what DataParallel and torch.compile put before every name


def _state_dict(found: Any, path: Path, kind: type) -> dict[str, Any]:
    """The tensors of a state_dict, or of the one within a checkpoint."""
    if not isinstance(found, dict):
        raise UserError(f"The file '{path}' holds no state_dict but a {type(found).__name__}: save model.state_dict().")

    def tensors(part: Any) -> dict[str, Any]:
        pairs = part.items() if isinstance(part, dict) else ()
        return {name: value for name, value in pairs if isinstance(name, str) and isinstance(value, kind)}

    inner = {name: tensors(part) for name, part in found.items() if tensors(part)}
    for name in STATE_DICTS:
        if name in inner:
            return inner[name]
    if tensors(found):
        return tensors(found)
    if len(inner) != 1:
        keys = ", ".join(f"'{name}'" for name in (inner or found)) or "nothing"
        what = "several state_dicts" if inner else "no state_dict"
        raise UserError(f"The file '{path}' holds {what} (found {keys}): save the model's as 'state_dict'.")
    return next(iter(inner.values()))


def _array(tensor: Any) -> np.ndarray:
    """A tensor of any device and type, and whether it is a parameter or not; what numpy lacks (bfloat16) as float32."""
    plain = tensor.detach().cpu()
    try:
        return plain.numpy()
    except TypeError:
        return plain.float().numpy()


def _torch(path: Path) -> Any:
    try:
        import torch
    except ImportError:
        raise UserError(
            f"The file '{path}' needs PyTorch, which is not installed: run pip install torch, or use .npz."
        ) from None
    return torch


def _check_names(arrays: dict[str, np.ndarray], pairs: tuple[Pair, ...]) -> None:
    known = {pair.name for pair in pairs}
    hint = "check space, genotype, cells and auxiliary head"
    for names, what in ((known - set(arrays), "lack"), (set(arrays) - known, "have")):
        if names:
            first, *others = sorted(names)
            more = f" and {len(others)} more arrays" if others else ""
            which = "that the network has" if what == "lack" else "that the network lacks"
            raise UserError(f"The weights {what} '{first}'{more} {which}: {hint}.")


# The walk over a network. `name` is the reference's, `path` ours, `index` chooses one of the stacked copies.


def _pairs(node: Any, name: str, path: tuple, index: tuple[int, ...] = ()) -> Iterator[Pair]:
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
            yield from _pairs(inner, f"{name}.{theirs}", (*path, *attributes), index)
    else:
        raise UserError(f"The layer '{type(node).__name__}' has no counterpart in the PyTorch reference codes.")


def _chain(chain: Any, name: str, path: tuple) -> Iterator[Pair]:
    for i, layer in enumerate(chain.layers):
        if isinstance(layer, nnx.Module):
            yield from _pairs(layer, f"{name}.{i}", (*path, "layers", i))


def _operations(core: nnx.Module, names: tuple[str, str, str], prefix: str, path: tuple, cell: int) -> Iterator[Pair]:
    derived, mixed, auxiliary = names
    if isinstance(core, DerivedCell):
        for edge, operation in enumerate(core.operations):
            name = f"{prefix}.{derived.format(edge=edge)}"
            yield from _pairs(operation, name, (*path, "operations", edge), (cell,))
    elif isinstance(core, MixedCell):
        for c, candidate in enumerate(core.candidates):
            for copy, (edge, column) in enumerate(zip(candidate.edges, candidate.columns, strict=True)):
                node, source = core.cell.edges[edge]
                pattern = auxiliary if core.cell.operations[edge][column] == AUXILIARY_SKIP else mixed
                name = f"{prefix}.{pattern.format(edge=edge, column=column, node=node, source=source)}"
                index = (cell,) if candidate.shared else (cell, copy)
                yield from _pairs(candidate.operation, name, (*path, "candidates", c, "operation"), index)


def _darts(net: darts.Backbone) -> Iterator[Pair]:
    stems = ["stem"] if len(net.stem) == 1 else ["stem0", "stem1"]
    for i, name in enumerate(stems):
        yield from _chain(net.stem[i], name, ("backbone", "stem", i))
    for s, (stage, (_, cells)) in enumerate(zip(net.stages, net.plan, strict=True)):
        path = ("backbone", "stages", s)
        for i, cell in enumerate(cells):
            prefix = f"cells.{cell}"
            older = (stage.entry[2 * i], (*path, "entry", 2 * i), ()) if i < 2 else None
            newer = (stage.entry[1], (*path, "entry", 1), ()) if i < 1 else None
            for key, place in (
                ("preprocess0", older or (stage.older, (*path, "older"), (i - 2,))),
                ("preprocess1", newer or (stage.newer, (*path, "newer"), (i - 1,))),
            ):
                yield from _pairs(place[0], f"{prefix}.{key}", *place[1:])
            yield from _operations(stage.core, EDGE_NAMES[darts.Backbone], prefix, (*path, "core"), i)
    yield from _pairs(net.auxiliary, "auxiliary_head", ("backbone", "auxiliary"))
    yield from _pairs(net.classifier, "classifier", ("backbone", "classifier"))


def _nasbench201(net: nasbench201.Backbone) -> Iterator[Pair]:
    yield from _chain(net.stem, "stem", ("backbone", "stem"))
    for s, stage in enumerate(net.stages):
        start = s * (net.cells + 1)
        if s:
            place = ("backbone", "reductions", s - 1)
            yield from _pairs(net.reductions[s - 1], f"cells.{start - 1}", place)
        for i in range(net.cells):
            path = ("backbone", "stages", s)
            yield from _operations(stage, EDGE_NAMES[nasbench201.Backbone], f"cells.{start + i}", path, i)
    yield from _pairs(net.last_norm, "lastact.0", ("backbone", "last_norm"))
    yield from _pairs(net.classifier, "classifier", ("backbone", "classifier"))
