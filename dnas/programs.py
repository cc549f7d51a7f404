"""Compiled programs kept on disk, so that a run like an earlier one starts without tracing or compiling.

JAX's own cache is asked by the lowered text of a program, and tracing and lowering a supernet take longer than all else
at such a start. Here a program has two names. One is made of everything that goes into it: the sources, the versions,
the settings, the machine, the arguments, and what the run bakes into it as constants; it is known before tracing. The
other is made of the lowered text, for sources that changed without changing the program. Where what goes into it cannot
be known (code typed into a notebook, several devices or hosts), a program is left to JAX.
"""

import hashlib
import json
import logging
import os
import pickle
import site
import sys
import sysconfig
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import jax
from flax import nnx
from jax.experimental import serialize_executable
from jax.experimental.compilation_cache import compilation_cache

import dnas
from dnas.data import data_dir
from dnas.devices import Layout
from dnas.nets import native
from dnas.nets.functional import Functional, functionalize
from dnas.types import Tree

FOLDER_BYTES = 2**30  # what all kept programs may take; the ones longest unused go first
PACKAGES = ("jax", "jaxlib", "flax", "optax", "numpy")
PREFIXES = ("DNAS_", "JAX_", "XLA_", "TF_", "LIBTPU_", "CUDA_", "NVIDIA_")  # of environment variables that tell
NEUTRAL = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")  # settings that change no program
CHECK_BYTES = hashlib.sha256().digest_size  # at the start of a file, of what follows

log = logging.getLogger(__name__)


class Programs:
    """The programs of one run.

    description: what goes into them besides arguments, code and machine, ready for JSON: the config, and whatever of
    the data ends up as a constant.
    """

    def __init__(self, layout: Layout, description: dict[str, Any]):
        self.layout, self.description = layout, description
        alone = layout.mesh is None and jax.process_count() == 1 and jax.device_count() == 1
        self.kept = alone and os.environ.get("DNAS_PROGRAMS", "1") != "0"

    def jit(self, name: str, function: Callable[..., Any], **options: Any) -> "Program":
        """`layout.jit(function, **options)` under a name that is its own in this run."""
        return Program(self, name, function, self.layout.jit(function, **options))

    def key(self, name: str, args: tuple) -> str | None:
        """A digest of all that makes the program, or None where that cannot be known."""
        code = sources() if self.kept else None
        return code and digest([name, str(signature(args)), self.description, code, surroundings()])


class Program:
    """A jitted function; for each signature of arguments its program is read from the disk, if it is there."""

    def __init__(self, programs: Programs, name: str, function: Callable[..., Any], jitted: Any):
        self.programs, self.name, self.function, self.jitted = programs, name, function, jitted
        self.ready: dict[Any, Kept] = {}

    def __call__(self, *args: Any) -> Any:
        return self._for(args).call(*args) if self.programs.kept else self.jitted(*args)

    def shapes(self, *args: Any) -> Tree:
        """What `jax.eval_shape` says of the result; nothing is traced where the program is kept."""
        return self._for(args).shapes if self.programs.kept else jax.eval_shape(self.function, *args)

    def _for(self, args: tuple) -> "Kept":
        what = signature(args)
        if what not in self.ready:
            self.ready[what] = self._read_or_compile(args)
        return self.ready[what]

    def _read_or_compile(self, args: tuple) -> "Kept":
        key = self.programs.key(self.name, args)
        found = read(folder() / f"{self.name}-{key}", args) if key else None
        if found is not None:
            return found
        lowered = self.jitted.lower(*args)
        # with the arguments: the text does not mention those that are not used
        text = folder() / digest([lowered.as_text(), str(signature(args)), str(lowered.out_info), surroundings()])
        made = read(text, args)
        if made is None:
            with uncached():
                made = Kept(lowered.compile(), jax.tree.map(_shape, lowered.out_info))
            write(text, made)
        if key and self.programs.key(self.name, args) == key:  # else tracing imported code that it does not know
            link(text, folder() / f"{self.name}-{key}")
        return made


class Kept(NamedTuple):
    """A compiled program, and the shapes of its result."""

    call: jax.stages.Compiled
    shapes: Tree


def deferred(build: Callable[[nnx.Rngs], nnx.Module]) -> Functional:
    """`functionalize(build)`, built when it is first traced: where all programs are kept, never."""
    network = cache(lambda: functionalize(build))
    return Functional(
        lambda key: network().init(key),
        lambda *args, **settings: network().apply(*args, **settings),
    )


def surroundings() -> dict[str, Any]:
    """What besides its text decides how a program is compiled: versions, settings, environment, machine."""
    device = jax.devices()[0]
    return {
        "versions": {"python": sys.version, **{package: version(package) for package in PACKAGES}},
        "settings": {key: repr(value) for key, value in jax.config.values.items() if key not in NEUTRAL},
        "environment": {key: value for key, value in os.environ.items() if key.startswith(PREFIXES)},
        "machine": [device.platform, device.client.platform_version, device.device_kind, processor()],
        "kernels": [native.available(), native.compiler()],  # registers them; their source is among ours
    }


