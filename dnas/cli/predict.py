"""`dnas predict`."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import tyro

from dnas.cli.parsing import Flag, optional
from dnas.cli.sources import trained
from dnas.errors import UserError

GREY = (0.299, 0.587, 0.114)


@dataclass(frozen=True)
class Predict:
    """Say what is on image files, with the network that a training left: a line for each, class and probability.

    Examples:
      dnas predict runs/first/retrain seven.png nine.png
      dnas predict runs/first/retrain *.jpg --json > answers.jsonl
    """

    run: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="RUN")]
    """The folder of a training."""
    files: Annotated[tyro.conf.Positional[tuple[str, ...]], optional("FILE [FILE ...]")]
    """Images in any usual format; their centre squares are resized to what the network was trained on."""
    json: Flag = False
    """A JSON object for each: file, class, probability, and the probabilities of all classes."""
    seed: Annotated[int | None, optional("INT")] = None
    """Which of the run's trainings; by default the first."""


def run(options: Predict) -> None:
    """`dnas predict`."""
    import json

    from dnas.data._images import read_square

    if not options.files:
        raise UserError("dnas predict needs at least one image file.")
    found = trained(options.run, options.seed)
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
