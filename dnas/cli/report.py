"""`dnas report`."""

from dataclasses import dataclass
from typing import Annotated

import tyro

from dnas.cli.parsing import optional
from dnas.cli.sources import is_run
from dnas.errors import StorageError, UserError


@dataclass(frozen=True)
class Report:
    """Compare run folders in a table, and write the page of each: report.html.

    Examples:
      dnas report runs/*
    """

    folders: Annotated[tyro.conf.Positional[tuple[str, ...]], optional("RUN [RUN ...]")]
    """Run folders."""


def run(options: Report) -> None:
    """`dnas report`."""
    from rich.console import Console

    from dnas.reports import page as reports

    if not options.folders:
        raise UserError("dnas report needs at least one run folder.")
    folders = [folder for folder in options.folders if is_run(folder)]
    if not folders:
        raise UserError(f"There is no run in {', '.join(options.folders)}: name folders that hold a config.json.")
    for folder in (f for f in options.folders if f not in folders):
        print(f"Left out {folder}: it is no run, as it has no config.json.")
    Console().print(reports.table(folders))
    unwritten: list[StorageError] = []
    for folder in folders:
        try:
            print(f"Open {reports.page(folder)}")
        except StorageError as error:  # the table needs no page, and other folders may be written to
            unwritten.append(error)
    if unwritten:
        raise unwritten[0]
