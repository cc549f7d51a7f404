"""Kept programs: found again without tracing, never stale, nobody else's, and of no harm when the disk is."""

import hashlib
import importlib.util
import os
import pickle
import re
import shutil
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dnas
from dnas import paths, retrain
from dnas.architectures import genotype
from dnas.architectures.topology import NetworkSize
from dnas.config import AugmentConfig, Config, RetrainConfig, SearchConfig, WeightConfig
from dnas.data import data_dir
from dnas.kernels import native, norm
from dnas.nets import ops
from dnas.runs import fingerprint, loop, programs, records
from dnas.runs.devices import Layout
from dnas.search import penalty
from dnas.search.method import Method
from dnas.spaces import nasbench201
from dnas.training import job

SCRIPT = """
import sys
from dataclasses import replace

import dnas.search
from dnas.runs import programs
from dnas import retrain
from dnas.config import AugmentConfig, Config, RetrainConfig, SearchConfig

build = programs.functionalize
def seen(*args):
    print("built")
    return build(*args)
programs.functionalize = seen

small = AugmentConfig(pad=1, flip=False)
config = Config(
    space="nasbench201:nodes=2",
    data="digits:limit=60",
    search=SearchConfig(epochs=1, cells=1, channels=2, batch_size=16, augment=small),
    retrain=RetrainConfig(epochs=1, cells=1, channels=2, batch_size=16, auxiliary=0, augment=small),
)
config = replace(config, seed=int(sys.argv[2]), data=sys.argv[3])
found = dnas.search.run(config, sys.argv[1], quiet=True)
retrain.run(config, found.genotype, sys.argv[1] + "/retrain", quiet=True, allow_constant=True)
"""


