"""The CPU's own kernels: native.cc, compiled on first use with the machine's C++ compiler and kept in the user's cache.

XLA runs depthwise convolution on the CPU 30 to 50 times slower than it could, and a supernet is made of them. Where
there is no compiler, or DNAS_NATIVE=0 is set, `available()` is False and the layers write the same with XLA's dense
convolution: the same numbers, several times slower.
"""

import ctypes
import hashlib
import os
import platform
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from contextvars import ContextVar
from functools import cache, partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import jaxlib
import numpy as np
from jax.extend.core import Primitive
from jax.interpreters import batching, mlir

from dnas.kernels.axes import one_float_type
from dnas.paths import cache_folder, read_own, replaced

SOURCE = Path(__file__).with_name("native.cc")
SYMBOLS = (
    *("dnas_conv_forward", "dnas_conv_to_x", "dnas_conv_to_kernel"),
    *("dnas_depthwise_forward", "dnas_depthwise_to_x", "dnas_depthwise_to_kernel"),
    *("dnas_norm_forward", "dnas_norm_backward", "dnas_norm_moments", "dnas_norm_bend"),
    *("dnas_affine_forward", "dnas_affine_again", "dnas_affine_backward"),
    *("dnas_pointwise_moments", "dnas_normed_pointwise", "dnas_normed_pointwise_to_kernel"),
    *("dnas_normed_depthwise", "dnas_normed_depthwise_to_kernel", "dnas_normed_depthwise_to_x"),
    *("dnas_normed_pointwise_to_x", "dnas_unwritten"),
    *("dnas_max_pick", "dnas_max_scatter", "dnas_mean_pool"),
    *("dnas_mix_forward", "dnas_mix_to_weights", "dnas_mix_to_values"),
)
_traced_for: ContextVar[str | None] = ContextVar("traced_for", default=None)
Shapes = Sequence[tuple[int, ...]]
TYPES = ("float32", "float64")  # that the kernels are there for
FLAGS = ("-O3", "-std=c++17", "-shared", "-fPIC", "-w", "-ffp-contract=fast")


class NoKernels(Exception):
    """Why there are none, and what to do about it."""


@cache
def available() -> bool:
    """Whether the kernels are there for this process; builds and registers them at the first call."""
    if os.environ.get("DNAS_NATIVE", "1") == "0" or jax.default_backend() != "cpu" or jax.device_count() > 1:
        return False  # XLA knows how to split its own operations over devices, but not these
    try:
        library = _built()
    except NoKernels as error:
        reason, advice = error.args
        print(f"No CPU kernels ({reason}): the same results, several times slower. {advice}", file=sys.stderr)
        return False
    for name in SYMBOLS:
        handler = jax.ffi.pycapsule(getattr(library, name))
        jax.ffi.register_ffi_target(name, handler, platform="cpu")
    return True


def kernel(
    name: str, shapes: Callable[..., Shapes], *, batched: bool, by_xla: Callable[..., list] | None = None
) -> Primitive:
    """A primitive computed by the kernel `name` on the CPU, or by XLA as `by_xla` says; it returns a list.

    shapes: (shapes of the operands, **settings) -> shapes of the results. batched: the kernel takes any number of
    leading axes, so vmap adds one; otherwise vmap runs it once for each.
    """
    primitive = Primitive(f"dnas_{name}")
    primitive.multiple_results = True

    def abstract(*operands, **settings):
        one_float_type(f"kernel {name}", *operands, types=TYPES)
        results = shapes(*(operand.shape for operand in operands), **settings)
        return [jax.core.ShapedArray(shape, operands[-1].dtype) for shape in results]

    def compute(*operands, **settings):
        results = [jax.ShapeDtypeStruct(r.shape, r.dtype) for r in abstract(*operands, **settings)]
        numbers = {key: np.float64(v) if isinstance(v, float) else np.int64(v) for key, v in settings.items()}
        return jax.ffi.ffi_call(f"dnas_{name}", results)(*operands, **numbers)

    def over_first_axis(operands, axes, **settings):
        count = next(x.shape[axis] for x, axis in zip(operands, axes, strict=True) if axis is not None)
        rows = [
            jax.lax.broadcast(x, (count,)) if axis is None else x if axis == 0 else jnp.moveaxis(x, axis, 0)
            for x, axis in zip(operands, axes, strict=True)
        ]
        if batched:
            results = primitive.bind(*rows, **settings)
        else:
            results = jax.lax.map(lambda row: primitive.bind(*row, **settings), rows)
        return results, [0] * len(results)

    eagerly(primitive)
    primitive.def_abstract_eval(abstract)
    mlir.register_lowering(primitive, mlir.lower_fun(by_xla or compute, multiple_results=True), platform="cpu")
    batching.primitive_batchers[primitive] = over_first_axis
    return primitive


def unwritten(shape: tuple[int, ...], dtype: Any, number: int) -> jax.Array:
    """An array that nobody reads: it costs nothing and may hold anything. Those of two numbers are two arrays."""
    like = jax.ShapeDtypeStruct(shape, dtype)
    if not supports(like):
        return jnp.zeros(shape, dtype)
    return jax.ffi.ffi_call("dnas_unwritten", like)(number=np.int64(number))


def eagerly(primitive: Primitive) -> None:
    """Outside of jit the primitive is a program of its own, also where jit is switched off."""

    @primitive.def_impl
    def compiled(*operands, **settings):
        with jax.disable_jit(False):
            return jax.jit(partial(primitive.bind, **settings))(*operands)


@contextmanager
def traced_for(platform: str) -> Iterator[None]:
    """Inside, programs are traced for another platform than this process computes on: "cuda", "tpu", or "any" for what
    is traced but never run. None of them has the kernels."""
    token = _traced_for.set(platform)
    try:
        yield
    finally:
        _traced_for.reset(token)


