"""The run folder: everything a run leaves behind, written so that a kill at any moment leaves it readable.

    config.json         the whole config; with environment.json, what is needed to run it again
    environment.json    versions, devices, commit, command, start; `resumed`: the same for every continuation
    metrics.jsonl       one JSON object per row: step, epoch, seed, losses, accuracies, ...
    data.json           what is known about the data set, if the run describes it
    mix.jsonl           the mixing weights, by kind, edge and operation
    genotype.json       the latest genotype; with several seeds a list, one per seed
    genotypes/          the same after every epoch: epoch_0003.json
    events/             TensorBoard
    checkpoints/        orbax: the last two (or more, where a method may go back) and the best

How it survives: small files are replaced (`atomic_write`), never rewritten; rows are appended whole, and a
half-written last line is cut; a checkpoint is a folder that orbax renames when it is complete. It remembers
how long the row files were, so `Run.restore` cuts off what came after it: log first, then checkpoint.

The state is stored as one array of bytes with a table of its leaves: that is four times faster than one array
for each leaf (0.1 s against 0.45 s for 300), and a checksum finds damage that orbax does not see.
"""

import json
import logging
import math
import os
import platform
import shutil
import subprocess
import sys
import time
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from errno import EDQUOT, ENOSPC
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dnas import __version__, devices
from dnas.config import Config, differences, load, to_dict
from dnas.errors import StorageError, UserError
from dnas.types import Mix, Tree

ROW_FILES = ("metrics.jsonl", "mix.jsonl")
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy")


def create(folder: str | Path, config: Config, command: str = "") -> "Run":
    """A new run folder. Errors: `UserError` if the folder holds something already or cannot be written."""
    folder = Path(folder)
    if not devices.is_first_host():
        devices.wait("run folder")
        return Run(folder, config)
    if folder.exists() and (not folder.is_dir() or any(not f.name.startswith(".") for f in folder.iterdir())):
        raise UserError(
            f"{folder} already exists and is not empty: continue it with --resume, or choose another --out."
        )
    with _storage(folder):
        folder.mkdir(parents=True, exist_ok=True)
        atomic_write(folder / "config.json", _json(to_dict(config)))  # first: a folder with a config can be resumed
        atomic_write(folder / "environment.json", _json(_environment(command) | {"resumed": []}))
    devices.wait("run folder")
    return Run(folder, config)


def resume(folder: str | Path, config: Config | None = None, command: str = "") -> "Run":
    """Open a run folder to continue it.

    Errors: `UserError` if it holds no run, or if `config` is given and is not the run's.
    """
    folder = Path(folder)
    if not (folder / "config.json").exists():
        raise UserError(f"{folder} holds no run (there is no config.json in it): check --out, or leave out --resume.")
    saved = load(folder)
    changed = differences(saved, config) if config is not None else []
    if changed:
        raise UserError(
            f"{folder} was made with another config ({'; '.join(changed)}): "
            "resume it without these options, or choose another --out."
        )
    if not devices.is_first_host():
        devices.wait("run folder")
        return Run(folder, saved)
    with _storage(folder):
        environment = _read_json(folder / "environment.json") or _environment(command) | {"resumed": []}
        environment["resumed"] = [*environment.get("resumed", []), _environment(command)]
        atomic_write(folder / "environment.json", _json(environment))
        for name in ROW_FILES:
            _cut(folder / name)
    devices.wait("run folder")
    return Run(folder, saved)


def read_metrics(folder: str | Path) -> list[dict[str, Any]]:
    """The rows of metrics.jsonl; a half-written last line is left out. No file: no rows."""
    return _read_rows(Path(folder) / "metrics.jsonl")


def read_mix(folder: str | Path) -> list[dict[str, Any]]:
    """The rows of mix.jsonl: step, epoch, seed and `mix`, as kind -> edge -> operation -> weight."""
    return _read_rows(Path(folder) / "mix.jsonl")


