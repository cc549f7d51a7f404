"""`dnas export`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from dnas.cli.networks import Trained, network_of
from dnas.cli.parsing import Flag, optional
from dnas.errors import UserError


@dataclass(frozen=True)
class Export(Trained):
    """Write a trained network to files that are used without this library, with a model card.

    stablehlo: a program of raw inputs and any batch, with a predict.py that needs jax, numpy and flatbuffers, and no
    dnas; of language models it says what follows a text, and writes on, and of translations it is the beam search. npz:
    weights by name and the architecture as JSON, of any network. torch: weights as PyTorch's reference codes of DARTS
    and NAS-Bench-201 name them. With --weights RUN is a genotype, whose published PyTorch weights are exported.

    Examples:
      dnas export runs/first
      dnas export runs/first --int8 --out first_int8
      dnas export runs/first --format npz
      dnas export DARTS_V2 --weights cifar10_model.pt --out darts_v2
      cd first_int8 && python predict.py IMAGES.npy
    """

    format: Annotated[str, tyro.conf.arg(metavar="FORMAT")] = "stablehlo"
    """stablehlo, npz or torch."""
    out: Annotated[str | None, optional("DIR")] = None
    """A new folder; by default export/FORMAT in the folder of the training, with --weights beside that file."""
    int8: Flag = False
    """Round kernels to 8 bits, with a scale for every output channel; what that costs is measured."""


def run(options: Export) -> None:
    """`dnas export`."""
    from dnas.exporting import check, export

    kind = "int8" if options.int8 else "trained"
    check(options.format, kind)  # before a network is loaded
    out = options.out
    if options.weights is None and options.data is not None:
        raise UserError("--data goes with --weights, and a run knows its own: leave it out.")
    if options.weights is not None and out is None:
        file = Path(options.weights)
        out = str(file.with_name(f"{file.stem}_{options.format}"))
    made = export(network_of(options), out, form=options.format, weights=kind)
    print(f"Wrote {made.folder}: {', '.join(made.files)}.")
    if made.difference is not None:
        print(f"Its answers differ by {made.difference:.1g} at most from those of dnas predict with these weights.")
    if made.rounding:
        print(f"Rounded: {made.rounding}.")
    print(f"Open {made.folder / made.files[-1]}")
