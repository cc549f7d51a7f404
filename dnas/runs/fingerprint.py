"""A digest of all that a function can read, so that its program has a name before it is traced.

A trace sees the function's code, the cells of its closure, its defaults, the globals that its code names, and what all
these are made of. From there everything is followed: functions into their code, bound methods into what their code
reads of `self`, objects into their class and all they hold, arrays into their bytes. Where code only reads through a
name (`self.plan.epochs`), the last value counts: so a run's data and seed stay out of the names of its programs. What
Python, JAX, Flax, Optax and NumPy define is known by their versions. An object that knows better what it is made of
says so by `__fingerprint__`.

All else raises `Unknown`: what is known but may look elsewhere than at its arguments (`known.is_pure`: files, the
clock, random numbers, threads), and what cannot be followed (a module used as a value, a lock, a generator, code in C).
"""

import builtins
import copyreg
import gc
import hashlib
import os
import sys
import types
from collections.abc import Callable, Iterator
from contextvars import ContextVar
from functools import cache, cached_property, partial
from typing import Any

import jax
import numpy as np

from dnas.runs.known import PACKAGES, Chain, Unknown, home_of, is_known, is_named, is_pure, name_of
from dnas.runs.reads import parameters, reads

ATOMS = frozenset({*(type(None), bool, int, float, complex, str, bytes, range), *map(type, (..., NotImplemented))})
CACHED, JITTED = type(cache(lambda: 0)), type(jax.jit(lambda: 0))
READERS = (os.environ, os.getenv, os.path.expandvars, getattr(os, "environb", None), getattr(os, "getenvb", None))
ENVIRONMENT = {id(reader): reader for reader in READERS if reader is not None}  # what reads variables of it
CONTENT: dict[type, Callable[[Any], Any]] = {  # of an object beside its attributes, by the type that it is made from
    **{list: list.copy, dict: dict.copy, tuple: lambda value: tuple(tuple.__iter__(value))},
    **{set: lambda value: {*set.__iter__(value)}, frozenset: lambda value: {*frozenset.__iter__(value)}},
    **{int: int.__int__, float: float.__float__, complex: complex.__complex__},
    **{str: str.__str__, bytes: bytes.__bytes__, np.ndarray: np.asarray, object: lambda value: None},
}
POINTER = 8  # bytes
LIMIT = 20_000  # values; what is made of more takes too long to follow
C_MEMBERS = (  # functions and values of classes that are not written in Python
    *(types.MethodDescriptorType, types.ClassMethodDescriptorType, types.WrapperDescriptorType),
    types.GetSetDescriptorType,
)
DERIVED = {  # members of a class or function that say nothing more, or that Python and its modules make of the others
    *("__module__", "__qualname__", "__doc__", "__dict__", "__weakref__", "__annotations__", "__slotnames__"),
    *("__abstractmethods__", "_abc_impl", "__dataclass_fields__", "__dataclass_params__", "__annotate_func__"),
    *("__annotations_cache__", "__firstlineno__", "__static_attributes__", "__parameters__", "__orig_bases__"),
    "__signature__",
}


def fingerprint(*values: Any) -> str:
    """A digest of values and of all that can be read through them, the same in every process.

    Errors: `Unknown`.
    """
    walk = _Walk()
    try:
        content = [walk.token(value) for value in values], walk.drain()
    except Unknown:
        raise
    except Exception as error:  # looking at an object may run what its class raises
        raise Unknown(f"{type(error).__name__}: {error}") from error
    return hashlib.sha256(repr(content).encode()).hexdigest()