def read_genotypes(folder: str | Path, epoch: int | None = None) -> list[dict[str, Any]]:
    """The genotypes of a run, one per seed: the latest, or those of one epoch."""
    path = Path(folder) / ("genotype.json" if epoch is None else f"genotypes/{_genotype_name(epoch)}")
    found = _read_json(path)
    if found is None:
        raise UserError(f"{path} does not exist: the run has not reached its first genotype.")
    return found if isinstance(found, list) else [found]


def atomic_write(path: str | Path, content: str | bytes) -> None:
    """Replace a file: a reader, or a kill, sees the old content or the new one, never a part.

    Errors: `UserError` if the disk is full or the file cannot be written; what was there stays.
    """
    path = Path(path)
    part = path.with_name(f".{path.name}.part")
    with _storage(path.parent):
        try:
            with open(part, "wb") as file:
                file.write(content.encode() if isinstance(content, str) else content)
                file.flush()
                os.fsync(file.fileno())
            os.replace(part, path)
        finally:
            part.unlink(missing_ok=True)


class Run:
    """An open run folder; made by `create` or `resume`. Use it in a `with` statement, or call `close`.

    Of several hosts the first writes; on the others everything that writes does nothing.
    """

    def __init__(self, folder: Path, config: Config) -> None:
        self.folder = folder
        self.config = config
        self.reach = 0  # how many more checkpoints are kept than the last two and the best
        self._purge_step: int | None = None
        self._events: Any = None
        self._manager: Any = None
        self._metrics: dict[int, float] = {}  # of the checkpoints that exist, by step
        self._writes = devices.is_first_host()

    def __enter__(self) -> "Run":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close what is open. The folder stays as it is."""
        self._close_events()
        self._close_manager()

    def log(self, row: dict[str, Any]) -> None:
        """Append one row; its numbers go to TensorBoard, `train_loss` as `loss/train`.

        `row` has a `step`; numpy and jax scalars are welcome; a number that is not finite becomes null.
        """
        if not self._writes:
            return
        plain = _plain(row)
        self._append("metrics.jsonl", plain)
        suffix = f"/seed_{plain['seed']}" if self.config.seeds > 1 and "seed" in plain else ""
        numbers = {k: v for k, v in plain.items() if isinstance(v, (int, float)) and not isinstance(v, bool)}
        self._scalars(
            plain["step"],
            {_tag(k) + suffix: v for k, v in numbers.items() if k not in ("step", "epoch", "seed")},
        )

    def log_mix(self, step: int, mix: Mix, space: Any, epoch: int | None = None) -> None:
        """Record mixing weights {kind: [E, O] or [S, E, O]}; TensorBoard: `mix/normal/2<-0/skip_connect`."""
        if not self._writes:
            return
        several = {kind: np.asarray(mix[kind], np.float32) for kind in space.cells}
        several = {kind: values if values.ndim == 3 else values[None] for kind, values in several.items()}
        count = len(next(iter(several.values())))
        scalars: dict[str, float | None] = {}
        for index in range(count):
            seed = self.config.seed + index
            named = {kind: _named_mix(space.cells[kind], values[index]) for kind, values in several.items()}
            self._append("mix.jsonl", {"step": int(step), "epoch": epoch, "seed": seed, "mix": named})
            suffix = f"/seed_{seed}" if count > 1 else ""
            for kind, edges in named.items():
                for edge, weights in edges.items():
                    scalars |= {f"mix/{kind}/{edge}/{name}{suffix}": w for name, w in weights.items()}
        self._scalars(int(step), scalars)

    def text(self, tag: str, text: str, step: int) -> None:
        """A text for TensorBoard (Markdown)."""
        from tensorboardX import summary

        if self._writes:
            self._event(step, summary.text(tag, text))

    def data(self, facts: dict[str, Any]) -> None:
        """Describe the data set in data.json: name, sizes, source, licence, whatever a reader should know.

        Errors: `UserError` if the run was begun with other data.
        """
        facts = _plain(facts)
        known = _read_json(self.folder / "data.json") or {}
        changed = [f"{key}: {known[key]} -> {facts[key]}" for key in facts if known.get(key, facts[key]) != facts[key]]
        if changed:
            raise UserError(
                f"{self.folder} was begun with other data ({', '.join(changed)}): give it the same, or choose another "
                "--out."
            )
        if self._writes:
            atomic_write(self.folder / "data.json", _json(facts))

    def genotype(self, epoch: int, genotypes: list[dict[str, Any]]) -> None:
        """Write the genotypes (one per seed) of an epoch, and as the latest."""
        if not self._writes:
            return
        text = _json(genotypes if len(genotypes) > 1 else genotypes[0])
        with _storage(self.folder):
            (self.folder / "genotypes").mkdir(exist_ok=True)
        atomic_write(self.folder / "genotypes" / _genotype_name(epoch), text)
        atomic_write(self.folder / "genotype.json", text)

    def checkpoint(self, step: int, state: Tree, extra: dict[str, Any], metric: float | None = None) -> None:
        """Save the state; when this returns, it is on the disk. A step that is already saved is left alone.

        extra: a small dictionary that `restore` gives back. metric: the larger the better; the best is kept.
        Errors: `UserError` if the disk is full; earlier checkpoints stay.
        """
        step = int(step)
        table, data = _pack(state)
        if not self._writes:
            return
        metric = None if metric is None or not math.isfinite(metric) else float(metric)
        about = {
            "extra": _plain(extra),
            "metric": metric,
            "leaves": table,
            "crc32": zlib.crc32(data.data),
            "row_bytes": {name: _synced_size(self.folder / name) for name in ROW_FILES},
            "genotype_epoch": max(self._genotype_epochs(), default=None),
        }
        with _storage(self.folder), _quiet() as ocp:
            manager = self._open_manager()
            if step in manager.all_steps():
                return
            if metric is not None:
                self._metrics[step] = metric
            arguments = ocp.args.Composite(state=ocp.args.StandardSave({"bytes": data}), about=ocp.args.JsonSave(about))
            try:
                manager.save(step, args=arguments, force=True)
            except Exception:
                self._metrics.pop(step, None)
                self._close_manager()
                for part in (self.folder / "checkpoints").glob("*.orbax-checkpoint-tmp*"):
                    shutil.rmtree(part, ignore_errors=True)  # it takes up the space that is missing
                raise

    def newest_step(self) -> int | None:
        """The step of the newest checkpoint."""
        with _storage(self.folder), _quiet():
            return max(self._open_manager().all_steps(), default=None)

    def restore(self, target: Tree) -> tuple[Tree, dict[str, Any]] | None:
        """State and extra of the newest readable checkpoint, or None; the folder is cut back to it.

        target: the state's structure, from `jax.eval_shape`; a leaf with a sharding is restored to it. Or a function
        that makes it from the extra.
        Errors: `UserError` if the checkpoint has another structure, or if none of them is readable.
        """
        damaged: list[int] = []
        with _storage(self.folder), _quiet():
            steps = sorted(self._open_manager().all_steps(), reverse=True)
        for step in steps:
            try:
                state, about = self._read(step, target)
            except UserError:
                raise
            except Exception as error:  # orbax and tensorstore raise many things for a damaged file
                damaged.append(step)
                reason = str(error).strip().partition("\n")[0][:120]
                _warn(f"the checkpoint of step {step} in {self.folder} is damaged ({reason}).")
                continue
            if damaged and self._writes:
                self._set_aside(damaged)
                _warn(f"continuing from step {step} instead.")
            if self._writes:
                self._cut_back(about["row_bytes"], about["genotype_epoch"], step + 1)
            return state, about["extra"]
        if damaged:
            raise UserError(f"No checkpoint in {self.folder} can be read: start again with another --out.")
        if self._writes:
            self._cut_back({}, None, 0)
        return None

    def rewind(self, step: int, target: Tree) -> tuple[Tree, dict[str, Any]]:
        """State and extra of the checkpoint of an earlier step. It and later ones are deleted, newest first, and the
        folder is cut back to it: the next checkpoint takes its place.

        Errors: `UserError` if there is no such checkpoint.
        """
        with _storage(self.folder), _quiet():
            steps = sorted(self._open_manager().all_steps(), reverse=True)
        if step not in steps:
            raise UserError(
                f"There is no checkpoint of step {step} in {self.folder} to go back to: set checkpoint_epochs to 1."
            )
        state, about = self._read(step, target)
        devices.wait("rewind")
        if self._writes:
            with _storage(self.folder), _quiet():
                for later in (s for s in steps if s >= step):
                    self._open_manager().delete(later)
                    self._metrics.pop(later, None)
            self._cut_back(about["row_bytes"], about["genotype_epoch"], step + 1)
        return state, about["extra"]

    def best(self, target: Tree) -> tuple[Tree, dict[str, Any]] | None:
        """State and extra of the checkpoint with the largest metric, or None; the folder stays as it is."""
        with _storage(self.folder), _quiet():
            self._open_manager()
        if not self._metrics:
            return None
        step = max(self._metrics, key=lambda step: (self._metrics[step], step))
        try:
            state, about = self._read(step, target)
        except UserError:
            raise
        except Exception as error:  # as in `restore`
            raise UserError(f"The best checkpoint in {self.folder}, of step {step}, is damaged.") from error
        return state, about["extra"]

    def _append(self, name: str, row: dict[str, Any]) -> None:
        _append(self.folder / name, json.dumps(row) + "\n")

    def _scalars(self, step: int, values: dict[str, float | None]) -> None:
        from tensorboardX.proto.summary_pb2 import Summary

        known = [Summary.Value(tag=tag, simple_value=v) for tag, v in values.items() if v is not None]
        if known:
            self._event(step, Summary(value=known))

    def _event(self, step: int, summary: Any) -> None:
        from tensorboardX.proto.event_pb2 import Event

        with _storage(self.folder):
            self._events = self._events or self._open_events()
            try:
                self._events.write_event(Event(wall_time=time.time(), step=step, summary=summary))
                self._events.flush()
            except OSError:
                self._close_events()  # nothing after half an event can be read: the next gets a new file
                raise

    def _open_events(self) -> Any:
        # EventsWriter, not SummaryWriter: that one writes in a thread, which a full disk kills, and the next
        # call waits for ever. The number keeps a file of the same second from being overwritten.
        from tensorboardX.event_file_writer import EventsWriter
        from tensorboardX.proto.event_pb2 import Event, SessionLog

        folder = self.folder / "events"
        folder.mkdir(exist_ok=True)
        events = EventsWriter(str(folder / "events"), f".{len(list(folder.iterdir())):04d}")
        if self._purge_step is not None:  # TensorBoard then forgets this step and later ones of older files
            log = SessionLog(status=SessionLog.START)
            events.write_event(Event(wall_time=time.time(), step=self._purge_step, session_log=log))
            self._purge_step = None
        return events

    def _close_events(self) -> None:
        events, self._events = self._events, None
        if events is not None:
            with suppress(OSError):  # every event was flushed when it was written, and an error raised then
                events.close()

    def _open_manager(self) -> Any:
        """The checkpoint manager; the caller is inside `_quiet`."""
        if self._manager is None:
            import orbax.checkpoint as ocp

            options = ocp.CheckpointManagerOptions(
                enable_async_checkpointing=False,  # a step counts as saved only when it is
                cleanup_tmp_directories=self._writes,
                preservation_policy=_LastAndBest(self._metrics, self.reach),
                multiprocessing_options=_alone(ocp),
                create=False,
            )
            directory = (self.folder / "checkpoints").absolute()
            directory.mkdir(parents=True, exist_ok=True)
            self._manager = ocp.CheckpointManager(directory, options=options)
            self._metrics.clear()
            for step in self._manager.all_steps():
                about = _read_json(directory / str(step) / "about" / "metadata") or {}
                if about.get("metric") is not None:
                    self._metrics[step] = about["metric"]
        return self._manager

    def _close_manager(self) -> None:
        manager, self._manager = self._manager, None
        if manager is not None:
            with _quiet():
                manager.close()

    def _read(self, step: int, target: Tree) -> tuple[Tree, dict[str, Any]]:
        with _quiet() as ocp:
            manager = self._open_manager()
            about = manager.restore(step, args=ocp.args.Composite(about=ocp.args.JsonRestore())).about
            target = target(about["extra"]) if callable(target) else target
            _check_leaves(about["leaves"], target, self.folder)
            empty = {"bytes": np.empty(_size_bytes(target), np.uint8)}
            found = manager.restore(step, args=ocp.args.Composite(state=ocp.args.StandardRestore(empty)))
        data = np.asarray(found.state["bytes"])
        if zlib.crc32(data.data) != about["crc32"]:
            raise ValueError("its checksum is wrong")
        return _unpack(about["leaves"], data, target), about

    def _set_aside(self, steps: list[int]) -> None:
        """Move damaged checkpoints out of the way of the ones to come; they are not ours to delete."""
        self._close_manager()
        aside = self.folder / "damaged_checkpoints"
        with _storage(self.folder):
            aside.mkdir(exist_ok=True)
            for step in steps:
                place = aside / f"{step}_{len(list(aside.iterdir()))}"
                os.replace(self.folder / "checkpoints" / str(step), place)

    def _cut_back(self, row_bytes: dict[str, int], genotype_epoch: int | None, purge_step: int) -> None:
        """Drop what was written after a checkpoint: rows, genotypes, events."""
        with _storage(self.folder):
            for name in ROW_FILES:
                _cut(self.folder / name, row_bytes.get(name, 0))
            for epoch in self._genotype_epochs():
                if genotype_epoch is None or epoch > genotype_epoch:
                    (self.folder / "genotypes" / _genotype_name(epoch)).unlink()
            if genotype_epoch is None:
                (self.folder / "genotype.json").unlink(missing_ok=True)
            else:
                latest = self.folder / "genotypes" / _genotype_name(genotype_epoch)
                atomic_write(self.folder / "genotype.json", latest.read_text(encoding="utf-8"))
        self._close_events()
        self._purge_step = purge_step

    def _genotype_epochs(self) -> list[int]:
        return [int(path.stem.partition("_")[2]) for path in (self.folder / "genotypes").glob("epoch_*.json")]


def _alone(ocp: Any) -> Any:
    """What keeps orbax from waiting for the other hosts: states are whole on each, and only the first one saves."""
    if jax.process_count() == 1:
        return ocp.options.MultiprocessingOptions()
    here = jax.process_index()
    return ocp.options.MultiprocessingOptions(
        primary_host=here, active_processes={here}, barrier_sync_key_prefix=f"host{here}"
    )


class _LastAndBest:
    """Which checkpoints orbax keeps (its `PreservationPolicy`)."""

    def __init__(self, metrics: dict[int, float], reach: int) -> None:
        self._metrics, self._reach = metrics, reach

    def should_preserve(self, checkpoints: Any, *, context: Any) -> list[bool]:
        steps = sorted(info.step for info in checkpoints)
        scored = [step for step in steps if step in self._metrics]
        best = sorted(scored, key=lambda step: (self._metrics[step], step))[-1:]
        # an interruption's is not scored: it pushes none out that a search may go back to
        keep = {*steps[-2 - self._reach :], *scored[max(len(scored) - self._reach, 0) :], *best}
        return [info.step in keep for info in checkpoints]


def _pack(state: Tree) -> tuple[list[list[Any]], np.ndarray]:
    """A state as a table of leaves [name, dtype, shape, implementation of a key] and one array of bytes."""
    named = [(path, jnp.asarray(leaf)) for path, leaf in jax.tree_util.tree_flatten_with_path(state)[0]]
    table = [
        [
            jax.tree_util.keystr(path),
            str(leaf.dtype),
            list(leaf.shape),
            str(jax.random.key_impl(leaf)) if _is_key(leaf) else None,
        ]
        for path, leaf in named
    ]
    arrays = devices.fetch([jax.random.key_data(leaf) if _is_key(leaf) else leaf for _, leaf in named])
    flat = [np.ascontiguousarray(array).reshape(-1).view(np.uint8) for array in arrays]
    return table, np.concatenate(flat) if flat else np.empty(0, np.uint8)


def _unpack(table: list[list[Any]], data: np.ndarray, target: Tree) -> Tree:
    """The state that `_pack` took apart. `jnp.array` copies, so the state may be donated."""
    leaves, place = [], 0
    for (_, _, _, key), leaf in zip(table, jax.tree.leaves(target), strict=True):
        stored = _stored(leaf)
        end = place + stored.size * stored.dtype.itemsize
        array = jnp.array(data[place:end].view(stored.dtype).reshape(stored.shape))
        array = jax.random.wrap_key_data(array, impl=key) if key else array
        leaves.append(array if leaf.sharding is None else jax.device_put(array, leaf.sharding))
        place = end
    return jax.tree.unflatten(jax.tree.structure(target), leaves)


def _check_leaves(table: list[list[Any]], target: Tree, folder: Path) -> None:
    """Raise `UserError` for the first leaf in which a checkpoint and the wanted structure differ."""
    named = jax.tree_util.tree_flatten_with_path(target)[0]
    wanted = {jax.tree_util.keystr(path): f"{leaf.dtype}{list(leaf.shape)}" for path, leaf in named}
    stored = {name: f"{dtype}{shape}" for name, dtype, shape, _ in table}
    for name in [*wanted, *stored]:
        if stored.get(name) != wanted.get(name):
            raise UserError(
                f"The checkpoint in {folder} is of another network or method: {name} is "
                f"{stored.get(name, 'absent')} there and {wanted.get(name, 'absent')} here; "
                "resume with the code and config that made it."
            )


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)


def _stored(leaf: Any) -> Any:
    """Shape and dtype under which a leaf is stored: a typed key as its data."""
    return jax.eval_shape(jax.random.key_data, leaf) if _is_key(leaf) else leaf


def _size_bytes(target: Tree) -> int:
    return sum(s.size * s.dtype.itemsize for s in map(_stored, jax.tree.leaves(target)))


def _environment(command: str) -> dict[str, Any]:
    return {
        "started": datetime.now(UTC).isoformat(timespec="seconds"),
        "command": command,
        "commit": _commit(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpus": os.cpu_count(),
        "backend": jax.default_backend(),
        "devices": [device.device_kind for device in jax.devices()],
        "versions": {"dnas": __version__} | {name: version(name) for name in PACKAGES},
    }


def _commit() -> str | None:
    """The commit of the working directory, `+changes` if files differ from it; None outside a repository."""
    try:
        head, changes = (
            subprocess.run(["git", *arguments], capture_output=True, text=True, timeout=10)
            for arguments in (("rev-parse", "--verify", "HEAD"), ("status", "--porcelain"))
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return head.stdout.strip() + "+changes" * bool(changes.stdout) if head.returncode == 0 else None


def _warn(sentence: str) -> None:
    print(f"Warning: {sentence}", file=sys.stderr)


@contextmanager
def _storage(folder: Path) -> Iterator[None]:
    """Turn what a full or unwritable disk raises, however wrapped, into one sentence."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if _disk_full(error):
            raise StorageError(
                f"The disk that holds {folder} is full; what was saved is intact: free some space, then use --resume."
            ) from error
        if isinstance(error, OSError):
            raise StorageError(f"Cannot write to {folder}: {error.strerror or error}.") from error
        raise