def digest(what: Any) -> str:
    """A digest of anything that JSON can write."""
    return hashlib.sha256(json.dumps(what, sort_keys=True).encode()).hexdigest()


def signature(args: tuple) -> Any:
    """Structure, shapes and types of arguments; hashable."""
    leaves, structure = jax.tree.flatten(args)
    types = (jax.typeof(leaf) for leaf in leaves)
    return structure, tuple((t.shape, str(t.dtype), getattr(t, "weak_type", False)) for t in types)


def sources() -> str | None:
    """A digest of our sources and of every loaded module that is neither Python's nor an installed package's.

    None if such code has no file, as in a notebook, or if a file changed after this process began to read them.
    """
    main = sys.modules.get("__main__")
    if getattr(main, "__file__", None) is None:
        return None
    package = Path(dnas.__file__).parent
    files = {path for path in package.rglob("*") if path.suffix in (".py", ".cc", ".h")}
    for module in list(sys.modules.values()):
        name = getattr(module, "__file__", None)
        if isinstance(name, str) and not name.startswith(_installed()):
            files.add(Path(name))
    found: dict[str, str] = {}
    try:
        for path in sorted(files):
            if path.stat().st_mtime >= dnas.STARTED:
                return None
            found[str(path)] = hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return None
    return digest(found)


def read(path: Path, args: tuple) -> Kept | None:
    """The program in a file, for arguments like these; None if there is none that can be used."""
    try:
        content = path.read_bytes()
        check, content = content[:CHECK_BYTES], content[CHECK_BYTES:]
        if hashlib.sha256(content).digest() != check:
            raise ValueError("the file is damaged")
        payload, shapes = pickle.loads(content)
        structures = jax.tree.structure((args, {})), jax.tree.structure(shapes)
        program = serialize_executable.deserialize_and_load(payload, *structures)
        os.utime(path)  # used now
    except FileNotFoundError:
        return None
    except Exception as error:  # pickle and XLA raise many things
        log.info("%s cannot be used: %s", path, error)
        return None
    return Kept(program, shapes)


def write(path: Path, made: Kept) -> None:
    """Keep a program, whole or not at all; what cannot be kept is compiled again next time."""
    try:
        payload, _, _ = serialize_executable.serialize(made.call)
        content = pickle.dumps((payload, made.shapes))
        path.parent.mkdir(parents=True, exist_ok=True)
        with replaced(path) as part:
            part.write_bytes(hashlib.sha256(content).digest() + content)
        make_room(path.parent)
    except Exception as error:  # a full disk, a program that XLA cannot write, a result of local classes
        log.info("%s is not kept: %s", path, error)


def link(path: Path, name: Path) -> None:
    """Give a kept program another name; where the disk knows no links, it is found by its text only."""
    with suppress(OSError), replaced(name) as part:
        os.link(path, part)


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A new name to write to, which becomes `path` at once when all went well."""
    part = path.with_name(f".{uuid.uuid4().hex}")
    try:
        yield part
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)


def make_room(where: Path, limit: int | None = None) -> None:
    """Remove the programs longest unused until the folder is no larger than `limit` bytes."""
    limit = FOLDER_BYTES if limit is None else limit
    names: dict[tuple[float, int, int], list[Path]] = {}  # by last use, size and identity; one may have several names
    for path in where.iterdir():
        with suppress(OSError):  # another process removed it
            about = path.stat()
            names.setdefault((about.st_mtime, about.st_size, about.st_ino), []).append(path)
    total = sum(size for _, size, _ in names)
    for used, size, identity in sorted(names):
        if total <= limit:
            break
        for path in names[used, size, identity]:
            path.unlink(missing_ok=True)
        total -= size


@contextmanager
def uncached() -> Iterator[None]:
    """Without JAX's own cache: a program that comes out of it cannot be written again (on the CPU its code is lost)."""
    before = jax.config.values["jax_enable_compilation_cache"]
    jax.config.update("jax_enable_compilation_cache", False)
    compilation_cache.reset_cache()
    try:
        yield
    finally:
        jax.config.update("jax_enable_compilation_cache", before)
        compilation_cache.reset_cache()


def folder() -> Path:
    """Where programs are kept: beside the data sets in the user's cache folder."""
    return data_dir().parent / "programs"


@cache
def processor() -> str:
    """What XLA compiles for on a CPU: caches may be shared by different machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return ""
    return " ".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features"))}))


@cache
def _installed() -> tuple[str, ...]:
    """Folders of Python's and installed packages' modules."""
    paths = sysconfig.get_paths()
    folders = {paths[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")} | {site.getusersitepackages()}
    return tuple(sorted(f"{name}{os.sep}" for name in folders | set(site.getsitepackages())))


def _shape(leaf: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)
