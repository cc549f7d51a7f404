"""Fingerprints: what a function can read is in its digest, what it cannot read is not, what cannot be told is said."""

import enum
import functools
import os
import subprocess
import sys
import threading
from collections import Counter, namedtuple
from dataclasses import dataclass, field, make_dataclass
from functools import cache, cached_property, partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from flax import nnx

from dnas.runs import fingerprint as module
from dnas.runs.fingerprint import fingerprint
from dnas.runs.known import Unknown

RATE = 1
Pair = namedtuple("Pair", "a b")


@dataclass(frozen=True)
class Plan:
    rate: float
    seed: int = 0
    notes: list = field(default_factory=list)


class Job:
    """Has data and a seed that its step does not read."""

    table = {"a": 1}

    def __init__(self, plan, data=()):
        self.plan, self.data = plan, data

    def step(self, x):
        return x * self.plan.rate + self.more()

    def more(self):
        return Job.table["a"]

    def inside(self, x):
        return jax.vmap(lambda row: row * self.plan.rate)(x)

    def whole(self, x):
        return x * vars(self)["plan"].rate

    @property
    def doubled(self):
        return 2 * self.plan.rate

    def through_property(self, x):
        return x * self.doubled

    @cached_property
    def tripled(self):
        return 3 * self.plan.rate

    def through_cached_property(self, x):
        return x * self.tripled

    @staticmethod
    def static(x):
        return x * RATE

    @classmethod
    def of_class(cls, x):
        return x * cls.table["a"]

    def nested(self, x):
        def inner(y):
            def innermost(z):
                return z * self.plan.rate

            return innermost(y)

        return inner(x)


class Child(Job):
    def step(self, x):
        return super().step(x) + 1


class Forgetful(Job):
    """Would read its plan from a file again."""

    def __getstate__(self):
        return {}


class Slots:
    __slots__ = ("rate",)

    def __init__(self, rate):
        self.rate = rate


class Secretive(Slots):
    """Tells pickle nothing."""

    __slots__ = ("__weakref__",)

    def __reduce__(self):
        return Secretive, (0,)


class NamedPair(Pair):
    """Has attributes beside its fields."""


class Mapped(dict):
    """A dictionary with an attribute, which it hides."""

    def __init__(self, content, rate):
        super().__init__(content)
        self.rate = rate

    def items(self):
        return ()

    def __reduce__(self):
        return Mapped, ({}, 0)


class Number(int):
    pass


class Color(enum.Enum):
    RED = 1
    BLUE = 2


def with_attribute(value, rate):
    value.rate = rate
    return value


def class_with(**members):
    return over(type("Made", (), members))


def any_arguments(rate):
    class Owner:
        def __init__(self):
            self.rate = rate

        def step(*arguments):
            return arguments[1] * arguments[0].rate

        def unseen(self, x):
            return x * locals()["self"].rate

    return Owner()


def over(value):
    """A function that reads a value from its closure."""
    return lambda x: (x, value)


def scaled(rate):
    def scale(x):
        return x * rate

    return scale


def with_default(rate):
    def scale(x, rate=rate, *, offset=rate):
        return x * rate + offset

    return scale


def disguised(rate):
    @functools.wraps(jnp.sin)  # which gives it the name of a known function
    def scale(x):
        return x * rate

    return scale


def remembering(rate):
    @cache
    def table():
        return rate

    return lambda x: x * table()


def remembered(rate):
    function = remembering(rate)
    function(1)
    return function


def asked(rate):
    """What a cache holds no longer follows from what it would compute now."""
    held = [rate]

    @cache
    def table():
        return held[0]

    table()
    held[0] = 0
    return lambda x: x * table()


def attributed(rate):
    def scale(x):
        return x * scale.rate

    scale.rate = rate
    return scale


def custom(rate):
    @jax.custom_jvp
    def function(x):
        return x

    function.defjvp(lambda primals, tangents: (primals[0], tangents[0] * rate))
    return lambda x: function(x)