def start(tmp_path, name, seed=0, data="digits:limit=60"):
    """What a process that searches and trains printed, and what its runs recorded."""
    script, cache = tmp_path / "script.py", tmp_path / "cache"
    if not script.exists():
        script.write_text(SCRIPT)
        os.utime(script, (1, 1))
        if native.available() and (kernels := paths.cache_folder("native")):
            shutil.copytree(kernels, cache / "dnas" / "native")
    environment = {"XDG_CACHE_HOME": str(cache), "DNAS_PROGRAMS": "1"}
    command = [sys.executable, str(script), str(tmp_path / name), str(seed), data]
    done = subprocess.run(command, env={**os.environ, **environment}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    folders = tmp_path / name, tmp_path / name / "retrain"
    return done.stdout, [records.read_metrics(folder) for folder in folders]


@pytest.mark.slow
def test_the_second_start_builds_nothing_and_computes_the_same(tmp_path):
    printed, first = start(tmp_path, "first")
    assert printed.count("built") == 2
    assert start(tmp_path, "second") == ("", first)
    printed, other = start(tmp_path, "another seed, other words for the data", 3, "digits:limit=60,size=0")
    assert printed == "" and other != first
    for path in (tmp_path / "cache" / "dnas" / "programs").iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    printed, third = start(tmp_path, "damaged")
    assert printed.count("built") == 2 and third == first


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """An environment in which programs are kept: a `__main__` that is a file, a cache folder of its own."""
    monkeypatch.setenv("DNAS_PROGRAMS", "1")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("DNAS_DATA_DIR", str(tmp_path / "shared" / "data"))
    monkeypatch.setattr(sys.modules["__main__"], "__file__", programs.__file__, raising=False)
    monkeypatch.setattr(dnas, "STARTED", time.time() + 1)
    native.available()  # in the cache folder of before
    return programs.Programs(Layout(1), {"width": 3})


def again(kept, name, function, **options):
    """The program of another start."""
    return programs.Programs(kept.layout, kept.description).jit(name, function, **options)


def is_found(kept, name, function, *args):
    program = again(kept, name, function)
    program.jitted = None  # so that nothing can be traced
    try:
        program(*args)
    except AttributeError:
        return False
    return True


def double(tree, by):
    return jax.tree.map(lambda leaf: leaf * by, tree)


def test_donation_keys_and_structures_survive(kept):
    def argument():
        return {"a": jnp.arange(3.0), "key": jax.random.key(0)}, jnp.float32(2)

    def function(tree, by):
        return {"key": jax.random.fold_in(tree["key"], 1), "a": tree["a"] * by}

    first = kept.jit("double", function, donate_argnums=0)(*argument())
    program = again(kept, "double", function, donate_argnums=0)
    program.jitted = None  # so that nothing can be traced
    tree, by = argument()
    assert program.shapes(tree, by)["a"] == jax.ShapeDtypeStruct((3,), jnp.float32)
    second = program(tree, by)
    assert tree["a"].is_deleted()
    np.testing.assert_array_equal(first["a"], second["a"])
    assert jax.random.key_data(first["key"]).tolist() == jax.random.key_data(second["key"]).tolist()


def test_arguments_that_are_not_used_still_tell_programs_apart(kept):
    """Two phases of a search ask one function of the alphas alone, with weights of two shapes."""

    def first(used, unused):
        return used + 1

    for width in (2, 8):
        other = programs.Programs(kept.layout, {"width": width})
        np.testing.assert_array_equal(other.jit("first", first)(jnp.ones(3), jnp.zeros(width)), 2 * np.ones(3))


def test_everything_that_makes_a_program_is_in_its_key(kept, monkeypatch, tmp_path):
    args = (np.ones(3, np.float32), 2)
    keys = [kept.key("a", args), kept.key("b", args), kept.key("a", (np.ones(4, np.float32), 2))]
    keys.append(kept.key("a", ([np.ones(3, np.float32)], 2)))
    keys.append(programs.Programs(kept.layout, {"width": 4}).key("a", args))
    for name in ("XLA_FLAGS", "DNAS_NATIVE", "JAX_ENABLE_X64"):
        with monkeypatch.context() as context:
            context.setenv(name, "--xla_backend_optimization_level=1")
            keys.append(kept.key("a", args))
    with jax.default_matmul_precision("highest"):
        keys.append(kept.key("a", args))
    module = tmp_path / "mine.py"
    monkeypatch.setitem(sys.modules, "mine", type(sys)("mine"))
    sys.modules["mine"].__file__ = str(module)
    for text in ("rate = 1", "rate = 2"):
        module.write_text(text)
        os.utime(module, (1, 1))
        keys.append(kept.key("a", args))
    with monkeypatch.context() as context:
        context.setattr(native, "processor", lambda: "another")
        keys.append(kept.key("a", args))
    flags = tmp_path / "flags"
    monkeypatch.setenv("XLA_FLAGS", str(flags))
    for text in ("--xla_backend_optimization_level=1", "--xla_backend_optimization_level=2"):
        flags.write_text(text)
        keys.append(kept.key("a", args))
    keys += [kept.key("a", args, double), kept.key("a", args, double, {"donate_argnums": 0})]
    assert None not in keys and len(set(keys)) == len(keys)


def test_nothing_is_kept_where_the_code_cannot_be_known(kept, monkeypatch, tmp_path):
    assert programs.sources() is not None
    with monkeypatch.context() as context:
        context.setattr(dnas, "STARTED", Path(dnas.__file__).stat().st_mtime)  # a source changed after we read it
        assert programs.sources() is None
    monkeypatch.delattr(sys.modules["__main__"], "__file__")
    assert programs.sources() is None and kept.key("a", ()) is None
    for _ in range(2):
        assert kept.jit("double", double)(np.ones(3), 2).tolist() == [2, 2, 2]
    assert not is_found(kept, "double", double, np.ones(3), 2)


def test_a_program_is_found_by_its_text_when_sources_changed(kept, monkeypatch):
    kept.jit("double", double)(np.ones(3), 2)
    before = set(programs.folder().iterdir())
    monkeypatch.setattr(programs, "sources", lambda: "others")
    kept.jit("double", double)(np.ones(3), 2)
    (new,) = set(programs.folder().iterdir()) - before
    assert new.stat().st_nlink == 3


MINE = {  # a module of the user, whose `make` gives a function that multiplies by RATE, or by what a file says
    "constant": """
rate = RATE
def make(): return lambda x: x * rate""",
    "constant in the code": """
def make(): return lambda x: x * RATE""",
    "file when imported": """
table = read()
def make(): return lambda x: x * table[0]""",
    "file when made": """
def make():
    table = np.array(read())
    return lambda x: x * table[0]""",
    "file before a cache": """
@cache
def table(): return read()
def make(): return table() and (lambda x: x * table()[0])""",
    "file in an object": """
class Costs:
    def __init__(self): self.table = read()
    def of(self, x): return x * self.table[0]
def make(): return Costs().of""",
    "environment when made": """
def make():
    rate = int(os.environ["TEST_RATE"])
    return lambda x: x * rate""",
    "environment while traced": """
def make(): return lambda x: x * int(os.environ["TEST_RATE"])""",
}
LATE = {  # these look outside while they are traced
    "file": """
def make(): return lambda x: x * read()[0]""",
    "file, once": """
table = []
def make(): return lambda x: x * (table or table.extend(read()) or table)[0]""",
    "file behind a cache": """
@cache
def table(): return read()
def make(): return lambda x: x * table()[0]""",
    "file, by NumPy": """
def make(): return lambda x: x * np.loadtxt(TEXT)""",
    "file, by a thread": """
def look(found): found.extend(read())
def make():
    def function(x):
        found = []
        thread = threading.Thread(target=look, args=[found])
        thread.start()
        thread.join()
        return x * found[0]
    return function""",
    "date of a file": """
def make(): return lambda x: x * int(os.path.getmtime(TEXT))""",
    "working folder": """
def make(): return lambda x: x * int(Path.cwd().name)""",
    "file, by another program": """
def make(): return lambda x: x * int(subprocess.check_output(["cat", TEXT]))""",
}
HEAD = """
import json, os, subprocess, threading
from functools import cache
from pathlib import Path
import numpy as np
TEXT = Path(__file__).with_suffix(".txt")
def read(): return json.loads(TEXT.with_suffix(".json").read_text())
"""


def made_by(text, rate, tmp_path, monkeypatch):
    """What `make` of the user's module gives in a process that starts now."""
    path = tmp_path / "mine.py"
    path.write_text(HEAD + text.replace(" RATE", f" {rate}"))
    path.with_suffix(".json").write_text(f"[{rate}]")
    path.with_suffix(".txt").write_text(f"{rate}")
    os.utime(path, (1, 1))
    os.utime(path.with_suffix(".txt"), (rate, rate))
    (tmp_path / str(rate)).mkdir(exist_ok=True)
    monkeypatch.chdir(tmp_path / str(rate))
    monkeypatch.setenv("TEST_RATE", str(rate))
    monkeypatch.setattr(sys, "dont_write_bytecode", True)  # which knows a file by its date and size
    spec = importlib.util.spec_from_file_location("mine", path)
    module = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "mine", module)
    spec.loader.exec_module(module)
    return module.make()


