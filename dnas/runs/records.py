"""The run folder: everything a run leaves behind, written so that a kill at any moment leaves it readable.

    config.json         the whole config; with environment.json, what is needed to run it again
    environment.json    versions, devices, commit, command, start; `resumed`: the same for every continuation
    metrics.jsonl       one JSON object per row: step, epoch, seed, losses, accuracies, ...
    data.json           what is known about the data set, if the run describes it
    mix.jsonl           the mixing weights, by kind, edge and operation
    genotype.json       the latest genotype; with several seeds a list, one per seed
    genotypes/          the same after every epoch: epoch_0003.json
    events/             TensorBoard
    checkpoints/        the last two (or more, where a method may go back) and the best; in copies/ all of the above
    damaged/            what had to be put aside, if anything

How it survives: small files are replaced (`files.atomic_write`), never rewritten; rows are appended whole, and a
half-written last line is cut; a checkpoint is renamed when it is complete. It remembers how long every file was, and
its checksum, so `Run.restore` puts back what was damaged and cuts off what came after: log first, then checkpoint.
One process at a time has a run open, by a lock that ends with it; reading needs none.
"""

import json
import math
import re
import time
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np

from dnas import paths
from dnas.config import Config, differences, load, to_dict
from dnas.errors import StorageError, UserError
from dnas.files import PUT_BACK, append, atomic_write, move_aside, read_json, storage, warn
from dnas.runs import checkpoints, copies, devices, environment
from dnas.runs.checkpoints import Damaged, Saved
from dnas.runs.events import Events
from dnas.runs.rows import is_metrics, is_mix, named_mix, plain, tag, to_json
from dnas.types import Mix, Tree


def check(folder: str | Path | None, resume: bool) -> None:
    """Refuse what `create` or `resume` will, before time is spent on building a run. Errors: theirs."""
    if folder is None or not devices.is_first_host():
        return
    folder = Path(folder)
    with storage(folder):
        if not resume:
            _refuse_full(folder)
            return
        _refuse_none(folder)
        with _locked(folder):
            return


def create(folder: str | Path, config: Config, command: str = "") -> "Run":
    """A new run folder. Errors: `UserError` if the folder holds something already or cannot be written."""
    folder = Path(folder)
    if not devices.is_first_host():
        devices.wait("run folder")
        return Run(folder, config)
    with ExitStack() as lock, storage(folder):
        _refuse_full(folder)  # before the lock, which would leave a file there
        folder.mkdir(parents=True, exist_ok=True)
        lock.enter_context(_locked(folder))
        _refuse_full(folder)
        atomic_write(folder / "config.json", to_json(to_dict(config)))  # first: a folder with a config can be resumed
        atomic_write(folder / "environment.json", to_json(environment.described(command) | {"resumed": []}))
        devices.wait("run folder")
        return Run(folder, config, lock.pop_all())


def resume(folder: str | Path, config: Config | None = None, command: str = "") -> "Run":
    """Open a run folder to continue it; files that were damaged are put back as the newest checkpoint knows them.

    Errors: `UserError` if it holds no run, if another process has it open, if `config` is given and is not the run's,
    or if something is damaged for which there is no copy.
    """
    folder = Path(folder)
    _refuse_none(folder)
    first = devices.is_first_host()
    with ExitStack() as lock, storage(folder):
        if first:
            lock.enter_context(_locked(folder))
            _put_back(folder)
        devices.wait("files of the run")
        saved = config_of(folder)
        changed = differences(saved, config) if config is not None else []
        if changed:
            raise StorageError(
                f"{folder} was made with another config ({'; '.join(changed)}): "
                "resume it without these options, or choose another --out."
            )
        if first:
            here = environment.described(command)
            known = _kept_environment(folder) or here | {"resumed": []}
            known["resumed"] = [*known.get("resumed", []), here]
            atomic_write(folder / "environment.json", to_json(known))
        devices.wait("run folder")
        return Run(folder, saved, lock.pop_all())


