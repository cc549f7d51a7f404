"""`dnas compare`."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from dnas import config as configs
from dnas.cli.parsing import Flag, optional
from dnas.errors import unknown


@dataclass(frozen=True)
class Compare:
    """Compare methods under one protocol: search with each, train every found cell alike, show a figure and a table.

    EXPERIMENT is a Python file with `configs()`, a config by name; FILE.py:SETTING names one of its settings, if it has
    any. What is finished is kept: the same command goes on.

    Examples:
      dnas compare experiments/small_compare.py --out runs/compare
      dnas compare experiments/small_compare.py --out runs/two --only darts gdas --seeds 2
    """

    experiment: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="EXPERIMENT")]
    """The comparison."""
    out: Annotated[str | None, optional("DIR")] = None
    """The folder of the comparison; by default in runs/, named after the file."""
    only: Annotated[tuple[str, ...], optional("NAME [NAME ...]")] = ()
    """Only these methods, by their names in the file."""
    seeds: Annotated[int, optional("INT")] = 0
    """Seeds of every search; 0: as in the file."""
    seed: Annotated[int | None, optional("INT")] = None
    """The first of them, for more searches in another folder; by default as in the file."""
    random_cells: int = 8
    """Cells drawn at random that join the comparison."""
    lookup: Flag = False
    """Train nothing: cells are only looked up in NAS-Bench-201."""
    quiet: Flag = False
    """No progress bars."""


def run(options: Compare) -> None:
    """`dnas compare`."""
    from rich.console import Console

    from dnas import compare as comparison

    known = configs.load_several(options.experiment)
    for name in options.only:
        if name not in known:
            raise unknown("method of this comparison:", name, known)
    chosen = {name: config for name, config in known.items() if name in (options.only or known)}
    if options.seeds:
        chosen = {name: dataclasses.replace(config, seeds=options.seeds) for name, config in chosen.items()}
    if options.seed is not None:
        chosen = {name: dataclasses.replace(config, seed=options.seed) for name, config in chosen.items()}
    file, setting = configs.parse_source(options.experiment)
    out = Path(options.out or Path("runs") / "_".join([file.stem, *([setting] if setting else [])]))
    rows = comparison.run(chosen, out, random_cells=options.random_cells, train=not options.lookup, quiet=options.quiet)
    Console().print(comparison.table(rows))
    if (out / "comparison.png").exists():
        print(f"Open {out / 'comparison.png'}")