@pytest.mark.parametrize("what", [*MINE, *LATE])
def test_a_constant_that_changed_is_never_found(what, kept, tmp_path, monkeypatch):
    text, x = (MINE | LATE)[what], np.ones((), np.float32)
    for rate in (2, 3, 4):
        function = made_by(text, rate, tmp_path, monkeypatch)
        assert again(kept, "f", function)(x) == rate
    assert is_found(kept, "f", made_by(text, 4, tmp_path, monkeypatch), x) == (what in MINE)
    assert again(kept, "f", made_by(text, 2, tmp_path, monkeypatch))(x) == 2  # by its text


def test_what_cannot_be_followed_is_found_by_its_text_only(kept):
    values = (i for i in range(3))  # nobody can tell what will come out

    def function(x):
        return x + len(str(type(values)))

    first = kept.jit("f", function)(np.ones(3))
    before = set(programs.folder().iterdir())
    np.testing.assert_array_equal(again(kept, "f", function)(np.ones(3)), first)
    assert set(programs.folder().iterdir()) == before and not is_found(kept, "f", function, np.ones(3))


def test_large_constants_are_in_the_text(kept):
    """Two tables of a million numbers that differ in one of them."""
    for value in (1, 2):
        table = np.zeros(2**20, np.float32)
        table[54321] = value
        unknown = (i for i in range(3))  # so that the text decides

        def function(i, table=table, unknown=unknown):
            return jnp.asarray(table)[i]

        assert again(kept, "f", function)(54321) == value


def test_a_program_that_calls_python_is_not_kept(kept):
    """Its text has an address in this process."""

    def function(x):
        return jax.pure_callback(lambda x: np.asarray(x) + 1, jax.ShapeDtypeStruct(x.shape, x.dtype), x)

    assert kept.jit("f", function)(np.ones(2, np.float32)).tolist() == [2, 2]
    assert not list(programs.folder().iterdir())


