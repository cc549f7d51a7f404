"""The other files of a run, as a checkpoint knows them: how long each is, its checksum, and where its copy lies.

`checkpoints/copies/` holds every file as it was at the newest checkpoint, to put back what is damaged later. Rows and
events only grow: what an older checkpoint knew is the beginning of the copy.
"""

import os
import re
import shutil
import time
import zlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from dnas.errors import StorageError
from dnas.files import PUT_BACK, atomic_write, cut, move_aside, parsed, read_json, warn
from dnas.paths import content_of, opened
from dnas.runs import checkpoints
from dnas.runs.rows import to_json

ROWS = ("metrics.jsonl", "mix.jsonl")
SMALL = ("config.json", "environment.json", "data.json")
COPIES = Path(checkpoints.FOLDER) / "copies"

Files = dict[str, tuple[int, int]]  # name in the run folder -> bytes and checksum


def genotype_name(epoch: int) -> str:
    """The file of the genotypes of an epoch."""
    return f"genotypes/epoch_{epoch:04d}.json"


def genotype_epochs(names: Iterable[str]) -> list[int]:
    """The epochs of which there are genotypes, in order."""
    found = (re.fullmatch(r"genotypes/epoch_([0-9]{4,})\.json", name) for name in names)
    return sorted(int(match[1]) for match in found if match)


def note(folder: Path, known: Files) -> Files:
    """The files as they are now; what is new since they were `known` is copied. Row files are then on the disk.

    Errors: `StorageError` if a file was cut or removed behind our back.
    """
    files: Files = {}
    for name in _present(folder):
        path, copy = folder / name, folder / COPIES / name
        size, checksum = _size(path), 0
        before, known_checksum = known.get(name, (0, 0))
        if name in ROWS and size < before:
            raise StorageError(_gone(path))
        if name not in known or not size == before == _size(copy):
            begin = before if _grows(name) and size >= before == _size(copy) else 0
            checksum = _copy(path, copy, begin, size, known_checksum if begin else 0)
            files[name] = size, checksum
        else:
            files[name] = known[name]
    for name in known:
        if name not in files and not _is_event(name):
            raise StorageError(_gone(folder / name))
    return files


def lost(folder: Path, files: Files) -> str | None:
    """The first file that is damaged, and whose copy is too. Events can be done without."""
    for name, (size, checksum) in files.items():
        both = folder / name, folder / COPIES / name
        if not _is_event(name) and not any(_intact(path, name, size, checksum) for path in both):
            return name
    return None


def put_back(folder: Path, files: Files) -> None:
    """Make every file that is damaged from its copy, and every copy from its file."""
    last = max(genotype_epochs(files), default=None)
    if last is not None and not _is_json(folder / "genotype.json"):
        _make_way(folder / "genotype.json", folder)
        atomic_write(folder / "genotype.json", intact(folder, files, genotype_name(last)) or b"")
    for name, (size, checksum) in files.items():
        path, copy = folder / name, folder / COPIES / name
        good, good_copy = (_intact(place, name, size, checksum) for place in (path, copy))
        end = size if _grows(name) else None
        if good and not good_copy:
            _remove(copy)
            atomic_write(copy, content_of(path)[:end])
        elif good_copy and not good:
            if last is not None and name == genotype_name(last) and path.is_file() and settled(folder):
                continue  # a selection that followed the last epoch
            warn(f"{damage(folder, name)}; it is put back from the copy in {folder / COPIES}.")
            _make_way(path, folder)
            atomic_write(path, content_of(copy)[:end])


def intact(folder: Path, files: Files, name: str) -> bytes | None:
    """The content of a file, or of its copy, as a checkpoint knows it."""
    for path in (folder / name, folder / COPIES / name):
        if _intact(path, name, *files[name]):
            return content_of(path)
    return None


def cut_back(folder: Path, files: Files) -> None:
    """Drop the rows and genotypes, and the copies, of what was not there yet."""
    for name in ROWS:
        cut(folder / name, files.get(name, (0, 0))[0])
    for path in (folder / "genotypes").glob("epoch_*.json"):
        if path.relative_to(folder).as_posix() not in files:
            _drop(path, folder)
    last = max(genotype_epochs(files), default=None)
    if last is None:
        _drop(folder / "genotype.json", folder)
    elif content := intact(folder, files, genotype_name(last)):
        for name in (genotype_name(last), "genotype.json"):
            atomic_write(folder / name, content)
    for name in filter(_is_event, files):
        if intact(folder, files, name) is None:
            warn(f"{damage(folder, name)}, and so is its copy: TensorBoard will miss what it held.")
    for copy in [path for path in (folder / COPIES).rglob("*") if path.is_file()]:
        name = copy.relative_to(folder / COPIES).as_posix()
        if name not in files:
            copy.unlink()
        elif _grows(name):
            os.truncate(copy, min(files[name][0], _size(copy)))


def newest(folder: Path) -> tuple[int, dict[str, Any]] | None:
    """The newest checkpoint that can be read: its step and what it notes."""
    for step in reversed(checkpoints.steps(folder)):
        try:
            return step, checkpoints.read_about(folder, step)
        except checkpoints.Damaged:
            continue
    return None


