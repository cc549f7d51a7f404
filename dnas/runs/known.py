"""What is known by the version of a package, and what of that looks at nothing but its arguments.

Not what reads files, the clock, random numbers or the process is listed, but what does not: `PURE`, the packages that
programs are written with, less `IMPURE`. All else makes a value `Unknown`. What the former open all the same
(`np.loadtxt`), `watched` sees.
"""

import os
import site
import sys
import sysconfig
import types
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from functools import cache
from typing import Any

PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy", "ml_dtypes")  # known by version
PURE = (  # of the standard library
    *("abc", "bisect", "builtins", "cmath", "collections", "contextlib", "copy", "copyreg", "dataclasses", "enum"),
    *("fractions", "functools", "heapq", "itertools", "math", "numbers", "operator", "re", "string", "types"),
    *("typing", "unicodedata", "warnings", "zlib"),
    *("inspect.signature", "inspect.Signature", "inspect.Parameter", "inspect._ParameterKind", "inspect._empty"),
    *("difflib", "reprlib.Repr"),  # of sentences that refuse a genotype
)
IMPURE = (
    *("builtins.open", "builtins.input", "builtins.breakpoint", "builtins.help"),
    *("builtins.eval", "builtins.exec", "builtins.compile", "builtins.__import__", "builtins.globals"),
    *("builtins.id", "builtins.hash"),
    *("numpy.random", "numpy.ctypeslib", "numpy.f2py", "flax.training", "flax.io"),
    "jax.experimental.array_serialization",
)
PURE_PARTS, IMPURE_PARTS = tuple(f"{name}." for name in (*PACKAGES, *PURE)), tuple(f"{name}." for name in IMPURE)
OUTSIDE = {  # what Python says when something is read from outside
    *("open", "socket.connect", "sqlite3.connect"),
    *("subprocess.Popen", "os.system", "os.exec", "os.spawn", "os.posix_spawn"),
}
HEAP = 1 << 9  # flag of types that were made while Python ran (Py_TPFLAGS_HEAPTYPE)

Chain = tuple[str, ...]  # a.b.c of a value
_seen: ContextVar[list[str] | None] = ContextVar("seen", default=None)


class Unknown(Exception):
    """There is a value of which nobody can tell what it is made of."""


@cache
def is_known(module: str) -> bool:
    """Whether a module is Python's or one of `PACKAGES`."""
    top = module.partition(".")[0]
    file = getattr(sys.modules.get(top), "__file__", None)
    return top in PACKAGES or top in sys.stdlib_module_names and (file is None or file.startswith(installed()))


@cache
def is_pure(name: Chain) -> bool:
    """Whether something known gives the same whenever it is asked the same."""
    full = f"{'.'.join(name)}."
    listed = full.startswith(PURE_PARTS) or full.lstrip("_").startswith(PURE_PARTS)
    return listed and not full.startswith(IMPURE_PARTS)


def home_of(value: Any) -> str | None:
    """The module whose code a value is, whatever it may call itself (`functools.wraps` gives another's name)."""
    if isinstance(value, types.FunctionType):
        return value.__globals__.get("__name__", "")
    module = getattr(value, "__module__", None)
    return module if isinstance(module, str) else None


def name_of(value: Any) -> Chain | None:
    """The name of what a known package defines, None for all else."""
    home = home_of(value)
    if home is None or not is_known(home):
        return None
    static = isinstance(value, type) and not value.__flags__ & HEAP
    name = getattr(value, "__qualname__", None) or getattr(value, "__name__", None)
    if not isinstance(name, str):
        return None
    last = name.rpartition(".")[2]  # `jax.Array` calls itself jaxlib._jax.Array
    return (home, name) if static or is_named(value, home, name) or is_named(value, home, last) else None


def is_named(value: Any, module: str, name: str) -> bool:
    """Whether a value is what a module calls by a name."""
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        found = getattr(found, part, None)
    return found is value


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
        seen[:] = [path for path in seen if path not in loaded and not is_installed(path)]


@cache
def installed() -> Chain:
    """The folders of Python's and installed packages' modules."""
    paths = sysconfig.get_paths()
    folders = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")} | {site.getusersitepackages()}
    return tuple(sorted(f"{name}{os.sep}" for name in folders | set(site.getsitepackages())))


def is_installed(path: str) -> bool:
    """Whether a file is code of Python or of an installed package."""
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
