"""`dnas latency`."""

import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from dnas import find, ranges
from dnas.cli.parsing import optional
from dnas.errors import UserError
from dnas.ranges import Count, Depth, Range, Width

if TYPE_CHECKING:
    from dnas.architectures.topology import Space
    from dnas.costs.latency_table import LatencyTable
    from dnas.costs.measured import Checked

HERE = "here"
NUMBERS = {  # option: what it may be
    "cells": Depth,
    "channels": Width,
    "image_size": Annotated[int, Range(1, 8192)],
    "image_channels": Annotated[int, Range(1, 64)],
    "classes": Count,
    "batch": Annotated[int, Range(1, 4096)],
    "calls": Annotated[int, Range(1, 10_000)],
    "fit": Annotated[int, Range(0, 1000)],
    "check": Annotated[int, Range(0, 1000)],
    "cores": Annotated[int, Range(0, 1024)],
}


@dataclass(frozen=True)
class Latency:
    """Write a table of what every operation of a space takes, per layer, measured on this machine.

    The table is a cost: of any architecture, and of any mix. SPACE is a choice, see dnas list. Operations are compiled
    once each, and timed warm and in turns, on one core; --check times whole random networks beside what the table says.
    Of ofa and mnasnet, where what an option takes depends on others, every block is; mixes have no latency there.
    Let nothing else run meanwhile. With --device the table of FBNet is fitted to what HELP has measured on one of its
    27 devices; cpu and raspi4_32 are published tables per operation.

    Examples:
      dnas latency nasbench201 --out here.json --check 20
      dnas latency darts --channels 36 --cells 20 --out here.json
      dnas latency ofa:size=tiny --image-size 8 --image-channels 1 --out here.json --check 20
      dnas latency fbnet --device pixel3 --out pixel3.json
    """

    space: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="SPACE")]
    """The space."""
    out: Annotated[str | None, optional("FILE")] = None
    """Where the table goes, a .json file."""
    device: str = HERE
    """`here`, this machine; or one of others: pixel3 and 26 more of HELP, cpu, raspi4_32."""
    cells: int = 5
    """Cells of the networks (NAS-Bench-201: of a stage)."""
    channels: int = 16
    """Channels of the first cell."""
    image_size: int = 32
    """Pixels of a side of an image."""
    image_channels: int = 3
    """Channels of an image: 1 for grey ones, as digits."""
    classes: int = 10
    """Classes of the networks."""
    batch: int = 1
    """Images of one call."""
    calls: int = 100
    """How often every operation is timed; its median counts."""
    fit: int = 5
    """How many whole random networks are timed for the factor by which sums of operations become networks."""
    check: int = 0
    """How many others are timed, to say how well the table predicts them."""
    cores: int = 1
    """Cores that compute, 0: all. On several, branches of a cell run at once, and networks take less than their sum."""


def run(options: Latency) -> None:
    """`dnas latency`."""
    for name, allowed in NUMBERS.items():
        ranges.check(getattr(options, name), allowed, f"--{name.replace('_', '-')}")
    path = Path(options.out or "")
    if path.suffix.lower() != ".json" or not os.path.isdir(path.parent):
        raise UserError(
            f"--out needs a file name that ends in .json, in a folder that exists, not '{options.out or ''}'."
        )
    space: Any = find.resolve("space", options.space)
    _refuse_what_does_nothing(options, space)

    from dnas.costs import latency_table

    if options.device != HERE:
        latency_table.write(_fitted(space, options.device), path)
        print(f"Wrote {path}")
        return
    from dnas.architectures.topology import NetworkSize
    from dnas.costs import measured
    from dnas.data._files import progress

    measured.pinned(options.cores)
    table, checked = measured.measure(
        space,
        NetworkSize(options.cells, options.channels, options.classes, options.image_channels),
        options.image_size,
        batch=options.batch,
        calls=options.calls,
        fitted=options.fit,
        networks=options.check,
        cores=options.cores,
        shown=progress,
    )
    latency_table.write(table, path)
    print(f"Wrote {path}, measured on {table.device}")
    if checked:
        _show(checked)


def _refuse_what_does_nothing(options: Latency, space: "Space") -> None:
    given = [name for name in NUMBERS if getattr(options, name) != getattr(Latency, name)]
    if options.device != HERE and given:
        option = given[0].replace("_", "-")
        raise UserError(f"--{option} is of measuring on this machine, not on {options.device}: leave out one of both.")
    if space.chain and (idle := [name for name in given if name in ("cells", "channels")]):
        raise UserError(f"The blocks of '{space.name}' say its widths and its depth: leave out --{idle[0]}.")


def _fitted(space: "Space", device: str) -> "LatencyTable":
    from dnas.costs import published

    if space.name != "fbnet":
        raise UserError(
            f"HELP's latencies make a table of the space 'fbnet' only, not of '{space.name}': measure one with "
            f"--device {HERE}."
        )
    known = published.per_operation(device) if device in published.PER_OPERATION else published.additive(device)
    return published.renamed(known, space)


def _show(checked: "Checked") -> None:
    for predicted, true in zip(checked.predicted, checked.measured, strict=True):
        print(f"  table {predicted:9.3f} ms   network {true:9.3f} ms")
    count, (correlation, error) = len(checked.measured), checked.accuracy
    ranks = "all predicted alike" if math.isnan(correlation) else f"rank correlation {correlation:.3f}"
    print(f"{count} network{'s' * (count > 1)}: median error {100 * error:.1f} %, {ranks}")
