"""The kernels' cache: what is damaged there, or somebody else's, is never loaded, and each failure has its own advice.

No test compiles the kernels: their compiler here is a script that copies them from this machine's cache.
"""

import os
import shutil
import stat
import subprocess
import sys

import pytest

from dnas import paths
from dnas.kernels import native

ASK = "from dnas.kernels import native; print(native.available())"
HINT = "the same results, several times slower."


@pytest.fixture(scope="session")
def kernels(tmp_path_factory):
    """A library as it is compiled for this machine."""
    if native.compiler() is None:
        pytest.skip("no C++ compiler on this machine: install g++ to test the native kernels")
    cache = tmp_path_factory.mktemp("kernels")
    if native.available() and (folder := paths.cache_folder("native")):
        newest = max(folder.glob("*.so"), key=lambda path: path.stat().st_mtime)
        return shutil.copy(newest, cache / "kernels.so")
    pytest.skip("the kernels are not kept on this machine")


@pytest.fixture
def ask(tmp_path, kernels):
    """(script of a compiler, environment) -> what a process says: whether there are kernels, and in other words."""

    def said(script=f"cp {kernels} $out", **environment):
        compiler = tmp_path / "c++"
        if not compiler.exists() or script not in compiler.read_text():
            compiler.write_text(f"#!/bin/sh\nfor out; do :; done\necho run >> {tmp_path}/runs\n{script}\n")
            compiler.chmod(0o755)
        environment = {"CXX": str(compiler), "XDG_CACHE_HOME": str(tmp_path / "cache")} | environment
        command = [sys.executable, "-c", ASK]
        done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, **environment})
        assert done.returncode == 0, done  # -7: a bus error
        return done.stdout.strip(), done.stderr

    return said


def built(tmp_path):
    """The libraries in the cache, and how often the compiler ran."""
    runs = tmp_path / "runs"
    libraries = list((tmp_path / "cache" / "dnas" / "native").glob("*"))
    return libraries, runs.read_text().count("run") if runs.exists() else 0


def without_symbols(path):
    source = path.with_suffix(".c")
    source.touch()
    subprocess.run([native.compiler(), "-shared", "-fPIC", str(source), "-o", str(path)], check=True)


def named_rightly(path):
    """What a broken compiler leaves: a library without kernels whose checksum is right."""
    without_symbols(path)
    path.rename(path.with_name(f"{path.stem.split('-')[0]}-{native._check(path.read_bytes())}.so"))


DAMAGES = {
    "truncated": lambda path: os.truncate(path, path.stat().st_size // 2),  # loading it ends in a bus error
    "empty": lambda path: os.truncate(path, 0),
    "garbage": lambda path: path.write_bytes(b"no library"),
    "one bit": lambda path: path.write_bytes(path.read_bytes()[:-1] + b"\xff"),
    "without symbols": without_symbols,
    "without symbols, well named": named_rightly,
    "open to others": lambda path: path.chmod(0o666),
    "a link": lambda path: path.rename(path.with_suffix(".other")) and path.symlink_to(path.with_suffix(".other")),
}


@pytest.mark.slow
def test_a_damaged_library_is_built_again(ask, tmp_path):
    assert ask()[0] == "True"
    (path,), runs = built(tmp_path)
    whole = path.read_bytes()
    assert (stat.S_IMODE(path.stat().st_mode), runs) == (0o600, 1)
    assert ask() == ("True", "") and built(tmp_path)[1] == 1  # found
    for number, (how, damage) in enumerate(DAMAGES.items(), 2):
        damage(path)
        there, said = ask()
        assert there == "True" and said.startswith("Compiling the CPU kernels"), how
        assert path.read_bytes() == whole and not path.is_symlink() and built(tmp_path)[1] == number, how
    assert ask() == ("True", "")


def test_what_it_is_compiled_from_is_in_its_name(monkeypatch, tmp_path, kernels):
    asked = []
    monkeypatch.setattr(native, "_kept", lambda folder, name: asked.append(name) or True)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    native._built()
    source = tmp_path / "native.cc"
    source.write_text("another")
    compiler = shutil.copy(native.compiler(), tmp_path / "another")
    for name, value in (
        ("FLAGS", native.FLAGS[1:]),
        ("SOURCE", source),
        ("processor", lambda: "another"),
        ("compiler", lambda: str(compiler)),
    ):
        with monkeypatch.context() as context:
            context.setattr(native, name, value)
            native._built()
    monkeypatch.setattr(native, "compiler", lambda: str(compiler))
    os.utime(compiler, (1, 1))  # a new version
    native._built()
    assert len(set(asked)) == len(asked) == 6


def test_without_a_cache_they_are_compiled_for_this_process(ask, tmp_path):
    (tmp_path / "file").touch()
    there, said = ask(XDG_CACHE_HOME=str(tmp_path / "file"))
    assert there == "True" and "No cache (" in said and "XDG_CACHE_HOME" in said
    assert "Install" not in said and built(tmp_path)[0] == []


def test_a_cache_that_is_full_is_done_without(ask, kernels, monkeypatch, tmp_path, capsys):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(native, "_compile", lambda command: shutil.copy(kernels, command[-1]))
    monkeypatch.setattr(native, "replaced", full)
    assert hasattr(native._built(), native.SYMBOLS[0])
    assert "are not kept" in (said := capsys.readouterr().err) and "No space left on device" in said


FAILURES = {  # what a compiler does -> the reason, and the advice
    "echo 'x.cc:1: error: what?' >&2; exit 1": ("(x.cc:1: error: what?)", "Name another compiler by $CXX."),
    "exit 1": ("c++ failed)", "Name another compiler by $CXX."),
    "kill -9 $$": ("c++ failed)", "Name another compiler by $CXX."),
    "echo 'error: No space left on device' >&2; exit 1": ("No space left on device)", "Free some space"),
    "echo garbage > $out": ("can be loaded", "Name another compiler by $CXX, or by $TMPDIR a folder"),
    "exit 0": ("can be loaded", "Name another compiler by $CXX, or by $TMPDIR a folder"),
}


@pytest.mark.parametrize("script", FAILURES)
def test_each_failure_has_its_advice(script, ask):
    reason, advice = FAILURES[script]
    there, said = ask(script)
    assert there == "False" and reason in said and advice in said and HINT in said
    assert "Traceback" not in said and "Install" not in said


def test_a_compiler_that_does_not_run_is_named(ask, tmp_path):
    bad = tmp_path / "bad"
    bad.write_text("#!/no/such/shell\n")
    bad.chmod(0o755)
    there, said = ask(CXX=str(bad))
    assert there == "False" and f"{bad} does not run" in said and "Name another compiler by $CXX." in said
