"""What mkdocs asks for beyond the files in docs/ (hooks in mkdocs.yml): pages made from docstrings, README,
CONTRIBUTING and CHANGELOG as pages, and every file that a page links to outside of docs/.

A link is written so that it works in the repository, `../benchmarks/results/x.png`; the file comes along, and the link
becomes the one that works on the page. A link to a folder, which has no page, becomes its words.
"""

import ast
import os
import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.exceptions import PluginError
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

from dnas import find

ROOT = Path(__file__).parents[1]
DOCS = ROOT / "docs"
LINK = re.compile(r"(!?)\[((?:[^\[\]]|\[[^\]]*\])*)\]\(([^)\s#]+)(#[^)\s]*)?\)")
LOADS = re.compile(r"<(?:script|img|iframe|source|link)\b[^>]*(?:src|href)=.?(?:https?:)?//[^>]*>")
FENCE = re.compile(r"^(```|~~~)")
PAPER = re.compile(r"arXiv:(\d{4}\.\d{4,5})")
PAGES = {"README.md": "readme.md", "CONTRIBUTING.md": "contributing.md", "CHANGELOG.md": "changelog.md"}
REFERENCE = {  # what is found by name: the title of its page, and how one is chosen
    "method": ("Methods", "`--method NAME` of `dnas search`"),
    "space": ("Spaces", "`--space NAME`"),
    "data set": ("Data sets", "`--data NAME`; `dnas data` says which are here and how to get the others"),
    "task": ("Tasks", "`--task NAME`; by default the one that the data set is there for"),
    "searcher": ("Searchers", "`--searcher NAME` of `dnas blackbox`"),
    "evaluator": ("Evaluators", "`--evaluator NAME` of `dnas blackbox`"),
    "table": ("Tables", "`--table NAME` of `dnas bench`"),
    "proxy": ("Zero-cost proxies", "`--evaluator proxy:proxy=NAME,...` of `dnas blackbox`"),
    "cost": ("Costs", '`--budget "NAME<MOST"` and `--penalty "NAME*WEIGHT"`'),
    "optimiser": ("Optimisers", "`--search.weights.optimiser NAME` and `--retrain.weights.optimiser NAME`"),
    "schedule": ("Schedules", "`--search.weights.schedule NAME` and `--retrain.weights.schedule NAME`"),
    "average": ("Averages", "`--retrain.average NAME`"),
}


def on_files(files: Files, *, config: MkDocsConfig) -> Files:
    for name, page in PAGES.items():
        files.append(File.generated(config, page, content=(ROOT / name).read_text()))
    for what in REFERENCE:
        files.append(File.generated(config, uri_of(what), content=reference(what)))
    files.append(File.generated(config, "reference/operations.md", content=operations()))
    files.append(File.generated(config, "reference/experiments.md", content=experiments()))
    brought = {linked for page in [*DOCS.rglob("*.md"), *map(ROOT.joinpath, PAGES)] for linked in _links(page)}
    for path in sorted(brought):
        if path.is_file() and DOCS not in path.parents and str(path.relative_to(ROOT)) not in PAGES:
            files.append(File.generated(config, str(path.relative_to(ROOT)), abs_src_path=str(path)))
    return files


def uri_of(what: str) -> str:
    return f"reference/{find.FACTORIES[what]}s.md".replace("proxys", "proxies")


def reference(what: str) -> str:
    """The page of one sort of thing: a section for each, from the docstrings of its file."""
    title, chosen = REFERENCE[what]
    described = find.described(what)
    lines = [f"# {title}", "", f"{len(described)} of them, a file each in `{find.PACKAGES[what].replace('.', '/')}/`."]
    lines += [f"Chosen with {chosen}; a setting is written `name:key=value,key=value`.", ""]
    lines += ["| name | what |", "| --- | --- |"]
    lines += [f"| [`{name}`](#{name}) | {_cell(about.line)} |" for name, about in described.items()]
    for name in described:
        lines += ["", f"## `{name}` {{ #{name} }}", "", *_section(what, name)]
    return "\n".join(lines) + "\n"


