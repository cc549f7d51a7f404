"""Weights out of a run folder: those of its newest checkpoint, whatever else happens to the run meanwhile.

Where the weights of one run are the first of another, the source is written as the folder, or with settings behind it:
`runs/first/retrain:seed=3,head=new`. seed: those of this seed for all, where otherwise seed by seed takes its own.
head=new: the layers named `classifier` are drawn anew, as for other classes.
"""

import os
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dnas import find
from dnas.config import Config
from dnas.errors import UserError, unknown
from dnas.runs import checkpoints, diverged, records
from dnas.runs.checkpoints import Damaged
from dnas.types import Tree

KEPT = ".state.kept"  # in a checkpoint: what is loaded in place of the weights of the last step
HEAD = "classifier"  # what networks call the layer, one or several, whose outputs are the classes


class Source(NamedTuple):
    """Where first weights come from. seed: of that run; None: seed by seed. new_head: the head is drawn."""

    folder: Path
    seed: int | None = None
    new_head: bool = False

    def drawn(self, name: str) -> bool:
        """Whether a leaf, named as in a checkpoint, is none of the source's."""
        return self.new_head and f"['{HEAD}']" in name


def source_of(text: str) -> Source:
    """Read a source. Whatever exists under the whole text is meant by it, so paths may have colons.

    Errors: `UserError` for settings that there are not.
    """
    folder, colon, rest = text.rpartition(":")
    if os.path.exists(text) or not colon or "=" not in rest:
        return Source(Path(text))
    settings = find.parse_choice(f"from:{rest}")[1]
    for name in settings:
        if name not in ("seed", "head"):
            raise unknown("setting of --from:", name, ("seed", "head"))
    seed, head = settings.get("seed"), settings.get("head", "kept")
    if seed is not None and not seed.isdecimal():
        raise UserError(
            f"The seed in --from {text} is '{seed}', expected a whole number: one of the seeds of that run."
        )
    if head not in ("kept", "new"):
        raise unknown("head of --from:", head, ("kept", "new"))
    return Source(Path(folder), None if seed is None else int(seed), head == "new")


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
    arrays = read_arrays(folder)
    where = where_in(arrays)

    def taken(part: str, tree: Tree) -> Tree:
        def one(path, like):
            found = arrays.get(leaf_name(part, path, where))
            if found is None or found.shape[1:] != like.shape:
                raise UserError(
                    f"The checkpoints in {folder} are not of {whose}: if nothing there was changed by hand, another "
                    "version of dnas has written them, so load them with that one, or train again, dnas retrain."
                )
            return jnp.asarray(found[min(index, len(found) - 1)])

        return jax.tree_util.tree_map_with_path(one, tree)

    return taken("weights", shapes[0]), taken("stats", shapes[1])


def read_arrays(folder: Path) -> dict[str, np.ndarray]:
    """The arrays [S, ...] of the newest checkpoint by their names. Errors: `UserError` where it is damaged."""
    step, about, data = read_newest(folder)
    return checkpoints.arrays(about["leaves"], data)


def read_newest(folder: Path) -> tuple[int, dict[str, Any], np.ndarray]:
    """The newest checkpoint of a folder that has one: its step, what it notes, its state as `checkpoints.pack` made it.

    Errors: `UserError` where it is damaged.
    """
    for attempt in range(10):
        found = newest(folder)
        assert found is not None
        step, about = found
        try:
            return step, about, checkpoints.read_data(folder, step, about)
        except Damaged as error:
            if attempt == 9 or step in checkpoints.steps(folder):  # else the run has gone on meanwhile
                raise _damaged(folder, step, error) from error
    raise AssertionError


def where_in(arrays: dict[str, np.ndarray]) -> str:
    """Before which names the weights and statistics stand that a checkpoint is loaded with."""
    return KEPT if any(name.startswith(f"{KEPT}.") for name in arrays) else ".state"


def leaf_name(part: str, path: Any, where: str = ".state") -> str:
    """What a leaf of a state is called in checkpoints; part: "weights" or "stats"."""
    return f"{where}.{part}{jax.tree_util.keystr(path)}"


def check(text: str, shapes: Any) -> None:
    """Refuse a source whose weights cannot be the first of a progress of these shapes (leaves [S, ...]).

    Errors: `UserError` if it holds no run with checkpoints, one without the seed, or one of another network, and for a
    seed that diverged.
    """
    source = source_of(text)
    folder = source.folder
    if not folder.is_dir() or not records.holds_run(folder) or (found := newest(folder)) is None:
        raise UserError(f"{folder} holds no run with a checkpoint whose weights could be the first: check --from.")
    config, seeds = records.config_of(folder), len(shapes.bad_step)
    diverged.refuse_weights(folder, [config.seed + row for row in _rows(source, config, seeds)])
    theirs = {name: tuple(shape[1:]) for name, _, shape, _ in found[1]["leaves"]}
    names = []
    for part in ("weights", "stats"):
        for path, leaf in jax.tree_util.tree_flatten_with_path(getattr(shapes.state, part))[0]:
            names.append(name := leaf_name(part, path))
            if not source.drawn(name) and theirs.get(name) != leaf.shape[1:]:
                raise UserError(
                    f"The network of {folder} is another than that of this run, whose first weights it should give "
                    f"({name.removeprefix('.state.')} differs): check --from."
                )
    if source.new_head and not any(map(source.drawn, names)):
        raise UserError(
            f"No layer of this network is named '{HEAD}', so none could be new: leave out head=new in --from."
        )


def started_from(text: str, progress: Any) -> Any:
    """A progress (leaves [S, ...]) that begins with the weights and statistics of a source, see `check`: seed by seed,
    or where that has fewer seeds, of its last. Everything else, alphas and optimisers too, is as it was drawn."""
    source, state = source_of(text), progress.state
    arrays, config = read_arrays(source.folder), records.config_of(source.folder)
    where = where_in(arrays)

    def begun(part: str) -> Tree:
        def one(path, like):
            name = leaf_name(part, path, where)
            if source.drawn(name):
                return like
            theirs = arrays[name][_rows(source, config, len(like))]
            return jax.device_put(jnp.asarray(theirs).astype(like.dtype), like.sharding)

        return jax.tree_util.tree_map_with_path(one, getattr(state, part))

    return progress._replace(state=state._replace(weights=begun("weights"), stats=begun("stats")))


def _rows(source: Source, config: Config, count: int) -> list[int]:
    """Where the seeds of a source, of which this is the config, stand in its checkpoints, for so many seeds. Errors:
    `UserError` if that run has no such seed."""
    if source.seed is not None:
        return [row_of(source.folder, config, source.seed)] * count
    return [min(i, config.seeds - 1) for i in range(count)]


def row_of(folder: Path, config: Config, seed: Any) -> int:
    """Where a seed stands in the checkpoints of a run. Errors: `UserError` if the run has no such seed."""
    row = seed - config.seed if type(seed) is int else -1
    if not 0 <= row < config.seeds:
        raise UserError(f"{folder} has the seeds {config.seed} to {config.seed + config.seeds - 1}, not {seed}.")
    return row


def _damaged(folder: Path, step: int, error: Exception) -> UserError:
    found = f"The checkpoint of step {step} in {folder} is damaged ({error})"
    return UserError(f"{found}: resume the run first, which goes on from an earlier one.")
