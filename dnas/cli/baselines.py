"""`dnas baselines`."""

from dataclasses import dataclass, replace
from typing import Annotated

import tyro

from dnas.cli.parsing import optional
from dnas.cli.sources import config_of


@dataclass(frozen=True)
class Baselines:
    """Validate what a found network has to beat: fixed networks, and of tables models of scikit-learn.

    DATA is as in dnas auto. Networks are trained and validated as there, on folds where rows are few; the test part is
    not seen. Nothing is written.

    Examples:
      dnas baselines wine
      dnas baselines digits --epochs 5
    """

    data: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="DATA")]
    """A folder, a file, or a data set."""
    base: Annotated[str | None, optional("FILE", name="config")] = None
    """A config that says how networks are trained; by default as dnas auto does where there is time enough."""
    epochs: Annotated[int | None, optional("INT")] = None
    """Of every network."""
    target: Annotated[str | None, optional("COLUMN")] = None
    """Of a table: the column to predict."""


def run(options: Baselines) -> None:
    """`dnas baselines`."""
    from dnas.automl import baselines
    from dnas.automl.look import look
    from dnas.automl.networks import entry_of, with_epochs
    from dnas.automl.run import recipe_of
    from dnas.runs import loop

    loop.prepare_process()
    found = look(options.data, target=options.target)
    found.require()
    recipe = recipe_of(found.data, found.task)
    if options.base is not None:
        recipe = replace(recipe, config=config_of(options.base))
    if options.epochs is not None:
        recipe = replace(recipe, config=with_epochs(recipe.config, options.epochs))
    for name in baselines.names(recipe):
        print(f"{name}: {entry_of(baselines.as_entry(name, recipe, recipe.config)).shown()}", flush=True)
