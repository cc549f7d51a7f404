"""`dnas export`."""

from dataclasses import dataclass
from typing import Annotated

import tyro

from dnas.cli.parsing import optional
from dnas.cli.sources import trained


@dataclass(frozen=True)
class Export:
    """Write a trained network to files that are used without this library, with a model card.

    stablehlo: a program of raw inputs and any batch, with a predict.py that needs jax, numpy and flatbuffers, and no
    dnas. npz: weights by name and the architecture as JSON, of any network. torch: weights as PyTorch's reference codes
    of DARTS and NAS-Bench-201 name them.

    Examples:
      dnas export runs/first
      dnas export runs/first --weights int8 --out first_int8
      dnas export runs/first --format npz
      cd first_int8 && python predict.py IMAGES.npy
    """

    run: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]
    """The folder of a training (or of a search whose cell was trained in its folder `retrain`)."""
    format: Annotated[str, tyro.conf.arg(metavar="FORMAT")] = "stablehlo"
    """stablehlo, npz or torch."""
    out: Annotated[str | None, optional("DIR")] = None
    """A new folder; by default export/FORMAT in the folder of the training."""
    seed: Annotated[int | None, optional("INT")] = None
    """Which of the run's trainings; by default the first."""
    weights: Annotated[str, tyro.conf.arg(metavar="KIND")] = "trained"
    """trained: as they are. int8: rounded to 8 bits, a scale for every output channel; what that costs is measured."""


def run(options: Export) -> None:
    """`dnas export`."""
    from dnas.exporting import check, export

    check(options.format, options.weights)  # before a network is loaded
    made = export(trained(options.run, options.seed), options.out, form=options.format, weights=options.weights)
    print(f"Wrote {made.folder}: {', '.join(made.files)}.")
    if made.difference is not None:
        print(f"Its answers differ by {made.difference:.1g} at most from those of dnas predict with these weights.")
    if made.rounding:
        print(f"Rounded: {made.rounding}.")
    print(f"Open {made.folder / made.files[-1]}")
