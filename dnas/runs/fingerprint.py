"""A digest of all that a function can read, so that its program has a name before it is traced.

A trace sees the function's code, the cells of its closure, its defaults, the globals that its code names, and what all
these are made of. From there everything is followed: functions into their code, bound methods into what their code
reads of `self`, objects into what they would tell pickle, arrays into their bytes. Where code only reads through a name
(`self.plan.epochs`), the last value counts: so a run's data and seed stay out of the names of its programs. What
Python, JAX, Flax, Optax and NumPy define is known by their versions. An object that knows better what it is made of
says so by `__fingerprint__`.

What cannot be followed raises `Unknown`: a module used as a value, a lock, a generator, what a cache holds.
What a trace itself reads from outside, `watched` tells.
"""

import builtins
import dis
import gc
import hashlib
import importlib
import inspect
import itertools
import os
import site
import sys
import sysconfig
import types
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache, cached_property, partial
from typing import Any

import jax
import numpy as np

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "ml_dtypes")  # known by version
ATOMS = (type(None), bool, int, float, complex, str, bytes, range, type(...), type(NotImplemented))
VALUELESS = (types.MemberDescriptorType, types.GetSetDescriptorType)  # members of a class that say where, not what
DOORS = (globals, eval, exec, __import__, importlib.import_module, sys.modules, sys._getframe)  # to everything
CACHED, JITTED = type(cache(lambda: 0)), type(jax.jit(lambda: 0))
ENVIRONMENT = (  # what reads variables of the environment
    *(os.environ, os.getenv, os.path.expandvars, os.path.expanduser),
    *(getattr(os, name) for name in ("environb", "getenvb") if hasattr(os, name)),
)
OUTSIDE = {  # what Python says when something is read from outside
    *("open", "socket.connect", "sqlite3.connect"),
    *("subprocess.Popen", "os.system", "os.exec", "os.spawn", "os.posix_spawn"),
}
PURE = {"builtins", "collections", "functools", "itertools", "math", "operator", "re", "string"}  # open no file but:
VARIABLE = ("a variable",)
OPENING = {("builtins", "open"), ("builtins", "input")}
LIMIT = 20_000  # values; what is made of more takes too long to follow

Chain = tuple[str, ...]  # a.b.c of a value
_seen: ContextVar[list[str] | None] = ContextVar("seen", default=None)


class Unknown(Exception):
    """There is a value of which nobody can tell what it is made of."""


def fingerprint(*values: Any) -> str:
    """A digest of values and of all that can be read through them, the same in every process.

    Errors: `Unknown`.
    """
    walk = _Walk()
    content = [walk.token(value) for value in values], walk.drain()
    return hashlib.sha256(repr(content).encode()).hexdigest()


@contextmanager
def watched() -> Iterator[list[str]]:
    """What Python opens for this thread inside: files other than modules, programs, addresses. Complete at the end."""
    _watch()
    seen: list[str] = []
    token = _seen.set(seen)
    try:
        yield seen
    finally:
        _seen.reset(token)
        modules = list(sys.modules.values())
        loaded = {getattr(module, name, None) for module in modules for name in ("__file__", "__cached__")}
        seen[:] = [path for path in seen if path not in loaded and not _is_installed(path)]


@cache
def installed() -> Chain:
    """The folders of Python's and installed packages' modules."""
    paths = sysconfig.get_paths()
    folders = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")} | {site.getusersitepackages()}
    return tuple(sorted(f"{name}{os.sep}" for name in folders | set(site.getsitepackages())))