@pytest.fixture
def names(monkeypatch, tmp_path):
    """(config) -> the fingerprints of the programs of a search, or of a training of a genotype, which ends before
    anything is traced."""

    def of(config, cells=None):
        found = {}

        def jit(self, name, function, **options):
            found[name] = fingerprint.fingerprint(function, options)
            return lambda *_: None

        with monkeypatch.context() as context:
            context.setattr(programs.Programs, "jit", jit)
            with pytest.raises(AttributeError, match="shapes"):
                if cells is None:
                    dnas.search.run(config, tmp_path / "run", quiet=True)
                else:
                    retrain.run(config, cells, tmp_path / "run", quiet=True)
        assert {"init", "advance", "evaluate", *(["mixes"] if cells is None else [])} <= set(found)
        return found

    native.available()
    return of


SMALL = SearchConfig(epochs=3, cells=1, channels=4, batch_size=16, augment=AugmentConfig(pad=1, flip=False))
CONFIG = Config(space="nasbench201:nodes=2", data="digits:limit=60", search=SMALL)


@pytest.mark.slow
@pytest.mark.parametrize("method", sorted(dnas.find.described("method")))
def test_programs_of_every_method_have_names_that_seeds_share(method, names):
    """`names` raises `Unknown` if something in them cannot be followed: such a method would trace at every start."""
    config = replace(CONFIG, method="sgas:begin=0" if method == "sgas" else method)
    assert names(config) == names(replace(config, seed=5, data="digits:limit=60,size=0"))


@pytest.mark.parametrize("settings", [{"auxiliary": 0}, {"remat": True}])
def test_programs_of_a_training_have_names_that_seeds_share(settings, names):
    space = nasbench201.space(nodes=2)
    plan = RetrainConfig(epochs=1, cells=1, channels=2, batch_size=16, augment=SMALL.augment, **settings)
    config, one, other = replace(CONFIG, retrain=plan), genotype.random(space, 0), genotype.random(space, 1)
    before = names(config, one)
    assert before == names(replace(config, seed=5), one)
    assert changed(before, names(config, other)) >= {"init", "advance", "evaluate"}


WEIGHTS = [
    *({"optimiser": name} for name in dnas.find.described("optimiser")),
    *({"schedule": name if name != "step" else "step:milestones=1"} for name in dnas.find.described("schedule")),
    {"optimiser": "sgd:momentum=0.8"},
    {"warmup_epochs": 1},
]


@pytest.mark.slow
@pytest.mark.parametrize("weights", WEIGHTS, ids=lambda fields: next(iter(fields.values())))
def test_programs_of_every_optimiser_and_schedule_have_names(weights, names):
    config = replace(CONFIG, search=replace(SMALL, weights=WeightConfig(**weights)))
    default = weights == {"optimiser": "sgd"}
    assert names(config) == names(config)
    assert ("advance" in changed(names(CONFIG), names(config))) != default


@pytest.mark.parametrize("name", sorted(dnas.find.described("space")))
def test_networks_of_every_space_can_be_followed(name):
    """Else their programs are traced at every start."""
    space, size = dnas.find.resolve("space", name), NetworkSize(1, 4, 10, 3)
    found = [job.network_of(genotype.random(space, seed), space, size) for seed in (0, 0, 1)]
    one, same, other = (fingerprint.fingerprint(network, space.supernet) for network in found)
    assert one == same != other


def test_patterns_and_unions_are_what_they_are_made_of():
    one, same, other, flagged = (
        fingerprint.fingerprint(re.compile(*by)) for by in (("a",), ("a",), ("b",), ("a", re.I))
    )
    assert one == same and len({one, other, flagged}) == 3
    assert (
        fingerprint.fingerprint(int | str) == fingerprint.fingerprint(int | str) != fingerprint.fingerprint(int | None)
    )


def changed(before, after):
    return {name for name in before if before[name] != after[name]}


def test_what_an_operation_is_made_of_is_in_its_programs_names(names, monkeypatch):
    before = names(CONFIG)
    monkeypatch.setattr(norm, "EPSILON", 1e-3)
    assert changed(before, names(CONFIG)) >= {"advance", "evaluate"}
    monkeypatch.undo()
    pool = ops.avg_pool_3x3
    monkeypatch.setitem(ops.OPERATIONS, "avg_pool_3x3", lambda *args, **options: pool(*args, **options))
    assert changed(before, names(CONFIG)) >= {"advance", "evaluate", "init"}


