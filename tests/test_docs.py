"""The documentation says what is so: its commands exist with their options, its code runs, its outputs are real."""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest

from dnas import cli, config
from dnas.cli.parsing import parse

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
COMMAND = re.compile(r"^(?:    |\$ )(dnas (?:[^\\\n]|\\\n|\\.)*)$(?!\ndnas: )", re.MULTILINE)  # but not what is refused
EXPERIMENT = re.compile(r"^experiments/\w+\.py(:\w+)?$")
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
    tiny += [
        "--search.alphas.warmup_epochs=0",
        "--retrain.epochs=1",
        "--retrain.cells=1",
        "--retrain.channels=2",
        "--retrain.batch_size=32",
    ]
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


def test_what_a_page_would_load_from_elsewhere_is_refused():
    pages = script("pages")
    well = '<script src="assets/a.js"></script><a href="https://arxiv.org/abs/1806.09055">a paper</a><img src="x.png">'
    pages.refuse_loads(well, "index.md")
    for tag in (
        '<script async src="https://x.org/a.js">',
        "<img src='//x.org/a.png'>",
        '<link href="http://x.org/a.css">',
    ):
        with pytest.raises(Exception, match="index.md loads .*x.org"):
            pages.refuse_loads(well + tag, "index.md")


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
