"""`dnas tune`."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from dnas import find
from dnas.cli.parsing import Flag, optional
from dnas.cli.sources import base_config, genotype_of, is_run
from dnas.config import Config, parse_source
from dnas.errors import UserError

if TYPE_CHECKING:
    from dnas.architectures.genotype import Genotype
    from dnas.tune.outcome import Result


@dataclass(frozen=True)
class Tune:
    """Tune hyperparameters, and the architecture beside them, in one study of Optuna's.

    --over names fields of the config, each with a range (even in its logarithm with :log; of whole numbers where the
    field has them) or a list; `architecture` stands for every choice of the space. What is between the first and the
    last word of a path can be left out where only one field is meant: retrain.optimiser. Quote brackets for your shell.

    With a field of the search, a trial is a search and the training of what it finds. With fields of retrain alone, a
    trial trains one network: that of the run folder EXPERIMENT, or --cell. With `architecture` it trains what the
    searcher proposes. The score is that of the validation part, never of the test part; where the config has none, a
    fifth of the train set is one while the study goes on. Trainings that are worse than others after as many epochs are
    given up early (--pruner); searches are not. EXPERIMENT is a Python file with `config()`, FILE.py:SETTING, a JSON
    file or a run folder; any field can be overridden (--retrain.epochs 10).

    Repeated, the command goes on where it was: after Ctrl-C, after a crash, or for more --trials. What killed workers
    had begun is run again, and nothing that has ended is lost. With --storage, a database, any number of machines
    share a study: start the same command on each.

    DIR holds report.html, best.json and cell.json, the best config and network, and trials.csv, a row for every trial:
    pandas.read_csv("DIR/trials.csv").

    Examples:
      dnas tune experiments/small_digits.py --over search.alphas.learning_rate=1e-3..1e-1:log --trials 20
      dnas tune runs/first --over retrain.weights.learning_rate=1e-3..1:log "retrain.optimiser=[sgd,adamw]" --workers 2
      dnas tune --cell DARTS_V2 --data cifar10 --over retrain.drop_path=0..0.4 --searcher hyperband --trials 100
      dnas tune experiments/small_tables.py:wine --over architecture retrain.weights.learning_rate=1e-3..1:log
      dnas tune runs/first --over retrain.weights.decay=1e-5..1e-2:log
          --storage postgresql+psycopg://me@host/studies --out runs/decay
    """

    experiment: Annotated[tyro.conf.Positional[str | None], optional("[EXPERIMENT]")] = None
    """Where the defaults come from; a run folder also gives the network."""
    over: Annotated[tuple[str, ...], optional("PATH=VALUES [PATH=VALUES ...]")] = ()
    """What is tuned: PATH=LOW..HIGH, PATH=LOW..HIGH:log, PATH=[ONE,OTHER], or architecture."""
    searcher: str = "tpe"
    """What proposes values: tpe; random; cmaes, of numbers only; hyperband: random, most of it given up early."""
    pruner: Annotated[str | None, optional("NAME")] = None
    """What gives a training up: median, halving, hyperband, none; by default hyperband for that searcher, median for
    others, none where retrain.epochs is tuned."""
    trials: int = 40
    """Trials that have ended when the study has, early ends and failures counting."""
    cell: Annotated[str | None, optional("CELL")] = None
    """The network that is trained: a published cell, a genotype, a run folder; as dnas retrain takes it."""
    out: Annotated[str | None, optional("DIR")] = None
    """The folder; by default in runs/, named after EXPERIMENT or the cell."""
    storage: Annotated[str | None, optional("URL")] = None
    """A database, as postgresql+psycopg://user@host/name or sqlite:////shared/study.db; by default a file in DIR."""
    study: Annotated[str | None, optional("NAME")] = None
    """The name of the study in that database; by default the name of DIR."""
    repeats: Annotated[int, optional("INT")] = 1
    """Trainings of each trial, with seeds of their own in one program; their mean is its score."""
    folds: int = 1
    """Of the train part of a table: every trial is trained on what each leaves, and its score is their mean; 1: the
    validation part alone."""
    workers: Annotated[int, optional("INT")] = 0
    """Processes of this machine that do trials at once, each with a share of its cores or a GPU; 0: only this one."""
    quiet: Flag = False
    """No progress bar."""
    config: Annotated[Config, tyro.conf.arg(name=""), tyro.conf.FlagConversionOff] = field(default_factory=Config)


