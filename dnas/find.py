"""Names to things: a space, a method, a data set is a module found by its file name; there is no list to edit.

A choice is written `name` or `name:key=value,key=value`; the settings are the keyword arguments of the module's
factory (`space`, `method` or `dataset`), so `darts:order=second` calls `dnas.methods.darts.method(order="second")`.
"""

import ast
import importlib
import inspect
import pkgutil
from collections.abc import Callable
from typing import Any

from dnas.errors import UserError, unknown

PACKAGES = {"space": "dnas.spaces", "method": "dnas.methods", "data set": "dnas.data"}
FACTORIES = {"space": "space", "method": "method", "data set": "dataset"}


def available(what: str) -> dict[str, Callable[..., Any]]:
    """Every factory of one sort ("space", "method", "data set") by name, in alphabetical order."""
    package = importlib.import_module(PACKAGES[what])
    modules = {m.name: f"{package.__name__}.{m.name}" for m in pkgutil.iter_modules(package.__path__)}
    loaded = {name: importlib.import_module(path) for name, path in sorted(modules.items())}
    return {name: getattr(m, FACTORIES[what]) for name, m in loaded.items() if FACTORIES[what] in vars(m)}


def summary(factory: Callable[..., Any]) -> str:
    """The first line of the docstring of the module that defines a factory."""
    doc = inspect.getdoc(importlib.import_module(factory.__module__)) or ""
    return doc.splitlines()[0] if doc else ""


def parse_choice(text: str) -> tuple[str, dict[str, Any]]:
    """`"darts:nodes=2"` -> `("darts", {"nodes": 2})`. Values are Python literals; anything else is a string."""
    name, _, rest = text.partition(":")
    settings = {}
    for item in filter(None, rest.split(",")):
        key, equals, value = item.partition("=")
        if not equals:
            raise UserError(f"Cannot read '{item}' in '{text}': expected key=value, as in 'darts:order=second'.")
        settings[key.strip()] = _literal(value.strip())
    return name.strip(), settings


def resolve(what: str, text: str) -> Any:
    """Call the factory that a choice names with the choice's settings.

    Errors: `UserError` for an unknown name or setting (with the nearest ones), or a setting of the wrong type.
    """
    name, settings = parse_choice(text)
    factories = available(what)
    if name not in factories:
        raise unknown(what, name, factories)
    factory = factories[name]
    parameters = inspect.signature(factory).parameters
    for key, value in settings.items():
        if key not in parameters:
            raise unknown(f"setting of {what} {name}:", key, parameters)
        default = parameters[key].default
        if isinstance(default, (int, float)) and not isinstance(value, (int, float)):
            raise UserError(f"The setting '{key}' of {what} '{name}' is a number, not '{value}'.")
        if isinstance(default, (bool, int)) and isinstance(value, float):
            raise UserError(f"The setting '{key}' of {what} '{name}' is a whole number, not {value}.")
    return factory(**settings)


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError):
        return {"true": True, "false": False}.get(text.lower(), text)
