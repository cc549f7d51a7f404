"""The reader of CIFAR's "python version": an archive or its folder of pickles, which are never executed."""

import gzip
import io
import os
import pickle
import re
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

from dnas.data import Location, data_dir
from dnas.data._archives import read_tar
from dnas.data._files import first_existing, reading
from dnas.errors import UserError
from dnas.paths import opened

SIDE, CHANNELS = 32, 3
MOST_BYTES = 300_000_000  # the largest member, CIFAR-100's train, has 155 MB, and a whole archive 186 MB
MOST_STEPS = 2_000_000  # of a pickle; CIFAR-100's train takes 200,000 to 700,000, by the protocol


def locate_cifar(name: str, archive: str, folder: str) -> Location:
    places = [parent / entry for parent in (data_dir() / name, data_dir()) for entry in (folder, archive)]
    how = f"Download https://www.cs.toronto.edu/~kriz/{archive} into {data_dir()}."
    return Location(tuple(places), first_existing(places), how)


def read_members(place: Path, folder: str, names: Sequence[str]) -> dict[str, dict[str, Any]]:
    """The named pickles of an archive or an extracted folder. Errors: `UserError` that names the member."""
    contents = _read_folder(place, names) if os.path.isdir(place) else _read_archive(place, folder, names)
    for name in names:
        if name not in contents:
            raise UserError(f"{place} has no member '{folder}/{name}': {_REMEDY}.")
    return {name: unpickle(contents[name], place / name) for name in names}


def images_and_labels(batch: dict[str, Any], labels_key: str, where: Path) -> tuple[np.ndarray, np.ndarray]:
    """One batch: uint8 [N, 32, 32, 3] and int32 [N]. On file an image is 3 planes of 32 rows."""
    with reading(where, _REMEDY):
        data, listed = batch["data"], batch[labels_key]
        if not isinstance(listed, np.ndarray) and not all(isinstance(label, int) for label in listed):
            raise ValueError("its labels are no list of whole numbers")  # lists in lists can be of any size
        labels = np.asarray(listed)
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
        names = meta[key]
        if len(names) != count or not all(isinstance(name, (str, bytes)) and len(name) < 100 for name in names):
            raise ValueError(f"'{key}' is no list of {count} names")
        return tuple(name.decode() if isinstance(name, bytes) else name for name in names)


def unpickle(content: bytes, where: Path) -> dict[str, Any]:
    """A pickled dict with text keys. Errors: `UserError` if it is broken or asks for more than arrays."""
    with reading(where, _REMEDY):
        content_dict = _ArraysOnly(content, where).load()
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


_ALLOWED = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _Type,
    **{(f"{core}.multiarray", "_reconstruct"): _reconstruct for core in ("numpy.core", "numpy._core")},
    **{(f"{core}.multiarray", "scalar"): _scalar for core in ("numpy.core", "numpy._core")},
}

_OPCODES = (
    *(pickle.PROTO, pickle.FRAME, pickle.STOP, pickle.MARK, pickle.POP, pickle.POP_MARK),
    *(pickle.NONE, pickle.NEWTRUE, pickle.NEWFALSE, pickle.INT, pickle.BININT, pickle.BININT1, pickle.BININT2),
    *(pickle.LONG, pickle.LONG1, pickle.LONG4, pickle.FLOAT, pickle.BINFLOAT),
    *(pickle.STRING, pickle.BINSTRING, pickle.SHORT_BINSTRING, pickle.UNICODE, pickle.BINUNICODE),
    *(pickle.SHORT_BINUNICODE, pickle.BINUNICODE8, pickle.BINBYTES, pickle.SHORT_BINBYTES, pickle.BINBYTES8),
    *(pickle.EMPTY_TUPLE, pickle.TUPLE, pickle.TUPLE1, pickle.TUPLE2, pickle.TUPLE3),
    *(pickle.EMPTY_LIST, pickle.LIST, pickle.APPEND, pickle.APPENDS),
    *(pickle.EMPTY_DICT, pickle.DICT, pickle.SETITEM, pickle.SETITEMS),
    *(pickle.PUT, pickle.BINPUT, pickle.LONG_BINPUT, pickle.MEMOIZE, pickle.GET, pickle.BINGET, pickle.LONG_BINGET),
    *(pickle.GLOBAL, pickle.STACK_GLOBAL, pickle.REDUCE, pickle.BUILD, pickle.PERSID, pickle.BINPERSID),
)


_KEYS = {pickle.SETITEM[0]: slice(-2, -1), pickle.SETITEMS[0]: slice(0, None, 2), pickle.DICT[0]: slice(0, None, 2)}


def _step(code: int) -> Callable[[Any], None]:
    """What an opcode does, if it may."""
    load = pickle._Unpickler.dispatch[code]

    def step(unpickler: Any) -> None:
        unpickler.steps += 1
        if unpickler.steps > MOST_STEPS:
            raise pickle.UnpicklingError(f"it takes more than {MOST_STEPS:,} steps")
        if code in _KEYS and not all(isinstance(key, (str, bytes)) for key in unpickler.stack[_KEYS[code]]):
            raise pickle.UnpicklingError("a key of a dict is no text")  # to hash nested tuples can end the process
        if code == pickle.BUILD[0] and not isinstance(unpickler.stack[-2], (_Array, _Type)):
            raise pickle.UnpicklingError("it changes something that is no array")
        load(unpickler)

    return step


class _ArraysOnly(pickle._Unpickler):
    """Knows the few names that a pickled numpy array needs, as harmless stand-ins, and refuses all others.

    In Python and not in C, where no step can be counted or looked at.
    """

    dispatch = {code[0]: _step(code[0]) for code in _OPCODES}

    def __init__(self, content: bytes, where: Path) -> None:
        super().__init__(io.BytesIO(content), encoding="bytes")
        self.where = where
        self.steps, self.encoded, self.most_encoded = 0, 0, len(content)

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("_codecs", "encode"):
            return self._encode
        if (module, name) not in _ALLOWED:
            asked = f"it asks to run '{module}.{name}', which no CIFAR file needs"
            raise UserError(f"Refused {self.where}: {asked}; {_REMEDY}.")
        return _ALLOWED[module, name]

    def persistent_load(self, pid: Any) -> NoReturn:
        raise pickle.UnpicklingError("it refers to an object outside of the file")

    def _encode(self, text: str, _encoding: str) -> bytes:
        """How Python 3 pickles bytes for Python 2. Every text is encoded once, so that all fit into the file."""
        self.encoded += len(text)
        if self.encoded > self.most_encoded:
            raise pickle.UnpicklingError("it makes more bytes than it has")
        return text.encode("latin-1")


def _read_folder(place: Path, names: Sequence[str]) -> dict[str, bytes]:
    contents = {}
    for name in names:
        with reading(place / name, _REMEDY), opened(place / name, MOST_BYTES) as file:
            contents[name] = file.read()
    return contents


def _read_archive(place: Path, folder: str, names: Sequence[str]) -> dict[str, bytes]:
    with reading(place, _REMEDY), opened(place) as packed, gzip.open(packed) as archive:
        found = read_tar(archive, [f"{folder}/{name}" for name in names], 2 * MOST_BYTES)
        return {name.removeprefix(f"{folder}/"): content for name, content in found.items()}
