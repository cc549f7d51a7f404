"""`dnas blackbox`."""

from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Annotated

import tyro

from dnas import find
from dnas.blackbox.config import BlackboxConfig, load_several
from dnas.cli.parsing import Flag, optional
from dnas.config import parse_source
from dnas.errors import UserError


@dataclass(frozen=True)
class Blackbox:
    """Search with what sees architectures and their scores only: evolution, BANANAS, Hyperband, ...; see `dnas list`.

    On a table a run takes milliseconds, so there are hundreds of them, and what they find is a mean with its deviation.
    The score is a validation accuracy; the test accuracies that are shown never reach the searcher. A budget in seconds
    is what training the architectures took those who made the table. Other evaluators, and searchers that are no
    program (bananas, tpe, cmaes, hyperband, asha, dehb), do one architecture after the other, in one run unless --runs
    says more: train trains it (its config is that of an experiment file or JSON file), supernet takes the shared
    weights of a search. With --warmup.evaluator a run begins with the best of many random architectures by a proxy, or
    by what else is cheap. An evaluation at a ninth of the fidelity counts as a ninth. EXPERIMENT is a Python file with
    `searches()`, a config by name; FILE.py:NAME is one of them.

    DIR holds a page, report.html, and trials.csv, a row for every evaluation: pandas.read_csv("DIR/trials.csv").
    Repeated, the command reads what is there; a search that was interrupted goes on, and evaluates nothing twice.

    Examples:
      dnas blackbox --out runs/evolution
      dnas blackbox --searcher local_search --budget 300evaluations --evaluator table:data=cifar100,epochs=200
      dnas blackbox --searcher evolution:population=30,tournament=10 --evaluator table:data=imagenet16
          --budget 120000s --past_budget interpolated --runs 1000
      dnas blackbox --evaluator supernet:run=runs/spos --budget 1000evaluations
      dnas blackbox --evaluator train:config=experiments/small_digits.py,space=nasbench201 --budget 100evaluations
          --workers 4
      dnas blackbox --budget 100evaluations --warmup.evaluator proxy:proxy=nwot,data=cifar10 --warmup.pool 300
      dnas blackbox experiments/nasbench201_blackbox.py --out runs/blackbox
    """

    experiment: Annotated[tyro.conf.Positional[str | None], optional("[EXPERIMENT]")] = None
    """Where the defaults come from, or several searches."""
    out: Annotated[str | None, optional("DIR")] = None
    """The folder; by default in runs/, named after the searcher or the file."""
    workers: Annotated[str, optional("N|ray[:HOST:PORT]")] = ""
    """Who evaluates at the same time: N processes of this machine, each with a share of its cores or a GPU; or a Ray
    cluster (pip install dnas[cluster]), an evaluation on each core or GPU: ray makes one of this machine, ray:auto
    finds one that runs here. Its machines need dnas, the data and the files that are named, at the same paths."""
    quiet: Flag = False
    """Nothing but the table."""
    config: Annotated[BlackboxConfig, tyro.conf.arg(name=""), tyro.conf.FlagConversionOff] = field(
        default_factory=BlackboxConfig
    )


def run(options: Blackbox) -> None:
    """`dnas blackbox`."""
    from rich.console import Console

    from dnas.blackbox import run as single
    from dnas.blackbox import several
    from dnas.runs import loop

    known = {} if options.experiment is None else load_several(options.experiment)
    if len(known) > 1:
        file, _ = parse_source(str(options.experiment))
        out = Path(options.out or Path("runs") / file.stem)
        configs = several.with_fields(known, options.config)
        say = partial(loop.say, quiet=options.quiet)
        results = several.run(configs, out, say, workers=options.workers, quiet=options.quiet)
    else:
        name, _ = find.parse_choice(options.config.searcher)
        out = Path(options.out or Path("runs") / f"blackbox_{name}")
        done = single.run(options.config, out, workers=options.workers, quiet=options.quiet)
        results = {options.config.label: done}
    Console().print(several.table(results))
    if not options.quiet:
        print(f"Open {out / ('accuracy.png' if len(known) > 1 else 'report.html')}")


def defaults(options: Blackbox) -> Blackbox | None:
    """The options that EXPERIMENT stands for; what was typed overrides them. Without one, a single run is the default
    of an evaluator that takes its time, and of a searcher that runs trial by trial."""
    if options.experiment is None:
        names = [find.parse_choice(text)[0] for text in (options.config.evaluator, options.config.warmup.evaluator)]
        slow = any(find.returned("evaluator", name) == "HostEvaluator" for name in names)
        slow = slow or find.resolve("searcher", options.config.searcher).host is not None
        return Blackbox(config=BlackboxConfig(runs=1)) if slow else None
    known = load_several(options.experiment)
    if not known:
        raise UserError(f"{options.experiment} has no searches: searches() gave an empty dictionary.")
    return Blackbox(config=next(iter(known.values())))
