"""`dnas search`."""

import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from dnas.cli.parsing import Flag, optional
from dnas.cli.sources import base_config, print_grid, print_text, print_warning, space_of, started
from dnas.config import Config
from dnas.errors import UserError


@dataclass(frozen=True)
class Search:
    """Search for a cell, and leave a run folder.

    The defaults are those of EXPERIMENT, else those of the DARTS paper; any field can be overridden. EXPERIMENT is a
    Python file with `config()`, FILE.py:SETTING for one of its settings (dnas list shows them), a JSON file or a run
    folder. With --out and --resume alone, an interrupted run goes on with its config.

    Examples:
      dnas search experiments/small_digits.py --out runs/first
      dnas search experiments/darts_minus.py:s1 --seeds 3
      dnas search --space nasbench201 --method darts:order=second --data fashion_mnist:limit=5000 --search.cells 1
      dnas search --space fbnet:size=cifar --data fashion_mnist --penalty "multiply_adds*0+0.1+0.3+1" --seeds 4
      dnas search experiments/small_digits.py --grid "search.alphas.learning_rate=[1e-3,1e-2,1e-1]" --seeds 6
      dnas search --out runs/first --resume
      dnas search --out runs/first --resume --search.epochs 100    # the same run, for longer
    """

    experiment: Annotated[tyro.conf.Positional[str | None], optional("[EXPERIMENT]")] = None
    """Where the defaults come from."""
    out: Annotated[str | None, optional("DIR")] = None
    """The run folder, a new one; by default in runs/, named after the config and the time."""
    weights: Annotated[str | None, optional("RUN", name="from")] = None
    """Begin with the weights of another run of the same network, those of its newest checkpoint; of one of its seeds,
    RUN:seed=3."""
    resume: Flag = False
    """Go on with the run in --out."""
    quiet: Flag = False
    """No progress bar, no headline."""
    profile: Annotated[str | None, optional("DIR")] = None
    """Write a trace of a few steps into this folder, for TensorBoard or Perfetto."""
    config: Annotated[Config, tyro.conf.arg(name=""), tyro.conf.FlagConversionOff] = field(default_factory=Config)


def run(options: Search) -> None:
    """`dnas search`."""
    from dnas.reports import diagram
    from dnas.runs import loop
    from dnas.search.run import run as search

    if options.resume and options.out is None:
        raise UserError("--resume needs --out DIR, the run folder to go on with.")
    result = search(
        started(options.config, options.weights),
        options.out,
        resume=options.resume,
        quiet=options.quiet,
        profile=options.profile,
    )
    lost = f", of which {len(result.diverged)} diverged" if result.diverged else ""
    several = f", the best of {len(result.genotypes)} seeds{lost}" if len(result.genotypes) > 1 else ""
    print(diagram.text(result.genotype))
    print_text(result.genotype)
    print_warning(result.genotype, space_of(result.genotype), result.config.retrain.cells)
    score = result.score
    best = score.best([one for one in result.scores if not math.isnan(one)])
    print(f"\nSupernet's validation {score.name}: {score.shown(best)}{several}.")
    if result.config.penalty:
        _print_front(result.folder)
    if result.config.grid:
        print_grid(result.folder, score)
    print(f"Open {result.folder / 'report.html'}")
    print(f"Train its network: {loop.program()} retrain {loop.quoted(result.folder)}")


def _print_front(folder: Path) -> None:
    """What no other search of the run beats, as its file says."""
    import json

    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    known = json.loads((folder / "front.json").read_text())
    shown = Table(box=None, pad_edge=False, header_style="bold")
    names = [name for name in known["front"][0] if name != "genotype"]
    for name in (*names[:-1], known.get("label", names[-1])):
        shown.add_column(escape(name), justify="right")  # "[ms]" is no markup
    for row in known["front"]:
        shown.add_row(*(f"{row[name]:.6g}" for name in names))
    print(f"\nFront of the searches, volume {known['hypervolume']:.4g}:")
    Console().print(shown)


def defaults(options: Search) -> Search | None:
    """The options that EXPERIMENT, or the run that goes on, stands for; what was typed overrides them."""
    config = base_config(options.experiment, options.out if options.resume else None)
    return None if config is None else Search(config=config)
