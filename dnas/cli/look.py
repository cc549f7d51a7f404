"""`dnas look`."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from dnas.cli.parsing import optional
from dnas.errors import UserError, printable

if TYPE_CHECKING:
    from dnas.automl import look as looks

COLOURS = {"fatal": "bold red", "warning": "yellow", "note": "cyan"}


@dataclass(frozen=True)
class Look:
    """Look at data before anything is learnt: what they are, and what is wrong with them.

    DATA is a folder with one folder of images, recordings (wav, flac) or texts per class; a CSV, TSV, parquet or JSON
    lines file; or a data set's name (dnas data). What was guessed is said, and the choice that all commands take. Each
    finding is a sentence, with what dnas auto does about it. "fatal": nothing can be learnt before it is mended, and
    the exit code is 2.

    Examples:
      dnas look flowers/ --out findings.html
      dnas look houses.csv --target price --keep date
      dnas look spoken_digits:by=speaker
    """

    data: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DATA")]
    """A folder, a file, or a data set's name."""
    target: Annotated[str | None, optional("COLUMN")] = None
    """The column to predict. By default one called target, label, class or y, or the last one."""
    keep: Annotated[tuple[str, ...], optional("COLUMN [COLUMN ...]")] = ()
    """Columns that stay although they would be left out, as those that say the target by themselves."""
    out: Annotated[Path | None, optional("PAGE.html")] = None
    """Write a page of the findings, with pictures."""


def run(options: Look) -> None:
    """`dnas look`."""
    from dnas.automl import look

    if options.out is not None and options.out.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"--out is a page, so its name ends in .html, not '{options.out.name}'.")
    examined = look.examine(options.data, target=options.target, keep=options.keep)
    show(examined.look)
    if options.out is not None:
        from dnas.automl import page

        page.write(examined, options.out)
        print(f"Open {options.out}")
    examined.look.require()


def show(found: "looks.Look") -> None:
    """Print a look."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from dnas.automl.words import size_of, summary

    console = Console()
    for sentence in found.how:
        console.print(escape(printable(sentence)), highlight=False)
    console.print(f"[bold]{escape(summary(found))}[/bold] {escape(size_of(found))}", highlight=False)
    if found.findings:
        table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
        for one in found.findings:
            action = f"\n[italic]dnas auto: {escape(one.action)}[/]" if one.action else ""
            table.add_row(f"[{COLOURS[one.severity]}]{one.severity}[/]", escape(printable(one.sentence)) + action)
        console.print(table)
    else:
        console.print("Nothing was found that is wrong with them.")
    console.print(
        f"The choice for other commands: --data {escape(printable(found.data))}", highlight=False, soft_wrap=True
    )
