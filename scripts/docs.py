"""The outputs that stand in the documentation: every fence called `console` is run, its commands begin with `$ `.

    python scripts/docs.py                 # check: run what is cheap, say what is printed otherwise; exit code 1
    python scripts/docs.py --write         # put the outputs of what is cheap into the pages
    python scripts/docs.py --write --dear  # also of what follows a line <!-- dear -->: searches and trainings, minutes

All commands of a page run in one empty folder with a link to experiments/. What is dear is written with its commit,
into the line below <!-- written -->.
"""

import argparse
import difflib
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[1]
BLOCK = re.compile(r"^(?P<dear><!-- dear -->\n)?```console\n(?P<text>.*?)^```$", re.DOTALL | re.MULTILINE)
WRITTEN = re.compile(r"^<!-- written -->\n.*$", re.MULTILINE)
SHELL = 'dnas() { "$DNAS_PYTHON" -m dnas "$@"; }; python() { "$DNAS_PYTHON" "$@"; }\n'


class Session(NamedTuple):
    """A fence: commands and what they print."""

    dear: bool
    commands: tuple[str, ...]
    text: str


def pages() -> list[Path]:
    return sorted((ROOT / "docs").rglob("*.md"))


def sessions(text: str) -> Iterator[Session]:
    """The console fences of a page."""
    for block in BLOCK.finditer(text):
        commands = re.findall(r"^\$ ((?:[^\\\n]|\\\n|\\.)*)", block["text"], re.MULTILINE)
        yield Session(bool(block["dear"]), tuple(commands), block["text"])


def printed(command: str, folder: Path) -> str:
    """What a command prints, on both streams, on a terminal of 100 columns without colours."""
    settings = {
        "COLUMNS": "100",
        "NO_COLOR": "1",
        "TERM": "dumb",
        "DNAS_PYTHON": sys.executable,
        "PYTHONPATH": f"{ROOT}",
    }
    done = subprocess.run(
        ["bash", "-c", SHELL + command],
        cwd=folder,
        env={**os.environ, **settings},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    said = done.stdout.replace(f"{ROOT}/", "").replace(f"{Path(sys.executable).parent}/", "")  # ours, not the reader's
    return "".join(f"{line.rstrip()}\n" for line in said.splitlines())


def rewritten(text: str, dear: bool) -> str:
    """A page with what its commands print now."""
    began = origin()  # somebody may commit meanwhile
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "experiments").symlink_to(ROOT / "experiments")

        def run(block: re.Match[str]) -> str:
            if block["dear"] and not dear:
                return block[0]
            (session,) = sessions(block[0])
            ran = [f"$ {command}\n{printed(command, folder)}" for command in session.commands]
            return f"{block['dear'] or ''}```console\n{''.join(ran)}```"

        new = BLOCK.sub(run, text)
    if dear and any(session.dear for session in sessions(text)):
        new = WRITTEN.sub(f"<!-- written -->\n{began}", new)
    return new


def origin() -> str:
    """Where the outputs of a page come from."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], cwd=ROOT, capture_output=True, text=True)
    day = datetime.now(UTC).date().isoformat()
    return (
        f"*All that is printed here was printed: by `scripts/docs.py` at commit {commit.stdout.strip()}, {day}, on "
        f"{os.cpu_count()} CPU cores.*"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("pages", nargs="*", type=Path, help="by default all of docs/")
    parser.add_argument("--write", action="store_true", help="put the outputs into the pages")
    parser.add_argument("--dear", action="store_true", help="with --write: also of searches and trainings")
    options = parser.parse_args()
    if options.dear and not options.write:
        parser.error("--dear goes with --write: what takes minutes is written, not checked")
    stale = 0
    for page in options.pages or pages():
        text = page.read_text()
        new = rewritten(text, options.dear)
        if options.write:
            page.write_text(new)
        elif new != text:
            stale += 1
            names = f"{page}, as it is", "what is printed now"
            print("".join(difflib.unified_diff(text.splitlines(True), new.splitlines(True), *names, n=1)))
    if stale:
        print(f"{stale} pages show what is not printed any more: run python scripts/docs.py --write, and look at it.")
    return int(stale > 0)


if __name__ == "__main__":
    sys.exit(main())
