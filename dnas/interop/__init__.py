"""Weights to and from the PyTorch reference codes: quark0/darts and D-X-Y/AutoDL-Projects, a file each.

    pairs = layout(build)                             # `build(rngs) -> Supernet or Network`, as for `functionalize`
    weights, stats = from_torch(load("weights.pt"), pairs)
    save("weights.npz", to_torch(weights, stats, pairs))

Both directions read one list of pairs: an array of the reference and its place in our trees. The reference has one
array for every cell and edge, in OIHW; ours have equal cells and equal edges on leading axes, in HWIO. The texts of
genotypes are read and written by `architectures/genotype_text.py`.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from flax.traverse_util import flatten_dict, unflatten_dict

from dnas import modules_of
from dnas.errors import UserError
from dnas.interop import darts, nasbench201
from dnas.interop.files import load, save
from dnas.interop.walk import AXES, Pair
from dnas.nets.functional import Deferred
from dnas.spaces.darts import Backbone as Darts
from dnas.spaces.nasbench201 import Backbone as NASBench201
from dnas.types import Tree, Weights

__all__ = ["CODES", "Pair", "from_torch", "layout", "load", "save", "to_torch"]

__getattr__ = modules_of(__name__)

CODES = {"darts": darts, "nasbench201": nasbench201}  # by the space of a genotype
WALKS: dict[type, Callable] = {Darts: darts.walk, NASBench201: nasbench201.walk}


def layout(build: Callable[[nnx.Rngs], nnx.Module]) -> tuple[Pair, ...]:
    """The pairs of the network that `build(rngs)` makes, in the order of the reference's modules.

    An array of ours may stand in several pairs: what equal edges share, the reference repeats.
    Errors: `UserError` for a layer that the reference codes do not have.
    """
    network: Any = build(Deferred(params=jax.random.key(0)))
    backbone = network.backbone
    if type(backbone) not in WALKS:
        raise UserError(f"Weights of '{type(backbone).__module__}' networks cannot be exchanged with PyTorch.")
    return tuple(WALKS[type(backbone)](backbone))


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


def _check_names(arrays: dict[str, np.ndarray], pairs: tuple[Pair, ...]) -> None:
    known = {pair.name for pair in pairs}
    hint = "check space, genotype, cells and auxiliary head"
    for names, what in ((known - set(arrays), "lack"), (set(arrays) - known, "have")):
        if names:
            first, *others = sorted(names)
            more = f" and {len(others)} more arrays" if others else ""
            which = "that the network has" if what == "lack" else "that the network lacks"
            raise UserError(f"The weights {what} '{first}'{more} {which}: {hint}.")