class _Walk:
    """Tokens of values. What may contain itself has a number from when it is first met, and is described later."""

    def __init__(self) -> None:
        self.numbers: dict[Any, int] = {}
        self.waiting: list[Callable[[], Any]] = []
        self.known: set[Chain] = set()  # names of what is known by version
        self.alive: list[Any] = []  # what has a number: an `id` must not come twice

    def token(self, value: Any) -> Any:
        """What stands for a value: its content, its name where it is known by version, or its number."""
        kind = type(value)
        if kind in ATOMS:
            return kind.__name__, repr(value)
        if kind is tuple or isinstance(value, tuple) and hasattr(kind, "_fields"):
            return "tuple" if kind is tuple else self.token(kind), [self.token(part) for part in value]
        if kind in (set, frozenset):
            if not all(type(part) in ATOMS for part in value):
                raise Unknown("a set of objects has no order")
            return kind.__name__, sorted(map(repr, value))
        if kind is types.CodeType:
            return self.code(value)
        if isinstance(value, np.generic) or kind is np.ndarray and not value.dtype.hasobject:
            return "array", str(value.dtype), value.shape, hashlib.sha256(value.tobytes()).hexdigest()
        if kind is not types.FunctionType and isinstance(value, jax.Array):
            return self.array(value)
        if any(value is door for door in DOORS):
            raise Unknown(f"{value} leads to everything")
        if any(value is one for one in ENVIRONMENT):
            return self.named(("os", "environ")), sorted(os.environ.items())
        if (name := _name(value)) is not None:
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
        if kind is types.ModuleType:
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
        try:
            made = value.__reduce_ex__(4)
        except Exception as error:  # what a class raises there is its own
            raise Unknown(f"what is {kind} made of? {error}") from error
        if isinstance(made, str):
            return "name", value.__module__, made, _stamp(value.__module__)
        if not _is_known(kind.__module__):  # may leave out what it reads from a file again
            made = *made, getattr(value, "__dict__", None)
        return "made", [self.token(list(part) if isinstance(part, Iterator) else part) for part in made]

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
        if isinstance(function, types.FunctionType) and not _parameters(function.__code__):
            return value()
        kept = next(held for held in gc.get_referents(value) if isinstance(held, dict) and len(held) == size)
        asked = [part for key in kept for part in (key if type(key) is tuple else (key,))]
        walk = _Walk()
        walk.token(function)
        walk.drain()
        pure = all(name[0] in PURE and name not in OPENING for name in walk.known)
        code = all(type(part) in (types.FunctionType, CACHED) for part in walk.alive)
        if pure and code and all(type(part) in ATOMS for part in asked):
            return function
        raise Unknown(f"{value} remembers what it was asked before")

    def function(self, value: types.FunctionType, owner: Any = None) -> Any:
        code = value.__code__
        cells = dict(zip(code.co_freevars, value.__closure__ or (), strict=True))
        made = [self.token(value.__defaults__), self.token(value.__kwdefaults__), self.token(value.__dict__ or None)]
        if _is_known(_home(value)):
            name = self.named((str(_home(value)), code.co_qualname))
            return name, code.co_firstlineno, made, [self.cell(c) for c in cells.values()]
        made.append(self.code(code))
        for where, name, chain in _reads(code):
            token: Any = None
            if where == "cell":
                token = self.cell(cells[name], chain)
            elif where == "self" and owner is not None:
                token = self.through(owner, chain)
            elif where == "global" and name in value.__globals__:
                token = self.through(value.__globals__[name], chain)
            elif where == "global":
                token = self.token(getattr(builtins, name, None))
            elif where == "import" and not _is_known(name):
                token = self.through(sys.modules[name], chain) if name in sys.modules else "still to be imported"
            made.append((where, name, chain, token))
        return "function", made

    def cell(self, cell: types.CellType, chain: Chain = ()) -> Any:
        try:
            value = cell.cell_contents
        except ValueError:  # not set yet
            return "empty"
        return self.through(value, chain)

    def bound(self, value: types.MethodType) -> Any:
        function, owner = value.__func__, value.__self__
        if isinstance(function, types.FunctionType) and not isinstance(owner, type) and not _is_known(_home(function)):
            return self.function(function, owner)
        return "bound", self.token(function), self.token(owner)

    def through(self, value: Any, chain: Chain) -> Any:
        """The token of value.a.b.c, or of as little around it as can be told."""
        for i, name in enumerate(chain):
            kind = type(value)
            if isinstance(value, types.ModuleType):
                found = getattr(value, name, None)
                if _is_known(value.__name__) and not isinstance(found, types.ModuleType):
                    return self.constant(found, (value.__name__, *chain[i:]))
                value = found
                continue
            static = next((vars(base)[name] for base in kind.__mro__ if name in vars(base)), None)
            if isinstance(static, cached_property) and name in getattr(value, "__dict__", {}):
                value = value.__dict__[name]  # it was read before: what it remembers is the constant
                continue
            if isinstance(static, (property, cached_property)):
                getter = static.fget if isinstance(static, property) else static.func
                return self.token(types.MethodType(getter, value) if getter else value)
            custom = isinstance(kind.__getattribute__, types.FunctionType) or hasattr(kind, "__getattr__")
            if custom or not hasattr(value, name):
                break
            value = getattr(value, name)
        if isinstance(value, types.ModuleType) and _is_known(value.__name__):
            return self.named((value.__name__,))
        if not callable(value):
            self.known.add(VARIABLE)
        return self.token(value)

    def constant(self, value: Any, path: Chain) -> Any:
        """What a known package calls by a name: that name; but data, methods of its objects and what was put in place
        of its own (a patch) are followed."""
        home, owner = _home(value), getattr(value, "__self__", None)
        plain = isinstance(value, (*ATOMS, tuple, list, dict, set, frozenset, np.ndarray))
        ours = home is not None and not _is_known(home)
        method = not isinstance(owner, (type, types.ModuleType, type(None)))
        special = any(value is one for one in (*DOORS, *ENVIRONMENT)) or isinstance(value, partial)
        # with its own name: another function of a known package may stand in its place
        return self.token(value) if plain or ours or method or special else (self.named(path), _name(value))

    def defined(self, value: type) -> Any:
        """A class: its bases and what it defines, but for what Python derives from that."""
        members = []
        for name, member in vars(value).items():
            plain = isinstance(member, (types.FunctionType, staticmethod, classmethod, property)) or name == "__slots__"
            if (plain or not name.startswith("__")) and name != "_abc_impl":
                members.append((name, None if isinstance(member, VALUELESS) else self.token(member)))
        kinds = [self.token(kind) for kind in (type(value), *value.__bases__)]
        return "class", value.__module__, value.__qualname__, kinds, members, _stamp(value.__module__)

    def code(self, value: types.CodeType) -> Any:
        names = value.co_names, value.co_varnames, value.co_freevars, value.co_cellvars
        counts = value.co_flags, value.co_argcount, value.co_posonlyargcount, value.co_kwonlyargcount
        text = hashlib.sha256(value.co_code + value.co_exceptiontable).hexdigest()
        return text, names, counts, [self.token(constant) for constant in value.co_consts]