class _Walk:
    """Tokens of values. What may contain itself has a number from when it is first met, and is described later."""

    def __init__(self) -> None:
        self.numbers: dict[Any, int] = {}
        self.waiting: list[Callable[[], Any]] = []
        self.known: set[Chain] = set()  # names of what is known by version
        self.alive: list[Any] = []  # what has a number: an `id` must not come twice
        self.variable = False  # whether data was met that may be others later

    def token(self, value: Any) -> Any:
        """What stands for a value: its content, its name where it is known by version, or its number."""
        kind = type(value)
        if kind in ATOMS:
            return kind.__name__, value
        if kind is tuple:
            return "tuple", [self.token(part) for part in value]
        if isinstance(value, tuple) and hasattr(kind, "_fields"):
            parts = [self.token(part) for part in tuple.__iter__(value)]
            return self.token(kind), parts, self.token(getattr(value, "__dict__", None))
        if kind in (set, frozenset):
            if not all(type(part) in ATOMS for part in value):
                raise Unknown("a set of objects has no order")
            return kind.__name__, sorted(map(repr, value))
        if kind is types.CodeType:
            return self.code(value)
        plain = kind is np.ndarray or isinstance(value, np.generic) and kind.__module__ == "numpy"
        if plain and not value.dtype.hasobject:
            return "array", str(value.dtype), value.shape, hashlib.sha256(value.tobytes()).hexdigest()
        if kind is not types.FunctionType and isinstance(value, jax.Array):
            return self.array(value)
        if id(value) in ENVIRONMENT:
            self.variable = True
            return "environment", sorted(os.environ.items())
        if (name := name_of(value)) is not None:
            return self.named(name)
        if kind is types.MethodType:  # a new object every time
            return self.number((id(value.__self__), id(value.__func__)), value, self.bound)
        return self.number(id(value), value, self.described)

    def drain(self) -> list[Any]:
        """The descriptions of all that has a number."""
        described = []
        while self.waiting:
            described.append(self.waiting.pop(0)())
        return described

    def named(self, name: Chain) -> Any:
        """What a known package calls by this name."""
        if not is_pure(name):
            raise Unknown(f"{'.'.join(name)} may look anywhere")
        self.known.add(name)
        return "known", name

    def number(self, key: Any, value: Any, describe: Callable[[Any], Any]) -> Any:
        if key not in self.numbers:
            if len(self.numbers) == LIMIT:
                raise Unknown(f"it is made of more than {LIMIT} values")
            self.numbers[key] = len(self.numbers)
            self.alive.append(value)
            self.waiting.append(lambda: describe(value))
        return "number", self.numbers[key]

    def array(self, value: jax.Array) -> Any:
        if isinstance(value, jax.core.Tracer):
            raise Unknown("a value that is being traced")
        is_key = jax.dtypes.issubdtype(value.dtype, jax.dtypes.prng_key)
        data = np.asarray(jax.random.key_data(value) if is_key else value)
        return "jax", str(value.dtype), bool(getattr(value, "weak_type", False)), self.token(data)

    def described(self, value: Any) -> Any:
        kind = type(value)
        if kind is types.FunctionType:
            return self.function(value)
        if isinstance(value, type):
            return self.defined(value)
        if kind is dict or kind is types.MappingProxyType:
            return kind.__name__, [(self.token(key), self.token(part)) for key, part in value.items()]
        if kind is list:
            return "list", [self.token(part) for part in value]
        if kind is np.ndarray:
            return "array", value.shape, [self.token(part) for part in value.flat]
        if isinstance(value, types.ModuleType):
            raise Unknown(f"any part of {value.__name__} may be read")
        if kind in (staticmethod, classmethod):
            return kind.__name__, self.token(value.__func__)
        if kind is property:
            return "property", [self.token(part) for part in (value.fget, value.fset, value.fdel)]
        if kind is cached_property:
            return "property", self.token(value.func)
        if kind is JITTED:
            return "jitted", self.token(value.__wrapped__)
        if kind is CACHED:
            return "cache", self.token(self.remembered(value))
        if kind is ContextVar:
            return "context", self.context(value)
        if hasattr(kind, "__fingerprint__"):
            return "made", self.token(kind), self.token(value.__fingerprint__())
        if kind is np.random.Generator:
            return "random", self.token(value.bit_generator.state)
        if name_of(kind) is None:
            return "object", self.token(kind), [self.token(part) for part in _held(value)]
        special = copyreg.dispatch_table.get(kind)  # of patterns and unions of types, as pickle asks
        made = value.__reduce_ex__(4) if special is None else special(value)
        if not isinstance(made, str):
            return "made", [self.token(list(part) if isinstance(part, Iterator) else part) for part in made]
        home = home_of(value) or kind.__module__
        if not is_known(home) or not is_named(value, home, made):
            raise Unknown(f"nobody can look into {value}")
        return self.named((home, made))

    def context(self, value: ContextVar) -> Any:
        try:
            return self.token(value.get())
        except LookupError:
            return "empty"

    def remembered(self, value: Any) -> Any:
        """Of a function with a cache: what it remembers, which is a constant of whoever calls it. Itself, if it would
        compute the same anew: of texts and numbers, by functions that read no variable and open no file."""
        function, size = value.__wrapped__, value.cache_info().currsize
        if not size:
            return function
        if isinstance(function, types.FunctionType) and not parameters(function.__code__):
            return value()
        kept = next(held for held in gc.get_referents(value) if isinstance(held, dict) and len(held) == size)
        asked = [part for key in kept for part in (key if type(key) is tuple else (key,))]
        walk = _Walk()
        walk.token(function)
        walk.drain()
        pure = not walk.variable and all(name[0].partition(".")[0] not in PACKAGES for name in walk.known)
        code = all(type(part) in (types.FunctionType, CACHED) for part in walk.alive)
        if pure and code and all(type(part) in ATOMS for part in asked):
            return function
        raise Unknown(f"{value} remembers what it was asked before")

    def function(self, value: types.FunctionType, owner: Any = None) -> Any:
        code = value.__code__
        cells = dict(zip(code.co_freevars, value.__closure__ or (), strict=True))
        attributes = {name: part for name, part in value.__dict__.items() if name not in DERIVED}
        made = [self.token(value.__defaults__), self.token(value.__kwdefaults__), self.token(attributes or None)]
        if is_known(home := str(home_of(value))):
            made += [self.cell(cell) for cell in cells.values()]
            return self.named((home, code.co_qualname)), code.co_firstlineno, made
        made.append(self.code(code))
        for where, name, chain in reads(code):
            token: Any = None
            if where == "cell":
                token = self.cell(cells[name], chain)
            elif where == "self" and owner is not None:
                token = self.through(owner, chain)
            elif where == "global" and name in value.__globals__:
                token = self.through(value.__globals__[name], chain)
            elif where == "global":
                token = self.token(getattr(builtins, name, None))
            elif where == "import":
                token = self.imported(name, chain)
            made.append((where, name, chain, token))
        return "function", made

    def imported(self, module: str, chain: Chain) -> Any:
        """The token of what an import statement inside a function takes from a module."""
        if module in sys.modules:
            return self.through(sys.modules[module], chain)
        if chain and is_known(module):
            return self.named((module, *chain))
        raise Unknown(f"{module} is still to be imported")

    def cell(self, cell: types.CellType, chain: Chain = ()) -> Any:
        try:
            value = cell.cell_contents
        except ValueError:  # not set yet
            return "empty"
        return self.through(value, chain)

    def bound(self, value: types.MethodType) -> Any:
        function, owner = value.__func__, value.__self__
        ours = not is_known(str(home_of(function))) and not isinstance(owner, type)
        if ours and isinstance(function, types.FunctionType) and function.__code__.co_argcount:
            return self.function(function, owner)
        return "bound", self.token(function), self.token(owner)

    def through(self, value: Any, chain: Chain) -> Any:
        """The token of value.a.b.c, or of as little around it as can be told."""
        for i, name in enumerate(chain):
            kind = type(value)
            if isinstance(value, types.ModuleType):
                if is_known(value.__name__):
                    found = getattr(value, name, None)
                    if not isinstance(found, types.ModuleType):
                        return self.constant(found, (value.__name__, *chain[i:]))
                    value = found
                elif kind is types.ModuleType and name in vars(value):
                    value = vars(value)[name]
                else:
                    break  # its `__getattr__` would make it
                continue
            static = _static(value, name)
            if isinstance(static, cached_property) and name in getattr(value, "__dict__", {}):
                value = value.__dict__[name]  # it was read before: what it remembers is the constant
                continue
            if type(static) in (property, cached_property):
                getter = static.fget if isinstance(static, property) else static.func
                return self.token(types.MethodType(getter, value) if getter else value)
            hooks = kind.__getattribute__, getattr(kind, "__getattr__", None), getattr(type(static), "__get__", None)
            foreign = is_known(kind.__module__) and not is_pure((kind.__module__,))  # may say another thing later
            if foreign or any(isinstance(hook, types.FunctionType) for hook in hooks) or not hasattr(value, name):
                break
            value = getattr(value, name)
        self.variable |= not callable(value)
        return self.token(value)

    def constant(self, value: Any, path: Chain) -> Any:
        """What a known package calls by a name: that name; but data, methods of its objects and what was put in place
        of its own (a patch) are followed."""
        home, owner = home_of(value), getattr(value, "__self__", None)
        plain = isinstance(value, (*ATOMS, tuple, list, dict, set, frozenset, np.ndarray))
        ours = home is not None and not is_known(home)
        method = not isinstance(owner, (type, types.ModuleType, type(None)))
        special = id(value) in ENVIRONMENT or isinstance(value, partial)
        if plain or ours or method or special:
            return self.token(value)
        # with its own name and home: another function of a known package may stand in its place
        own = name_of(value) or (home and (home,))
        return self.named(path), self.named(own) if own else None

    def defined(self, value: type) -> Any:
        """A class: its bases and what it defines, but for what Python derives from that."""
        members = []
        for name, member in vars(value).items():
            if type(member) in C_MEMBERS and member.__objclass__ is value and name not in DERIVED:
                raise Unknown(f"{value} is written in C")
            if name not in DERIVED:
                members.append((name, None if type(member) is types.MemberDescriptorType else self.token(member)))
        fields = vars(value).get("__dataclass_fields__", {}).values()
        about = [(field.name, self.token(field.metadata)) for field in fields]
        kinds = [self.token(kind) for kind in (type(value), *value.__bases__)]
        return "class", value.__module__, value.__qualname__, kinds, members, about

    def code(self, value: types.CodeType) -> Any:
        names = value.co_names, value.co_varnames, value.co_freevars, value.co_cellvars
        counts = value.co_flags, value.co_argcount, value.co_posonlyargcount, value.co_kwonlyargcount
        text = hashlib.sha256(value.co_code + value.co_exceptiontable).hexdigest()
        return text, names, counts, [self.token(constant) for constant in value.co_consts]


def _static(value: Any, name: str) -> Any:
    """What a class has under a name of its instance, or of its own; None for nothing."""
    owners = (*type(value).__mro__, *(value.__mro__ if isinstance(value, type) else ()))
    return next((vars(base)[name] for base in owners if name in vars(base)), None)


def _held(value: Any) -> tuple[Any, Any]:
    """All that an object holds, which its class cannot hide as it can from pickle: its content and its attributes."""
    kind = type(value)
    base = next(base for base in kind.__mro__ if base in CONTENT)
    inline = 1 < abs(kind.__dictoffset__) <= kind.__basicsize__  # else Python keeps the attributes before the object
    words = [inline and not base.__dictoffset__, kind.__weakrefoffset__ and not base.__weakrefoffset__]
    words += copyreg._slotnames(kind)  # type: ignore[attr-defined]
    if kind.__basicsize__ > base.__basicsize__ + POINTER * sum(map(bool, words)):
        raise Unknown(f"{kind} holds what Python does not show")
    return CONTENT[base](value), object.__getstate__(value)  # type: ignore[attr-defined]
