"""How step and compilation grow with the number of cells, of channels, and of edges (nodes of a cell).

One axis varies while the others stay at the base setting; every point is a process of its own, one after the other.
"""

import dataclasses
from argparse import Namespace
from pathlib import Path

from turns import Setting, console, fresh_caches, measure

POINTS = {"cells": (2, 4, 8, 14, 20), "channels": (4, 8, 16, 32), "nodes": (1, 2, 3, 4, 5)}
LABELS = {"cells": "cells", "channels": "channels of the first cell", "nodes": "edges of a cell"}
COLOURS = {"trace_seconds": "#8a9bb0", "cold_seconds": "#1f77b4", "median_seconds": "#1f77b4"}


def edges(nodes: int) -> int:
    """Edges of a DARTS cell with so many intermediate nodes: each takes all before it and the two inputs."""
    return sum(2 + node for node in range(nodes))


def run(base: Setting, options: Namespace, points: dict[str, tuple[int, ...]]) -> list[dict]:
    """One dictionary for each point: the setting, trace, compile and step seconds, peak memory."""
    found: dict[Setting, dict] = {}
    rows = []
    for axis, values in points.items():
        for value in values:
            setting = dataclasses.replace(base, **{axis: value})
            if setting not in found:
                found[setting] = _measured(setting, options)
            rows.append({"axis": axis, "value": value, "edges": edges(setting.nodes)} | found[setting])
    return rows


def _measured(setting: Setting, options: Namespace) -> dict:
    with fresh_caches() as environment:
        results, failed = measure({"ours": setting}, options, environment)
    if failed:
        return {"title": str(setting), "failed": failed["ours"]}
    side = results["ours"]
    names = ("trace_seconds", "compile_seconds", "cold_seconds", "median_seconds", "spread", "peak_mb", "parameters")
    console.print(f"{setting}: step {side['median_seconds']:.3g} s, trace + compile {side['cold_seconds']:.1f} s")
    return {"title": str(setting)} | {name: side[name] for name in names}


def exponent(rows: list[dict], axis: str, name: str) -> float | None:
    """The slope in log-log over an axis, by least squares: 1 is proportional, 0 is constant."""
    import numpy as np

    points = [(_place(row), row[name]) for row in rows if row["axis"] == axis and name in row]
    if len({place for place, _ in points}) < 2:
        return None
    x, y = np.log(np.array(points)).T
    return round(float(np.polyfit(x, y, 1)[0]), 2)


def draw(rows: list[dict], base: Setting, path: Path) -> None:
    """Two rows of panels, step and compilation, one column for each axis."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    axes_names = list(dict.fromkeys(row["axis"] for row in rows))
    figure = Figure(figsize=(3.6 * len(axes_names), 5.6), layout="constrained")
    panels = figure.subplots(2, len(axes_names), squeeze=False, sharey="row")
    for column, axis in enumerate(axes_names):
        points = [row for row in rows if row["axis"] == axis and "median_seconds" in row]
        places = [_place(row) for row in points]
        step, cold = panels[0, column], panels[1, column]
        _line(step, places, points, "median_seconds", "step")
        _line(cold, places, points, "cold_seconds", "trace + compile")
        _line(cold, places, points, "trace_seconds", "trace")
        step.set_title(f"step ~ {LABELS[axis].split()[0]}^{exponent(rows, axis, 'median_seconds')}", fontsize=9)
        cold.set_xlabel(LABELS[axis])
    for panel in panels[:, 0]:  # the others share its scale
        panel.set_ylim(bottom=0)
    panels[0, 0].set_ylabel("seconds of a step")
    panels[1, 0].set_ylabel("seconds before the first step")
    panels[1, 0].legend(frameon=False, fontsize=8)
    figure.suptitle(f"DARTS supernet, first order; the base is {base}", fontsize=10)
    path.parent.mkdir(parents=True, exist_ok=True)
    FigureCanvasAgg(figure).print_png(str(path))


def _line(axis, places: list[int], points: list[dict], name: str, label: str) -> None:
    values = [point[name] for point in points]
    axis.plot(places, values, "o-", color=COLOURS[name], markersize=4, linewidth=1.5, label=label)
    axis.grid(color="#e6e6e6", linewidth=0.6)
    axis.spines[["top", "right"]].set_visible(False)


def _place(row: dict) -> int:
    return row["edges"] if row["axis"] == "nodes" else row["value"]
