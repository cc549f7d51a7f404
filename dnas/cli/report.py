"""`dnas report`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from dnas import ranges
from dnas.cli.parsing import optional
from dnas.cli.sources import is_run
from dnas.errors import StorageError, UserError
from dnas.ranges import Range

Port = Annotated[int, Range(0, 65535)]


@dataclass(frozen=True)
class Report:
    """Compare run folders in a table, and write the page of each: report.html.

    A page is one file that needs nothing else. It shows what was found and how good it is, the cell, curves, the mix
    over time, costs, and what dnas test and dnas why have left. Folders of dnas compare and dnas blackbox get pages,
    too. With --serve FOLDER a browser of this machine shows all runs below a folder, fresh while they run.

    Examples:
      dnas report runs/*
      dnas report runs/compare
      dnas report --serve runs
    """

    folders: Annotated[tyro.conf.Positional[tuple[str, ...]], optional("RUN [RUN ...]")] = ()
    """Run folders, and those of comparisons and black-box searches."""
    serve: Annotated[str | None, optional("FOLDER")] = None
    """Show all runs below this folder in a browser, until Ctrl-C; nobody on another machine can look."""
    port: int = 8765
    """Of --serve; 0: any that is free."""


def run(options: Report) -> None:
    """`dnas report`."""
    from rich.console import Console

    from dnas.reports import blackbox, comparison, states
    from dnas.reports import page as reports

    pages = {"comparison": comparison.page, "blackbox": blackbox.page}
    if options.serve is not None:
        if options.folders:
            raise UserError("--serve shows all runs below one folder: name no others, as in dnas report --serve runs.")
        _serve(options.serve, options.port)
        return
    if not options.folders:
        raise UserError("dnas report needs at least one run folder.")
    folders = [folder for folder in options.folders if is_run(folder)]
    others = {f: pages[kind] for f in options.folders if (kind := states.kind_of(Path(f))) in pages}
    if not folders and not others:
        raise UserError(f"There is no run in {', '.join(options.folders)}: name folders that hold a config.json.")
    for folder in (f for f in options.folders if f not in (*folders, *others)):
        print(f"Left out {folder}: it is no run, as it has no config.json.")
    if folders:
        Console().print(reports.table(folders))
    unwritten: list[StorageError] = []
    for folder in (*folders, *others):
        try:
            print(f"Open {others.get(folder, reports.page)(folder)}")
        except StorageError as error:  # the table needs no page, and other folders may be written to
            unwritten.append(error)
    if unwritten:
        raise unwritten[0]


def _serve(folder: str, port: int) -> None:
    from dnas.reports import serve

    ranges.check(port, Port, "port")
    with serve.server(folder, port) as server:
        print(f"Open http://localhost:{server.server_port} (Ctrl-C ends it)", flush=True)
        server.serve_forever()
