"""Networks that commands use: those that a training left, and published ones."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import tyro

from dnas.cli.parsing import optional
from dnas.cli.sources import config_of, genotype_of, trained
from dnas.errors import UserError

if TYPE_CHECKING:
    from dnas.loading.found import Found
    from dnas.loading.loaded import Evaluation


@dataclass(frozen=True)
class Trained:
    """A network with its weights."""

    run: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]
    """The folder of a training (or of a search whose cell was trained in its folder `retrain`); with --weights a
    genotype, as in `dnas retrain`."""
    data: Annotated[str | None, optional("STR")] = None
    """Another data set of the same classes; by default the run's, with --weights cifar10."""
    seed: Annotated[int | None, optional("INT")] = None
    """Which of the run's trainings; by default the first."""
    weights: Annotated[str | None, optional("FILE")] = None
    """Weights of the published PyTorch code for this genotype (.pt, .pth or .npz)."""
    base: Annotated[str | None, optional("FILE", name="config")] = None
    """With --weights: whose cells, channels, stem and auxiliary head the network has; by default as in the weights."""
    mean: Annotated[str | None, optional("X,X,X")] = None
    """With --weights: mean of each channel of the images, in [0, 1]; by default what the published code has."""
    std: Annotated[str | None, optional("X,X,X")] = None
    """With --weights: the same of their standard deviations."""


def network_of(options: Trained) -> "Found":
    """The network that options name. Errors: `UserError`, also for options that go with others only."""
    if options.weights is None:
        for name, value in (("config", options.base), ("mean", options.mean), ("std", options.std)):
            if value is not None:
                raise UserError(f"--{name} goes with --weights, and a run knows its own: leave it out.")
        return trained(options.run, options.seed)
    if options.seed is not None:
        raise UserError("--seed chooses one of a run's trainings: with --weights leave it out.")
    from dnas.loading.published import load_published

    training = None if options.base is None else config_of(options.base).retrain
    moments = {"mean": numbers(options.mean, "mean"), "std": numbers(options.std, "std")}
    return load_published(
        genotype_of(options.run), options.weights, options.data or "cifar10", training=training, **moments
    )


def examined(found: "Found", measured: "Evaluation") -> Path | None:
    """Write what was taken for what, and the worst mistakes, into the folder of a run, and its page again; gives that.
    None where neither is known, or there is no folder. measured: on the run's own test part."""
    from dnas.loading import mistakes
    from dnas.reports import page

    if (measured.confusion is None and not measured.mistakes) or not found.folder.is_dir():
        return None
    mistakes.write(found, measured)
    return page.page(found.folder)


def numbers(text: str | None, name: str) -> tuple[float, ...] | None:
    """`0.5,0.5,0.5`. Errors: `UserError` for anything else."""
    if text is None:
        return None
    try:
        return tuple(map(float, text.split(",")))
    except ValueError:
        raise UserError(f"--{name} is a number for each channel, as in 0.49,0.48,0.45, not '{text}'.") from None
