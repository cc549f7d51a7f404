"""The command line: `dnas search | retrain | test | predict | show | compare | report | data | list`.

Options are typed from the dataclasses of config.py by tyro. What is slow to import (jax: a second) is imported where a
command needs it. Exit codes: 0; 2 for a user's mistake, said in one sentence; 1 for a crash; 130 when interrupted.
"""

import contextlib
import dataclasses
import errno
import importlib
import inspect
import io
import os
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal, TypeVar

import tyro
from rich.markup import escape

from dnas import config as configs
from dnas import find
from dnas.config import Config, RetrainConfig, SearchConfig
from dnas.errors import StorageError, UserError, nearest, unknown
from dnas.paths import check_folders_of_user

if TYPE_CHECKING:
    from dnas.architectures.genotype import Genotype
    from dnas.architectures.topology import Space

Command = TypeVar("Command")
Flag = tyro.conf.FlagCreatePairsOff[bool]
Hidden = tyro.conf.Suppress[tyro.conf.Fixed[Command]]

MAIN_HELP = """usage: dnas COMMAND [OPTIONS]

Differentiable neural architecture search in JAX.

commands:
{commands}

examples:
  dnas search experiments/small_digits.py --out runs/first
  dnas retrain runs/first
  dnas show DARTS_V2 --png cells.png

Every command explains itself: dnas COMMAND --help. Choices of a space, a method or a data set are written
name or name:key=value,key=value, as in --method darts:order=second; dnas list shows all of them.
"""


def _optional(metavar: str, name: str | None = None) -> Any:
    """An option that is absent by default, which help need not say."""
    return tyro.conf.arg(metavar=metavar, name=name, help_behavior_hint="")


