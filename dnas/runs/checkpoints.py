"""Checkpoints: the state of a run, and what else it needs to go on, one file each: `checkpoints/<step>.ckpt`.

    one line    how long `about` is, and its checksum
    about       a JSON object: what the run notes, the table of leaves, the other files of the run (dnas/runs/copies.py)
    state       all arrays one after the other

A checkpoint is written under another name and renamed when it is on the disk, so that it is whole or not there; it is
deleted in one step. A checksum for each part finds what a disk has damaged.
"""

import json
import re
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dnas import __version__
from dnas.errors import StorageError, UserError
from dnas.paths import opened, replaced
from dnas.runs import devices
from dnas.types import Tree

FOLDER, FORMAT = "checkpoints", 1


class Damaged(Exception):
    """A checkpoint that cannot be gone on from; the text says why."""


class Saved(NamedTuple):
    """What decides whether a checkpoint is kept. metric: the larger the better. interim: written between two regular
    ones, because the run was told to stop."""

    metric: float | None
    interim: bool


def steps(folder: Path) -> list[int]:
    """The steps of the checkpoints in a run folder, in order."""
    place = folder / FOLDER
    if not place.exists():
        return []
    if not place.is_dir():
        raise StorageError(f"{place} is damaged, it is no folder: restore it, or start again with another --out.")
    names = [path.stem for path in place.glob("*.ckpt")]
    return sorted(int(name) for name in names if re.fullmatch(r"0|[1-9][0-9]*", name))


def refuse_foreign(folder: Path) -> None:
    """Refuse to go on from checkpoints of a dnas that wrote other ones. Errors: `StorageError`."""
    place = folder / FOLDER
    if any(place.glob("*/_CHECKPOINT_METADATA")):
        raise StorageError(
            f"The checkpoints in {place} are of a dnas before 0.1.0, which this one, {__version__}, cannot read: go on "
            "with the version that made them, or start again with another --out."
        )


def path_of(folder: Path, step: int) -> Path:
    """The file of a checkpoint."""
    return folder / FOLDER / f"{step}.ckpt"


def write(folder: Path, step: int, about: dict[str, Any], state: tuple[list[list[Any]], np.ndarray]) -> None:
    """Save what `pack` made of a state; when this returns, it is on the disk."""
    table, data = state
    size, checksum = data.nbytes, zlib.crc32(data.data)
    text = json.dumps({"format": FORMAT, **about, "leaves": table, "bytes": size, "crc32": checksum}).encode()
    (folder / FOLDER).mkdir(exist_ok=True)
    with replaced(path_of(folder, step)) as part, open(part, "wb") as file:
        file.write(_head(text))
        file.write(text)
        file.write(data.data)


def read_about(folder: Path, step: int) -> dict[str, Any]:
    """What a checkpoint notes. Errors: `Damaged`; `StorageError` if another version wrote it."""
    try:
        with opened(path_of(folder, step)) as file:
            head = file.readline(100)
            text = file.read(int(head.split()[2]))
    except (OSError, ValueError, IndexError, OverflowError, MemoryError) as error:
        raise Damaged(getattr(error, "strerror", None) or "its first line is broken") from error
    if head != _head(text):
        raise Damaged("its checksum is wrong")
    about: dict[str, Any] = json.loads(text)
    if about.get("extra", {}).get("step", step) != step:
        raise Damaged(f"it is that of step {about['extra']['step']}")
    if about["format"] != FORMAT:
        raise StorageError(
            f"{path_of(folder, step)} is of another version of dnas (format {about['format']}), which this one, "
            f"{__version__}, cannot read: go on with the version that made it."
        )
    return about | {"state_begins": len(head) + len(text)}


def read_state(folder: Path, step: int, about: dict[str, Any], target: Tree) -> Tree:
    """The state of a checkpoint. Errors: `Damaged`; `UserError` if it has another structure than the target."""
    check_leaves(about["leaves"], target, folder)
    return unpack(about["leaves"], read_data(folder, step, about), target)


def read_data(folder: Path, step: int, about: dict[str, Any]) -> np.ndarray:
    """The state as `pack` made it, in bytes. Errors: `Damaged`."""
    try:
        with opened(path_of(folder, step)) as file:
            file.seek(about["state_begins"])
            data = np.fromfile(file, np.uint8)
    except OSError as error:
        raise Damaged(error.strerror) from error
    if data.nbytes != about["bytes"] or zlib.crc32(data.data) != about["crc32"]:
        raise Damaged("its checksum is wrong")
    return data


def kept(saved: Mapping[int, Saved], maximum_rollback: int) -> set[int]:
    """Which checkpoints stay: the newest; of the regular ones the last two, as many more as a search may go back
    (`maximum_rollback`), and the best. So what is left in the end does not depend on where a run was stopped."""
    regular = sorted(step for step, about in saved.items() if not about.interim)
    scored = [(about.metric, step) for step, about in saved.items() if about.metric is not None]
    best, newest = [step for _, step in sorted(scored)[-1:]], [max(saved)] if saved else []
    return {*regular[-2 - maximum_rollback :], *best, *newest}


def clean(folder: Path) -> None:
    """Delete what a killed process had begun to write: it takes up space."""
    places = (folder, ".*.json.*.part"), (folder / "genotypes", ".*.part"), (folder / FOLDER, "**/.*.part")
    for part in [part for place, pattern in places for part in place.glob(pattern)]:
        part.unlink(missing_ok=True)


def pack(state: Tree) -> tuple[list[list[Any]], np.ndarray]:
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


def unpack(table: list[list[Any]], data: np.ndarray, target: Tree) -> Tree:
    """The state that `pack` took apart. `jnp.array` copies, so the state may be donated."""
    leaves, place = [], 0
    for (_, _, _, key), leaf in zip(table, jax.tree.leaves(target), strict=True):
        stored = jax.eval_shape(jax.random.key_data, leaf) if _is_key(leaf) else leaf
        end = place + stored.size * stored.dtype.itemsize
        array = jnp.array(data[place:end].view(stored.dtype).reshape(stored.shape))
        array = jax.random.wrap_key_data(array, impl=key) if key else array
        leaves.append(array if leaf.sharding is None else jax.device_put(array, leaf.sharding))
        place = end
    return jax.tree.unflatten(jax.tree.structure(target), leaves)


def arrays(table: list[list[Any]], data: np.ndarray) -> dict[str, np.ndarray]:
    """The arrays of a state by their names, as `jax.tree_util.keystr` writes them; keys are left out."""
    found, place = {}, 0
    for name, dtype, shape, key in table:
        if key:
            key_shape = jax.eval_shape(lambda key=key: jax.random.key_data(jax.random.key(0, impl=key))).shape
            place += 4 * int(np.prod([*shape, *key_shape]))
            continue
        end = place + jnp.dtype(dtype).itemsize * int(np.prod(shape))
        found[name] = data[place:end].view(jnp.dtype(dtype)).reshape(shape)
        place = end
    return found


def check_leaves(table: list[list[Any]], target: Tree, folder: Path) -> None:
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


def _head(about: bytes) -> bytes:
    return b"dnas checkpoint: %d bytes, checksum %d\n" % (len(about), zlib.crc32(about))


def _is_key(leaf: Any) -> bool:
    return jnp.issubdtype(leaf.dtype, jax.dtypes.prng_key)