def settled(folder: Path) -> bool:
    """Whether genotype.json, if there is one, is what the last of genotypes/ holds, or will be: a run that is just
    writing them is waited for."""
    before = None
    while True:
        names = genotype_epochs(_present(folder))
        if not names or not (folder / "genotype.json").is_file():
            return True
        last = genotype_name(names[-1])
        try:
            seen = last, content_of(folder / "genotype.json"), content_of(folder / last)
        except OSError:  # gone since
            continue
        if seen[1] == seen[2]:
            return True
        if seen == before:
            return False
        before = seen
        time.sleep(0.1)


def check(folder: Path, name: str) -> None:
    """Errors: `StorageError` if a file is not what the newest checkpoint knows; a run may go on meanwhile."""
    while (known := newest(folder)) and name in known[1]["files"]:
        if _intact(folder / name, name, *known[1]["files"][name]):
            return
        if newest(folder) == known:  # else the run has just gone back in time
            raise StorageError(f"{damage(folder, name)}: {PUT_BACK}.")


def read_rows(folder: Path, name: str, fits: Callable[[Any], bool]) -> list[dict[str, Any]]:
    """The rows of a file; a half-written last line is left out. No file: no rows.

    Errors: `StorageError` that names the first line that is no row, or not what was written.
    """
    check(folder, name)
    try:
        content = content_of(folder / name)
    except FileNotFoundError:
        return []
    except OSError as error:
        raise StorageError(f"Cannot read {folder / name} ({error.strerror}): {PUT_BACK}.") from error
    rows, bad = parsed(content, fits)
    if bad:
        raise StorageError(f"Line {bad} of {folder / name} is no row: {PUT_BACK}.")
    return rows


def damage(folder: Path, name: str) -> str:
    """What is wrong with a file, as in 'Line 3 of runs/first/metrics.jsonl is damaged'."""
    path, copy = folder / name, folder / COPIES / name
    if not path.exists():
        return f"{path} is missing"
    if name not in ROWS or not path.is_file():
        return f"{path} is damaged"
    content = content_of(path)
    number = parsed(content, lambda row: isinstance(row, dict))[1]
    if not number and copy.is_file():
        lines, others = content.split(b"\n")[:-1], content_of(copy).split(b"\n")[:-1]
        pairs = enumerate(zip(lines, others, strict=False), 1)
        number = next((number for number, (one, other) in pairs if one != other), len(lines) + 1)
    return f"Line {number} of {path} is damaged" if number else f"{path} is damaged"


def _gone(path: Path) -> str:
    return f"{path} was changed or removed while the run wrote it: {PUT_BACK}."


def _grows(name: str) -> bool:
    return name in ROWS or _is_event(name)


def _is_event(name: str) -> bool:
    return name.startswith("events/")


def _present(folder: Path) -> list[str]:
    """The files that a checkpoint knows, by name; those of which there are many last."""
    few = [name for name in (*SMALL, *ROWS) if (folder / name).is_file()]
    many = [path for part in ("events", "genotypes") for path in sorted((folder / part).glob("*")) if path.is_file()]
    names = [path.relative_to(folder).as_posix() for path in many]
    return few + [name for name in names if _is_event(name) or genotype_epochs([name])]


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1


def _intact(path: Path, name: str, size: int, checksum: int) -> bool:
    """Whether a file begins with what a checkpoint knows; one that does not grow must end there too."""
    if name == "environment.json":
        return _continued(path, checksum)
    try:
        with opened(path) as file:
            content = file.read(size if _grows(name) else size + 1)
    except OSError:
        return False
    return len(content) == size and zlib.crc32(content) == checksum


def _continued(path: Path, checksum: int) -> bool:
    """Whether environment.json is what a checkpoint knows, perhaps with continuations since then."""
    if not _is_json(path, dict):
        return False
    about = read_json(path)
    resumed = about.get("resumed")
    earlier = (resumed[:count] for count in range(len(resumed) + 1)) if isinstance(resumed, list) else ()
    return any(zlib.crc32(to_json(about | {"resumed": part}).encode()) == checksum for part in earlier)


def _is_json(path: Path, kind: type | tuple[type, ...] = (dict, list)) -> bool:
    try:
        return read_json(path, kind) is not None
    except StorageError:
        return False


def _copy(path: Path, copy: Path, begin: int, end: int, checksum: int) -> int:
    """Copy a file from a place on, of which the checksum is known; gives that of all."""
    with opened(path) as file:
        if path.name in ROWS:
            os.fsync(file.fileno())
        file.seek(begin)
        content = file.read(end - begin)
    if not begin:
        _remove(copy)
    with open(copy, "r+b" if begin else "wb") as file:
        file.seek(begin)
        file.write(content)
    return zlib.crc32(content, checksum)


def _make_way(path: Path, folder: Path) -> None:
    """Move aside what is at a path, or is a file where its folder should be."""
    for place in (*reversed([p for p in path.parents if p.is_relative_to(folder) and p != folder]), path):
        if place.exists() and (place == path or not place.is_dir()):
            move_aside(place, folder)
    path.parent.mkdir(exist_ok=True)


def _drop(path: Path, folder: Path) -> None:
    """Delete a file; what is none is not ours."""
    if path.is_file():
        path.unlink()
    elif path.exists():
        move_aside(path, folder)


def _remove(path: Path) -> None:
    """Delete a copy, and what is in its way; its folder is there then."""
    if path.is_dir():
        shutil.rmtree(path)
    for place in (path.parent, path):
        if place.is_file():
            place.unlink()
    path.parent.mkdir(parents=True, exist_ok=True)