def chained(rate):
    return optax.chain(optax.clip(1.0), optax.adam(optax.linear_schedule(rate, 0, 10))).update


def module_of(rate):
    class Layer(nnx.Module):
        scale = rate

        def __call__(self, x):
            return x * self.scale

    return lambda rngs: Layer()


READ = {  # rate -> a function that reads it, however
    "closure": scaled,
    "closure in a closure": lambda rate: over(scaled(rate)),
    "default": with_default,
    "partial": lambda rate: partial(lambda rate, x: x * rate, rate),
    "array": lambda rate: over(np.array([0.0] * 999 + [rate])),
    "array of another type": lambda rate: over(np.zeros(3, np.float32 if rate == 1 else np.float64)),
    "array of another shape": lambda rate: over(np.zeros((2, 3) if rate == 1 else (3, 2))),
    "array of objects": lambda rate: over(np.array([scaled(rate), None])),
    "jax array": lambda rate: over(jnp.array([rate, 2.0])),
    "key": lambda rate: over(jax.random.key(rate)),
    "number of another type": lambda rate: over(1.0 if rate == 1 else 1),
    "dictionary": lambda rate: over({"rate": [{"rate": rate}]}),
    "order of a dictionary": lambda rate: over({"a": 1, "b": 1} if rate == 1 else {"b": 1, "a": 1}),
    "set": lambda rate: over({1, "two", rate + 10}),
    "named tuple": lambda rate: over(Pair(1, rate)),
    "data class": lambda rate: over(Plan(rate)),
    "object": lambda rate: over(Slots(rate)),
    "object that tells pickle nothing": lambda rate: over(Secretive(rate)),
    "attribute of a named tuple": lambda rate: over(with_attribute(NamedPair(1, 2), rate)),
    "field of a named tuple's subclass": lambda rate: over(NamedPair(1, rate)),
    "attribute of a dictionary": lambda rate: over(Mapped({}, rate)),
    "content of a dictionary": lambda rate: over(Mapped({"a": rate}, 1)),
    "attribute of a number": lambda rate: over(with_attribute(Number(1), rate)),
    "number of one's own": lambda rate: over(Number(rate)),
    "enumeration": lambda rate: over(Color(rate)),
    "member of a class between underscores": lambda rate: class_with(__rate__=rate),
    "operator of a class": lambda rate: class_with(__call__=partial(scaled(rate))),
    "metadata of a field": lambda rate: over(make_dataclass("Made", [("a", int, field(metadata={"rate": rate}))])),
    "class of another module's maker": lambda rate: over(make_dataclass("Made", [("a", int, rate)])),
    "any arguments": lambda rate: any_arguments(rate).step,
    "self by its name": lambda rate: any_arguments(rate).unseen,
    "subclass of dict": lambda rate: over(Counter({"a": rate})),
    "list that holds itself": lambda rate: over((lambda own: own.append(own) or own)([rate])),
    "method": lambda rate: Job(Plan(rate)).step,
    "method of a class": lambda rate: over(Job(Plan(rate))),
    "what an object does not tell pickle": lambda rate: over(Forgetful(Plan(rate))),
    "self in a lambda": lambda rate: Job(Plan(rate)).inside,
    "self two functions down": lambda rate: Job(Plan(rate)).nested,
    "self as a whole": lambda rate: Job(Plan(rate)).whole,
    "super": lambda rate: Child(Plan(rate)).step,
    "property": lambda rate: Job(Plan(rate)).through_property,
    "cached property": lambda rate: Job(Plan(rate)).through_cached_property,
    "method of an array": lambda rate: over(np.full(2, rate).astype),
    "jitted": lambda rate: over(jax.jit(scaled(rate))),
    "checkpointed": lambda rate: jax.checkpoint(scaled(rate)),
    "derivative of one's own": custom,
    "disguised": disguised,
    "cache": remembering,
    "filled cache": remembered,
    "cache that knows better": asked,
    "attribute of a function": attributed,
    "state of an optimiser's schedule": chained,
    "class": module_of,
    "generator of random numbers": lambda rate: over(np.random.default_rng(rate)),
    "lambda's code": lambda rate: (lambda x: x * 1) if rate == 1 else (lambda x: x * 2),
    "operator": lambda rate: (lambda x: x + 1) if rate == 1 else (lambda x: x - 1),
    "code inside code": lambda rate: (lambda x: [y * 1 for y in x]) if rate == 1 else (lambda x: [y * 2 for y in x]),
    "another function of JAX": lambda rate: over(jnp.sin if rate == 1 else jnp.cos),
    "another function of a module": lambda rate: (lambda x: jnp.sin(x)) if rate == 1 else (lambda x: jnp.cos(x)),
}


