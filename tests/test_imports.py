"""Imports run downwards only: the order of the rooms, lowest first. A room is a folder, or a file beside them; a module
imports from rooms above its own in this list, or from its own, where no imports go in a circle. Where a lower room
needs a higher one by name (`dnas.find`), it goes through importlib.
"""

import ast
from fnmatch import fnmatch
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import dnas

ROOMS = (
    "dnas",
    "dnas.types",
    "dnas.errors",
    "dnas.paths",
    "dnas.files",
    "dnas.keys",
    "dnas.ranges",
    "dnas.config",
    "dnas.find",
    "dnas.fields",
    "dnas.grid",
    "dnas.architectures dnas.architectures.*",
    "dnas.kernels dnas.kernels.*",
    "dnas.nets dnas.nets.*",
    "dnas.spaces dnas.spaces.*",
    "dnas.data dnas.data.*",
    "dnas.tasks dnas.tasks.*",
    "dnas.tasks dnas.tasks.*",
    "dnas.proxies dnas.proxies.*",
    "dnas.tables dnas.tables.*",
    "dnas.costs dnas.costs.*",
    "dnas.runs dnas.runs.*",
    "dnas.reports dnas.reports.*",
    "dnas.training dnas.training.*",
    "dnas.search dnas.search.*",
    "dnas.methods dnas.methods.*",
    "dnas.interop dnas.interop.*",
    "dnas.retrain",
    "dnas.loading dnas.loading.*",
    "dnas.exporting dnas.exporting.*",
    "dnas.evaluators dnas.evaluators.*",
    "dnas.explain dnas.explain.*",
    "dnas.blackbox dnas.blackbox.*",
    "dnas.compare dnas.compare.*",
    "dnas.tune dnas.tune.*",
    "dnas.automl dnas.automl.*",
    "dnas.cli dnas.cli.*",
    "dnas.__main__",
)
FOLDER = Path(dnas.__file__).parent


def modules() -> dict[str, Path]:
    found = {}
    for path in sorted(FOLDER.rglob("*.py")):
        parts = path.relative_to(FOLDER.parent).with_suffix("").parts
        found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


MODULES = modules()


def room(module: str) -> int:
    """The first room that names the module, else the first whose pattern fits."""
    for number, names in enumerate(ROOMS):
        if module in names.split():
            return number
    for number, names in enumerate(ROOMS):
        if any(fnmatch(module, name) for name in names.split()):
            return number
    raise AssertionError(f"{module} is in no room: give it a place in ROOMS, and say why in CONTRIBUTING.md")


def imported(path: Path) -> set[str]:
    """The modules of ours that a file imports anywhere, inside functions too."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: import by full name"
            for alias in node.names:
                name = f"{node.module}.{alias.name}"
                found.add(name if name in MODULES else node.module)
        elif isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
    return {name for name in found if name is not None and name.partition(".")[0] == "dnas"}


@pytest.mark.parametrize("module", MODULES)
def test_imports_run_downwards(module):
    for other in imported(MODULES[module]) - {module}:
        assert other in MODULES, f"{module} imports {other}, which does not exist"
        assert room(other) <= room(module), f"{module} imports {other}, which lies above it"


def test_no_file_imports_itself_through_others():
    above = {module: imported(path) & set(MODULES) - {module} for module, path in MODULES.items()}
    TopologicalSorter(above).prepare()  # CycleError names the circle


def test_the_test_sees_imports():
    assert "dnas.architectures.zoo" in imported(MODULES["dnas.architectures.genotype"])
    assert "dnas.reports.diagram" in imported(MODULES["dnas.cli.show"])  # inside a function
    assert {"dnas.runs.records", "dnas.paths"} <= imported(MODULES["dnas.runs.loop"])
    assert room("dnas.spaces.a_new_space") > room("dnas.nets.ops")
    assert room("dnas.retrain") < room("dnas.cli")
    with pytest.raises(AssertionError, match="no room"):
        room("dnas.a_new_room")


def test_the_contract_imports_nothing_of_ours():
    assert imported(MODULES["dnas.types"]) == set()
    assert imported(MODULES["dnas.architectures.topology"]) == set()


def test_a_method_knows_no_network_and_a_network_no_method():
    for module, path in MODULES.items():
        if module.startswith("dnas.methods."):
            used = {m for m in imported(path) if m.startswith(("dnas.nets", "dnas.data", "dnas.spaces"))}
            assert used <= {"dnas.architectures.topology"}, module  # what a space is, but none in particular
        if module.startswith(("dnas.nets", "dnas.spaces")):
            assert not {m for m in imported(path) if m.startswith(("dnas.search", "dnas.methods"))}, module


@pytest.mark.parametrize("module", MODULES)
def test_files_and_functions_can_be_read_at_a_sitting(module):
    text = MODULES[module].read_text()
    assert text.count("\n") <= 350
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef):
            assert node.end_lineno is not None and node.end_lineno - node.lineno < 60, node.name
