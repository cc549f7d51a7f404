"""How sharp the validation loss is in the alphas: the dominant eigenvalue of its Hessian.

    d2 L_valid / d alpha2, of one validation batch, norms by the batch, with the alphas' L2 term

As RobustDARTS has it (Zela et al. 2020, arXiv:1909.09656), where architectures found at sharp minima are worse after
discretisation, and as its search records it between epochs.
"""

from typing import Any

import jax
import numpy as np

from dnas.reports.plots import Rows
from dnas.search.asked import Asked
from dnas.search.stage import Stage
from dnas.search.stops import dominant_eigenvalue
from dnas.types import SearchState

LARGEST = 4096  # alphas: beyond, the matrix takes longer than all else


def curvature(stage: Stage, state: SearchState, i: int) -> float:
    """The dominant eigenvalue for seed i, by value and not by modulus; state: of all seeds."""
    return dominant_eigenvalue(np.asarray(Asked(stage, state, i).hessian(), np.float64))


def inapplicable(stage: Stage) -> str:
    """Why there is no such number; empty where there is."""
    if stage.method.hypergrad is None:
        return "The alphas of this search are not trained by gradients."
    if stage.single_path:
        return "Training computes one operation at a time, so the loss is no smooth function of the alphas."
    count = sum(leaf.size for leaf in jax.tree.leaves(stage.shapes.state.alphas)) // stage.config.seeds
    if count > LARGEST:
        return f"The Hessian by {count:,} alphas is too large."
    return ""


def recorded(rows: Rows, seed: int) -> dict[str, list[Any]]:
    """What a search has recorded of it: epochs and eigenvalues."""
    own = [row for row in rows if row.get("seed") == seed and row.get("eigenvalue") is not None]
    return {"epochs": [row["epoch"] for row in own], "eigenvalues": [row["eigenvalue"] for row in own]}
