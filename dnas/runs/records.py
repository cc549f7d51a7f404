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

import dataclasses
import json
import re
import time
from contextlib import ExitStack
from itertools import count
from pathlib import Path
from typing import Any

from dnas import paths
from dnas.config import Config, load, to_dict
from dnas.errors import StorageError, UserError
from dnas.fields import differences
from dnas.files import PUT_BACK, atomic_write, read_json, storage, warn
from dnas.runs import checkpoints, copies, devices, environment
from dnas.runs.checkpoints import Damaged
from dnas.runs.rows import is_metrics, is_mix, to_json
from dnas.runs.run import Run


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


def create(folder: str | Path, config: Config, command: str = "") -> Run:
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


def opened(folder: Path, config: Config, command: str, again: bool, grows: str) -> Run:
    """`resume` or `create`."""
    return resume(folder, config, command, grows) if again else create(folder, config, command)


def resume(folder: str | Path, config: Config | None = None, command: str = "", grows: str = "") -> Run:
    """Open a run folder to continue it; files that were damaged are put back as the newest checkpoint knows them.

    grows: "search" or "retrain", whose epochs in `config` may be more than the run had: then it goes on for longer, and
    environment.json says so. Errors: `UserError` if it holds no run, if another process has it open, if `config` is
    given and is not the run's, or if something is damaged for which there is no copy.
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
        longer = config if config is not None and changed and _is_longer(folder, saved, config, grows) else None
        if changed and longer is None:
            raise StorageError(
                f"{folder} was made with another config ({'; '.join(changed)}): "
                "resume it without these options, or choose another --out."
            )
        if first:
            here = environment.described(command) | ({"longer": changed} if longer else {})
            known = _kept_environment(folder) or here | {"resumed": []}
            known["resumed"] = [*known.get("resumed", []), here]
            atomic_write(folder / "environment.json", to_json(known))
        devices.wait("run folder")
        run = Run(folder, longer or saved, lock.pop_all())
        run.longer = longer is not None
        return run


def _is_longer(folder: Path, saved: Config, config: Config, grows: str) -> bool:
    """Whether the other config is that of the run but for more epochs. Errors: `UserError` for fewer."""
    if not grows:
        return False
    old, new = getattr(saved, grows), getattr(config, grows)
    if dataclasses.replace(saved, **{grows: dataclasses.replace(old, epochs=new.epochs)}) != config:
        return False
    if new.epochs < old.epochs:
        raise UserError(
            f"{folder} has {grows}.epochs {old.epochs}: with --resume a run can go on for longer, not for {new.epochs}."
        )
    return True


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


def read_description(folder: str | Path, name: str) -> dict[str, Any]:
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
