"""Names to things: a space, a method, an optimiser is a module found by its file name; there is no list to edit.

A choice is written `name` or `name:key=value,key=value`; the settings are the keyword arguments of the module's
factory (`space`, `method`, `dataset`, ...), so `darts:order=second` calls `dnas.methods.darts.method(order="second")`.
What a value is, its argument says: a text is the text that was typed (a path, `a+b`), a number lies in the range of its
type (`dnas.ranges`).
"""

import ast
import importlib
import importlib.util
import inspect
import pkgutil
import re
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, NamedTuple

from dnas import ranges
from dnas.errors import UserError, unknown

KEY = r"[A-Za-z_]\w*"
QUOTED = r"""'[^']*'(?=\s*(?:,|$))|"[^"]*"(?=\s*(?:,|$))"""
ITEM = re.compile(rf"\s*({KEY})\s*=\s*({QUOTED}|.*?)\s*(?:,(?=\s*{KEY}\s*=)|$)", re.DOTALL)  # key = value

PACKAGES = {
    "space": "dnas.spaces",
    "method": "dnas.methods",
    "data set": "dnas.data",
    "task": "dnas.tasks",
    "optimiser": "dnas.training.optimisers",
    "schedule": "dnas.training.schedules",
    "average": "dnas.training.averages",
    "table": "dnas.tables",
    "evaluator": "dnas.evaluators",
    "searcher": "dnas.blackbox",
    "proxy": "dnas.proxies",
    "cost": "dnas.costs",
    "check": "dnas.automl.checks",
}
FACTORIES = {what: what for what in PACKAGES} | {"data set": "dataset"}


class Summary(NamedTuple):
    """What a module says of itself: the first line of its docstring, its settings as `name=default`, and its paper.
    An experiment's settings are names: `s1,s2`."""

    line: str
    settings: str
    paper: str


def described(what: str) -> dict[str, Summary]:
    """Every factory of one sort by name, read from the sources: importing all of them takes seconds."""
    found = {}
    for name, tree in _modules(what):
        factory = _definition(tree, FACTORIES[what])
        if factory is not None:
            found[name] = Summary(_first_line(tree), _settings(factory), _paper(tree))
    return found


def returned(what: str, name: str) -> str:
    """What the factory of this name says that it returns, as written there; empty where there is none."""
    factories = (_definition(tree, FACTORIES[what]) for _, tree in _modules(what, name))
    return next((ast.unparse(f.returns) for f in factories if f is not None and f.returns is not None), "")


def exists(what: str, name: str) -> bool:
    """Whether there is a factory of this name; no other is read."""
    return any(_definition(tree, FACTORIES[what]) for _, tree in _modules(what, name))


def available(what: str) -> dict[str, Callable[..., Any]]:
    """Every factory of one sort ("space", "method", ...) by name, in alphabetical order."""
    return {name: _factory(what, name) for name in described(what)}


def functions(module: str) -> dict[str, str]:
    """The public functions of a module of ours in their order, with the first lines of their docstrings.

    Nothing is imported, as `importlib.util.find_spec` would the packages above the module: some of them need jax.
    """
    path = Path(__file__).parent.joinpath(*module.split(".")[1:]).with_suffix(".py")
    tree = ast.parse(path.read_text(encoding="utf-8"))
    public = (f for f in tree.body if isinstance(f, ast.FunctionDef) and not f.name.startswith("_"))
    return {function.name: _first_line(function) for function in public}


def experiments(folder: Path) -> dict[Path, Summary]:
    """The experiment files of a folder and what they say of themselves, not importing them."""
    trees = {path: ast.parse(path.read_text(encoding="utf-8")) for path in sorted(folder.glob("*.py"))}
    return {
        path: Summary(_first_line(tree), ",".join(_keys(tree, "SETTINGS")), _paper(tree))
        for path, tree in trees.items()
        if any(_definition(tree, name) for name in ("config", "configs", "searches", "proxies", "predictors"))
    }


def summary(factory: Callable[..., Any]) -> str:
    """The first line of the docstring of the module that defines a factory."""
    doc = inspect.getdoc(importlib.import_module(factory.__module__)) or ""
    return doc.splitlines()[0] if doc else ""


def parse_choice(text: str) -> tuple[str, dict[str, str]]:
    """`"darts:nodes=2"` -> `("darts", {"nodes": "2"})`.

    A comma begins a setting only where a name and `=` follow, so that paths may have commas. Blanks around a value are
    no part of it; a value in quotes may have anything.
    """
    name, _, rest = text.partition(":")
    settings: dict[str, str] = {}
    place = 0
    while place < len(rest):
        item = ITEM.match(rest, place)
        if item is None:
            found = f"Cannot read '{rest[place:]}' in '{text}'"
            raise UserError(f"{found}: expected key=value, as in 'darts:order=second'.")
        key, value = item.groups()
        if key in settings:
            raise UserError(f"The setting '{key}' is given twice in '{text}'.")
        settings[key] = value
        place = item.end()
    return name.strip(), settings


def written(name: str, settings: Mapping[str, str]) -> str:
    """The choice that `parse_choice` reads as these. Errors: `UserError` for a value that has both kinds of quotes and
    cannot stand without them."""
    text = name
    for key, value in settings.items():
        forms = (f"{text}{':' if text == name else ','}{key}={form}" for form in (value, f"'{value}'", f'"{value}"'))
        read = next((form for form in forms if _reads(form, key, value)), None)
        if read is None:
            raise UserError(f"The {key} {value!r} cannot be written in a choice: give it a name without quotes.")
        text = read
    return text


