"""After a plain `import dnas` every public module is there, as an attribute of its package."""

import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import pytest

import dnas

FOLDER = Path(dnas.__file__).parent
FILES = sorted(FOLDER.rglob("*.py"))
NAMES = [path.relative_to(FOLDER.parent).with_suffix("").as_posix().replace("/", ".") for path in FILES]
PUBLIC = [name for name in NAMES if "._" not in name]


def test_the_list_has_them():
    assert {"dnas.compare.rows", "dnas.architectures.genotype", "dnas.search.relax", "dnas.data.augment"} <= set(PUBLIC)


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_module_is_an_attribute_of_its_package(name, monkeypatch):
    *packages, last = name.split(".")
    package = importlib.import_module(".".join(packages))
    if name != "dnas.search.run":  # a function of this name stands before the module
        monkeypatch.delattr(package, last, raising=False)
    found = getattr(package, last)
    assert isinstance(found, ModuleType) == (name != "dnas.search.run")
    assert found is (sys.modules[name] if isinstance(found, ModuleType) else sys.modules[name].run)


def test_a_plain_import_is_enough_and_imports_nothing():
    code = """
import dnas, sys
assert [name for name in sys.modules if name.startswith(("dnas.", "jax", "numpy"))] == [], sys.modules
print(dnas.architectures.genotype.parse("DARTS_V2").space, callable(dnas.search.run), dnas.compare.run, dnas.nets.count)
print(dnas.spaces.darts.space, dnas.methods.darts.method, dnas.data.augment.augment, dnas.architectures.zoo)
print(dnas.cli.main)
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0, result.stderr
    assert result.stdout.startswith("darts True ")


@pytest.mark.parametrize("package", ["dnas", "dnas.spaces", "dnas.data", "dnas.methods", "dnas.nets", "dnas.search"])
def test_what_is_not_there_is_an_attribute_error(package):
    module = importlib.import_module(package)
    for name in ("nothing_of_this_name", "__wrapped__", "_nothing"):
        with pytest.raises(AttributeError, match=f"module '{package}' has no attribute '{name}'"):
            getattr(module, name)


def test_what_a_module_lacks_is_not_hidden(tmp_path, monkeypatch):
    (tmp_path / "lacking.py").write_text("import nothing_of_this_name\n")
    monkeypatch.setattr(dnas.methods, "__path__", [*dnas.methods.__path__, str(tmp_path)])
    with pytest.raises(ModuleNotFoundError, match="nothing_of_this_name"):
        dnas.methods.lacking  # noqa: B018