@pytest.mark.parametrize("how", READ)
def test_what_a_function_reads_tells(how):
    assert fingerprint(READ[how](1)) != fingerprint(READ[how](2))


@pytest.mark.parametrize("how", READ)
def test_what_is_made_alike_is_alike(how):
    assert fingerprint(READ[how](1)) == fingerprint(READ[how](1))


GLOBALS = {  # functions of what is patched: an owner, a name, another value
    "global": (Job.static, sys.modules[__name__], "RATE", 2),
    "in a module": (lambda x: x * module.CACHED, module, "CACHED", 2),
    "of a function that is called": (lambda x: Job.static(x), sys.modules[__name__], "RATE", 2),
    "attribute of a class": (Job.of_class, Job, "table", {"a": 2}),
    "attribute of a class, by a method": (Job(Plan(1)).step, Job, "table", {"a": 2}),
    "method of a class": (Job(Plan(1)).step, Job, "more", lambda self: 3),
    "in a known package": (lambda x: jnp.sin(x), jnp, "sin", lambda x: x),
    "in a known package, disguised": (lambda x: jnp.sin(x), jnp, "sin", disguised(1)),
    "data in a known package": (lambda x: x * sys.argv, sys, "argv", ["another"]),
    "environment": (lambda x: x * float(os.environ["RATE"]), os, "environ", {"RATE": "1"}),
}


@pytest.mark.parametrize("how", GLOBALS)
def test_what_lies_outside_a_function_tells(how, monkeypatch):
    function, owner, name, value = GLOBALS[how]
    before = fingerprint(function)
    monkeypatch.setattr(owner, name, value)
    assert fingerprint(function) != before
    monkeypatch.undo()
    assert fingerprint(function) == before


ENVIRONMENT = {
    "environ": lambda: os.environ["DNAS_TEST_RATE"],
    "getenv": lambda: os.getenv("DNAS_TEST_RATE"),
    "as a value": lambda: over(os.environ),
}


@pytest.mark.parametrize("how", ENVIRONMENT)
def test_the_environment_tells_where_it_is_read(how, monkeypatch):
    before, other = fingerprint(ENVIRONMENT[how]), fingerprint(scaled(1))
    monkeypatch.setenv("DNAS_TEST_RATE", "2")
    assert fingerprint(ENVIRONMENT[how]) != before and fingerprint(scaled(1)) == other


