"""`dnas auto`."""

from dataclasses import dataclass
from typing import Annotated

import tyro

from dnas.cli.parsing import Flag, optional
from dnas.errors import UserError


@dataclass(frozen=True)
class Auto:
    """From data to a network in use: look at them, search, tune, train, test and export, within so many minutes.

    DATA is a folder of images or recordings, a CSV, TSV or parquet file, a table of texts, or a data set's name. Fixed
    networks, and of tables models of scikit-learn, are validated as the found ones are; the best network by validation
    is kept, trained on all but the test part, tested once, and exported. Every stage prints the command that does the
    same, and leaves a folder in DIR; auto.json there is a journal, so that --resume goes on where a run was stopped or
    killed.

    Examples:
      dnas auto wine --minutes 10
      dnas auto houses.csv --target price --minutes 20 --out runs/houses
      dnas auto flowers/ --minutes 60 --budget "parameters<1e6"
      dnas auto wine --out runs/auto_wine --resume
    """

    data: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DATA")]
    """A folder, a file, or a data set."""
    out: Annotated[str | None, optional("DIR")] = None
    """The folder, a new one; by default in runs/, named after DATA."""
    minutes: Annotated[float | None, optional("FLOAT")] = None
    """How long it may work, 30 by default; less time means fewer epochs, trials and candidates."""
    target: Annotated[str | None, optional("COLUMN")] = None
    """Of a table: the column to predict."""
    keep: Annotated[tuple[str, ...], optional("COLUMN [COLUMN ...]")] = ()
    """Of a table: columns that stay although a check would leave them out."""
    budget: str = ""
    """Costs of the network and what they may be at most, as parameters<1e6."""
    seed: int = 0
    """All randomness follows from it."""
    resume: Flag = False
    """Go on with the run in --out."""
    quiet: Flag = False
    """Only the result."""


def run(options: Auto) -> None:
    """`dnas auto`."""
    from dnas.automl.outcome import sentence
    from dnas.automl.run import run as make

    if options.resume and options.out is None:
        raise UserError("--resume needs --out DIR, the folder to go on with.")
    out = options.out or f"runs/auto_{''.join(c if c.isalnum() else '_' for c in options.data).strip('_')}"
    summary = make(
        options.data,
        out,
        minutes=options.minutes,
        budget=options.budget,
        target=options.target,
        keep=options.keep,
        seed=options.seed,
        resume=options.resume,
        quiet=options.quiet,
    )
    print(sentence(summary))
    print(f"Open {out}/report.html")
