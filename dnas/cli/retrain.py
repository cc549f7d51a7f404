"""`dnas retrain`."""

import contextlib
import dataclasses
import math
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import tyro

from dnas.cli.networks import examined
from dnas.cli.parsing import Flag, Hidden, optional
from dnas.cli.sources import base_config, choice_of, genotype_of, is_run, print_grid, space_of, started
from dnas.config import Config, SearchConfig
from dnas.errors import UserError


@dataclass(frozen=True)
class TrainingConfig(Config):
    """What of a config matters to a training."""

    method: Hidden[str] = "darts"
    search: Hidden[SearchConfig] = field(default_factory=SearchConfig)


@dataclass(frozen=True)
class Retrain:
    """Train the network of a genotype from scratch, on the whole train set, and test it.

    CELL is a run folder (its config, and the genotype of its best seed) or a genotype: a published cell (`DARTS_V2`), a
    DARTS `Genotype(...)`, a NAS-Bench-201 string or index, JSON, a file of one of these, or - for standard input. The
    defaults are the run's, else those of --config, else those of the DARTS paper.

    Examples:
      dnas retrain runs/first --retrain.epochs 100 --seeds 3
      dnas retrain DARTS_V2 --data cifar10
      dnas retrain runs/first --grid "retrain.weights.learning_rate=[0.01,0.025,0.1]" --seeds 3
      dnas retrain --out runs/first/retrain --resume
    """

    cell: Annotated[tyro.conf.Positional[str | None], optional("[CELL]")] = None
    """A run folder or a genotype."""
    out: Annotated[str | None, optional("DIR")] = None
    """The run folder, a new one; by default `retrain` in the run folder of CELL, else in runs/."""
    base: Annotated[str | None, optional("FILE", name="config")] = None
    """An experiment file, a JSON file or a run folder that gives the defaults."""
    weights: Annotated[str | None, optional("RUN", name="from")] = None
    """Begin with the weights of another run of the same network, those of its newest checkpoint; of one of its seeds,
    RUN:seed=3; with another number of classes, RUN:head=new."""
    resume: Flag = False
    """Go on with the training in --out."""
    quiet: Flag = False
    """No progress bar, no headline."""
    config: Annotated[TrainingConfig, tyro.conf.arg(name=""), tyro.conf.FlagConversionOff] = field(
        default_factory=TrainingConfig
    )


def run(options: Retrain) -> None:
    """`dnas retrain`."""
    from dnas.reports import page
    from dnas.retrain import run as train

    if options.resume and options.out is None:
        raise UserError("--resume needs --out DIR, the run folder to go on with.")
    source = options.out if options.resume and options.cell is None else options.cell
    if source is None:
        raise UserError("dnas retrain needs a cell: a run folder or a genotype, as in 'dnas retrain DARTS_V2'.")
    config = started(whole(options.config), options.weights)
    genotype = genotype_of(source)
    if config.space == genotype.space and space_of(genotype) is None:
        whose = f"'{genotype.space}', whose networks are not built here"
        raise UserError(f"The genotype is of {whose}: it can only be shown, or trained in another --space.")
    out = options.out or (Path(source) / "retrain" if is_run(source) else None)
    result = train(config, genotype, out, resume=options.resume, quiet=options.quiet)
    measure = result.measure
    each = ", ".join(
        "diverged" if math.isnan(score) else measure.shown(score).removesuffix(" %") for score in result.scores
    )
    seeds = f" (mean of the seeds: {each})" if len(result.scores) > 1 else ""
    print(f"Test {measure.name}: {measure.shown(result.score)}{seeds}, {result.parameters:,} parameters.")
    if config.grid:
        print_grid(result.folder, measure)
    if not options.quiet:
        _test(result.folder)
    if options.out is None and options.cell is not None and is_run(options.cell):
        page.page(options.cell)  # which says what its cell is worth
    print(f"Open {result.folder / 'report.html'}")


def whole(config: TrainingConfig) -> Config:
    """The config of a run that has these fields, and the defaults in place of others."""
    return Config(**{f.name: getattr(config, f.name) for f in dataclasses.fields(Config)})


def _test(folder: Path) -> None:
    """Let the page show what was taken for what, or numbers that are far off. Nothing rests on it: what cannot be read
    again is left out, and what is too large for memory. Texts take their time to be translated: by `dnas test`."""
    from dnas.loading import Found, load
    from dnas.tasks.task import Answering, Streaming

    with contextlib.suppress(UserError):
        found = load(folder)
        if isinstance(found, Found) and isinstance(found.task, Answering) and not isinstance(found.task, Streaming):
            examined(found, found.evaluate())


def defaults(options: Retrain) -> Retrain | None:
    """The options that --config, CELL or the run that goes on stand for; what was typed overrides them."""
    config = training_of(options.base, options.cell, options.out if options.resume else None)
    return None if config is None else Retrain(config=config)


def training_of(base: str | None, cell: str | None, resumed: str | None = None) -> TrainingConfig | None:
    """The config that --config, CELL or the run that goes on stands for; None where there is none of them."""
    config = base_config(base or (cell if cell and is_run(cell) else None), resumed)
    if config is None and cell is not None:
        genotype = genotype_of(cell)
        config = Config(space=choice_of(cell, genotype) or genotype.space)
    if config is None:
        return None
    if config.grid.strip().startswith("search."):  # which the search had
        config = dataclasses.replace(config, grid="")
    return TrainingConfig(**{f.name: getattr(config, f.name) for f in dataclasses.fields(Config)})
