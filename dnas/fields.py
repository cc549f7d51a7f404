"""Fields of a config by their paths, `search.alphas.learning_rate`, and values for them as one writes them.

A path may leave out what is between its first part and its last, where only one field is meant: retrain.optimiser.
"""

import dataclasses
import math
import re
from collections.abc import Collection, Mapping
from typing import Any

from dnas import find
from dnas.config import Config, from_dict, to_dict
from dnas.errors import UserError, unknown

SEPARATOR = re.compile(rf",(?!\s*{find.KEY}\s*=)")
NUMBER = r"[-+]?(?:\d+(?:\.\d+)?|\.\d+)(?:[eE][-+]?\d+)?"


def differences(a: Any, b: Any, path: str = "") -> list[str]:
    """The fields in which two configs differ, as 'name: old -> new'."""
    found: list[str] = []
    for item in dataclasses.fields(a):
        old, new, name = getattr(a, item.name), getattr(b, item.name), f"{path}{item.name}"
        if dataclasses.is_dataclass(old):
            found += differences(old, new, f"{name}.")
        elif old != new:
            found.append(f"{name}: {old} -> {new}")
    return found


def every(config: Any, path: str = "") -> dict[str, tuple[Any, Any]]:
    """Type and value of every field, by path."""
    found: dict[str, tuple[Any, Any]] = {}
    for item in dataclasses.fields(config):
        value = getattr(config, item.name)
        if dataclasses.is_dataclass(value):
            found |= every(value, f"{path}{item.name}.")
        else:
            found[f"{path}{item.name}"] = (item.type, value)
    return found


def named(typed: str, config: Config, beside: Collection[str] = ()) -> tuple[str, Any, Any]:
    """The path of a field, its type and its value. beside: other words that would do. Errors: `UserError` for none."""
    known = every(config)
    groups = {path.rpartition(".")[0] for path in known} | {"search", "retrain"}
    if typed in groups:
        some = [path for path in known if path.startswith(f"{typed}.")][:3]
        raise UserError(f"{typed} is a group of fields: name one of them, as {', '.join(some)}.")
    if typed in known:
        return typed, *known[typed]
    first, _, last = typed.partition(".")
    meant = [path for path in known if last and path.startswith(f"{first}.") and path.endswith(f".{last}")]
    if len(meant) > 1:
        raise UserError(f"{typed} may be {' or '.join(meant)}: write which.")
    if not meant:
        raise unknown("config field", typed, [*known, *beside])
    return meant[0], *known[meant[0]]


def applied(config: Config, values: Mapping[str, Any]) -> Config:
    """The config with other values of its fields, by path. Errors: `UserError` for what a field does not take."""
    changed = to_dict(config)
    for path, value in values.items():
        *groups, name = path.split(".")
        inner = changed
        for group in groups:
            inner = inner[group]
        inner[name] = value
    return from_dict(changed)


def listed(written: str, path: str, default: Any, where: str) -> tuple[Any, ...] | None:
    """The values of a list, `[sgd,adamw]`, for a field that holds `default`; None where it is no list. where: what has
    it, for messages. Errors: `UserError` for what the field does not take."""
    written = written.strip()
    if not (written.startswith("[") and written.endswith("]")):
        return None
    texts = [text.strip() for text in SEPARATOR.split(written[1:-1])]
    if "" in texts:
        raise UserError(f"{where} {path}={written} has an empty place in its list: leave out a comma, or fill it.")
    return tuple(value_of(text, path, default) for text in texts)


def value_of(text: str, path: str, default: Any) -> Any:
    """A value as the field has it that holds `default`. Errors: `UserError`."""
    if isinstance(default, bool):
        if text.lower() not in ("true", "false"):
            raise UserError(f"{path} is true or false, not '{text}'.")
        return text.lower() == "true"
    if isinstance(default, (int, float)):
        return number_of(text, path, isinstance(default, int))
    return text


def number_of(text: str, path: str, whole: bool) -> int | float:
    """A number for a field. Errors: `UserError`."""
    if not re.fullmatch(NUMBER, text):
        raise UserError(f"{path} is a number, not '{text}'.")
    number = float(text)
    if not whole:
        return number
    if not math.isfinite(number) or number != int(number):
        raise UserError(f"{path} is a whole number, not {text}.")
    return int(number)


def shown(value: Any) -> str:
    """A value as one writes it."""
    return str(value).lower() if isinstance(value, bool) else f"{value:.6g}" if isinstance(value, float) else str(value)