@cache
def _reads(code: types.CodeType) -> tuple[tuple[str, str, Chain], ...]:
    """What code, and the code inside it, reads of its surroundings: where from, by which name, and how far through it.

    From a "cell" of its closure, a "global", an "import", or from its first argument, "self".
    """
    found: set[tuple[str, str, Chain]] = set()
    first = code.co_varnames[0] if code.co_argcount else ""
    cells = {*code.co_cellvars, *code.co_freevars}
    lines = [line for line in dis.get_instructions(code) if line.opname != "EXTENDED_ARG"]
    for i, line in enumerate(lines):
        names = line.argval if isinstance(line.argval, tuple) else (line.argval,)
        after = list(itertools.takewhile(lambda one: one.opname in ("LOAD_ATTR", "LOAD_METHOD"), lines[i + 1 :]))
        chain = tuple(one.argval for one in after)
        if line.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
            found.add(("global", line.argval, chain))
        elif line.opname == "IMPORT_NAME":
            found |= _imports(line.argval, lines[i - 2 : i], lines[i + 1 :])
        elif "DEREF" in line.opname and line.argval in code.co_freevars:
            found.add(("cell", line.argval, chain))
        elif first in names and ("DEREF" if first in cells else "FAST") in line.opname:
            follower = lines[i + 1].opname if i + 1 < len(lines) else ""
            if follower not in ("STORE_ATTR", "DELETE_ATTR"):
                precise = names[-1] == first and line.opname.startswith("LOAD")
                found.add(("self", first, chain if precise else ()))
    for inner in code.co_consts:
        if isinstance(inner, types.CodeType):
            for where, name, read in _reads(inner):
                if where in ("global", "import") or where == "cell" and name in code.co_freevars:
                    found.add((where, name, read))
                elif where == "cell" and name == first:
                    found.add(("self", name, read))
    if "super" in code.co_names:  # which reads `self` unseen
        found.add(("self", first, ()))
    return tuple(sorted(found))


def _imports(name: str, before: list[dis.Instruction], after: list[dis.Instruction]) -> set[tuple[str, str, Chain]]:
    """What an import statement takes from a module: some names, or the module."""
    if before and before[0].argval:
        raise Unknown(f"a relative import, {name}")
    taken = set[tuple[str, str, Chain]]()
    for line in after:
        if line.opname == "IMPORT_FROM":
            taken.add(("import", name, (line.argval,)))
        elif not taken or not line.opname.startswith("STORE"):
            break
    return taken or {("import", name, ())}


def _parameters(code: types.CodeType) -> int:
    variable = code.co_flags & (inspect.CO_VARARGS | inspect.CO_VARKEYWORDS)
    return code.co_argcount + code.co_kwonlyargcount + variable


def _home(value: Any) -> str | None:
    """The module whose code a value is, whatever it may call itself (`functools.wraps` gives another's name)."""
    if isinstance(value, types.FunctionType):
        return value.__globals__.get("__name__", "")
    module = getattr(value, "__module__", None)
    return module if isinstance(module, str) else None


def _name(value: Any) -> Chain | None:
    """The name of what a known package defines, None for all else."""
    home = _home(value)
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    if home is None or not isinstance(name, str) or not _is_known(home):
        return None
    found: Any = sys.modules.get(home)
    for part in name.split("."):
        found = getattr(found, part, None)
    return (home, name) if found is value or isinstance(value, type) else None


@cache
def _is_known(module: str) -> bool:
    top = module.partition(".")[0]
    file = getattr(sys.modules.get(top), "__file__", None)
    return top in PACKAGES or top in sys.stdlib_module_names and (file is None or file.startswith(installed()))


def _stamp(module: str) -> Any:
    """Of a module outside the known ones, for what has no code to look at: which file it is."""
    file = getattr(sys.modules.get(module), "__file__", None)
    if file is None or not os.path.exists(file):
        return None
    about = os.stat(file)
    return about.st_size, about.st_mtime_ns


def _is_installed(path: str) -> bool:
    return path.endswith((".py", ".pyc", ".so", ".pyd")) and path.startswith(installed())


@cache
def _watch() -> None:
    """Have Python say what is opened; this cannot be undone."""

    def hook(event: str, args: tuple) -> None:
        seen = _seen.get() if event in OUTSIDE else None
        if seen is None:
            return
        if event != "open":
            seen.append(event)
        elif not isinstance(args[0], int) and args[2] & (os.O_WRONLY | os.O_RDWR) != os.O_WRONLY:
            seen.append(os.path.abspath(os.fsdecode(args[0])))

    sys.addaudithook(hook)
