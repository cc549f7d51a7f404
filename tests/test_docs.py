"""The documentation says what is so: its commands exist with their options, its code runs, its outputs are real."""

import importlib.util
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from dnas import cli, config
from dnas.cli.parsing import parse

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMAND = re.compile(r"^(?:    |\$ )(dnas (?:[^\\\n]|\\\n|\\.)*)$(?!\ndnas: )", re.MULTILINE)  # but not what is refused
EXPERIMENT = re.compile(r"^experiments/\w+\.py(:\w+)?$")
LOADS = re.compile(r"<(?:script|img|iframe|source|link)\b[^>]*(?:src|href)=.?(?:https?:)?//[^>]*>")
DOTS = {"...", "RUN", "COMMAND"}


def script(name):
    spec = importlib.util.spec_from_file_location(f"{name}_script", ROOT / "scripts" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def commands(page: Path) -> list[str]:
    """The commands of a page, without what a shell does with them."""
    found = (match[1].replace("\\\n", " ") for match in COMMAND.finditer(page.read_text()))
    return [re.split(r"\s(?:#|\||&&|>)\s?", line)[0].strip() for line in found]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_command_parses_and_its_experiment_exists(page):
    for line in commands(page):
        _, name, *arguments = shlex.split(line)
        if name.startswith("-") or "--help" in arguments or name in DOTS:
            continue
        assert name in cli.COMMANDS, f"{line}: no such command"
        parse(cli.COMMANDS[name].options, name, arguments)  # UserError for an option that does not exist
        for argument in filter(EXPERIMENT.match, arguments):
            file, _, setting = argument.partition(":")
            assert (ROOT / file).is_file(), f"{line}: there is no {file}"
            if setting and name in ("search", "retrain"):
                config.load(str(ROOT / file) + f":{setting}")


def test_commands_are_found():
    assert len(commands(ROOT / "README.md")) > 40
    assert sum(len(commands(page)) for page in PAGES) > 80


def blocks(page: Path) -> list[str]:
    return re.findall(r"^```python\n(.*?)^```$", page.read_text(), re.DOTALL | re.MULTILINE)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_code_is_code(page):
    for block in blocks(page):
        compile(block, str(page), "exec")


@pytest.fixture(scope="module")
def tutorial(tmp_path_factory):
    """A folder as the tutorial leaves it, from a search and a training of seconds."""
    folder = tmp_path_factory.mktemp("docs")
    (folder / "experiments").symlink_to(ROOT / "experiments")
    out = folder / "runs" / "first"
    tiny = [
        "--seeds=1",
        "--data=digits:limit=200",
        "--search.epochs=1",
        "--search.channels=2",
        "--search.batch_size=16",
    ]
    tiny += ["--search.alphas.warmup_epochs=0", "--retrain.epochs=1", "--retrain.channels=2", "--retrain.batch_size=32"]
    experiment = str(ROOT / "experiments" / "small_digits.py")
    assert cli.main(["search", experiment, *tiny, "--out", str(out), "--quiet"]) == 0
    assert cli.main(["retrain", str(out), "--quiet"]) == 0
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [page for page in PAGES[2:] if blocks(page)], ids=lambda page: page.relative_to(ROOT).as_posix()
)
def test_code_of_pages_runs(page, tutorial, monkeypatch):
    """The blocks of a page, one after the other, in the folder that the tutorial leaves."""
    monkeypatch.chdir(tutorial)
    names = {"__name__": "docs"}
    for block in blocks(page):
        exec(compile(block, str(page), "exec"), names)


@pytest.mark.slow
def test_outputs_are_what_is_printed():
    docs = script("docs")
    for page in docs.pages():
        text = page.read_text()
        if any(not session.dear for session in docs.sessions(text)):
            assert docs.rewritten(text, dear=False) == text, f"{page}: run python scripts/docs.py --write"


@pytest.mark.slow
def test_pages_are_built_without_a_warning_and_load_nothing_from_elsewhere(tmp_path):
    settings = {**os.environ, "NO_MKDOCS_2_WARNING": "1"}
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(tmp_path / "site")]
    done = subprocess.run(command, cwd=ROOT, env=settings, capture_output=True, text=True)
    assert (done.returncode, done.stdout + done.stderr) == (0, "")
    pages = {path: path.read_text() for path in (tmp_path / "site").rglob("*.html")}
    assert len(pages) > 40 and "concepts/bilevel.html" in pages[tmp_path / "site" / "index.html"]
    for path, text in pages.items():
        loads = LOADS.findall(text)
        assert not loads, f"{path}: {loads}"
    for path in (tmp_path / "site").rglob("*.css"):
        assert not re.search(r"url\(.?https?:|@import", path.read_text()), path


def test_outputs_of_searches_name_their_commit():
    docs = script("docs")
    dear = [page.read_text() for page in docs.pages() if any(s.dear for s in docs.sessions(page.read_text()))]
    assert dear and all(re.search(r"<!-- written -->\n\*All .* at commit [0-9a-f]{7}", text) for text in dear)


def test_an_output_that_changed_is_seen():
    docs = script("docs")
    cheap = "```console\n$ echo one\none\n$ echo two | tr o 0\nother\n```\n"
    page = f"Text.\n\n{cheap}\n<!-- dear -->\n```console\n$ echo x\ny\n```\n"
    new = docs.rewritten(page, dear=False)
    assert new == page.replace("other\n", "tw0\n")
    assert docs.rewritten(new, dear=False) == new
