"""Pictures of genotypes that decide something for every layer of a chain: a table for a terminal, boxes for a paper."""

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dnas.files import atomic_write
from dnas.reports.marks import BLOCKS, CENTER, GREY, INK, PALE, tint

Layers = Sequence[dict[str, str]]  # {decision: option}
BOX, GAP, LINE, MOST = 1.75, 0.35, 0.2, 6  # inches: width of a layer, between them, height of a line; layers in a row


def text(layers: Layers) -> str:
    """A row for every layer, a column for every decision; a table for those that as many layers have."""
    lengths = {name: sum(name in layer for layer in layers) for name in layers[0]}
    tables = [[name for name in lengths if lengths[name] == length] for length in dict.fromkeys(lengths.values())]
    heading = "layer" if len(tables) == 1 else "number"
    return "\n\n".join(_table(heading, names, layers[: lengths[names[0]]]) for names in tables)


def _table(heading: str, names: Sequence[str], layers: Layers) -> str:
    rows = [[heading, *names], *([str(i), *(layer[name] for name in names)] for i, layer in enumerate(layers, 1))]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    )


def draw(layers: Layers, path: str | Path, title: str) -> None:
    """Write a PNG: a box for every layer, row by row, each read by the next.

    Errors: `StorageError` if it cannot be written; what was there stays.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg  # it takes half a second
    from matplotlib.figure import Figure
    from matplotlib.patches import FancyBboxPatch

    columns, lines = min(MOST, len(layers)), len(layers[0])
    rows = -(-len(layers) // MOST)
    tall, head = (lines + 1) * LINE + 0.15, 0.55
    width, height = columns * (BOX + GAP) + GAP, rows * (tall + GAP) + head + GAP / 2
    figure = Figure(figsize=(width, height), dpi=200)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
    axes.axis("off")
    axes.text(width / 2, height - 0.28, title, size=13, weight="bold", **CENTER)
    for number, layer in enumerate(layers):
        row, column = divmod(number, MOST)
        left, top = GAP + column * (BOX + GAP), height - head - row * (tall + GAP)
        face: Any = PALE
        heading, colour, rows_below = f"layer {number + 1}", INK, layer
        if list(layer) == ["block"]:  # whose word says several things
            heading, _, rest = layer["block"].partition("_")
            colour = BLOCKS.get(heading.rstrip("0123456789"), GREY)
            heading, face, rows_below = f"{number + 1}  {heading}", tint(colour), {rest.replace("_", " "): ""}
        style: dict[str, Any] = {"boxstyle": "round,pad=0,rounding_size=0.08", "fc": face, "ec": colour, "lw": 1.1}
        axes.add_patch(FancyBboxPatch((left, top - tall), BOX, tall, **style))
        axes.text(left + BOX / 2, top - LINE, heading, size=9, weight="bold", color=INK, **CENTER)
        for line, (name, option) in enumerate(rows_below.items(), 2):
            axes.text(left + 0.1, top - line * LINE, name, size=8, color=GREY, va="center")
            axes.text(left + BOX - 0.1, top - line * LINE, option, size=8, color=INK, ha="right", va="center")
        ahead = {"arrowstyle": "-|>", "color": GREY, "shrinkA": 0, "shrinkB": 0}
        axes.annotate("", (left, top - tall / 2), (left - GAP, top - tall / 2), arrowprops=ahead)
    picture = io.BytesIO()  # first all of it: a disk may be full
    FigureCanvasAgg(figure).print_png(picture)
    atomic_write(path, picture.getvalue())
