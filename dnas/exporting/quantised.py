"""Weights in 8 bits after training: w = scale * q, with q from -127 to 127 and a scale for every output channel.

    scale = max |w| / 127        q = round(w / scale)

Symmetric and of the weights alone (Krishnamoorthi 2018, arXiv:1806.08342, section 3.1): computed is in floats, so files
become a quarter and nothing becomes faster. Kernels and embeddings are rounded; biases, norms and statistics are kept.
"""

import math
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import numpy as np
from flax import nnx
from flax.traverse_util import flatten_dict, unflatten_dict

from dnas.errors import UserError
from dnas.loading import Found
from dnas.types import Tree

MOST = 127


class Int8(NamedTuple):
    """values int8, and scales that multiply them, of the same rank, 1 along the axes that share one."""

    values: Any
    scales: Any


def rounded(found: Found) -> Tree:
    """The weights, kernels and embeddings among them as `Int8`."""
    weights = flatten_dict(found.weights)
    for path, variable in nnx.to_flat_state(nnx.state(found.network, nnx.Param)):
        leaf, bound = weights[path], variable.get_metadata().get("bound")
        if bound and leaf.ndim > 1 and not str(path[-1]).endswith("bias"):
            weights[path] = _of(np.asarray(leaf), bound)
    return unflatten_dict(weights)


def restored(weights: Tree) -> Tree:
    """The weights in floats; traced, what is in 8 bits stays so in the program."""
    return jax.tree.map(
        lambda leaf: leaf.values.astype(leaf.scales.dtype) * leaf.scales if isinstance(leaf, Int8) else leaf,
        weights,
        is_leaf=lambda leaf: isinstance(leaf, Int8),
    )


def loss_of_score(found: Found, small: Tree) -> str:
    """What the score of a network is without and with rounded weights, on the validation part, or where there is none
    on the test part; or why nobody knows."""
    name, reason = found.task.score.name, ""
    for part in ("valid", "test"):
        try:
            before, after = (
                one.evaluate(part=part).measures[name] for one in (found, replace(found, weights=restored(small)))
            )
        except UserError as error:
            reason = str(error)
            continue
        shown, of = found.task.score.shown, {"valid": "validation"}.get(part, part)
        return f"{name} on the {of} part: {shown(before)} with the weights as trained, {shown(after)} with 8 bits"
    return f"what rounding costs was not measured: {reason}"


def _of(leaf: np.ndarray, bound: float) -> Int8:
    axes = _summed(leaf.shape, bound)
    largest = np.abs(leaf).max(axes, keepdims=True)
    scales = (np.where(largest > 0, largest, 1) / MOST).astype(leaf.dtype)
    return Int8(np.round(leaf / scales).astype(np.int8), scales)


def _summed(shape: tuple[int, ...], bound: float) -> tuple[int, ...]:
    """The axes that an output channel, the last axis, sums over. What stands before them are copies, of equal cells
    say. A kernel is drawn within a bound of 1 / sqrt(fan-in), which says how many numbers these axes have; of others,
    embeddings say, they are all axes but the last."""
    last = len(shape) - 1
    fan_in = round(bound**-2)
    first = next((axis for axis in range(last) if math.prod(shape[axis:last]) == fan_in), 0)
    return tuple(range(first, last))