def run(options: Tune) -> None:
    """`dnas tune`."""
    from dnas import tune
    from dnas.blackbox.optuna_study import library
    from dnas.blackbox.pools import Crew
    from dnas.runs import loop

    library("optuna")  # before anything takes time
    Crew(options.workers).prepare()
    if options.study and not options.storage:
        raise UserError("--study names a study in a --storage, and there is none: leave it out.")
    genotype = genotype_of(options.cell) if options.cell is not None else _of_run(options)
    plan = tune.planned(
        options.config,
        options.over,
        searcher=options.searcher,
        pruner=options.pruner,
        genotype=genotype,
        repeats=options.repeats,
        folds=options.folds,
    )
    out = Path(options.out) if options.out else Path("runs") / f"tune_{_name(options)}"
    result = tune.run(
        plan,
        out,
        trials=options.trials,
        url=options.storage or "",
        name=options.study or "",
        workers=options.workers,
        quiet=options.quiet,
    )
    _print(result, loop.program(), loop.quoted(out))


def defaults(options: Tune) -> Tune | None:
    """The options that EXPERIMENT, or the cell, stands for; what was typed overrides them."""
    config = base_config(options.experiment, None)
    if config is None and options.cell is not None:
        config = Config(space=genotype_of(options.cell).space)
    return None if config is None else Tune(config=config)


def _of_run(options: Tune) -> "Genotype | None":
    """The network of EXPERIMENT, where that is a run and only trainings are tuned."""
    from dnas.tune.axes import axes_of

    if options.experiment is None or not is_run(options.experiment):
        return None
    axes = axes_of(options.over, options.config)
    given = not any(axis.of_search or axis.of_architecture for axis in axes)
    return genotype_of(options.experiment) if given else None


def _name(options: Tune) -> str:
    if options.experiment is None:
        return find.parse_choice(options.config.data)[0] if options.cell is None else "cell"
    file, setting = parse_source(options.experiment)
    file = file.resolve()
    return "_".join([file.name if file.is_dir() else file.stem, *([setting] if setting else [])])


def _print(result: "Result", program: str, folder: str) -> None:
    """What was found, and the commands that use it."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from dnas.fields import shown
    from dnas.tune.axes import ARCHITECTURE

    plan, score = result.plan, result.plan.score
    counts = ", ".join(f"{count} {name}" for name, count in result.counts.items() if count)
    print(f"Best validation {score.name}: {score.shown(result.score)}, of trial {result.number} ({counts}).")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("tuned", "best value", *["importance"] * bool(result.importances)):
        table.add_column(name, justify="left" if name == "tuned" else "right", overflow="fold")
    decisions = [axis.path for axis in plan.axes if axis.of_architecture]
    rows = {path: shown(value) for path, value in result.values.items() if path not in decisions}
    shares = {path: result.importances.get(path, 0.0) for path in rows}
    if decisions:
        rows[ARCHITECTURE] = f"{len(decisions)} choices, cell.json"
        shares[ARCHITECTURE] = sum(result.importances.get(path, 0.0) for path in decisions)
    for path, value in rows.items():
        table.add_row(path, escape(value), *[f"{shares[path]:.0%}"] * bool(result.importances))
    Console().print(table)
    print(f"Open {folder}/report.html")
    if plan.searches:
        print(f"Search with it: {program} search {folder}/best.json")
    print(f"Train its network, and test it: {program} retrain {folder}/cell.json --config {folder}/best.json")
