"""Which axes of arrays must agree, written as `x *BHWC, scale *C`: one letter is one size, of at least 1.

`*` stands for any number of axes, the same ones in all arrays. Kernels read memory by these sizes, and XLA would spread
a size of 1 in silence, so they are compared wherever a layer or a kernel is traced.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

import numpy as np

from dnas.errors import UserError

FLOATS = ("float16", "bfloat16", "float32", "float64")
Shape = tuple[int, ...]
Sizes = dict[str, Any]  # by letter; `*`: a shape


def agree(what: str, axes: str, *shapes: Shape, **known: int) -> Sizes:
    """The size of every axis of arrays of these shapes; `known`: sizes that are given.

    Errors: `UserError` that names the first axis of which there are two sizes, or none.
    """
    sizes: Sizes = dict(known)
    for (name, letters), shape in zip(_parsed(axes), shapes, strict=True):
        own = _spread(letters, shape)
        if own is None:
            raise _mismatch(what, axes, shapes, f"{name} has {len(shape)} axes")
        for letter, size in zip(letters, own, strict=True):
            if sizes.setdefault(letter, size) != size:
                found = f"{letter} is {_text(size)} in {name}, but {_text(sizes[letter])}"
                raise _mismatch(what, axes, shapes, f"{found} {_origin(letter, axes, known)}")
            if 0 in size if letter == "*" else size < 1:
                raise _mismatch(what, axes, shapes, f"{name} is empty")
    return sizes


def one_float_type(what: str, *arrays: Any, types: Sequence[str] = FLOATS) -> None:
    """Errors: `UserError` unless all arrays have one and the same of these types."""
    found = {array.dtype.name for array in arrays}
    if len(found) > 1 or not found <= set(types):
        expected = f"{', '.join(types[:-1])} or {types[-1]}"
        raise UserError(f"A {what} takes arrays of one type, {expected}, got {' and '.join(sorted(found))}.")


def rule(what: str, takes: str, gives: str, further: Callable[..., Mapping[str, int]] | None = None):
    """A function (shapes, **settings) -> shapes of the results, for `native.kernel`.

    further: (sizes, **settings) -> sizes that follow from others and from settings.
    """

    def shapes(*operands: Shape, **settings: Any) -> list[Shape]:
        sizes = agree(what, takes, *operands)
        if further is not None:
            sizes = agree(what, takes, *operands, **further(sizes, **settings))
        return [shape_of(letters, sizes) for letters in gives.split(", ")]

    return shapes


def shape_of(letters: str, sizes: Sizes) -> Shape:
    """The shape of an array with these axes."""
    return tuple(n for letter in letters for n in (sizes[letter] if letter == "*" else (sizes[letter],)))


def at_least(what: str, setting: str, value: Any, least: int) -> int:
    """A whole number of at least `least`. Errors: `UserError`."""
    if not isinstance(value, int | np.integer) or value < least:
        raise UserError(f"The {setting} of a {what} is {value}, expected a whole number of at least {least}.")
    return int(value)


@cache
def _parsed(axes: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, letters) for name, letters in map(str.split, axes.split(", ")))


def _spread(letters: str, shape: Shape) -> Sequence[Any] | None:
    """What each letter stands for in this shape; None if it has too few or too many axes."""
    more = len(shape) - len(letters)
    if "*" not in letters:
        return None if more else shape
    star = letters.index("*")
    return None if more < -1 else (*shape[:star], shape[star : star + more + 1], *shape[star + more + 1 :])


def _origin(letter: str, axes: str, known: Mapping[str, int]) -> str:
    return "expected" if letter in known else f"in {next(name for name, own in _parsed(axes) if letter in own)}"


def _text(size: Any) -> str:
    return str(list(size)) if isinstance(size, tuple) else str(size)


def _mismatch(what: str, axes: str, shapes: Sequence[Shape], found: str) -> UserError:
    names = [name for name, _ in _parsed(axes)]
    takes = " and ".join(f"{name} [{', '.join(letters).replace('*', '...')}]" for name, letters in _parsed(axes))
    got = " and ".join(f"{name} {_text(tuple(shape))}" for name, shape in zip(names, shapes, strict=True))
    return UserError(f"A {what} takes {takes}, got {got}: {found}.")
