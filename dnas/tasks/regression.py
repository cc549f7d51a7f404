"""What all tasks with one number an example share: squared error, and measures in the unit of the target.

Axis letters: B batch, R ensemble members (supernets side by side, each with a mix of its own).
"""

from dataclasses import dataclass
from typing import Any, ClassVar

import jax
import jax.numpy as jnp

from dnas.tasks.task import Score, Sums, means, weighted, weighted_mean
from dnas.types import Batch

OF_TARGETS = ("target", "squared_target")  # sums for r2 alone, no measures


@dataclass(frozen=True, eq=False, kw_only=True)
class Regression:
    """Loss and measures of `task.Task`. Targets [B] are standardised, and so are all sums: only `measures` are in the
    unit of the target, so that no program holds it.

    mean, std: of the targets that are trained on, in their unit; a standardised one is (target - mean) / std.
    """

    mean: float = 0.0
    std: float = 1.0
    score: ClassVar[Score] = Score("rmse", more=False)
    trained: ClassVar[tuple[str, ...]] = ("loss", "rmse")
    measured: ClassVar[tuple[str, ...]] = ("loss", "rmse", "mae", *OF_TARGETS)

    def loss(self, outputs: Any, batch: Batch) -> tuple[jax.Array, Sums]:
        """Mean squared error of standardised targets, of outputs [B, 1], of `layers.Outputs`, or of ensemble members
        [R, B, 1]: then the loss is the sum of theirs, and the measures are those of the first."""
        predictions = (outputs if isinstance(outputs, jax.Array) else outputs.logits)[..., 0]
        squares = jnp.square(predictions - batch.targets)
        total = weighted_mean(squares, batch).sum()
        first = squares.reshape(-1, squares.shape[-1])[0]
        return total, {"loss": (total, 1), "rmse": weighted(first, batch)}

    def evaluate(self, outputs: Any, batch: Batch) -> Sums:
        """Sums of the squares of errors, "loss" and "rmse", of their sizes, "mae", and of what "r2" needs beside."""
        predictions = (outputs if isinstance(outputs, jax.Array) else outputs.logits)[..., 0]
        errors = predictions - batch.targets
        rows = {
            "loss": jnp.square(errors),
            "rmse": jnp.square(errors),
            "mae": jnp.abs(errors),
            "target": batch.targets,
            "squared_target": jnp.square(batch.targets),
        }
        return {name: weighted(row, batch) for name, row in rows.items()}

    def measures(self, sums: Sums) -> dict[str, float]:
        """ "loss" of standardised targets; "rmse" and "mae" in their unit; "r2", the share of their variance that is
        explained, unless they have none. A measure without examples is left out."""
        found = means(sums)
        mean, square = (found.pop(name, 0.0) for name in OF_TARGETS)
        if "rmse" in found:
            found["rmse"] = found["rmse"] ** 0.5 * self.std
        if "mae" in found:
            found["mae"] *= self.std
        variance = square - mean**2
        return found | ({"r2": 1 - found["loss"] / variance} if variance > 0 and "loss" in found else {})
