"""Compiled programs kept on disk, so that a run like an earlier one starts without tracing or compiling.

JAX's own cache is asked by the lowered text of a program, and tracing and lowering a supernet take longer than all else
at such a start. Here a program has two names. One is made of everything that goes into it: the sources, the versions,
the settings, the machine, the arguments, and all values that its function can read (`fingerprint`) and so may bake in;
it is known before tracing. The other is made of the lowered text, for sources that changed without changing the
program. Where tracing opens a file, or what goes in cannot be known (a value that cannot be followed, a function that
may look at the clock or the disk, code typed into a notebook), a program has the second name only. With several
devices or hosts it is left to JAX.

Programs are run, so they lie where only the user can write, and what anybody else could have written is not read. They
are pickles, of which no more is read than the kinds of objects that a program is made of.
"""

import dataclasses
import hashlib
import io
import json
import logging
import os
import pickle
import sys
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
from dnas.kernels import native
from dnas.nets.functional import Functional, functionalize
from dnas.paths import cache_folder, make_room, read_own, replaced
from dnas.runs.devices import Layout
from dnas.runs.fingerprint import fingerprint
from dnas.runs.known import PACKAGES, Unknown, installed, watched
from dnas.types import Tree

FOLDER_BYTES = 2**30  # what all kept programs may take; the ones longest unused go first
PREFIXES = (  # of environment variables that the known packages read
    *("DNAS_", "JAX_", "XLA_", "FLAX_", "TF_", "TPU_", "LIBTPU_", "PJRT_"),
    *("CUDA_", "NVIDIA_", "ROCM_", "ROCR_", "HIP_", "HSA_"),
)
NEUTRAL = ("jax_compilation_cache_dir", "jax_persistent_cache_min_compile_time_secs")  # settings that change no program
CHECK_BYTES = hashlib.sha256().digest_size  # at the start of a file, of what follows
PARTS = (  # what JAX makes a program of, besides named tuples and data classes
    *("ShapeDtypeStruct", "ShapedArray", "ArgInfo", "AllArgsInfo", "UnloadedMeshExecutable", "DebugInfo", "DeviceList"),
    *("P", "PartitionSpec", "AbstractMesh", "Mesh", "MemorySpace", "ManualAxisType", "Layout", "AutoLayoutSingleton"),
    *("_unpickle_named_sharding", "_unpickle_single_device_sharding", "_get_default_unconstrained", "dtype"),
    *("KeyTy", "PRNGImpl", "threefry_seed", "threefry_split", "threefry_random_bits", "threefry_fold_in"),
    *("_rbg_seed", "_rbg_split", "_rbg_random_bits", "_rbg_fold_in", "_unsafe_rbg_split", "_unsafe_rbg_fold_in"),
)

log = logging.getLogger(__name__)


class Programs:
    """The programs of one run.

    description: what the caller knows to go into them, ready for JSON. The values that a function can read are in the
    names of its programs anyhow.
    """

    def __init__(self, layout: Layout, description: dict[str, Any]):
        self.layout, self.description = layout, description
        alone = layout.mesh is None and jax.process_count() == 1 and jax.device_count() == 1
        self.folder = folder() if alone and os.environ.get("DNAS_PROGRAMS", "1") != "0" else None

    def jit(self, name: str, function: Callable[..., Any], **options: Any) -> "Program":
        """`layout.jit(function, **options)` under a name that is its own in this run."""
        return Program(self, name, function, options)

    def key(self, name: str, args: tuple, *made_of: Any) -> str | None:
        """A digest of all that makes the program, `made_of` its function; None where that cannot be known."""
        code, around = sources(), surroundings()  # asks for the kernels, so what is remembered of them is a value
        if code is None:
            return None
        try:
            values = fingerprint(*made_of)
        except Unknown as error:
            log.info("'%s' is traced at every start: %s", name, error)
            return None
        return digest([name, str(signature(args)), self.description, code, around, values])


class Program:
    """A jitted function; for each signature of arguments its program is read from the disk, if it is there."""

    def __init__(self, programs: Programs, name: str, function: Callable[..., Any], options: dict[str, Any]):
        self.programs, self.name, self.function, self.options = programs, name, function, options
        self.jitted: Any = programs.layout.jit(function, **options)
        self.ready: dict[Any, Kept] = {}

    def __call__(self, *args: Any) -> Any:
        return self.jitted(*args) if self.programs.folder is None else self._for(self.programs.folder, args).call(*args)

    def shapes(self, *args: Any) -> Tree:
        """What `jax.eval_shape` says of the result; nothing is traced where the program is kept."""
        where = self.programs.folder
        return jax.eval_shape(self.function, *args) if where is None else self._for(where, args).shapes

    def _for(self, where: Path, args: tuple) -> "Kept":
        what = signature(args)
        if what not in self.ready:
            self.ready[what] = self._read_or_compile(where, args)
        return self.ready[what]

    def _read_or_compile(self, where: Path, args: tuple) -> "Kept":
        code, key = sources(), self.programs.key(self.name, args, self.function, self.options)
        found = read(where / f"{self.name}-{key}", args) if key else None
        if found is not None:
            return found
        with watched() as opened:
            lowered = self.jitted.lower(*args)
        # with the arguments: the text does not mention those that are not used
        text = where / digest([lowered.as_text(), str(signature(args)), str(lowered.out_info), surroundings()])
        made = read(text, args)
        if made is None:
            with uncached():
                made = Kept(lowered.compile(), jax.tree.map(_shape, lowered.out_info))
            write(text, made)
        if opened:
            log.info("'%s' is traced at every start: tracing it opens %s", self.name, opened[0])
        elif key and sources() == code:  # else tracing imported code that the key does not know
            link(text, where / f"{self.name}-{key}")
        return made


