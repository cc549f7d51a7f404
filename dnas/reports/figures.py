"""What all figures have in common: how they are made, dressed and saved."""

import io
from pathlib import Path
from typing import Any

from dnas.files import atomic_write

GRID = {"color": "#e6e6e6", "linewidth": 0.6}


def new_figure(width: float, height: float) -> Any:
    """An empty figure; width, height: in inches."""
    from matplotlib.figure import Figure  # 0.7 s, and only pictures need it

    return Figure(figsize=(width, height), layout="constrained")


def dress(axis: Any) -> None:
    """Grid, ticks and lines of an axis along which epochs or ranks are counted."""
    axis.grid(True, **GRID)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=8, length=2)
    axis.xaxis.get_major_locator().set_params(integer=True)


def save(figure: Any, path: str | Path) -> None:
    """As a PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    atomic_write(path, buffer.getvalue())