def _disk_full(error: BaseException | None) -> bool:
    while error is not None:
        if isinstance(error, OSError) and error.errno in (ENOSPC, EDQUOT):
            return True
        if any(sign in str(error) for sign in ("No space left on device", "Disk quota exceeded")):
            return True
        error = error.__cause__ or error.__context__
    return False


@contextmanager
def _quiet() -> Iterator[Any]:
    """`orbax.checkpoint`, imported when needed (0.25 s) and kept from logging."""
    import orbax.checkpoint as ocp

    logger = logging.getLogger("absl")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    try:
        yield ocp
    finally:
        logger.setLevel(level)


def _named_mix(cell: Any, weights: np.ndarray) -> dict[str, dict[str, float]]:
    """Weights [E, O] as edge -> operation -> weight."""
    edges = zip(cell.edges, cell.operations, _plain(weights), strict=True)
    return {
        f"{node}<-{source}": dict(zip(names, row[: len(names)], strict=True)) for (node, source), names, row in edges
    }


def _tag(name: str) -> str:
    """`train_loss` -> `loss/train`, so that TensorBoard groups by quantity."""
    split, _, quantity = name.partition("_")
    return f"{quantity}/{split}" if split in ("train", "valid", "test") and quantity else name


def _genotype_name(epoch: int) -> str:
    return f"epoch_{epoch:04d}.json"


