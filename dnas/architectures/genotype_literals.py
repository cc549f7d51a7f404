"""Values as Python and JSON write them: what a genotype's text is made of. Nothing is evaluated."""

import ast
import json
import re
import warnings
from collections import Counter
from collections.abc import Callable
from typing import Any

from dnas.architectures.genotype_data import MOST, shown, unreadable
from dnas.errors import UserError

TOKEN = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"|#[^\n]*|[()\[\]{}]")
LONGEST = 200_000  # characters of one text: Python's parser takes a thousand times the memory
BETWEEN = re.compile(r"[\s,;]*")  # one record and the next
SINGLE = re.compile(r"[{\[(,:]\s*'")  # quotation marks that JSON has not

# Python


def parsed(text: str, expected: str) -> ast.expr:
    """The expression of a text. Errors: `UserError` that says what was expected."""
    if len(text) > LONGEST:
        raise unreadable("the genotype", text, f"{expected} of at most {LONGEST:,} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a backslash in a string, say
            return ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise unreadable("the genotype", text, f"{expected} ({reason(error)})") from None


def value_of(node: ast.expr) -> Any:
    """The value of a literal, as people paste them. Errors: `ValueError`, `TypeError` for anything else."""
    match node:
        case ast.Constant(value):
            return value
        case ast.UnaryOp(ast.USub(), ast.Constant(int(value))):
            return -value
        case ast.Dict(keys, values) if None not in keys:
            return _unique([(_key(key), value_of(value)) for key, value in zip(keys, values, strict=True)])
        case ast.List(items) | ast.Tuple(items):
            return [value for item in items for value in _values(item)]
        case ast.Call(ast.Name(name) | ast.Attribute(attr=name), arguments, keywords) if name in CALLS:
            named = {
                str(keyword.arg): value_of(keyword.value) for keyword in keywords if name in ("CellGenotype", "Edge")
            }
            return CALLS[name](*(value for argument in arguments for value in _values(argument)), **named)
    raise ValueError


def _key(node: ast.expr | None) -> str:
    match node:
        case ast.Constant(str(name)):
            return name
    raise ValueError


def _values(node: ast.expr) -> Any:
    """Of one item of a list, which may be `*range(2, 6)`."""
    return value_of(node.value) if isinstance(node, ast.Starred) else [value_of(node)]


def _range(*limits: int) -> list[int]:
    return list(range(*limits)[: MOST + 1])


def _itself(value: Any) -> Any:
    return value


WRAPPERS = "int int_ intp int8 int16 int32 int64 uint8 uint16 uint32 uint64 str str_ list tuple array tensor"
CALLS: dict[str, Callable[..., Any]] = {  # that NumPy, PyTorch and our own classes print, by their last name
    **dict.fromkeys(WRAPPERS.split(), _itself),
    "range": _range,
    "Edge": lambda node, source, operation: [node, source, operation],
    "CellGenotype": lambda edges, concat=None: {"edges": edges, "concat": concat},
}


# JSON, and dictionaries of Python


RECORD = re.compile(r"\{\s*['\"](?:space|cells|normal|reduce|recurrent|(?:\w+_)?concat)['\"]\s*:")


def extents(text: str) -> list[str]:
    """Every object of a text that begins as a genotype does, to its last bracket."""
    found, start = [], RECORD.search(text)
    while start:
        end = end_of(text, start.start() + 1)
        found.append(text[start.start() : end])
        start = RECORD.search(text, end)
    return found


def records(text: str) -> list[Any]:
    """One record, a list of them, or several one after the other, as JSON or Python writes them."""
    decoder, found, place = json.JSONDecoder(object_pairs_hook=_unique), list[Any](), 0
    while place < len(text):
        try:
            record, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError) as error:
            end = end_of(text, place + 1)
            record = _printed(text[place:end], text, error)
        found += record if isinstance(record, list) and record else [record]
        between = BETWEEN.match(text, end)
        place = between.end() if between else end
    return found


def _printed(part: str, text: str, error: Exception) -> Any:
    """What Python prints, which is no JSON; error: what JSON says of it."""
    if part[0] in "{[" and SINGLE.search(part):
        try:
            return value_of(parsed(part, "JSON, or a dictionary of Python"))
        except (ValueError, TypeError, RecursionError, MemoryError, OverflowError):
            pass
    raise unreadable("the genotype", text, f"JSON ({reason(error)})") from None


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; Python would keep the last of equal names."""
    for name, times in Counter(name for name, _ in pairs).most_common(1):
        if times > 1:
            raise UserError(f"Cannot read the genotype: it has {shown(name)} twice, expected every name once.")
    return dict(pairs)


def reason(error: Exception) -> str:
    """Why a text could not be parsed, in a line."""
    if isinstance(error, RecursionError | MemoryError):
        return "it is nested too deeply"
    return " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split())


def end_of(text: str, start: int) -> int:
    """Where the bracket closes that was opened before `start`; the end of the text if nowhere."""
    depth = 1
    for token in TOKEN.finditer(text, start):
        depth += (token[0] in "([{") - (token[0] in ")]}")
        if depth == 0:
            return token.end()
    return len(text)