def _reads(text: str, key: str, value: str) -> bool:
    """Whether the last setting of a choice is this one, and stays so where others follow."""
    try:
        return all(_typed(parse_choice(text + more)[1][key], "", "") == value for more in ("", ",following=1"))
    except (UserError, KeyError):
        return False


def resolve(what: str, text: str) -> Any:
    """Call the factory that a choice names with the choice's settings. Errors: as of `checked`."""
    factory, settings = checked(what, text)
    return factory(**settings)


def checked(what: str, text: str) -> tuple[Callable[..., Any], dict[str, Any]]:
    """The factory that a choice names, and the choice's settings as it takes them.

    Errors: `UserError` for an unknown name or setting (with the nearest ones), or a setting of the wrong type or
    outside its range.
    """
    name, typed = parse_choice(text)
    if not exists(what, name):
        known = described(what)
        if name and (meant := _with_setting(what, name.lower(), known)):
            raise UserError(f"Unknown {what} '{name}'. Did you mean {' or '.join(meant[:3])}?")
        raise unknown(what, name, known)
    factory = _factory(what, name)
    parameters, settings = inspect.signature(factory).parameters, {}
    for key, value in typed.items():
        if key not in parameters:
            raise unknown(f"setting of {what} {name}:", key, parameters)
        where = f"The setting '{key}' of {what} '{name}'"
        settings[key] = _typed(value, parameters[key].default, where)
        ranges.check(settings[key], parameters[key].annotation, where)
    for key in typed:
        given = {known: parameter.default for known, parameter in parameters.items()} | settings
        ranges.check_acts(parameters[key].annotation, given, f"The setting '{key}' of {what} '{name}'")
    return factory, settings


def _with_setting(what: str, value: str, known: Collection[str]) -> list[str]:
    """The choices in which a setting has this value: the space "s2" of a paper is "robust:name=s2" here."""
    found = []
    for name, tree in _modules(what):
        factory, nodes = _definition(tree, FACTORIES[what]), ast.walk(tree)
        if factory is None or not any(isinstance(node, ast.Constant) and node.value == value for node in nodes):
            continue
        for argument, default in zip(factory.args.kwonlyargs, factory.args.kw_defaults, strict=True):
            match default:
                case ast.Constant(str(usual)) if usual not in known:  # else the setting is itself a choice by name
                    with suppress(UserError):  # the factory says which of its texts are values of this setting
                        _factory(what, name)(**{argument.arg: value})
                        found.append(f"{name}:{argument.arg}={value}")
    return found


def _factory(what: str, name: str) -> Callable[..., Any]:
    return getattr(importlib.import_module(f"{PACKAGES[what]}.{name}"), FACTORIES[what])


def _modules(what: str, only: str | None = None) -> Iterator[tuple[str, ast.Module]]:
    """The modules of a package, by name and parsed, in alphabetical order. only: the name of the one that is wanted."""
    package = importlib.import_module(PACKAGES[what])
    for name in sorted(module.name for module in pkgutil.iter_modules(package.__path__)):
        if only not in (None, name):
            continue
        spec = importlib.util.find_spec(f"{package.__name__}.{name}")
        if spec is not None and spec.origin is not None:
            yield name, ast.parse(Path(spec.origin).read_text(encoding="utf-8"))


def _definition(tree: ast.Module, name: str) -> ast.FunctionDef | None:
    functions = (node for node in tree.body if isinstance(node, ast.FunctionDef) and node.name == name)
    return next(functions, None)


def _keys(tree: ast.Module, name: str) -> list[str]:
    """The keys of the dictionary that is written under this name."""
    for node in tree.body:
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=target)], value=ast.Dict(keys=keys))
                | ast.AnnAssign(target=ast.Name(id=target), value=ast.Dict(keys=keys))
            ) if target == name:
                return [str(key.value) for key in keys if isinstance(key, ast.Constant)]
    return []


def _first_line(node: ast.Module | ast.FunctionDef) -> str:
    return (ast.get_docstring(node) or "").partition("\n")[0]


def _paper(module: ast.Module) -> str:
    """The first paper that a module's docstring names, unless it says that there is none."""
    doc = ast.get_docstring(module) or ""
    named = re.search(r"arXiv:\d{4}\.\d{4,5}|OpenReview [\w-]{8,}", doc)
    return named.group() if named and "No paper" not in doc else ""


def _settings(factory: ast.FunctionDef) -> str:
    """`order=first,radius=0.01`; `...` for a default that is computed or empty."""
    pairs = zip(factory.args.kwonlyargs, factory.args.kw_defaults, strict=True)
    shown = [
        f"{argument.arg}={(isinstance(default, ast.Constant) and str(default.value)) or '...'}"
        for argument, default in pairs
    ]
    return ",".join(shown)


def _typed(text: str, default: Any, where: str) -> Any:
    """The value of a text, of the type of the default."""
    value = _literal(text)
    if isinstance(default, str):
        quoted = isinstance(value, str) and text[:1] in ("'", '"')
        return value if quoted else text
    if isinstance(default, bool):
        if not isinstance(value, bool):
            raise UserError(f"{where} is true or false, not '{text}'.")
    elif isinstance(default, (int, float)):
        if not isinstance(value, (int, float)) or isinstance(value, bool):
            raise UserError(f"{where} is a number, not '{text}'.")
        if isinstance(default, int) and isinstance(value, float):
            raise UserError(f"{where} is a whole number, not {text}.")
    return value


def _literal(text: str) -> Any:
    try:
        return ast.literal_eval(text)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return {"true": True, "false": False}.get(text.lower(), text)