def _plain(value: Any) -> Any:
    """JSON-ready: numpy and jax values become Python's, in the shortest decimals of their type; nan, null."""
    if isinstance(value, dict):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    if isinstance(value, (jax.Array, np.ndarray)):
        array = np.asarray(value)
        return _plain(array[()]) if array.ndim == 0 else [_plain(item) for item in array]
    if isinstance(value, np.generic):
        narrow = jnp.issubdtype(value.dtype, jnp.floating) and value.dtype.itemsize < 8
        value = float(str(value)) if narrow else value.item()
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _json(value: Any) -> str:
    return json.dumps(_plain(value), indent=2) + "\n"


def _read_json(path: Path) -> Any:
    """The content of a JSON file; None if it is missing or not JSON."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def _read_rows(path: Path) -> list[dict[str, Any]]:
    if not path.exists():
        return []
    *lines, _ = path.read_bytes().split(b"\n")  # what follows the last newline is empty, or half a line
    rows = []
    for number, line in enumerate(lines, 1):
        try:
            rows.append(json.loads(line))
        except ValueError as error:
            raise UserError(f"Line {number} of {path} is not JSON: remove it, or restore the file.") from error
    return rows


def _append(path: Path, text: str) -> None:
    """Append a whole line or nothing."""
    with _storage(path.parent), open(path, "ab", buffering=0) as file:
        before = file.tell()
        data = memoryview(text.encode())
        try:
            while data:
                data = data[file.write(data) :]
        except OSError:
            file.truncate(before)
            raise


def _cut(path: Path, size_bytes: int | None = None) -> None:
    """Shorten a row file to a size, and to whole lines."""
    if not path.exists():
        return
    content = path.read_bytes()[:size_bytes]
    whole = content.rfind(b"\n") + 1
    if whole < path.stat().st_size:
        os.truncate(path, whole)


def _synced_size(path: Path) -> int:
    """The size of a row file, once it is on the disk."""
    if not path.exists():
        return 0
    with open(path, "rb") as file:
        os.fsync(file.fileno())
        return os.fstat(file.fileno()).st_size
