"""Pickles of numbers and arrays, read without running anything: what a format of others may name is listed, every name
stands for something harmless of ours, and whatever else a pickle asks for is refused.
"""

import io
import pickle
import re
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple, NoReturn

import numpy as np

from dnas.errors import UserError

MOST_STEPS = 2_000_000  # of a pickle; CIFAR-100's train takes 200,000 to 700,000, by the protocol


class Format(NamedTuple):
    """What files of one kind may hold.

    files: what they are called, as in "CIFAR file". remedy: what to do with one that is refused.
    types: a pattern of the types of numbers, as in `[iu][1248]`. is_key: what a key of a dict may be, which is no tuple
    of tuples, since to hash nested ones can end the process. key: how that is called.
    ordered: whether its dicts may be ordered ones; they become plain dicts.
    """

    files: str
    remedy: str
    types: str
    is_key: Callable[[Any], bool]
    key: str = "text"
    ordered: bool = False


def is_text(key: Any) -> bool:
    """Whether it is a text, of Python 2 or 3."""
    return isinstance(key, (str, bytes))


def load(content: bytes, where: Path, form: Format) -> Any:
    """What a pickle holds; arrays are still `Array`.

    Errors: `UserError` if it asks for more than its format may hold; whatever a broken one raises
    (`_files.CONTENT_ERRORS`).
    """
    return _Numbers(content, where, form).load()


class Array:
    """Stands in for numpy.ndarray in a pickle: shape, type and bytes, checked before they become an array."""

    array: np.ndarray

    def __setstate__(self, state: tuple) -> None:
        _, shape, kind, fortran_order, data = state
        values = np.frombuffer(data, kind.dtype)
        self.array = values.reshape(shape, order="F" if fortran_order else "C")


class _Type:
    """Stands in for numpy.dtype in a pickle: some types of numbers only."""

    def __init__(self, allowed: str, code: str | bytes, *_: object) -> None:
        text = code.decode() if isinstance(code, bytes) else code
        if not re.fullmatch(allowed, text):
            raise pickle.UnpicklingError(f"it holds an array of type '{text}'")
        self.dtype = np.dtype(text)

    def __setstate__(self, state: tuple) -> None:
        if state[1] in (b">", ">"):
            self.dtype = self.dtype.newbyteorder(">")


def _reconstruct(*_: object) -> Array:
    return Array()


def _scalar(kind: _Type, data: bytes) -> int | float:
    return np.frombuffer(data, kind.dtype)[0].item()


def _dict() -> dict:
    return {}


def _known(form: Format) -> Mapping[tuple[str, str], Any]:
    """What stands for each name that a pickle of the format may have."""
    names: dict[tuple[str, str], Any] = {("numpy", "ndarray"): Array, ("numpy", "dtype"): partial(_Type, form.types)}
    for core in ("numpy.core", "numpy._core"):
        names |= {(f"{core}.multiarray", "_reconstruct"): _reconstruct, (f"{core}.multiarray", "scalar"): _scalar}
    return names | ({("collections", "OrderedDict"): _dict} if form.ordered else {})


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
        if code in _KEYS and not all(map(unpickler.form.is_key, unpickler.stack[_KEYS[code]])):
            raise pickle.UnpicklingError(f"a key of a dict is no {unpickler.form.key}")
        if code == pickle.BUILD[0] and not isinstance(unpickler.stack[-2], (Array, _Type)):
            raise pickle.UnpicklingError("it changes something that is no array")
        load(unpickler)

    return step


class _Numbers(pickle._Unpickler):
    """Knows the few names that pickled numbers need, as harmless stand-ins, and refuses all others.

    In Python and not in C, where no step can be counted or looked at.
    """

    dispatch = {code[0]: _step(code[0]) for code in _OPCODES}

    def __init__(self, content: bytes, where: Path, form: Format) -> None:
        super().__init__(io.BytesIO(content), encoding="bytes")
        self.where, self.form, self.known = where, form, _known(form)
        self.steps, self.encoded, self.most_encoded = 0, 0, len(content)

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) == ("_codecs", "encode"):
            return self._encode
        if (module, name) not in self.known:
            asked = f"it asks to run '{module}.{name}', which no {self.form.files} needs"
            raise UserError(f"Refused {self.where}: {asked}; {self.form.remedy}.")
        return self.known[module, name]

    def persistent_load(self, pid: Any) -> NoReturn:
        raise pickle.UnpicklingError("it refers to an object outside of the file")

    def _encode(self, text: str, _encoding: str) -> bytes:
        """How Python 3 pickles bytes for Python 2. Every text is encoded once, so that all fit into the file."""
        self.encoded += len(text)
        if self.encoded > self.most_encoded:
            raise pickle.UnpicklingError("it makes more bytes than it has")
        return text.encode("latin-1")
