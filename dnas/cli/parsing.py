"""Options: dataclasses that tyro reads and explains. What it refuses is said in one sentence.

tyro draws a box and exits; before it does, it tells a hook of its module `_errors` what is wrong, with the option, the
value and the choices. That module is no stable interface of tyro's, so nothing rests on it: where it is missing, or an
event is none of those that are matched here, the user reads tyro's own box, and the exit code is the same.
"""

import contextlib
import dataclasses
import inspect
from collections.abc import Callable, Iterator
from typing import Any, TypeVar, get_args

import tyro
from tyro.constructors import ConstructorRegistry, PrimitiveConstructorSpec, PrimitiveTypeInfo

from dnas.errors import UserError, nearest

Options = TypeVar("Options")
Flag = tyro.conf.FlagCreatePairsOff[bool]
Hidden = tyro.conf.Suppress[tyro.conf.Fixed[Options]]

ANNOTATION = type(tyro.conf.arg())  # which may give a field another name, and more of them


def optional(metavar: str, name: str | None = None) -> Any:
    """An option that is absent by default, which help need not say."""
    return tyro.conf.arg(metavar=metavar, name=name, help_behavior_hint="")


def parse(kind: type[Options], name: str, arguments: list[str], defaults: Options | None = None) -> Options:
    """The options of a command. Errors: `UserError`, where tyro would draw a box; `SystemExit` after --help."""
    _check_names(kind, name, arguments)

    def refuse(event: Any) -> None:
        sentence = _sentence(event)
        if sentence is not None:
            raise UserError(f"{sentence} See dnas {name} --help.")

    settings: dict[str, Any] = {} if defaults is None else {"default": defaults}
    with _told(refuse):
        return tyro.cli(
            kind,
            args=arguments,
            prog=f"dnas {name}",
            description=inspect.getdoc(kind),
            use_underscores=True,
            registry=NUMBERS,
            **settings,
        )


def option_types(kind: type, path: str = "") -> dict[str, Any]:
    """The options of a dataclass with their types, those of nested ones with dots."""
    found: dict[str, Any] = {}
    for item in dataclasses.fields(kind):
        if tyro.conf.Suppress in get_args(item.type):
            continue
        if item.default_factory is dataclasses.MISSING:
            found |= {f"{path}{name}": item.type for name in _names(item)}
        else:
            nested = "" if item.name == "config" else f"{path}{item.name}."
            found |= option_types(type(item.default_factory()), nested)
    return found


def _names(item: dataclasses.Field[Any]) -> list[str]:
    """What a field is called on the command line."""
    said: list[Any] = [one for one in get_args(item.type) if isinstance(one, ANNOTATION)]
    given = [one.name for one in said if one.name]
    others = [other.removeprefix("--") for one in said for other in one.aliases or ()]
    return [*(given or [item.name]), *others]


def _check_names(kind: type, name: str, arguments: list[str]) -> None:
    """Refuse options that do not exist, with those that are alike, and values of options that take none."""
    known = option_types(kind)
    for argument in arguments:
        typed, equals, value = argument.partition("=")
        option = typed[2:].replace("-", "_")
        if not typed.startswith("--") or option in ("", "help"):
            continue
        if option not in known:
            near = [f"--{k}" for k in nearest(option, known)[:4]]
            hint = f"Did you mean {' or '.join(near)}?" if near else f"See dnas {name} --help."
            raise UserError(f"Unknown option '{typed}' of dnas {name}. {hint}")
        if equals and known[option] == Flag:  # tyro would take the value for an argument
            raise UserError(f"{typed} takes no value, so leave out '={value}'. See dnas {name} --help.")


@contextlib.contextmanager
def _told(hook: Callable[[Any], None]) -> Iterator[None]:
    """Tell `hook` what tyro is about to refuse, if this version of it does."""
    try:
        from tyro._errors import on_parse_error
    except ImportError:
        yield
        return
    with on_parse_error(hook):
        yield


def _sentence(event: Any) -> str | None:
    """What an event of tyro's says, matched by its names alone; None for one that is unknown here."""
    match {"kind": type(event).__name__, **vars(event)}:
        case {"kind": "InstantiationFailure", "argument": argument, "message": message} if argument is not None:
            return f"{argument.display_name()} {message}."
        case {"kind": "InvalidChoice", "argument": argument, "value": value, "choices": choices}:
            known = ", ".join(f"'{choice}'" for choice in choices)
            return f"{argument.display_name()} must be one of {known}, not '{value}'."
        case {"kind": "BadValue", "argument": argument, "reason": "too_few_values"}:
            return f"{argument.display_name()} needs a value."
        case {"kind": "UnrecognizedArgs", "tokens": tokens}:
            return f"Unexpected argument: {', '.join(tokens)}."
        case {"kind": "MissingArgs", "missing_arguments": [first, *_], "prog": command}:
            name = first.arg.display_name().upper()
            return f"{command} needs {'an' if name[0] in 'AEIO' else 'a'} {name}."
    return None


def _number(kind: type, meant: str) -> Callable[[PrimitiveTypeInfo], PrimitiveConstructorSpec[Any] | None]:
    """How tyro reads options of a type of number, and says what it must be."""

    def read(texts: list[str]) -> Any:
        try:
            return kind(texts[0])
        except ValueError:
            raise ValueError(f"must be {meant}, not '{texts[0]}'") from None

    def rule(about: PrimitiveTypeInfo) -> PrimitiveConstructorSpec[Any] | None:
        if about.type != kind and about.type != kind | None:
            return None
        return PrimitiveConstructorSpec(
            nargs=1,
            metavar=kind.__name__.upper(),
            instance_from_str=read,
            is_instance=lambda value: value is None or isinstance(value, (kind, int)),
            str_from_instance=lambda value: [str(value)],
        )

    return rule


NUMBERS = ConstructorRegistry()
NUMBERS.primitive_rule(_number(int, "a whole number"))
NUMBERS.primitive_rule(_number(float, "a number"))