def _section(what: str, name: str) -> Iterator[str]:
    """The docstring of the file, the settings with their defaults, and what the factory says of them."""
    tree = ast.parse((ROOT / find.PACKAGES[what].replace(".", "/") / f"{name}.py").read_text())
    yield from _text(ast.get_docstring(tree) or "")
    factory = next(f for f in tree.body if isinstance(f, ast.FunctionDef) and f.name == find.FACTORIES[what])
    pairs = list(zip(factory.args.kwonlyargs, factory.args.kw_defaults, strict=True))
    if pairs:
        yield from ("", "| setting | type | default |", "| --- | --- | --- |")
    for argument, default in pairs:
        kind = ast.unparse(argument.annotation) if argument.annotation else ""
        value = ast.unparse(default) if default else ""
        yield f"| `{argument.arg}` | `{_cell(kind)}` | `{_cell(value)}` |"
    yield ""
    yield from _text(ast.get_docstring(factory) or "")


def operations() -> str:
    """The page of operations: all of those that a file of them defines."""
    found = find.functions("dnas.nets.ops")
    rows = [f"| `{name}` | {_cell(line)} |" for name, line in found.items()]
    about = "Operations of cells, functions in `dnas/nets/ops.py`; a space says which of them its edges may carry."
    return "\n".join(["# Operations", "", about, "", "| name | what |", "| --- | --- |", *rows, ""])


def experiments() -> str:
    """The page of experiments: a section for each file, its docstring."""
    found = find.experiments(ROOT / "experiments")
    lines = ["# Experiments", "", f"{len(found)} files in `experiments/`, most of them one paper each."]
    lines += ["What a file says it expects is published, unless it says that this project has measured it.", ""]
    for path, about in found.items():
        lines += [f"## `{path.name}` {{ #{path.stem} }}", ""]
        lines += _text(ast.get_docstring(ast.parse(path.read_text())) or "")
        if about.settings:
            lines += ["", f"Settings: {', '.join(f'`{name}`' for name in about.settings.split(','))}."]
        lines += [""]
    return "\n".join(lines) + "\n"


def _text(docstring: str) -> list[str]:
    """A docstring as Markdown: what is indented is code, papers are links, and no letter means what it did not say."""
    lines = list[str]()
    for line in docstring.splitlines():
        code = line.startswith("    ")
        lines += [""] if code and lines and lines[-1] and not lines[-1].startswith("    ") else []
        lines.append(line if code else _prose_of(line))
    return lines


def _prose_of(line: str) -> str:
    pieces = re.split(r"(`[^`]*`)", line)
    plain = [
        piece if number % 2 else re.sub(r"([*_<\[\]|])", r"\\\1", piece.replace("&", "&amp;"))
        for number, piece in enumerate(pieces)
    ]
    return PAPER.sub(r"[arXiv:\1](https://arxiv.org/abs/\1)", "".join(plain))


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;") if "`" in text or "<" in text else text.replace("|", "\\|")


def _links(page: Path) -> list[Path]:
    """What a page links to in the repository."""
    found = [match[3] for line in _prose(page.read_text()) for match in LINK.finditer(line)]
    return [Path(os.path.normpath(page.parent / link)) for link in found if "://" not in link]


def _prose(text: str) -> list[str]:
    """The lines outside of fences and of indented code."""
    lines, inside = list[str](), False
    for line in text.splitlines():
        inside ^= bool(FENCE.match(line))
        if not inside and not line.startswith("    "):
            lines.append(line)
    return lines


def on_post_page(output: str, *, page: Page, config: MkDocsConfig) -> str:
    refuse_loads(output, page.file.src_uri)
    return output


def refuse_loads(output: str, name: str) -> None:
    """Errors: `PluginError` for a page that asks anything of another server when it is opened."""
    if found := LOADS.search(output):
        raise PluginError(f"{name} loads something from elsewhere: {found[0]}")


def on_page_markdown(markdown: str, *, page: Page, config: MkDocsConfig, files: Files) -> str:
    uri = page.file.src_uri
    if uri.startswith("reference/"):
        return markdown
    source = ROOT / next((name for name, own in PAGES.items() if own == uri), f"docs/{uri}")

    def rewritten(match: re.Match[str]) -> str:
        picture, words, link, place = match[1], match[2], match[3], match[4] or ""
        path = Path(os.path.normpath(source.parent / link))
        if "://" in link or not path.is_relative_to(ROOT):
            return match[0]
        if path.is_dir():
            return words
        inside = str(path.relative_to(DOCS if path.is_relative_to(DOCS) else ROOT))
        return f"{picture}[{words}]({os.path.relpath(PAGES.get(inside, inside), Path(uri).parent)}{place})"

    lines, inside = list[str](), False
    for line in markdown.splitlines():
        inside ^= bool(FENCE.match(line))
        lines.append(line if inside or line.startswith("    ") else LINK.sub(rewritten, line))
    return "\n".join(lines) + "\n"
