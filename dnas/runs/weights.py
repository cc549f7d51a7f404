"""Weights out of a run folder: those of its newest checkpoint, whatever else happens to the run meanwhile."""

from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

from dnas.errors import UserError
from dnas.runs import checkpoints, records
from dnas.runs.checkpoints import Damaged
from dnas.types import Tree

KEPT = ".state.kept"  # in a checkpoint: what is loaded in place of the weights of the last step


def newest(folder: Path) -> tuple[int, dict[str, Any]] | None:
    """The newest checkpoint that can be read, and what it notes. A running training deletes those that it replaces."""
    for _ in range(10):
        steps = checkpoints.steps(folder)
        try:
            return (steps[-1], checkpoints.read_about(folder, steps[-1])) if steps else None
        except Damaged as error:
            if steps[-1] in checkpoints.steps(folder):
                raise _damaged(folder, steps[-1], error) from error
    return None


def read(folder: Path, shapes: tuple[Tree, Tree], index: int, whose: str) -> tuple[Tree, Tree]:
    """Weights and statistics of one seed in the newest checkpoint: those that its training is evaluated by, an average
    or the best, where it keeps such. whose: the network that they should fit.

    Errors: `UserError` where they are of another network, or damaged.
    """
    for attempt in range(10):
        found = newest(folder)
        assert found is not None
        step, about = found
        try:
            data = checkpoints.read_data(folder, step, about)
            break
        except Damaged as error:
            if attempt == 9 or step in checkpoints.steps(folder):  # else the run has gone on meanwhile
                raise _damaged(folder, step, error) from error
    arrays = checkpoints.arrays(about["leaves"], data)
    where = KEPT if any(name.startswith(f"{KEPT}.") for name in arrays) else ".state"

    def taken(part: str, tree: Tree) -> Tree:
        def one(path, like):
            found = arrays.get(f"{where}.{part}{jax.tree_util.keystr(path)}")
            if found is None or found.shape[1:] != like.shape:
                raise UserError(f"The checkpoints in {folder} are not of {whose}.")
            return jnp.asarray(found[min(index, len(found) - 1)])

        return jax.tree_util.tree_map_with_path(one, tree)

    return taken("weights", shapes[0]), taken("stats", shapes[1])


def check(folder: str, shapes: Any) -> None:
    """Refuse a folder whose weights cannot be the first of a progress of these shapes (leaves [S, ...]).

    Errors: `UserError` if it holds no run with checkpoints, or one of another network.
    """
    source = Path(folder)
    if not source.is_dir() or not records.holds_run(source) or (found := newest(source)) is None:
        raise UserError(f"{folder} holds no run with a checkpoint whose weights could be the first: check --from.")
    theirs = {name: tuple(shape[1:]) for name, _, shape, _ in found[1]["leaves"]}
    for part in ("weights", "stats"):
        for path, leaf in jax.tree_util.tree_flatten_with_path(getattr(shapes.state, part))[0]:
            name = f".state.{part}{jax.tree_util.keystr(path)}"
            if theirs.get(name) != leaf.shape[1:]:
                raise UserError(
                    f"The network of {folder} is another than that of this run, whose first weights it should give "
                    f"({name.removeprefix('.state.')} differs): check --from."
                )


def started_from(folder: str, progress: Any) -> Any:
    """A progress (leaves [S, ...]) that begins with the weights and statistics of another run, see `check`: seed by
    seed, or where that has fewer seeds, of its last. Everything else, alphas and optimisers too, is as it was drawn."""
    source, state = Path(folder), progress.state
    shapes = jax.eval_shape(lambda tree: jax.tree.map(lambda leaf: leaf[0], tree), (state.weights, state.stats))
    seeds = len(state.step)
    rows = [read(source, shapes, index, "the network of this run") for index in range(seeds)]
    stacked = jax.tree.map(lambda *leaves: jnp.stack(leaves), *rows)
    weights, stats = jax.tree.map(
        lambda leaf, like: jax.device_put(leaf.astype(like.dtype), like.sharding), stacked, (state.weights, state.stats)
    )
    return progress._replace(state=state._replace(weights=weights, stats=stats))


def _damaged(folder: Path, step: int, error: Exception) -> UserError:
    found = f"The checkpoint of step {step} in {folder} is damaged ({error})"
    return UserError(f"{found}: resume the run first, which goes on from an earlier one.")