@dataclass(frozen=True)
class Search:
    """Search for a cell, and leave a run folder.

    The defaults are those of EXPERIMENT (a Python file with `config()`, a JSON file or a run folder), else those of the
    DARTS paper; any field can be overridden. With --out and --resume alone, an interrupted run goes on with its config.

    Examples:
      dnas search experiments/small_digits.py --out runs/first
      dnas search --space nasbench201 --method darts:order=second --data fashion_mnist:limit=5000 --search.cells 1
      dnas search --out runs/first --resume
    """

    experiment: Annotated[tyro.conf.Positional[str | None], _optional("[EXPERIMENT]")] = None
    """Where the defaults come from."""
    out: Annotated[str | None, _optional("DIR")] = None
    """The run folder, a new one; by default in runs/, named after the config and the time."""
    resume: Flag = False
    """Go on with the run in --out."""
    quiet: Flag = False
    """No progress bar, no headline."""
    profile: Annotated[str | None, _optional("DIR")] = None
    """Write a trace of a few steps into this folder, for TensorBoard or Perfetto."""
    config: Annotated[Config, tyro.conf.arg(name=""), tyro.conf.FlagConversionOff] = field(default_factory=Config)


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
      dnas retrain --out runs/first/retrain --resume
    """

    cell: Annotated[tyro.conf.Positional[str | None], _optional("[CELL]")] = None
    """A run folder or a genotype."""
    out: Annotated[str | None, _optional("DIR")] = None
    """The run folder, a new one; by default `retrain` in the run folder of CELL, else in runs/."""
    base: Annotated[str | None, _optional("FILE", name="config")] = None
    """An experiment file, a JSON file or a run folder that gives the defaults."""
    resume: Flag = False
    """Go on with the training in --out."""
    quiet: Flag = False
    """No progress bar, no headline."""
    config: Annotated[TrainingConfig, tyro.conf.arg(name=""), tyro.conf.FlagConversionOff] = field(
        default_factory=TrainingConfig
    )


@dataclass(frozen=True)
class Show:
    """Show a cell: its graph, and the parameters and multiply-adds of its network.

    CELL is a published cell (`DARTS_V2`), a DARTS `Genotype(...)`, a NAS-Bench-201 string or index, JSON, a file of any
    number of these, - for standard input, or a run folder (its best seed).

    Examples:
      dnas show DARTS_V2 --png cells.png
      dnas show PC_DARTS_image --stem imagenet
      dnas show 1835
      dnas show "Genotype(normal=[('skip_connect', 0), ...], normal_concat=range(2, 6), reduce=...)"
      dnas show '|nor_conv_3x3~0|+|none~0|skip_connect~1|+|skip_connect~0|none~1|nor_conv_3x3~2|'
    """

    cell: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="CELL")]
    """A genotype or a run folder."""
    png: Annotated[str | None, _optional("FILE")] = None
    """Draw the cells into this file."""
    channels: int = 0
    """Channels of the first cell; 0: as in the paper (DARTS 36, on ImageNet 48; NAS-Bench-201 16)."""
    cells: Annotated[int, tyro.conf.arg(aliases=["--layers"])] = 0
    """Cells of the network; 0: as in the paper (DARTS 20, on ImageNet 14; NAS-Bench-201 5 per stage)."""
    stem: Literal["cifar", "imagenet"] = "cifar"
    """Stem, and with it the images: 32x32 pixels and 10 classes, or 224x224 and 1,000."""


@dataclass(frozen=True)
class Report:
    """Compare run folders in a table, and write the page of each: report.html.

    Examples:
      dnas report runs/*
    """

    folders: Annotated[tyro.conf.Positional[tuple[str, ...]], _optional("RUN [RUN ...]")]
    """Run folders."""


@dataclass(frozen=True)
class Test:
    """Test the network that a training left: its accuracy, class by class, and which classes it takes for which.

    RUN is the folder of a training (or of a search whose cell was trained in its folder `retrain`).

    Examples:
      dnas test runs/first/retrain
      dnas test runs/first --data image_folder:path=mine,size=8
    """

    run: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]
    """The folder of a training."""
    data: Annotated[str | None, _optional("STR")] = None
    """Another data set of the same classes; by default the run's."""
    seed: Annotated[int | None, _optional("INT")] = None
    """Which of the run's trainings; by default the first."""


@dataclass(frozen=True)
class Predict:
    """Say what is on image files, with the network that a training left: a line for each, class and probability.

    Examples:
      dnas predict runs/first/retrain seven.png nine.png
      dnas predict runs/first/retrain *.jpg --json > answers.jsonl
    """

    run: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]
    """The folder of a training."""
    files: Annotated[tyro.conf.Positional[tuple[str, ...]], _optional("FILE [FILE ...]")]
    """Images in any usual format; their centre squares are resized to what the network was trained on."""
    json: Flag = False
    """A JSON object for each: file, class, probability, and the probabilities of all classes."""
    seed: Annotated[int | None, _optional("INT")] = None
    """Which of the run's trainings; by default the first."""


@dataclass(frozen=True)
class Compare:
    """Compare methods under one protocol: search with each, train every found cell alike, show a figure and a table.

    EXPERIMENT is a Python file with `configs()`, a config by name. What is finished is kept: the same command goes on.

    Examples:
      dnas compare experiments/small_compare.py --out runs/compare
      dnas compare experiments/small_compare.py --out runs/two --only darts gdas --seeds 2
    """

    experiment: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="EXPERIMENT")]
    """The comparison."""
    out: Annotated[str | None, _optional("DIR")] = None
    """The folder of the comparison; by default in runs/, named after the file."""
    only: Annotated[tuple[str, ...], _optional("NAME [NAME ...]")] = ()
    """Only these methods, by their names in the file."""
    seeds: Annotated[int, _optional("INT")] = 0
    """Seeds of every search; 0: as in the file."""
    seed: Annotated[int | None, _optional("INT")] = None
    """The first of them, for more searches in another folder; by default as in the file."""
    random_cells: int = 8
    """Cells drawn at random that join the comparison."""
    lookup: Flag = False
    """Train nothing: cells are only looked up in NAS-Bench-201."""
    quiet: Flag = False
    """No progress bars."""


@dataclass(frozen=True)
class Data:
    """List the data sets: what they are, where their files are looked for, and how to get them.

    Files are looked for in $DNAS_DATA_DIR, by default in the user's cache folder.
    """


@dataclass(frozen=True)
class List:
    """List operations, spaces, methods, data sets and experiments with one line each."""


def search(options: Search) -> None:
    """`dnas search`."""
    from dnas.reports import diagram
    from dnas.runs import loop
    from dnas.search.run import run

    if options.resume and options.out is None:
        raise UserError("--resume needs --out DIR, the run folder to go on with.")
    result = run(options.config, options.out, resume=options.resume, quiet=options.quiet, profile=options.profile)
    several = f", the best of {len(result.genotypes)} seeds" if len(result.genotypes) > 1 else ""
    print(diagram.text(result.genotype))
    _print_text(result.genotype)
    print(f"\nSupernet's validation accuracy: {100 * max(result.scores):.2f} %{several}.")
    print(f"Open {result.folder / 'report.html'}")
    print(f"Train the cell: {loop.program()} retrain {loop.quoted(result.folder)}")


def retrain(options: Retrain) -> None:
    """`dnas retrain`."""
    from dnas.retrain import run

    if options.resume and options.out is None:
        raise UserError("--resume needs --out DIR, the run folder to go on with.")
    source = options.out if options.resume and options.cell is None else options.cell
    if source is None:
        raise UserError("dnas retrain needs a cell: a run folder or a genotype, as in 'dnas retrain DARTS_V2'.")
    config = Config(**{f.name: getattr(options.config, f.name) for f in dataclasses.fields(Config)})
    out = options.out or (Path(source) / "retrain" if _is_run(source) else None)
    result = run(config, genotype_of(source), out, resume=options.resume, quiet=options.quiet)
    each = ", ".join(f"{100 * accuracy:.2f}" for accuracy in result.scores)
    seeds = f" (mean of the seeds: {each})" if len(result.scores) > 1 else ""
    print(f"Test accuracy: {100 * result.score:.2f} %{seeds}, {result.parameters:,} parameters.")
    print(f"Open {result.folder / 'report.html'}")


def show(options: Show) -> None:
    """`dnas show`."""
    from dnas.architectures.genotype import check
    from dnas.reports import diagram

    png = Path(options.png or "cells.png")
    if png.suffix.lower() != ".png" or not os.path.isdir(png.parent):
        raise UserError(f"--png needs a file name that ends in .png, in a folder that exists, not '{png}'.")
    configs.check(RetrainConfig(channels=options.channels or 1, cells=options.cells or 1))
    genotypes = genotypes_of(options.cell)
    if options.png is not None and len(genotypes) > 1:
        raise UserError(f"--png draws one genotype, here are {len(genotypes)}: give one of them by itself.")
    spaces = {genotype: _space_of(genotype) for genotype in genotypes}
    for genotype, space in spaces.items():
        if space is not None:
            check(genotype, space)
    for number, genotype in enumerate(genotypes, 1):
        if len(genotypes) > 1:
            print(f"{'' if number == 1 else chr(10)}Genotype {number} of {len(genotypes)}\n")
        _print_origin(genotype, options.cell)
        print(diagram.text(genotype))
        _print_text(genotype)
        print(f"\n{_size(genotype, spaces[genotype], options)}")
    if options.png is not None:
        diagram.draw(genotypes[0], png)
        print(f"Wrote {png}")


def report(options: Report) -> None:
    """`dnas report`."""
    from rich.console import Console

    from dnas.reports import page as reports

    if not options.folders:
        raise UserError("dnas report needs at least one run folder.")
    folders = [folder for folder in options.folders if _is_run(folder)]
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


def test(options: Test) -> None:
    """`dnas test`."""
    from rich.console import Console
    from rich.table import Table

    from dnas.reports import page as reports

    found = _trained(options.run, options.seed)
    measured = found.evaluate(options.data)
    confusion, classes = measured.confusion, found.images.classes
    right, count = int(confusion.trace()), int(confusion.sum())
    print(f"Accuracy: {100 * measured.accuracy:.2f} %, {right:,} of {count:,} test images. Loss: {measured.loss:.4f}.")
    if len(classes) > 5:
        print(f"Among its first five answers: {100 * measured.top5_accuracy:.2f} %.")
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("class", overflow="fold")
    for name in ("images", "right", "found %", "correct %", "most often taken for"):
        table.add_column(name, justify="left" if name.startswith("most") else "right")
    for i, name in enumerate(classes):
        own, taken = int(confusion[i].sum()), int(confusion[:, i].sum())
        others = [(int(n), classes[j]) for j, n in enumerate(confusion[i]) if j != i and n]
        shares = [f"{100 * confusion[i, i] / n:.1f}" if n else "-" for n in (own, taken)]
        table.add_row(
            escape(name), f"{own:,}", f"{confusion[i, i]:,}", *shares, escape(max(others)[1]) if others else "-"
        )
    Console().print(table)
    picture = found.folder / "confusion.png"
    reports.plot_confusion(
        confusion, classes, picture, f"{found.config.data if options.data is None else options.data}"
    )
    print(f"Open {picture}")


def predict(options: Predict) -> None:
    """`dnas predict`."""
    import json

    from dnas.data._images import read_square

    if not options.files:
        raise UserError("dnas predict needs at least one image file.")
    found = _trained(options.run, options.seed)
    height, width, channels = found.images.shape
    if height != width or channels not in (1, 3):
        raise UserError(
            f"dnas predict reads square images of 1 or 3 channels, not {list(found.images.shape)}: use Python."
        )
    squares = [read_square(Path(file), height)[0] for file in options.files]
    if channels == 1:  # as Pillow makes grey of colours
        squares = [(square @ GREY).round().astype(square.dtype)[..., None] for square in squares]
    import numpy as np

    for file, row in zip(options.files, found.predict(np.stack(squares)), strict=True):
        best = int(row.argmax())
        name, share = found.images.classes[best], float(row[best])
        if options.json:
            shares = {c: round(float(p), 6) for c, p in zip(found.images.classes, row, strict=True)}
            print(json.dumps({"file": file, "class": name, "probability": round(share, 6), "probabilities": shares}))
        else:
            print(f"{file}: {name} {100 * share:.1f} %")


GREY = (0.299, 0.587, 0.114)


def _trained(run: str, seed: int | None) -> Any:
    """What a training left; of a search's folder, that of its cell."""
    from dnas.loading import is_search, load

    inner = os.path.join(run, "retrain")
    return load(inner if _is_run(run) and _is_run(inner) and is_search(run) else run, seed)


def compare(options: Compare) -> None:
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
    out = Path(options.out or Path("runs") / Path(options.experiment).stem)
    rows = comparison.run(chosen, out, random_cells=options.random_cells, train=not options.lookup, quiet=options.quiet)
    Console().print(comparison.table(rows))
    if (out / "comparison.png").exists():
        print(f"Open {out / 'comparison.png'}")


def data(_: Data) -> None:
    """`dnas data`."""
    from dnas.data import data_dir

    print(f"Data folder: {data_dir()} ({'from' if os.environ.get('DNAS_DATA_DIR') else 'set'} $DNAS_DATA_DIR)")
    for name, about in find.described("data set").items():
        location = importlib.import_module(f"{find.PACKAGES['data set']}.{name}").locate()
        print(f"\n{name}\n  {about.line}")
        if location.found is not None:
            print(f"  here: {'in an installed package' if location.found == 'embedded' else location.found}")
            continue
        if location.searched:
            print(f"  not found at {', '.join(map(str, location.searched))}")
        print(f"  {location.how_to_get}")


def list_all(_: List) -> None:
    """`dnas list`."""
    _section("Operations", find.functions("dnas.nets.ops"))
    for title, what in (("Spaces", "space"), ("Methods", "method"), ("Data sets", "data set")):
        found = find.described(what).items()
        lines = {name: f"{about.line} {about.paper}".rstrip() for name, about in found}
        _section(title, lines, {name: f"{name}:{about.settings}" for name, about in found if about.settings})
    folder = Path("experiments")
    if not folder.is_dir():
        folder = Path(__file__).parent.parent / "experiments"
    _section("Experiments", {str(path): line for path, line in find.experiments(folder).items()})


COMMANDS: dict[str, tuple[type, Callable[[Any], None]]] = {
    "search": (Search, search),
    "retrain": (Retrain, retrain),
    "test": (Test, test),
    "predict": (Predict, predict),
    "show": (Show, show),
    "compare": (Compare, compare),
    "report": (Report, report),
    "data": (Data, data),
    "list": (List, list_all),
}


def main(arguments: list[str] | None = None) -> int:
    """Run one command; gives the exit code."""
    arguments = sys.argv[1:] if arguments is None else arguments
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # what the terminal has no letter for must not end a run
            stream.reconfigure(errors="backslashreplace")
    try:
        _run(arguments)
        sys.stdout.flush()
    except UserError as error:
        print(f"dnas: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("dnas: interrupted", file=sys.stderr)
        return 130
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        if error.filename is None and error.errno in (errno.ENOSPC, errno.EIO, errno.EDQUOT):  # of what was printed
            print(f"dnas: Cannot write the output: {error.strerror}.", file=sys.stderr)
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # what is left is not tried again
            return 2
        if error.filename is None:
            raise
        from dnas.architectures.genotype_data import shown  # it shortens a name that was too long

        print(f"dnas: Cannot use the file {shown(error.filename)}: {error.strerror}.", file=sys.stderr)
        return 2
    except SystemExit as exit:  # tyro, after --help
        return int(exit.code or 0)
    except Exception as error:
        if type(error).__name__ != "Interrupted":  # of dnas.runs.loop, which imports jax
            raise
        print(f"dnas: {error}", file=sys.stderr)
        return 130
    return 0


def genotype_of(source: str) -> "Genotype":
    """The one genotype of a source as in `genotypes_of`. Errors: `UserError`, also where there are several."""
    found = genotypes_of(source)
    if len(found) > 1:
        raise UserError(f"Here is one genotype needed, and there are {len(found)}: give one of them by itself.")
    return found[0]


def genotypes_of(source: str) -> "list[Genotype]":
    """The genotypes of a text, a name or a file, see `spaces.genotype.read`; of a run folder, that of its best seed."""
    from dnas.architectures.genotype import read

    found = read(_standard_input() if source == "-" else source)
    return [found[_best_seed(source, len(found))]] if os.path.isdir(source) else found


def _best_seed(folder: str, seeds: int) -> int:
    """Which seed of a run has the best accuracy, of all that its last rows say; the first if they say too little."""
    from dnas.runs import records

    last: dict[int, float] = {}
    for row in records.read_metrics(folder) if seeds > 1 else ():
        for name in ("valid_accuracy", "selected_accuracy"):
            if row.get(name) is not None:
                last[row["seed"]] = row[name]
    return max(range(seeds), key=lambda i: last[sorted(last)[i]]) if len(last) == seeds else 0


def _config_of(source: str) -> Config:
    """The config of an experiment, a file or a run folder, whose checkpoint knows what it should be."""
    if not _is_run(source):
        return configs.load(source)
    from dnas.runs import records

    return records.config_of(source)


def _is_run(folder: str) -> bool:
    return os.path.exists(os.path.join(folder, "config.json"))  # of a pathlib.Path, this raises for odd names


def _run(arguments: list[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        width = max(map(len, COMMANDS))
        lines = [f"  {name:<{width}}  {_first_sentence(kind)}" for name, (kind, _) in COMMANDS.items()]
        print(MAIN_HELP.format(commands="\n".join(lines)), end="")
        return
    if arguments[0] == "--version":
        from dnas import __version__

        print(f"dnas {__version__}")
        return
    name, *rest = arguments
    if any("\0" in argument for argument in arguments):
        raise UserError("An argument has a NUL character, which no name and no path has: leave it out.")
    if name not in COMMANDS:
        raise unknown("command" if not name.startswith("-") else "command or option", name, COMMANDS)
    check_folders_of_user()
    kind, act = COMMANDS[name]
    options: Any = _parse(kind, name, rest)
    if isinstance(options, (Search, Retrain)):
        base = _base(options)
        if base is not None:  # what was typed overrides what the base says
            options = _parse(kind, name, rest, base)
    act(options)


def _base(options: Search | Retrain) -> Config | None:
    """The config whose fields are the defaults."""
    if isinstance(options, Search):
        source = options.experiment
    else:
        source = options.base or (options.cell if options.cell and _is_run(options.cell) else None)
    if options.resume and options.out is not None and not os.environ.get("DNAS_COORDINATOR"):  # one host would do it
        from dnas.runs import records

        records.put_back(options.out)  # before anything of it is read
    if source is not None:
        return _config_of(source)
    if options.resume and options.out is not None:
        if not _is_run(options.out):
            raise UserError(f"{options.out} holds no run to go on with: check --out, or leave out --resume.")
        return _config_of(options.out)
    if isinstance(options, Retrain) and options.cell is not None:
        return Config(space=genotype_of(options.cell).space)
    return None


def _parse(kind: type[Command], name: str, arguments: list[str], base: Config | None = None) -> Command:
    """Let tyro read the options. Errors: `UserError`, where tyro draws a box."""
    default: Any = dataclasses.MISSING
    if base is not None and kind is Search:
        default = Search(config=base)
    elif base is not None:
        fields = {f.name: getattr(base, f.name) for f in dataclasses.fields(Config)}
        default = Retrain(config=TrainingConfig(**fields))
    known = set(_option_names(kind))
    for argument in arguments:
        option = argument.partition("=")[0][2:].replace("-", "_")
        if argument.startswith("--") and option and option not in known | {"help"}:
            near = [f"--{k}" for k in nearest(option, known)[:4]]
            hint = f"Did you mean {' or '.join(near)}?" if near else f"See dnas {name} --help."
            raise UserError(f"Unknown option '{argument.partition('=')[0]}' of dnas {name}. {hint}")
    box = io.StringIO()
    try:
        with contextlib.redirect_stderr(box):
            settings: Any = {} if default is dataclasses.MISSING else {"default": default}
            return tyro.cli(
                kind,
                args=arguments,
                prog=f"dnas {name}",
                description=inspect.getdoc(kind),
                use_underscores=True,
                **settings,
            )
    except SystemExit as exit:
        if not exit.code:
            raise
        raise UserError(_sentence(box.getvalue(), name)) from None


def _option_names(kind: type, path: str = "") -> Iterator[str]:
    """The options of a dataclass, nested ones with dots."""
    hidden = {"method", "search"} if kind is TrainingConfig else set()
    aliases = {"base": "config", "cells": "layers"} if kind in (Retrain, Show) else {}
    for item in dataclasses.fields(kind):
        if item.name in hidden:
            continue
        nested = item.default_factory if dataclasses.is_dataclass(item.default_factory) else None
        if item.default_factory is not dataclasses.MISSING:
            nested = type(item.default_factory())
        if nested is not None:
            yield from _option_names(nested, "" if item.name == "config" else f"{path}{item.name}.")
        else:
            yield f"{path}{item.name}"
            if item.name in aliases:
                yield aliases[item.name]


SENTENCES = (  # what tyro says, and what we say
    (r"Error parsing (\S+): invalid literal for int\(\) with base 10: (.*)", r"\1 must be a whole number, not \2."),
    (r"Error parsing (\S+): could not convert string to float: (.*)", r"\1 must be a number, not \2."),
    (r"invalid choice (.*) for argument '(\S+)'\. Expected one of \((.*)\)\.", r"\2 must be one of \3, not \1."),
    (r"Missing value for argument '(\S+)'\..*", r"\1 needs a value."),
    (r"Unrecognized options: (.*)", r"Unexpected argument: \1."),
    (r"Missing from (.*): (\S+) .*", r"\1 needs a \2."),
)


def _sentence(box: str, name: str) -> str:
    """The message in tyro's box, as one line."""
    lines = [line.strip("│| ") for line in box.splitlines() if not line.startswith(("╭", "╰"))]
    parts = re.split(r"\n[─-]{5,}\n", "\n".join(lines))
    title_is_a_part = not box.startswith("╭")  # in ASCII it stands above a rule
    text = re.sub(r" +([.,])", r"\1", " ".join(parts[title_is_a_part].split()))
    for found, said in SENTENCES:
        if re.fullmatch(found, text):
            return f"{re.sub(found, said, text)} See dnas {name} --help."
    return text


@cache  # it can be read once
def _standard_input() -> str:
    from dnas.architectures.genotype import decoded

    return decoded(sys.stdin.buffer.read())


def _print_origin(genotype: "Genotype", source: str) -> None:
    """Where a genotype was published, if it was."""
    from dnas.architectures import zoo

    entry = zoo.find(source)
    if entry is not None and entry.genotype == genotype:
        print(f"{entry.name}, published in {entry.source}\n")
    index = zoo.nasbench201_index(genotype)
    if index is not None:
        print(f"Cell {index} of NAS-Bench-201\n")


def _print_text(genotype: "Genotype") -> None:
    from dnas.architectures.genotype import to_text

    with contextlib.suppress(UserError):  # some cells have no text form
        print(f"\n{to_text(genotype)}")


def _space_of(genotype: "Genotype") -> "Space | None":
    """The space of a genotype without the kinds of cells that a small supernet did not have; None if it is not here."""
    if genotype.space not in find.described("space"):
        return None
    space = find.resolve("space", genotype.space)
    known = {kind: space.cells[kind] for kind, _ in genotype.cells if kind in space.cells}
    return dataclasses.replace(space, cells=known) if known else space


def _size(genotype: "Genotype", space: "Space | None", options: Show) -> str:
    """One line on the network: parameters and multiply-adds."""
    if space is None:
        return f"The space '{genotype.space}' is not built here, so its network is not counted."
    from dnas.architectures.topology import Body
    from dnas.nets.count import count, of_a_token

    if space.takes == "tokens":
        width, words = options.channels or 850, 10_000
        size = of_a_token(genotype, space, Body(options.cells or 1, width, words, vocabulary=words))
        return (
            f"Network of width {width}, {words:,} words:\n"
            f"  {size.parameters:,} parameters\n  {size.multiply_adds:,} multiply-adds a word"
        )
    imagenet = options.stem == "imagenet"
    paper = (16, 5) if space.stages > 1 else (48, 14) if imagenet else (36, 20)
    channels, cells = options.channels or paper[0], options.cells or paper[1]
    lacking = {*(space.kinds(cells) if space.kinds else ())} - {*space.cells}
    if lacking:
        return f"It has no {min(lacking)} cell, as a network of {cells} cells has, so that is not counted (--cells)."
    pixels, classes = (224, 1000) if imagenet else (32, 10)
    counts = count(genotype, space, Body(cells, channels, classes, 3, options.stem), pixels)
    head = f" ({counts.parameters_with_auxiliary:,} with auxiliary head)" if space.has_auxiliary else ""
    number = f"{cells} cells" if space.stages == 1 else f"{space.stages} stages of {cells} cells"
    return (
        f"Network of {number}, {channels} channels, {pixels}x{pixels} images, {classes:,} classes:\n"
        f"  {counts.parameters:,} parameters{head}\n  {counts.multiply_adds:,} multiply-adds"
    )


def _section(title: str, lines: dict[str, str], below: dict[str, str] | None = None) -> None:
    """A title, a line for every name, and below some of them a second one."""
    if not lines:
        return
    width = max(map(len, lines))
    print(title)
    for name, line in lines.items():
        print(f"  {name:<{width}}  {line}")
        if below and name in below:
            print(f"  {'':<{width}}  {below[name]}")
    print()


def _first_sentence(kind: type) -> str:
    return (kind.__doc__ or "").partition("\n")[0]
