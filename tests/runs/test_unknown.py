"""What cannot be followed is said, and so is what may look elsewhere than at its arguments."""

import datetime
import glob
import importlib
import operator
import os
import pathlib
import pkgutil
import queue
import random
import secrets
import shutil
import sys
import threading
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from functools import cache, partial
from os import getcwd
from pathlib import Path

import jax
import jax.numpy as jnp
import msgpack
import numpy as np
import pytest
from numpy.random import default_rng

from dnas.runs import fingerprint as module
from dnas.runs.fingerprint import fingerprint
from dnas.runs.known import Unknown

RATE = 1


class Job:
    table = {"a": 1}


def over(value):
    """A function that reads a value from its closure."""
    return lambda x: (x, value)


def scaled(rate):
    return lambda x: x * rate


UNKNOWN = {
    "module": lambda: lambda name: getattr(module, name),
    "module imported inside": lambda: _importing,
    "lock": lambda: over(threading.Lock()),
    "iterator": lambda: over(x for x in (1, 2)),
    "set of objects": lambda: over({scaled(1), scaled(2)}),
    "globals": lambda: lambda x: globals()[x],
    "code in a text": lambda: lambda x: eval("RATE"),
    "modules": lambda: lambda x: sys.modules[x],
    "cache of files": lambda: over(filled(_opening, __file__)),
    "cache of paths": lambda: over(filled(lambda path: path.read_text(), Path(__file__))),
    "cache of names": lambda: over(filled(lambda path: Path(path).read_text(), __file__)),
    "cache of an array": lambda: over(filled(lambda size: np.ones(size), 3)),
    "cache of words": lambda: over(filled(lambda *, path: path, path="x")),
    "cache two functions away": lambda: over(filled(lambda path: _opening(path), __file__)),
    "cache of the environment": lambda: over(filled(lambda name: os.environ.get(name), "x")),
    "cache of a variable": lambda: over(filled(lambda x: x * RATE, 1)),
    "cache of a table": lambda: over(filled(lambda x: Job.table, 1)),
    "cache of a default": lambda: over(filled(lambda x, table=[]: table, 1)),
    "cache of a cell": lambda: over(filled((lambda rate: lambda x: x * rate)(1), 1)),
    "file": lambda: over(sys.__stderr__),
    "too much": lambda: over([[i] for i in range(module.LIMIT)]),
}


def _importing(name):
    import dnas.runs.fingerprint as imported

    return getattr(imported, name)


def _opening(path):
    with open(path) as file:
        return file.read()


def filled(function, *args, **options):
    table = cache(function)
    table(*args, **options)
    return table


def test_a_cache_of_what_can_be_computed_anew_may_be_filled():
    """As of layers while they are traced: what they remember differs from start to start."""

    def letters(text, *counts):
        return tuple(name.upper() for name in text.split(", ")) + counts

    found = [over(cache(letters)), over(filled(letters, "a, b")), over(filled(letters, "a, b", 1, 2))]
    assert len({fingerprint(function) for function in found}) == 1
    assert fingerprint(over(cache(lambda text: text.split(",")))) != fingerprint(found[0])


@pytest.mark.parametrize("how", UNKNOWN)
def test_what_cannot_be_followed_is_said(how):
    with pytest.raises(Unknown):
        fingerprint(UNKNOWN[how]())


class Now:
    """A descriptor that says the time."""

    def __get__(self, owner, kind):
        return time.time()


class Dated:
    now = Now()

    def step(self, x):
        return x * self.now


class Later(threading.Thread):
    def run(self):
        self.rate = float(Path("rate").read_text())


class Stamped(datetime.datetime):
    """Holds more than Python shows."""


def inside(x):
    import os as system

    return x * len(system.listdir())


def taken(x):
    from os import listdir

    return x * len(listdir())


def elsewhere(x):
    later = Later()
    later.start()
    later.join()
    return x * later.rate


