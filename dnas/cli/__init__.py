"""The command line: `dnas auto | look | search | retrain | validate | baselines | test | predict | export | show |
scale | bench | latency | compare | blackbox | tune | why | report | zoo | data | list`, a file each.

Options are typed from the dataclasses of config.py by tyro (`parsing.py`). What is slow to import (jax: a second) is
imported where a command needs it. Exit codes: 0; 2 for a user's mistake, said in one sentence; 1 for a crash; 130 when
interrupted.
"""

import errno
import io
import os
import re
import sys
from collections.abc import Callable
from typing import Any, NamedTuple

from dnas import modules_of
from dnas.cli import (
    auto,
    baselines,
    bench,
    blackbox,
    compare,
    data,
    export,
    latency,
    listing,
    look,
    predict,
    report,
    retrain,
    scale,
    search,
    show,
    test,
    tune,
    validate,
    why,
    zoo,
)
from dnas.cli.parsing import parse
from dnas.errors import UserError, unknown
from dnas.paths import check_folders_of_user, expanded

__getattr__ = modules_of(__name__)

MAIN_HELP = """usage: dnas COMMAND [OPTIONS]

Differentiable neural architecture search in JAX.

commands:
{commands}

examples:
  dnas search experiments/small_digits.py --out runs/first
  dnas retrain runs/first
  dnas show DARTS_V2 --png cells.png

Every command explains itself: dnas COMMAND --help. Choices of a space, a method or a data set are written
name or name:key=value,key=value, as in --method darts:order=second; a setting of an experiment is written
FILE.py:SETTING, as in experiments/darts_minus.py:s1. dnas list shows all of them.
"""


class Command(NamedTuple):
    """A command: its options with their help, what it does, and the options that others stand for, if any do."""

    options: type
    run: Callable[[Any], None]
    defaults: Callable[[Any], Any] = lambda _: None


COMMANDS = {
    "auto": Command(auto.Auto, auto.run),
    "search": Command(search.Search, search.run, search.defaults),
    "retrain": Command(retrain.Retrain, retrain.run, retrain.defaults),
    "validate": Command(validate.Validate, validate.run, validate.defaults),
    "baselines": Command(baselines.Baselines, baselines.run),
    "test": Command(test.Test, test.run),
    "predict": Command(predict.Predict, predict.run),
    "export": Command(export.Export, export.run),
    "show": Command(show.Show, show.run),
    "scale": Command(scale.Scale, scale.run),
    "bench": Command(bench.Bench, bench.run),
    "latency": Command(latency.Latency, latency.run),
    "compare": Command(compare.Compare, compare.run),
    "blackbox": Command(blackbox.Blackbox, blackbox.run, blackbox.defaults),
    "tune": Command(tune.Tune, tune.run, tune.defaults),
    "why": Command(why.Why, why.run),
    "report": Command(report.Report, report.run),
    "look": Command(look.Look, look.run),
    "zoo": Command(zoo.Zoo, zoo.run),
    "data": Command(data.Data, data.run),
    "list": Command(listing.List, listing.run),
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


HOME = re.compile(r"^(--[\w.]+=)?(~.*)", re.DOTALL)  # nothing but a path begins so; a shell reads --png=~/a as it is


def _run(arguments: list[str]) -> None:
    if not arguments or arguments[0] in ("-h", "--help", "help"):
        width = max(map(len, COMMANDS))
        lines = [f"  {name:<{width}}  {_first_sentence(command.options)}" for name, command in COMMANDS.items()]
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
    command = COMMANDS[name]
    rest = [HOME.sub(lambda found: (found[1] or "") + expanded(found[2]), argument) for argument in rest]
    options: Any = parse(command.options, name, rest)
    defaults = command.defaults(options)
    if defaults is not None:
        options = parse(command.options, name, rest, defaults)
    command.run(options)


def _first_sentence(kind: type) -> str:
    return (kind.__doc__ or "").partition("\n")[0]
