"""Kept programs: found again without tracing, never stale, and of no harm when the disk is."""

import os
import subprocess
import sys
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import dnas
from dnas import programs, records
from dnas.devices import Layout

SCRIPT = """
import sys
import dnas.search
from dnas import programs, retrain
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
found = dnas.search.run(config, sys.argv[1], quiet=True)
retrain.run(config, found.genotype, sys.argv[1] + "/retrain", quiet=True)
"""


def start(tmp_path, name):
    """What a process that searches and trains printed, and what its runs recorded."""
    script = tmp_path / "script.py"
    if not script.exists():
        script.write_text(SCRIPT)
        os.utime(script, (1, 1))
    cache = {"DNAS_DATA_DIR": str(tmp_path / "cache" / "data"), "DNAS_PROGRAMS": "1"}
    command = [sys.executable, str(script), str(tmp_path / name)]
    done = subprocess.run(command, env={**os.environ, **cache}, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    folders = tmp_path / name, tmp_path / name / "retrain"
    return done.stdout, [records.read_metrics(folder) for folder in folders]


def test_the_second_start_builds_nothing_and_computes_the_same(tmp_path):
    printed, first = start(tmp_path, "first")
    assert printed.count("built") == 2
    assert start(tmp_path, "second") == ("", first)
    for path in (tmp_path / "cache" / "programs").iterdir():
        path.write_bytes(path.read_bytes()[:-1])
    printed, third = start(tmp_path, "damaged")
    assert printed.count("built") == 2 and third == first


@pytest.fixture
def kept(tmp_path, monkeypatch):
    """An environment in which programs are kept: a `__main__` that is a file, a cache folder of its own."""
    monkeypatch.setenv("DNAS_PROGRAMS", "1")
    monkeypatch.setenv("DNAS_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setattr(sys.modules["__main__"], "__file__", programs.__file__, raising=False)
    monkeypatch.setattr(dnas, "STARTED", time.time() + 1)
    return programs.Programs(Layout(1), {"width": 3})


def double(tree, by):
    return jax.tree.map(lambda leaf: leaf * by, tree)


def test_donation_keys_and_structures_survive(kept):
    def argument():
        return {"a": jnp.arange(3.0), "key": jax.random.key(0)}, jnp.float32(2)

    def function(tree, by):
        return {"key": jax.random.fold_in(tree["key"], 1), "a": tree["a"] * by}

    first = kept.jit("double", function, donate_argnums=0)(*argument())
    program = programs.Programs(kept.layout, kept.description).jit("double", function, donate_argnums=0)
    program.jitted = None  # so that nothing can be compiled
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
    monkeypatch.setattr(programs, "processor", lambda: "another")
    keys.append(kept.key("a", args))
    assert None not in keys and len(set(keys)) == len(keys)


def test_nothing_is_kept_where_the_code_cannot_be_known(kept, monkeypatch, tmp_path):
    assert programs.sources() is not None
    with monkeypatch.context() as context:
        context.setattr(dnas, "STARTED", Path(dnas.__file__).stat().st_mtime)  # a source changed after we read it
        assert programs.sources() is None
    monkeypatch.delattr(sys.modules["__main__"], "__file__")
    assert programs.sources() is None and kept.key("a", ()) is None
    assert kept.jit("double", double)(np.ones(3), 2).tolist() == [2, 2, 2]


def test_a_program_is_found_by_its_text_when_sources_changed(kept, monkeypatch):
    kept.jit("double", double)(np.ones(3), 2)
    before = set(programs.folder().iterdir())
    monkeypatch.setattr(programs, "sources", lambda: "others")
    kept.jit("double", double)(np.ones(3), 2)
    (new,) = set(programs.folder().iterdir()) - before
    assert new.stat().st_nlink == 3


def test_the_folder_is_bounded(tmp_path):
    for age in range(5):
        path = tmp_path / f"program{age}"
        path.write_bytes(bytes(10))
        programs.link(path, tmp_path / f"also{age}")
        os.utime(path, (100 - age, 100 - age))
    programs.make_room(tmp_path, 30)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        f"{name}{age}" for name in ("program", "also") for age in range(3)
    )


def test_a_full_disk_is_no_error(kept, monkeypatch):
    def full(*_):
        raise OSError("No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    assert kept.jit("double", double)(np.ones(3), 2).tolist() == [2, 2, 2]
    assert not list(programs.folder().iterdir())
