"""The rows of a run, and other values as JSON: what is written, and what is taken for a row when it is read."""

import json
import math
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np


def named_mix(cell: Any, weights: np.ndarray) -> dict[str, dict[str, float]]:
    """Weights [E, O] as edge -> operation -> weight."""
    edges = zip(cell.edges, cell.operations, plain(weights), strict=True)
    return {
        f"{node}<-{source}": dict(zip(names, row[: len(names)], strict=True)) for (node, source), names, row in edges
    }


def tag(name: str) -> str:
    """`train_loss` -> `loss/train`, so that TensorBoard groups by quantity."""
    split, _, quantity = name.partition("_")
    return f"{quantity}/{split}" if split in ("train", "valid", "test") and quantity else name


def is_metrics(row: Any) -> bool:
    """A step, perhaps an epoch and a seed, and numbers or lists of them."""
    if not isinstance(row, dict) or not isinstance(row.get("step"), int):
        return False
    places = [row.get(name) for name in ("step", "epoch", "seed")]
    return all(place is None or isinstance(place, int) for place in places) and all(
        value is None or isinstance(value, (int, float, list)) for value in row.values()
    )


def is_mix(row: Any) -> bool:
    """A step, an epoch, a seed and, by kind of cell and edge, the weights of the operations."""
    match row:
        case {"step": int(), "epoch": int() | None, "seed": int(), "mix": dict(kinds)}:
            edges = [edge for kind in kinds.values() for edge in (kind.values() if isinstance(kind, dict) else [None])]
            numbers = [edge.values() if isinstance(edge, dict) else [""] for edge in edges]
            return bool(numbers) and all(
                edge and all(w is None or isinstance(w, (int, float)) for w in edge) for edge in numbers
            )
    return False


def plain(value: Any) -> Any:
    """JSON-ready: numpy and jax values become Python's, in the shortest decimals of their type; nan, null."""
    if isinstance(value, dict):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (jax.Array, np.ndarray)):
        array = np.asarray(value)
        return plain(array[()]) if array.ndim == 0 else [plain(item) for item in array]
    if isinstance(value, np.generic):
        narrow = jnp.issubdtype(value.dtype, jnp.floating) and value.dtype.itemsize < 8
        value = float(str(value)) if narrow else value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def to_json(value: Any) -> str:
    """The text of a file that people read too."""
    return json.dumps(plain(value), indent=2) + "\n"