class Kept(NamedTuple):
    """A compiled program, and the shapes of its result."""

    call: jax.stages.Compiled
    shapes: Tree


def deferred(build: Callable[[nnx.Rngs], nnx.Module], recurrent: bool = False) -> Functional:
    """`functionalize(build)`, built when it is first traced: where all programs are kept, never."""
    network = _Deferred(build)
    return Functional(
        lambda key: network().init(key),
        lambda *args, **settings: network().apply(*args, **settings),
        network.carry if recurrent else None,
    )


class _Deferred:
    """A network that is known by what builds it, whether it has been built or not."""

    def __init__(self, build: Callable[[nnx.Rngs], nnx.Module]):
        self.build, self.network = build, cache(lambda: functionalize(build))

    def __call__(self) -> Functional:
        return self.network()

    def carry(self, batch: int) -> Tree:
        """Of a recurrent network: its state before the first batch."""
        before = self.network().carry
        assert before is not None
        return before(batch)

    def __fingerprint__(self) -> Any:
        return self.build


class _Parts(pickle.Unpickler):
    """Reads what a program is made of; all else, which could run anything, it refuses."""

    def find_class(self, module: str, name: str) -> Any:
        found, top = getattr(sys.modules.get(module), name, None), module.partition(".")[0]
        plain = isinstance(found, type) and (issubclass(found, tuple) or dataclasses.is_dataclass(found))
        if plain or found is not None and name in PARTS and top in ("jax", "jaxlib", "numpy"):
            return found
        raise pickle.UnpicklingError(f"{module}.{name} is no part of a program")

    def persistent_load(self, what: tuple) -> Any:
        """What JAX writes by name: the executable, which it reads itself, devices and their client."""
        device = jax.devices()[0]
        return {"exec": None, "client": device.client, "device": device}[what[0]]


def surroundings() -> dict[str, Any]:
    """What besides its text decides how a program is compiled: versions, settings, environment, machine."""
    device = jax.devices()[0]
    return {
        "versions": {"python": sys.version, **{package: version(package) for package in PACKAGES}},
        "settings": {key: repr(value) for key, value in jax.config.values.items() if key not in NEUTRAL},
        "environment": {key: [value, _file(value)] for key, value in os.environ.items() if key.startswith(PREFIXES)},
        "machine": [device.platform, device.client.platform_version, device.device_kind, native.processor()],
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
    """A digest of our files and of every loaded module that is neither Python's nor an installed package's.

    None if such code has no file, as in a notebook, or if a file changed after this process began to read them.
    """
    main = sys.modules.get("__main__")
    if getattr(main, "__file__", None) is None:
        return None
    package = Path(dnas.__file__).parent
    files = {path for path in package.rglob("[!.]*") if path.is_file() and path.parent.name != "__pycache__"}
    for module in list(sys.modules.values()):
        name = getattr(module, "__file__", None)
        if isinstance(name, str) and not name.startswith(installed()):
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
        content = read_own(path)
        check, content = content[:CHECK_BYTES], content[CHECK_BYTES:]
        if hashlib.sha256(content).digest() != check:
            raise ValueError("the file is damaged")
        payload, shapes = _parts(content)
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
        _parts(content)  # what would not be read is not written
        with replaced(path) as part:
            part.touch(0o600)
            part.write_bytes(hashlib.sha256(content).digest() + content)
        make_room(path.parent, FOLDER_BYTES)
    except Exception as error:  # a full disk, a program that XLA cannot write, a result of local classes
        log.info("%s is not kept: %s", path, error)


def _parts(content: bytes) -> tuple[bytes, Tree]:
    """What JAX makes a program of, and the shapes of its result, both found to hold nothing else."""
    payload, shapes = _Parts(io.BytesIO(content)).load()
    _Parts(io.BytesIO(payload)).load()
    return payload, shapes


def link(path: Path, name: Path) -> None:
    """Give a kept program another name; where the disk knows no links, it is found by its text only."""
    with suppress(OSError), replaced(name) as part:
        os.link(path, part)


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


def folder() -> Path | None:
    """Where programs are kept, None where nothing can be."""
    return cache_folder("programs")


def _file(name: str) -> str | None:
    """A digest of a file, if that is what is named: XLA reads flags from files, too."""
    return hashlib.sha256(Path(name).read_bytes()).hexdigest() if os.path.isfile(name) else None


def _shape(leaf: Any) -> jax.ShapeDtypeStruct:
    return jax.ShapeDtypeStruct(leaf.shape, leaf.dtype)
