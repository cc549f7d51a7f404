"""`dnas validate`."""

from dataclasses import dataclass, field
from typing import Annotated

import tyro

from dnas.cli.parsing import optional
from dnas.cli.retrain import TrainingConfig, training_of, whole
from dnas.cli.sources import genotype_of


@dataclass(frozen=True)
class Validate:
    """Train the network of a genotype on a part of the train set, and measure it on the rest.

    What is measured on is the validation part of the data, or a portion of the train part (retrain.valid_portion, else
    a fifth); with --folds, of a table, every fold in turn. With --seeds there are as many trainings on each. CELL is as
    in dnas retrain, and so are the defaults. The test part is not seen, and nothing is written.

    Examples:
      dnas validate runs/first --seeds 3
      dnas validate runs/wine --folds 5 --retrain.epochs 60
    """

    cell: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="CELL")]
    """A run folder or a genotype."""
    base: Annotated[str | None, optional("FILE", name="config")] = None
    """An experiment file, a JSON file or a run folder that gives the defaults."""
    folds: int = 1
    """Of the train part of a table; 1: its validation part alone."""
    config: Annotated[TrainingConfig, tyro.conf.arg(name=""), tyro.conf.FlagConversionOff] = field(
        default_factory=TrainingConfig
    )


def run(options: Validate) -> None:
    """`dnas validate`."""
    from dnas.evaluators.cross_validation import validated
    from dnas.runs import loop

    loop.prepare_process()
    found = validated(whole(options.config), genotype_of(options.cell), options.folds)
    score = found.score
    each = ", ".join(score.shown(one) for one in found.scores)
    mean = f"{score.shown(found.mean)}, standard error {score.shown(found.error)}"
    print(f"Validation {score.name}: {mean} ({each}); loss {found.loss:.4g}, {found.parameters:,} parameters.")


def defaults(options: Validate) -> Validate | None:
    """The options that --config or CELL stand for; what was typed overrides them."""
    config = training_of(options.base, options.cell)
    return None if config is None else Validate(cell=options.cell, config=config)