def put_back(folder: str | Path) -> None:
    """Make what is damaged in a run folder from what its newest checkpoint knows, as far as that can be done.

    Errors: `StorageError` if another process has it open.
    """
    folder = Path(folder)
    if devices.is_first_host() and folder.is_dir() and holds_run(folder):
        with storage(folder), _locked(folder):
            _put_back(folder)


def default_folder(*parts: str) -> Path:
    """runs/darts-first_order-digits-0-20260131-120000, say: a new folder, made here so that nobody else gets it."""
    name = re.sub("[:/]", "-", "-".join([*(part[:60] for part in parts), time.strftime("%Y%m%d-%H%M%S")]))
    if not devices.is_first_host():
        return Path("runs") / name
    with storage("runs"):
        Path("runs").mkdir(exist_ok=True)
        for number in count(1):
            folder = Path("runs") / (name if number == 1 else f"{name}-{number}")
            try:
                folder.mkdir()
            except FileExistsError:
                continue
            return folder
    raise AssertionError


def holds_run(folder: str | Path) -> bool:
    """Whether there is a run to go on with."""
    return any((Path(folder) / place / "config.json").exists() for place in (".", copies.COPIES))


def config_of(folder: str | Path) -> Config:
    """The config of a run. Errors: `UserError` that names the file."""
    copies.check(Path(folder), "config.json")
    try:
        return load(folder)
    except UserError as error:
        if str(folder) in str(error):
            raise
        raise UserError(f"{Path(folder) / 'config.json'} is damaged: {error}") from error


def read_facts(folder: str | Path, name: str) -> dict[str, Any]:
    """What environment.json or data.json holds; nothing if there is none. Errors: `UserError` that names the file."""
    copies.check(Path(folder), name)
    return read_json(Path(folder) / name) or {}


def read_metrics(folder: str | Path) -> list[dict[str, Any]]:
    """The rows of metrics.jsonl; a half-written last line is left out. No file: no rows.

    Errors: `UserError` that names a line that is damaged, also where only a checkpoint knows.
    """
    return copies.read_rows(Path(folder), "metrics.jsonl", is_metrics)


def read_mix(folder: str | Path) -> list[dict[str, Any]]:
    """The rows of mix.jsonl: step, epoch, seed and `mix`, as kind -> edge -> operation -> weight. Errors: as above."""
    return copies.read_rows(Path(folder), "mix.jsonl", is_mix)


def read_genotypes(folder: str | Path, epoch: int | None = None) -> list[dict[str, Any]]:
    """The genotypes of a run, one per seed: the latest, or those of one epoch.

    Errors: `UserError` if there are none, or the file is damaged.
    """
    folder = Path(folder)
    known = copies.newest(folder)
    files = known[1]["files"] if known else {}
    epochs = copies.genotype_epochs(files)
    try:
        if epoch not in (None, max(epochs, default=None)):
            copies.check(folder, copies.genotype_name(epoch))
        elif not copies.settled(folder):  # the last may be a selection, which no checkpoint knows
            raise StorageError(f"{folder / 'genotype.json'} is not what the last of genotypes/ holds: {PUT_BACK}.")
        return _genotypes(folder / ("genotype.json" if epoch is None else copies.genotype_name(epoch)), bool(epochs))
    except StorageError as error:
        # a training has one genotype all along
        content = copies.intact(folder, files, copies.genotype_name(0)) if epochs == [0] else None
        if content is None:
            raise
        warn(f"{error} Read is the copy in {folder / copies.COPIES}.")
        return [json.loads(content)]


def _genotypes(path: Path, reached: bool) -> list[dict[str, Any]]:
    found = read_json(path, (dict, list))
    if found is None and not reached:
        raise UserError(f"{path} does not exist: the run has not reached its first genotype.")
    genotypes = found if isinstance(found, list) else [found]
    if not genotypes or not all(isinstance(genotype, dict) for genotype in genotypes):
        raise StorageError(f"{path} is missing or damaged, it holds no genotypes: {PUT_BACK}.")
    return genotypes