def test_a_module_imported_inside_tells(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    (tmp_path / "dnas_costs.py").write_text("TABLE, other = [1], 2")

    def function(x):
        from dnas_costs import TABLE

        return x * TABLE[0]

    with pytest.raises(Unknown, match="still to be imported"):
        fingerprint(function)
    import dnas_costs  # type: ignore[import-not-found]

    before = fingerprint(function)
    dnas_costs.other = 3
    assert fingerprint(function) == before
    dnas_costs.TABLE[0] = 2
    assert fingerprint(function) != before


@pytest.mark.parametrize("method", ["step", "inside", "nested", "through_property"])
def test_what_a_method_does_not_read_does_not_tell(method):
    """The seed and the data of a run, above all: they are arguments of its programs."""
    jobs = Job(Plan(1, seed=1), np.zeros(3)), Job(Plan(1, seed=2), threading.Lock())
    assert len({fingerprint(getattr(job, method)) for job in jobs}) == 1
    assert len({fingerprint(job.whole) for job in (jobs[0], Job(Plan(1, seed=2)))}) == 2


def test_a_value_that_is_traced_is_none():
    with pytest.raises(Unknown):
        jax.eval_shape(lambda x: [fingerprint(scaled(x)), x][1], 1.0)


ASK = """
import enum
from dataclasses import make_dataclass

import jax
from dnas.runs.fingerprint import fingerprint
from dnas.kernels import native
from dnas.nets.supernet import Supernet
from dnas.search.penalty import zero_one
from dnas.spaces import darts

class Held(dict):
    __slots__ = ("letters", "made")

class Kind(enum.Enum):
    ONE = "one"
    TWO = "two"

native.available()
space = darts.space(nodes=2)
held = Held(a=Kind.TWO)
held.letters, held.made = {"a", "b", "c"}, make_dataclass("Made", ["a"])(frozenset("abc"))
print(fingerprint(lambda rngs: Supernet(space, 1, rngs=rngs), zero_one(1.0, "l2"), held, jax.random.split))
"""


@pytest.mark.slow
def test_it_is_the_same_in_every_process(tmp_path):
    said = set()
    for seed, compiled in (("1", "new"), ("2", "new"), ("3", "other")):  # of hashes; with and without compiled modules
        environment = {"PYTHONHASHSEED": seed, "PYTHONPYCACHEPREFIX": str(tmp_path / compiled), "DNAS_NATIVE": "0"}
        command = [sys.executable, "-c", ASK]
        done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True, check=True)
        said.add(done.stdout)
    assert len(said) == 1


class Slow:
    def __init__(self, ran):
        self.ran = ran

    @cached_property
    def table(self):
        self.ran.append("table")

    @property
    def rows(self):
        self.ran.append("rows")

    def step(self, x):
        return x, self.table, self.rows


def test_nothing_is_run():
    ran = []
    fingerprint(Slow(ran).step)
    assert not ran


class Fresh:
    """Is made of a list that is made whenever one asks."""

    __slots__ = ("inside",)

    def __init__(self, inside):
        self.inside = inside

    def __fingerprint__(self):
        return [self.inside]


def test_what_is_made_on_the_way_is_kept():
    """Else an address comes again, and with it the number of something else."""
    chains = [0, 1]
    for _ in range(50):
        chains = [Fresh(chain) for chain in chains]
    assert fingerprint(chains[0]) != fingerprint(chains[1])


class Costs:
    @cached_property
    def table(self):
        return np.zeros(3)


def test_a_property_that_was_read_before_is_what_it_remembers():
    costs = Costs()

    def function():
        return costs.table

    before = fingerprint(function)
    costs.__dict__["table"] = np.ones(3)
    read = fingerprint(function)
    costs.__dict__["table"] = np.full(3, 2.0)
    assert len({before, read, fingerprint(function)}) == 3


@pytest.mark.parametrize("other", [jax.nn.log_softmax, partial(jax.nn.softmax, axis=0)])
def test_what_stands_in_the_place_of_a_known_function_counts(other, monkeypatch):
    def function(x):
        return jax.nn.softmax(x)

    before = fingerprint(function)
    assert fingerprint(function) == before
    monkeypatch.setattr(jax.nn, "softmax", other)
    assert fingerprint(function) != before


@pytest.mark.parametrize("read", [lambda: os.path.expandvars("$STRENGTH"), lambda: os.environb[b"STRENGTH"]])
def test_variables_count_however_they_are_read(read, monkeypatch):
    monkeypatch.setenv("STRENGTH", "1")
    before = fingerprint(read)
    monkeypatch.setenv("STRENGTH", "2")
    assert fingerprint(read) != before
