"""Pictures of black-box searches: what is found against what is spent."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dnas.reports.figures import dress, new_figure, save
from dnas.reports.plots import SPARE

Panel = tuple[str, Mapping[str, np.ndarray]]
COLUMNS = 4
MOST_POINTS = 5000
COLOURS = ("#8a9bb0", "#1f77b4", "#d95f02", "#238b45", *SPARE)


def plot_budgets(panels: Mapping[str, Panel], path: str | Path, title: str = "") -> None:
    """A panel for each quantity, a curve for each search: lines are means over runs, bands lie between the quartiles.

    panels: quantity -> unit of the budget and, by search, [G, 4]: budget, mean, first and third quartile.
    """
    columns = min(len(panels), COLUMNS)
    rows = -(-len(panels) // columns)
    figure = new_figure(2.4 + (5.2 if columns == 1 else 4.4) * columns, 3.8 * rows)
    figure.suptitle(title, fontsize=11)
    axes = figure.subplots(rows, columns, squeeze=False).flat
    colours: dict[str, str] = {}
    for axis in [*axes][len(panels) :]:
        axis.set_visible(False)
    for axis, (quantity, (unit, curves)) in zip(figure.axes, panels.items(), strict=False):
        for name, (x, mean, low, high) in ((name, curve.T) for name, curve in curves.items()):
            colour = colours.setdefault(name, COLOURS[len(colours) % len(COLOURS)])
            axis.plot(x, mean, color=colour, linewidth=1.8, label=name)
            axis.fill_between(x, low, high, color=colour, alpha=0.15, linewidth=0)
        _zoom(axis, curves)
        axis.set_title(quantity, fontsize=10, loc="left")
        axis.set_xlabel({"s": "simulated seconds"}.get(unit, unit), fontsize=9)
        dress(axis)
    handles = {text: line for axis in figure.axes for line, text in zip(*axis.get_legend_handles_labels(), strict=True)}
    figure.legend(handles.values(), handles, frameon=False, fontsize=9, loc="outside right upper")
    save(figure, path)


def plot_front(points: np.ndarray, front: np.ndarray, names: Sequence[str], path: str | Path, title: str = "") -> None:
    """All points [N, M] and those of the front [F, M], by the first two of the objectives."""
    figure = new_figure(7.0, 4.2)
    figure.suptitle(title, fontsize=11)
    axis = figure.subplots()
    shown = points[:: -(-len(points) // MOST_POINTS)]
    axis.scatter(shown[:, 1], shown[:, 0], s=6, color=COLOURS[0], alpha=0.5, linewidth=0, label="tried")
    axis.scatter(front[:, 1], front[:, 0], s=26, color=COLOURS[2], zorder=3, label="front")
    others = f", a front of {', '.join(names)}" if len(names) > 2 else ""
    axis.set_title(f"{names[0]} against {names[1]}{others}", fontsize=10, loc="left")
    axis.set_xlabel(names[1], fontsize=9)
    axis.legend(frameon=False, fontsize=9)
    dress(axis)
    save(figure, path)


def _zoom(axis: Any, curves: Mapping[str, np.ndarray]) -> None:
    """The second half of the curves fills the height: searches differ there, and all begin far below."""
    ends = np.concatenate([curve[len(curve) // 10 :, 1:] for curve in curves.values()])
    low, high = np.percentile(ends, 5), ends.max()
    margin = 0.08 * (high - low) or 0.5
    axis.set_ylim(low - margin, high + margin)