def test_what_a_penalty_reads_from_a_file_is_in_its_programs_names(names, monkeypatch, tmp_path):
    def method():
        table = np.loadtxt(tmp_path / "costs.csv")
        return Method(penalty=penalty.relative_cost({"cell": table}, 1.0))

    monkeypatch.setattr("dnas.methods.darts.method", method)
    found = []
    for cost in (1, 2, 1):
        np.savetxt(tmp_path / "costs.csv", np.full((1, 5), cost))
        found.append(names(replace(CONFIG, method="darts")))
    assert changed(found[0], found[1]) >= {"advance"} and found[0] == found[2]


class Planted:
    """A pickle that leaves a trace when it is read."""

    def __init__(self, trace):
        self.trace = trace

    def __reduce__(self):
        return os.mkdir, (str(self.trace),)


def test_a_planted_pickle_is_never_run(kept, tmp_path):
    name, trace, args = "double", tmp_path / "it ran", (np.ones(3), 2)
    program = kept.jit(name, double)
    key = kept.key(name, args, double, {})
    program(*args)
    ours = programs.folder() / f"{name}-{key}"
    payload, shapes = pickle.loads(ours.read_bytes()[programs.CHECK_BYTES :])
    inner = pickle.dumps(Planted(trace))
    contents = (inner, pickle.dumps((inner, shapes)), pickle.dumps((payload, Planted(trace))))
    for where in (data_dir().parent / "programs", programs.folder()):  # the first is open to others, see `kept`
        where.mkdir(parents=True, exist_ok=True)
        for content in contents:
            for path in (where / ours.name, *where.glob("[0-9a-f]*")):  # both names
                path.write_bytes(hashlib.sha256(content).digest() + content)
            assert again(kept, name, double)(*args).tolist() == [2, 2, 2]
            assert not trace.exists()


def test_nothing_of_anybody_else_is_read(kept, monkeypatch, capsys):
    args = np.ones(3), 2
    kept.jit("double", double)(*args)
    assert is_found(kept, "double", double, *args)
    assert {path.stat().st_mode & 0o777 for path in programs.folder().iterdir()} == {0o600}
    for path in programs.folder().iterdir():
        path.chmod(0o620)
    assert not is_found(kept, "double", double, *args)
    assert again(kept, "double", double)(*args).tolist() == [2, 2, 2]
    assert is_found(kept, "double", double, *args)  # written anew
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    stranger = programs.Programs(kept.layout, kept.description)
    assert stranger.folder is None and stranger.jit("double", double)(*args).tolist() == [2, 2, 2]
    assert "belongs to another user" in capsys.readouterr().err


def test_without_a_cache_folder_everything_is_compiled_anew(kept, monkeypatch, tmp_path, capsys):
    file = tmp_path / "file"
    file.touch()
    monkeypatch.setenv("XDG_CACHE_HOME", str(file))
    before = jax.config.values["jax_compilation_cache_dir"]
    try:
        loop.use_compilation_cache()
        assert jax.config.values["jax_compilation_cache_dir"] is None
        program = again(kept, "double", double)
        assert program(np.ones(3), 2).tolist() == [2, 2, 2] and program.shapes(np.ones(3), 2).shape == (3,)
        assert capsys.readouterr().err == (
            f"No cache ({file}: Not a directory): every start compiles anew. "
            "Set XDG_CACHE_HOME to a folder of your own.\n"
        )
        monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
        loop.use_compilation_cache()
        assert jax.config.values["jax_compilation_cache_dir"] == str(paths.private("xla"))
    finally:
        jax.config.update("jax_compilation_cache_dir", before)


def test_the_folder_is_bounded(tmp_path):
    for age in range(5):
        path = tmp_path / f"program{age}"
        path.write_bytes(bytes(10))
        programs.link(path, tmp_path / f"also{age}")
        os.utime(path, (100 - age, 100 - age))
    paths.make_room(tmp_path, 30)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        f"{name}{age}" for name in ("program", "also") for age in range(3)
    )


def test_a_full_disk_is_no_error(kept, monkeypatch):
    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert kept.jit("double", double)(np.ones(3), 2).tolist() == [2, 2, 2]
    assert not list(programs.folder().iterdir())
