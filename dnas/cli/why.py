"""`dnas why`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import tyro

from dnas.cli.parsing import Flag, optional
from dnas.cli.sources import best_seed, is_run
from dnas.errors import UserError
from dnas.ranges import Whole, check

MOST = 24  # decisions that the table shows


@dataclass(frozen=True)
class Why:
    """Explain what a search found: what the supernet loses without each operation, and how sure the search was.

    Every operation is taken away or exchanged while the weights of the search stay as they are, and the supernet is
    measured on the validation part, through one compiled program. RUN/why.json and the page of the run then say:
    that ablation, whether the mix agrees with it, what other seeds found, how decided the mix was over epochs, and how
    sharp the loss is in the alphas. With --retrained the architecture and its neighbours, which differ in one decision,
    are trained for so many epochs each; what is done is not done again.

    The table: what was found; what the ablation finds most needed; how much of the score is lost without what was
    found; its weight in the mix; Kendall's rank correlation of mix and ablation; entropy of the mix, 1 undecided, 0
    decided; the epoch since which the strongest option stayed; how many seeds found the same.

    Examples:
      dnas why runs/first
      dnas why runs/first --retrained 5 --neighbours 20
    """

    run: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]
    """The folder of a search."""
    seed: Annotated[int | None, optional("INT")] = None
    """Which seed of the search; by default the best."""
    batches: Whole = 0
    """Batches of the validation part that every variant is measured on; 0: all."""
    retrained: Whole = 0
    """Epochs of every training of the architecture and its neighbours; 0: none is trained."""
    neighbours: Whole = 0
    """How many neighbours are trained, the strongest alternatives of all decisions first; 0: all."""
    quiet: Flag = False
    """No progress bar."""


def run(options: Why) -> None:
    """`dnas why`."""
    for name in ("batches", "retrained", "neighbours"):
        check(getattr(options, name), Whole, f"--{name}")
    if options.neighbours and not options.retrained:
        raise UserError("--neighbours says how many are trained, and nothing is: add --retrained EPOCHS.")
    if not is_run(options.run):
        raise UserError(f"{options.run} holds no run: name the folder of a search, as in 'dnas why runs/first'.")
    from dnas import explain
    from dnas.explain.run import Asked

    seed = best_seed_of(options.run) if options.seed is None else options.seed
    asked = Asked(options.batches, options.retrained, options.neighbours)
    said = explain.run(options.run, seed, asked=asked, quiet=options.quiet)
    _print(said)
    print(f"Open {Path(options.run) / 'report.html'}")


def best_seed_of(folder: str) -> int:
    """The seed whose architecture dnas retrain would train."""
    from dnas.runs import records

    config = records.config_of(folder)
    return config.seed + best_seed(folder, config.seeds)


def _print(said: dict[str, Any]) -> None:
    """Decision by decision, those without which most is lost first, and the sentence."""
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    from dnas.reports.marks import label
    from dnas.tasks.task import Score

    score = Score(**said["score"])
    scale = 100 if score.name == "accuracy" else 1
    several = said["stability"] is not None
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("decision", no_wrap=True)
    for name in ("found", "needed"):
        table.add_column(name, overflow="fold")
    unit = " %" if scale == 100 else ""
    for name in (f"lost{unit}", "in mix", "Kendall", "entropy", "since", *["seeds"] * several):
        table.add_column(name, justify="right")
    found = [one for one in said["decisions"] if one["found"] is not None]
    found.sort(key=lambda one: -(one["lost"] if one["lost"] is not None else float("-inf")))
    for one in found[:MOST]:
        agree, trained = one["agreement"] or {"kendall": None}, said["undecided"] is not None
        values = [
            _shown(one["lost"], scale),
            _shown(one["mix"][one["options"].index(one["found"])] if trained else None),
            _shown(agree["kendall"]),
            _shown(one["entropy"] and one["entropy"][-1]),
            "-" if one["last_change"] is None else f"{one['last_change']:g}",
        ]
        if several:
            values.append(f"{one['seeds'][one['found']]}/{said['stability']['seeds']}")
        short = one["label"].removeprefix("edge ").removesuffix(" cell").replace(" of the", "")
        table.add_row(escape(short), escape(label(one["found"])), escape(label(one["most_needed"] or "-")), *values)
    Console().print(table)
    if len(found) > MOST:
        print(f"... and {len(found) - MOST} more in why.json.")
    for line in _lines(said, score):
        print(line)


def _lines(said: dict[str, Any], score: Any) -> list[str]:
    """What is said below the table."""
    how, base = said["ablation"], said["base"]
    bases = {"mix": "supernet with its mix", "found": "found architecture alone in the supernet"}
    worth = [f"{bases[name]} {score.shown(one['score'])}" for name, one in base.items() if one is not None]
    norms = "calibrated for each" if how["statistics"] == "calibrated" else "normalised by the batch"
    lines = [f"Validation {score.name}: {', '.join(worth)}; {how['variants']:,} variants, {norms}."]
    if (curve := said["curvature"]) is not None and curve["eigenvalue"] is not None:
        lines.append(f"Dominant eigenvalue of the Hessian by the alphas: {curve['eigenvalue']:.4g}.")
    if (stable := said["stability"]) is not None:
        lines.append(
            f"Two of {stable['seeds']} seeds agree on {100 * stable['agreement']:.0f} % of the decisions, two random "
            f"architectures on {100 * stable['chance']:.0f} %."
        )
    if (trained := said["trained"]) is not None and trained["found"] is not None:
        epochs = f"{trained['epochs']} epoch{'s' * (trained['epochs'] > 1)}"
        lines.append(
            f"Trained for {epochs}: {score.shown(trained['found'][score.name])}; {trained['better']} "
            f"of {trained['of']} neighbours were better."
        )
    return [*lines, said["sentence"]]


def _shown(value: float | None, scale: float = 1) -> str:
    return "-" if value is None else f"{scale * value:.2f}"
