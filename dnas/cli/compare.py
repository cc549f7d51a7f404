"""`dnas compare`."""

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from dnas.blackbox.config import BlackboxConfig
from dnas.cli.parsing import Flag, optional
from dnas.config import parse_source
from dnas.errors import unknown

if TYPE_CHECKING:
    from dnas.compare.experiment import AnyConfig


@dataclass(frozen=True)
class Compare:
    """Compare methods under one protocol: search with each, train every found cell alike, show a figure and a table.

    EXPERIMENT is a Python file with `configs()`, a config by name, of searches with gradients (Config) and by searchers
    (BlackboxConfig) together, and of architectures made by hand (Baseline); FILE.py:SETTING names one of its settings,
    if it has any. Its `protocol()`, if it has
    one, says how cells are judged. What is finished is kept: the same command goes on. DIR holds all numbers:
    comparison.csv, .md, .tex, .json, every seed in comparison.seeds.csv, tests of every two methods in
    comparison.tests.csv.

    Examples:
      dnas compare experiments/small_compare.py --out runs/compare
      dnas compare experiments/small_compare.py --out runs/two --only darts gdas --seeds 2
      dnas compare experiments/small_compare.py --out runs/nine --train_seeds 3
          --learning_rates .025 .1 .01 --weight_decays 1e-4 3e-4 1e-3
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
    """Cells drawn at random that join the comparison, trained as the found ones: in spaces without a table the baseline
    of equal cost; in NAS-Bench-201 there is random search for as much as a search cost, too. Beside methods with a
    budget of networks both are within it."""
    lookup: Flag = False
    """Train nothing: cells are only looked up in NAS-Bench-201."""
    train_seeds: int = 0
    """Trainings of every found cell, whose mean counts; 0: as in the file, else 1."""
    learning_rates: Annotated[tuple[float, ...], optional("FLOAT [FLOAT ...]")] = ()
    """Train every found cell with each of these; the setting with the best validation score counts."""
    weight_decays: Annotated[tuple[float, ...], optional("FLOAT [FLOAT ...]")] = ()
    """And with each of these."""
    supernet_cells: int | None = None
    """Cells by which the supernets of NAS-Bench-201 are held against the ground truth, an evaluation each; by default
    as in the file, else none."""
    quiet: Flag = False
    """No progress bars."""


def run(options: Compare) -> None:
    """`dnas compare`."""
    from rich.console import Console

    from dnas import compare as comparison

    known, protocol = comparison.load(options.experiment)
    for name in options.only:
        if name not in known:
            raise unknown("method of this comparison:", name, known)
    chosen = {name: _seeded(config, options) for name, config in known.items() if name in (options.only or known)}
    tuning = {name: spent for name, spent in protocol.tuning.items() if name in chosen or name not in known}
    typed = {name: getattr(options, name) for name in ("train_seeds", "learning_rates", "weight_decays")}
    typed = {name: value for name, value in typed.items() if value}
    if options.supernet_cells is not None:
        typed["supernet_cells"] = options.supernet_cells
    protocol = dataclasses.replace(protocol, tuning=tuning, **typed)
    file, setting = parse_source(options.experiment)
    out = Path(options.out or Path("runs") / "_".join([file.stem, *([setting] if setting else [])]))
    rows = comparison.run(
        chosen,
        out,
        random_cells=options.random_cells,
        train=not options.lookup,
        protocol=protocol,
        quiet=options.quiet,
    )
    console = Console()
    console.print(comparison.table(rows, console.width))
    for name in ("report.html", "comparison.png", "comparison.ranks.png"):
        if (out / name).exists():
            print(f"Open {out / name}")


def _seeded(config: "AnyConfig", options: Compare) -> "AnyConfig":
    """With the seeds that were typed: the runs, of a searcher."""
    number = "runs" if isinstance(config, BlackboxConfig) else "seeds"
    typed: dict[str, Any] = {number: options.seeds} if options.seeds else {}
    typed |= {"seed": options.seed} if options.seed is not None else {}
    return dataclasses.replace(config, **typed)
