"""The reader of CIFAR's "python version": an archive or its folder of pickles, which are never executed."""

import io
import pickle
import re
import tarfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from dnas.data import Location, data_dir
from dnas.data._files import reading
from dnas.errors import UserError

SIDE, CHANNELS = 32, 3
MOST_BYTES = 300_000_000  # the largest member, CIFAR-100's train, has 155 MB


def locate_cifar(name: str, archive: str, folder: str) -> Location:
    places = [parent / entry for parent in (data_dir() / name, data_dir()) for entry in (folder, archive)]
    found = next((place for place in places if place.exists()), None)
    how = f"Download https://www.cs.toronto.edu/~kriz/{archive} into {data_dir()}."
    return Location(tuple(places), found, how)


def read_members(place: Path, folder: str, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The named pickles of an archive or an extracted folder. Errors: `UserError` that names the member."""
    contents = _read_folder(place, names) if place.is_dir() else _read_archive(place, folder, names)
    for name in names:
        if name not in contents:
            raise UserError(f"{place} has no member '{folder}/{name}': {_REMEDY}.")
    return {name: unpickle(contents[name], place / name) for name in names}


def images_and_labels(batch: dict[str, Any], labels_key: str, where: Path) -> tuple[np.ndarray, np.ndarray]:
    """One batch: uint8 [N, 32, 32, 3] and int32 [N]. On file an image is 3 planes of 32 rows."""
    with reading(where, _REMEDY):
        data = batch["data"]
        labels = np.asarray(batch[labels_key])
        if not isinstance(data, np.ndarray) or data.dtype != np.uint8:
            raise ValueError("its 'data' is no uint8 array")
        if data.ndim != 2 or data.shape[1] != CHANNELS * SIDE * SIDE:
            raise ValueError(f"its images have shape {list(data.shape)}")
        if labels.shape != data.shape[:1] or not np.issubdtype(labels.dtype, np.integer):
            raise ValueError(f"{len(data)} images, but labels of shape {list(labels.shape)}")
        if labels.min(initial=0) < 0 or labels.max(initial=0) > 99:
            raise ValueError(f"its labels run from {labels.min()} to {labels.max()}")
        images = data.reshape(-1, CHANNELS, SIDE, SIDE).transpose(0, 2, 3, 1)
        return np.ascontiguousarray(images), labels.astype(np.int32)


def class_names(meta: dict[str, Any], key: str, count: int, where: Path) -> tuple[str, ...]:
    with reading(where, _REMEDY):
        names = [name.decode() if isinstance(name, bytes) else name for name in meta[key]]
        if len(names) != count or not all(isinstance(name, str) for name in names):
            raise ValueError(f"'{key}' is no list of {count} names")
        return tuple(names)


def unpickle(content: bytes, where: Path) -> dict[str, Any]:
    """A pickled dict with text keys. Errors: `UserError` if it is broken or asks for more than arrays."""
    with reading(where, _REMEDY):
        content_dict = _ArraysOnly(io.BytesIO(content), where).load()
        if not isinstance(content_dict, dict):
            raise ValueError("it holds no dict")
        unpacked = {k.decode() if isinstance(k, bytes) else k: v for k, v in content_dict.items()}
        return {k: v.array if isinstance(v, _Array) else v for k, v in unpacked.items()}


_REMEDY = "download the archive again from https://www.cs.toronto.edu/~kriz/cifar.html"


class _Type:
    """Stands in for numpy.dtype in a pickle: whole numbers only."""

    def __init__(self, code: str | bytes, *_: object) -> None:
        text = code.decode() if isinstance(code, bytes) else code
        if not re.fullmatch(r"[iu][1248]", text):
            raise pickle.UnpicklingError(f"it holds an array of type '{text}'")
        self.dtype = np.dtype(text)

    def __setstate__(self, state: tuple) -> None:
        if state[1] in (b">", ">"):
            self.dtype = self.dtype.newbyteorder(">")


class _Array:
    """Stands in for numpy.ndarray in a pickle: shape, type and bytes, checked before they become an array."""

    array: np.ndarray

    def __setstate__(self, state: tuple) -> None:
        _, shape, kind, fortran_order, data = state
        values = np.frombuffer(data, kind.dtype)
        self.array = values.reshape(shape, order="F" if fortran_order else "C")


def _reconstruct(*_: object) -> _Array:
    return _Array()


def _scalar(kind: _Type, data: bytes) -> int:
    return int(np.frombuffer(data, kind.dtype)[0])


def _encode(text: str, _encoding: str) -> bytes:
    return text.encode("latin-1")  # how Python 3 pickles bytes for Python 2


_ALLOWED = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
    ("_codecs", "encode"): _encode,
    **{(f"{core}.multiarray", "_reconstruct"): _reconstruct for core in ("numpy.core", "numpy._core")},
    **{(f"{core}.multiarray", "scalar"): _scalar for core in ("numpy.core", "numpy._core")},
}


class _ArraysOnly(pickle.Unpickler):
    """Knows the few names that a pickled numpy array needs, as harmless stand-ins, and refuses all others."""

    def __init__(self, file: io.BytesIO, where: Path) -> None:
        super().__init__(file, encoding="bytes")
        self.where = where

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            asked = f"it asks to run '{module}.{name}', which no CIFAR file needs"
            raise UserError(f"Refused {self.where}: {asked}; {_REMEDY}.")
        return _ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> NoReturn:
        raise pickle.UnpicklingError("it refers to an object outside of the file")


def _read_folder(place: Path, names: Sequence[str]) -> dict[str, bytes]:
    contents = {}
    for name in names:
        with reading(place / name, _REMEDY):
            _check_size((place / name).stat().st_size)
            contents[name] = (place / name).read_bytes()
    return contents


def _read_archive(place: Path, folder: str, names: Sequence[str]) -> dict[str, bytes]:
    wanted = {f"{folder}/{name}": name for name in names}
    contents: dict[str, bytes] = {}
    with reading(place, _REMEDY), tarfile.open(place, "r:gz") as archive:
        for member in archive:
            name = wanted.get(member.name.removeprefix("./"))
            file = archive.extractfile(member) if name and member.isfile() else None
            if name and file:
                _check_size(member.size)
                contents[name] = file.read()
            if len(contents) == len(wanted):
                break
    return contents


def _check_size(size: int) -> None:
    if not 0 < size <= MOST_BYTES:
        raise ValueError(f"a member of {size} bytes")
