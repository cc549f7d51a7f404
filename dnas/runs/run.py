"""An open run folder: what a run writes while it goes on, and how it goes back to a checkpoint. See `records`."""

import json
import math
from collections.abc import Container
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import numpy as np

from dnas.config import Config, to_dict
from dnas.errors import StorageError, UserError
from dnas.files import append, atomic_write, move_aside, read_json, storage, warn
from dnas.runs import checkpoints, copies, devices
from dnas.runs.checkpoints import Damaged, Saved
from dnas.runs.events import Events
from dnas.runs.rows import is_metrics, named_mix, plain, tag, to_json
from dnas.types import Mix, Tree

SHOWN = 80  # characters of a value in a sentence


class Run:
    """An open run folder; made by `create` or `resume`. Use it in a `with` statement, or call `close`.

    Of several hosts the first writes; on the others everything that writes does nothing.
    """

    def __init__(self, folder: Path, config: Config, lock: ExitStack | None = None) -> None:
        self.folder = folder
        self.config = config
        self.longer = False  # whether the config has more epochs than the folder says
        self.maximum_rollback = 0  # how many more checkpoints are kept than the last two and the best
        self._lock = lock or ExitStack()
        self._events = Events(folder / "events")
        self._files: copies.Files = {}  # as of the last checkpoint
        self._saved: dict[int, Saved] | None = None  # the checkpoints that exist, by step
        self._writes = devices.is_first_host()

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what is open, and let others open the folder. It stays as it is."""
        self._events.close()
        self._lock.close()

    def log(self, row: dict[str, Any]) -> None:
        """Append one row; its numbers go to TensorBoard, `train_loss` as `loss/train`.

        `row` has a `step`; numpy and jax scalars are welcome; a number that is not finite becomes null.
        """
        if not self._writes:
            return
        row = plain(row)
        append(self.folder / "metrics.jsonl", json.dumps(row) + "\n")
        suffix = f"/seed_{row['seed']}" if self.config.seeds > 1 and "seed" in row else ""
        numbers = {k: v for k, v in row.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}
        self._events.scalars(
            row["step"],
            {tag(k) + suffix: v for k, v in numbers.items() if k not in ("step", "epoch", "seed")},
        )

    def log_mix(self, step: int, mix: Mix, space: Any, epoch: int | None = None, but: Container[int] = ()) -> None:
        """Record mixing weights {kind: [E, O] or [S, E, O]}; TensorBoard: `mix/normal/2<-0/skip_connect`. but: numbers
        of seeds that have none."""
        if not self._writes:
            return
        several = {kind: np.asarray(mix[kind], np.float32) for kind in space.cells}
        several = {kind: values if values.ndim == 3 else values[None] for kind, values in several.items()}
        seeds = len(next(iter(several.values())))
        scalars: dict[str, float | None] = {}
        for index in (index for index in range(seeds) if index not in but):
            seed = self.config.seed + index
            named = {kind: named_mix(space.cells[kind], values[index]) for kind, values in several.items()}
            row = {"step": int(step), "epoch": epoch, "seed": seed, "mix": named}
            append(self.folder / "mix.jsonl", json.dumps(row) + "\n")
            suffix = f"/seed_{seed}" if seeds > 1 else ""
            for kind, edges in named.items():
                for edge, weights in edges.items():
                    scalars |= {f"mix/{kind}/{edge}/{name}{suffix}": w for name, w in weights.items()}
        self._events.scalars(int(step), scalars)

    def text(self, tag: str, text: str, step: int) -> None:
        """A text for TensorBoard (Markdown)."""
        if self._writes:
            self._events.text(tag, text, step)

    def data(self, description: dict[str, Any]) -> None:
        """Describe the data set in data.json: name, sizes, source, licence, whatever a reader should know.

        Errors: `UserError` if the run was begun with other data.
        """
        description = plain(description)
        path = self.folder / "data.json"
        try:
            known = read_json(path) or {}
        except StorageError:  # no checkpoint knows it: the run begins anew, with these data
            known = {}
        changed = [
            f"{key}: {str(known[key])[:SHOWN]} -> {str(description[key])[:SHOWN]}"
            for key in description
            if known.get(key, description[key]) != description[key]
        ]
        if changed:
            raise StorageError(
                f"{self.folder} was begun with other data ({', '.join(changed)}): give it the same, or choose another "
                "--out."
            )
        if self._writes and known != description:
            atomic_write(path, to_json(description))

    def genotype(self, epoch: int, genotypes: list[dict[str, Any]]) -> None:
        """Write the genotypes (one per seed) of an epoch, and as the latest."""
        if not self._writes:
            return
        text = to_json(genotypes if len(genotypes) > 1 else genotypes[0])
        name = copies.genotype_name(epoch)
        with storage(self.folder):
            (self.folder / "genotypes").mkdir(exist_ok=True)
        self._files.pop(name, None)  # it may have been another, just as long
        atomic_write(self.folder / name, text)
        atomic_write(self.folder / "genotype.json", text)

    def checkpoint(
        self, step: int, state: Tree, extra: dict[str, Any], metric: float | None = None, *, interim: bool = False
    ) -> None:
        """Save the state; when this returns, it is on the disk. A step that is already saved is left alone.

        extra: a small dictionary that `restore` gives back. metric: the larger the better; the best is kept. interim:
        it comes between two regular checkpoints, because the run was told to stop, and goes with the next one.
        Errors: `UserError` if the disk is full; earlier checkpoints stay.
        """
        step = int(step)
        packed = checkpoints.pack(state)
        if not self._writes or step in self._checkpoints():
            return
        metric = None if metric is None or not math.isfinite(metric) else float(metric)
        with storage(self.folder):
            files = copies.note(self.folder, self._files)
            about = {"extra": plain(extra), "metric": metric, "interim": interim, "files": files}
            checkpoints.write(self.folder, step, about, packed)
            self._files = files
            self._checkpoints()[step] = Saved(metric, interim)
            self._tidy()

    def newest_step(self) -> int | None:
        """The step of the newest checkpoint."""
        return max(self._checkpoints(), default=None)

    def restore(self, target: Tree) -> tuple[Tree, dict[str, Any]] | None:
        """State and extra of the newest checkpoint that can be gone on from, or None; the folder is cut back to it.

        target: the state's structure, from `jax.eval_shape`; a leaf with a sharding is restored to it. Or a function
        that makes it from the extra.
        Errors: `UserError` if the checkpoint has another structure, or if none of them is readable.
        """
        damaged: list[int] = []
        for step in sorted(self._checkpoints(), reverse=True):
            try:
                state, about = self._read(step, target)
            except Damaged as error:
                damaged.append(step)
                self._warn_of(step, error)
                continue
            if damaged:
                warn(f"continuing from step {step} instead.")
            self._go_on(about["files"], step + 1, damaged + self._damaged_before(step))
            return state, about["extra"]
        if damaged:
            raise StorageError(f"No checkpoint in {self.folder} can be read: start again with another --out.")
        self._refuse_lost()
        self._go_on({}, 0, [])
        return None

    def rewind(self, step: int, target: Tree) -> tuple[Tree, dict[str, Any]]:
        """State and extra of the checkpoint of an earlier step. It and later ones are deleted, newest first, and the
        folder is cut back to it: the next checkpoint takes its place.

        Errors: `UserError` if there is no such checkpoint.
        """
        saved = self._checkpoints()
        if step not in saved:
            raise UserError(
                f"There is no checkpoint of step {step} in {self.folder} to go back to: set checkpoint_epochs to 1."
            )
        try:
            state, about = self._read(step, target)
        except Damaged as error:
            raise StorageError(
                f"The checkpoint of step {step} in {self.folder}, to go back to, is damaged ({error}): start again "
                "with another --out."
            ) from error
        devices.wait("rewind")
        self._go_on(about["files"], step + 1, [], gone=[later for later in saved if later >= step])
        return state, about["extra"]

    def best(self, target: Tree) -> tuple[Tree, dict[str, Any]] | None:
        """State and extra of the checkpoint with the largest metric, or None; the folder stays as it is."""
        scored = [(about.metric, step) for step, about in self._checkpoints().items() if about.metric is not None]
        if not scored:
            return None
        step = max(scored)[1]
        try:
            state, about = self._read(step, target)
        except Damaged as error:
            raise StorageError(f"The best checkpoint in {self.folder}, of step {step}, is damaged.") from error
        return state, about["extra"]

    def _checkpoints(self) -> dict[int, Saved]:
        """The checkpoints that exist; what a killed process left is deleted first. Only who writes them need not look
        again."""
        if self._saved is None or not self._writes:
            if self._writes:
                with storage(self.folder):
                    checkpoints.clean(self.folder)
            self._saved = {}
            for step in checkpoints.steps(self.folder):
                try:
                    about = checkpoints.read_about(self.folder, step)
                except Damaged:
                    about = {"metric": None, "interim": False}
                self._saved[step] = Saved(about["metric"], about["interim"])
        return self._saved

    def _read(self, step: int, target: Tree) -> tuple[Tree, dict[str, Any]]:
        about = checkpoints.read_about(self.folder, step)
        if name := copies.lost(self.folder, about["files"]):
            raise Damaged(f"{copies.damage(self.folder, name)}, and so is its copy")
        target = target(about["extra"]) if callable(target) else target
        return checkpoints.read_state(self.folder, step, about, target), about

    def _go_on(self, files: copies.Files, forget: int, damaged: list[int], gone: list[int] | None = None) -> None:
        """Make the folder what it was at a checkpoint: without later ones, and other files as they were then."""
        saved = self._checkpoints()
        for step in [*damaged, *(gone or [])]:
            saved.pop(step)
        if not self._writes:
            return
        with storage(self.folder):
            for step in damaged:
                move_aside(checkpoints.path_of(self.folder, step), self.folder)
            for step in sorted(gone or [], reverse=True):
                checkpoints.path_of(self.folder, step).unlink()
            copies.put_back(self.folder, files)
            copies.cut_back(self.folder, files)
            if self.longer:  # than the checkpoint knows
                atomic_write(self.folder / "config.json", to_json(to_dict(self.config)))
            self._tidy()
        self._files = {name: (size, crc) for name, (size, crc) in files.items() if name not in copies.SMALL}
        self._events.forget(forget)

    def _tidy(self) -> None:
        """Delete the checkpoints that are not needed any more, oldest first; also those that a kill kept from it."""
        saved = self._checkpoints()
        for step in sorted(set(saved) - checkpoints.kept(saved, self.maximum_rollback)):
            checkpoints.path_of(self.folder, step).unlink()
            del saved[step]

    def _damaged_before(self, step: int) -> list[int]:
        """The earlier checkpoints that could not be gone back to."""
        damaged = []
        for earlier in (other for other in self._checkpoints() if other < step):
            try:
                checkpoints.read_data(self.folder, earlier, checkpoints.read_about(self.folder, earlier))
            except Damaged as error:
                damaged.append(earlier)
                self._warn_of(earlier, error)
        return damaged

    def _warn_of(self, step: int, error: Damaged) -> None:
        warn(f"the checkpoint of step {step}, {checkpoints.path_of(self.folder, step)}, is damaged ({error}).")

    def _refuse_lost(self) -> None:
        """Rows of more epochs than a run has before its first checkpoint say that there were some."""
        try:
            rows = copies.read_rows(self.folder, "metrics.jsonl", is_metrics)
        except UserError:
            return  # the run begins anew
        epochs = max((row.get("epoch") or 0 for row in rows), default=0)
        if epochs > self.config.checkpoint_epochs:
            raise StorageError(
                f"{self.folder / checkpoints.FOLDER} holds no checkpoint, but the run has come to epoch {epochs}: put "
                "the checkpoints back, or start again with another --out."
            )