def platform_of_programs() -> str:
    """The platform that programs are traced for: "cpu", "gpu" and so on, or what `traced_for` says."""
    return _traced_for.get() or jax.default_backend()


def supports(*arrays: Any) -> bool:
    """Whether kernels are there for arrays of these types: all float32, or all float64."""
    same = {a.dtype.name for a in arrays} in ({TYPES[0]}, {TYPES[1]})
    return same and platform_of_programs() == "cpu" and available()


def one_heap() -> None:
    """Let all threads of this process share one heap (glibc only), for `keep_memory`. Call it before JAX starts any.

    One program at a time, too: JAX would start the next step before the buffers of the last one are given back.
    """
    jax.config.update("jax_cpu_enable_async_dispatch", False)
    if libc := _glibc():
        libc.mallopt(MALLOC["arena_max"], 1)


def keep_memory() -> None:
    """From now on keep the memory that is freed (glibc only); call it once everything is compiled.

    XLA gives all buffers of a step back when the step is done. Without this the system zeroes the same gigabyte anew
    for every step, a tenth of the time. What compilation left behind is given back first. A hole is left for whatever
    is small: lying behind the buffers of a step, it would keep the next step's from fitting in the same place.
    """
    libc = _glibc()
    if libc is None:
        return
    libc.malloc_trim(0)
    libc.mallopt(MALLOC["mmap_max"], 0)
    libc.mallopt(MALLOC["trim_threshold"], -1)
    hole = libc.malloc(SMALL)
    libc.malloc(1)  # so that the hole does not become one with the free memory behind it
    libc.free(hole)


MALLOC = {"arena_max": -8, "mmap_max": -4, "trim_threshold": -1}  # malloc.h
SMALL = 2**29  # of which only what is used ever becomes memory


def _glibc() -> ctypes.CDLL | None:
    try:
        libc = ctypes.CDLL("libc.so.6")
        libc.malloc_trim.argtypes = libc.malloc.argtypes = [ctypes.c_size_t]
        libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
    except (OSError, AttributeError):
        return None
    return libc


def compiler() -> str | None:
    """The C++ compiler of this machine: $CXX, else the usual names."""
    names = (os.environ.get("CXX"), "c++", "g++", "clang++")
    return next((found for name in names if name and (found := shutil.which(name))), None)


def _built() -> ctypes.CDLL:
    """The library for this source, jaxlib, compiler and processor; compiled if it is not in the cache."""
    cxx = compiler()
    if cxx is None:
        raise NoKernels("there is no C++ compiler", "Install g++, or name a compiler by $CXX.")
    tuned = "-mcpu=native" if platform.machine() in ("arm64", "aarch64") else "-march=native"
    command = [cxx, *FLAGS, tuned, f"-I{jax.ffi.include_dir()}", str(SOURCE)]
    about = os.stat(cxx)
    what = [command, SYMBOLS, jaxlib.__version__, about.st_size, about.st_mtime_ns, platform.machine(), processor()]
    name = hashlib.sha256(SOURCE.read_bytes() + repr(what).encode()).hexdigest()[:32]
    folder = cache_folder("native")
    if folder is not None and (library := _kept(folder, name)):
        return library
    print("Compiling the CPU kernels, once for this machine (10 to 20 s) ...", file=sys.stderr)
    try:
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as scratch:
            made = Path(scratch) / "kernels.so"
            _compile([*command, "-o", str(made)])
            if folder is not None:
                _keep(folder, name, made.read_bytes())
            return (_kept(folder, name) if folder is not None else None) or _loaded(made)
    except OSError as error:
        advice = "Name another compiler by $CXX, or by $TMPDIR a folder with free space from which programs may run."
        raise NoKernels(f"nothing that {cxx} makes can be loaded: {error}", advice) from error


def _compile(command: list[str]) -> None:
    another = "Name another compiler by $CXX."
    try:
        done = subprocess.run(command, capture_output=True, text=True, errors="replace", timeout=300)
    except (OSError, subprocess.SubprocessError) as error:
        raise NoKernels(f"{command[0]} does not run: {error}", another) from error
    if done.returncode:
        errors = [line for line in done.stderr.splitlines() if "error" in line]
        full = "No space left" in done.stderr
        advice = "Free some space, or name a folder with more by $TMPDIR." if full else another
        raise NoKernels(errors[0] if errors else f"{command[0]} failed", advice)


def _keep(folder: Path, name: str, content: bytes) -> None:
    """Put a library into the cache, under a name that says what is in it."""
    try:
        with replaced(folder / f"{name}-{_check(content)}.so") as part:
            part.touch(0o600)
            part.write_bytes(content)
    except OSError as error:
        print(f"The CPU kernels are not kept ({folder}: {error.strerror}): every start compiles them.", file=sys.stderr)


def _kept(folder: Path, name: str) -> ctypes.CDLL | None:
    """The library of a name in the cache; a damaged one, which could end the process when it is loaded, is removed."""
    for path in folder.glob(f"{name}-*.so"):
        with suppress(OSError):
            if path.stem == f"{name}-{_check(read_own(path))}":
                return _loaded(path)
        with suppress(OSError):
            path.unlink()
    return None


def _check(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:32]


def _loaded(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    if missing := [name for name in SYMBOLS if not hasattr(library, name)]:
        raise OSError(f"it has no {missing[0]}")
    return library


def processor() -> str:
    """What code is tuned for: a cache may be shared by different machines."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return " ".join(sorted({line for line in lines if line.startswith(("model name", "flags", "Features", "CPU "))}))