ELSEWHERE = {  # functions that find what is in none of the values they are made of
    "path exists": lambda x: x * os.path.exists("rate"),
    "listdir": lambda x: x * len(os.listdir()),
    "scandir": lambda x: x * len(list(os.scandir())),
    "glob": lambda x: x * len(glob.glob("*")),
    "glob of a path": lambda x: x * len(list(Path("x").glob("*"))),
    "a path": over(Path("rate")),
    "a path that is a value": over(pathlib.PurePath("rate")),
    "where we are": lambda x: x * len(os.getcwd()),
    "where we are, by its name": lambda x: x * len(getcwd()),
    "programs": lambda x: x * bool(shutil.which("cat")),
    "home": lambda x: x * len(str(Path.home())),
    "home of a user": lambda x: x * len(os.path.expanduser("~root")),
    "time": lambda x: x * time.time(),
    "monotonic time": lambda x: x * time.monotonic(),
    "time in nanoseconds": lambda x: x * time.perf_counter_ns(),
    "today": lambda x: x * datetime.datetime.now().year,
    "random": lambda x: x * random.random(),
    "generator of Python": lambda x: x * random.Random().random(),
    "generator without a seed": lambda x: x * np.random.default_rng().random(),
    "generator by its name": lambda x: x * default_rng().random(),
    "generator of all": lambda x: x * np.random.rand(),
    "generator of all, integers": lambda x: x * np.random.randint(3),
    "state of a generator": over(np.random.RandomState),
    "uuid": lambda x: x * uuid.uuid4().int,
    "secret": lambda x: x * secrets.randbelow(3),
    "entropy": lambda x: x * os.urandom(1)[0],
    "process": lambda x: x * os.getpid(),
    "thread": elsewhere,
    "threads": over(ThreadPoolExecutor),
    "queue": over(queue.Queue),
    "thread of another": lambda x: x * threading.current_thread().native_id,
    "name resolved": lambda x: x * pkgutil.resolve_name("time:time")(),
    "module imported by name": lambda x: x * importlib.import_module("time").time(),
    "frames": lambda x: x * len(sys._getframe().f_back.f_locals),
    "getter": lambda x: x * operator.attrgetter("time")(time)(),
    "function as an argument": lambda x: max(x, key=time.gmtime),
    "part of a function": over(partial(time.gmtime)),
    "address": lambda x: x * id(RATE),
    "hash": lambda x: x * hash("rate"),
    "a file": lambda x: x * open("rate").read(),  # noqa: SIM115
    "module imported inside": inside,
    "function imported inside": taken,
    "globals of a function": lambda x: x * scaled.__globals__["time"].time(),
    "globals of a known function": lambda x: x * jnp.sin.__wrapped__.__globals__["os"].getpid(),
    "globals by their name": lambda x: x * getattr(scaled, "__globals__")["time"].time(),  # noqa: B009
    "module of a built-in function": lambda x: x * len.__self__.open("rate").read(),
    "classes": lambda x: x * len(object.__subclasses__()),
    "descriptor": lambda x: Dated().step(x),
    "descriptor of self": Dated().step,
    "object with hidden content": over(Stamped(2000, 1, 1)),
    "class in C of another package": over(msgpack.Packer),
    "function in C of another package": over(msgpack.unpackb),
    "function of NumPy's that calls ours": over(np.frompyfunc(lambda x: x * RATE, 1, 1)),
    "memory that is mapped": lambda x: x * np.ctypeslib.as_array(x),
    "module that makes its members": lambda x: x * made_module.rate,
}
made_module = type(sys)("made_module")
made_module.__getattr__ = lambda name: time.time()  # type: ignore[method-assign]


@pytest.mark.parametrize("how", ELSEWHERE)
def test_what_looks_elsewhere_is_said(how):
    with pytest.raises(Unknown):
        fingerprint(ELSEWHERE[how])


PLAIN = {  # what one writes into operations, methods and penalties
    "NumPy": lambda x: np.asarray(np.sqrt(x), np.float32).sum(),
    "JAX": lambda x: jax.lax.cond(x.sum() > 0, jnp.sin, jnp.cos, jax.random.normal(jax.random.key(0), x.shape)),
    "mapping": lambda x: jax.tree.map(jax.vmap(jax.checkpoint(jnp.sin)), {"a": sorted(set(x), key=len)}),
    "reduction": lambda x: operator.add(x, len([*map(str, range(3))])),
}


@pytest.mark.parametrize("how", PLAIN)
def test_what_looks_at_its_arguments_has_a_name(how):
    assert fingerprint(PLAIN[how]) == fingerprint(PLAIN[how])


class Raising:
    def __fingerprint__(self):
        raise OSError("not now")


def test_what_an_object_raises_is_no_error_of_ours():
    with pytest.raises(Unknown, match="not now"):
        fingerprint(over(Raising()))