class Run:
    """An open run folder; made by `create` or `resume`. Use it in a `with` statement, or call `close`.

    Of several hosts the first writes; on the others everything that writes does nothing.
    """

    def __init__(self, folder: Path, config: Config, lock: ExitStack | None = None) -> None:
        self.folder = folder
        self.config = config
        self.reach = 0  # how many more checkpoints are kept than the last two and the best
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

    def log_mix(self, step: int, mix: Mix, space: Any, epoch: int | None = None) -> None:
        """Record mixing weights {kind: [E, O] or [S, E, O]}; TensorBoard: `mix/normal/2<-0/skip_connect`."""
        if not self._writes:
            return
        several = {kind: np.asarray(mix[kind], np.float32) for kind in space.cells}
        several = {kind: values if values.ndim == 3 else values[None] for kind, values in several.items()}
        seeds = len(next(iter(several.values())))
        scalars: dict[str, float | None] = {}
        for index in range(seeds):
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

    def data(self, facts: dict[str, Any]) -> None:
        """Describe the data set in data.json: name, sizes, source, licence, whatever a reader should know.

        Errors: `UserError` if the run was begun with other data.
        """
        facts = plain(facts)
        path = self.folder / "data.json"
        try:
            known = read_json(path) or {}
        except StorageError:  # no checkpoint knows it: the run begins anew, with these data
            known = {}
        changed = [f"{key}: {known[key]} -> {facts[key]}" for key in facts if known.get(key, facts[key]) != facts[key]]
        if changed:
            raise StorageError(
                f"{self.folder} was begun with other data ({', '.join(changed)}): give it the same, or choose another "
                "--out."
            )
        if self._writes and known != facts:
            atomic_write(path, to_json(facts))

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
            self._tidy()
        self._files = {name: (size, crc) for name, (size, crc) in files.items() if name not in copies.SMALL}
        self._events.forget(forget)

    def _tidy(self) -> None:
        """Delete the checkpoints that are not needed any more, oldest first; also those that a kill kept from it."""
        saved = self._checkpoints()
        for step in sorted(set(saved) - checkpoints.kept(saved, self.reach)):
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
            rows = read_metrics(self.folder)
        except UserError:
            return  # the run begins anew
        epochs = max((row.get("epoch") or 0 for row in rows), default=0)
        if epochs > self.config.checkpoint_epochs:
            raise StorageError(
                f"{self.folder / checkpoints.FOLDER} holds no checkpoint, but the run has come to epoch {epochs}: put "
                "the checkpoints back, or start again with another --out."
            )


def _locked(folder: Path) -> Any:
    return paths.locked(folder, "a search or a training")


def _refuse_none(folder: Path) -> None:
    if not holds_run(folder):
        raise StorageError(
            f"{folder} holds no run (there is no config.json in it): check --out, or leave out --resume."
        )


def _refuse_full(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(not f.name.startswith(".") for f in folder.iterdir())):
        raise StorageError(
            f"{folder} already exists and is not empty: continue it with --resume, or choose another --out."
        )


def _put_back(folder: Path) -> None:
    """Put back the files that the newest checkpoint knows and that are damaged; of an older one, if copies are too.

    Errors: `StorageError` that names the file, if no checkpoint can do without it.
    """
    checkpoints.refuse_foreign(folder)
    sentence = ""
    for step in reversed(checkpoints.steps(folder)):
        try:
            files = checkpoints.read_about(folder, step)["files"]
        except Damaged:
            continue
        name = copies.lost(folder, files)
        if name is None:
            copies.put_back(folder, files)
            return
        sentence = sentence or copies.damage(folder, name)
    if sentence:
        raise StorageError(
            f"{sentence}, and so is the copy that the checkpoints have: restore the file, or start again with another "
            "--out."
        )


def _kept_environment(folder: Path) -> dict[str, Any] | None:
    """What environment.json holds, if it can be read and holds what we wrote."""
    try:
        found = read_json(folder / "environment.json")
    except StorageError as error:
        warn(f"{error}")
        return None
    return found if found is None or isinstance(found.get("resumed", []), list) else None
