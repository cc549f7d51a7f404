"""Pictures of a study of hyperparameters: its history, what matters, and where the good values are."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dnas.reports.figures import dress, new_figure, save
from dnas.reports.marks import GREY, INK
from dnas.reports.plots import Measure

MAP = "cividis"  # bright is better; safe for the colour-blind
FEWEST = 4  # points of a surface
BEHIND = {"facecolor": "white", "alpha": 0.7, "linewidth": 0, "pad": 0.6}  # a text on lines


class Dimension(NamedTuple):
    """A field over the trials. values: [N], of a list the places in it. ticks: the words of a list; none: numbers."""

    name: str
    values: np.ndarray
    ticks: tuple[str, ...] = ()
    log: bool = False

    @property
    def line(self) -> np.ndarray:
        """Where the values lie on a straight axis."""
        return np.log10(self.values) if self.log else self.values


def plot_history(
    numbers: Sequence[int], scores: np.ndarray, whole: np.ndarray, measure: Measure, path: str | Path
) -> None:
    """Scores [N] of trials against their numbers, and the best so far; whole: which were not given up [N]."""
    figure = new_figure(7.4, 3.6)
    axis, places, shown = figure.subplots(), np.asarray(numbers), measure.scale * scores
    best = (np.maximum if measure.more else np.minimum).accumulate(shown[whole])
    axis.scatter(places[~whole], shown[~whole], s=18, marker="x", color=GREY, linewidth=1, label="given up early")
    axis.scatter(places[whole], shown[whole], s=18, color="#0072B2", label="whole")
    axis.step(places[whole], best, where="post", color="#D55E00", linewidth=1.6, label="best so far")
    axis.set_xlabel("trial", fontsize=9)
    axis.set_title(f"validation {measure.label}", fontsize=10, loc="left")
    axis.legend(frameon=False, fontsize=8)
    dress(axis)
    save(figure, path)


def plot_importances(importances: Mapping[str, float], trials: int, path: str | Path) -> None:
    """A bar for each field: which share of the scores' variance it explains, over so many trials."""
    figure = new_figure(7.4, 1.0 + 0.3 * len(importances))
    axis, places = figure.subplots(), range(len(importances))
    axis.barh(places, [100 * share for share in importances.values()], color="#0072B2", height=0.62)
    for place, share in zip(places, importances.values(), strict=True):
        axis.annotate(f"{share:.0%}", (100 * share, place), (4, 0), textcoords="offset points", va="center", fontsize=8)
    axis.set_title(f"share of the scores' variance [%], fANOVA over {trials} whole trials", fontsize=10, loc="left")
    axis.set_xlim(0, 115 * max(importances.values()))
    dress(axis)
    axis.set_yticks(places, importances, fontsize=8)
    axis.set_ylim(len(importances) - 0.4, -0.6)
    save(figure, path)


def plot_contours(dimensions: Sequence[Dimension], scores: np.ndarray, measure: Measure, path: str | Path) -> None:
    """A panel for every two fields: trials as dots, and between them a surface where both are numbers; scores [N]."""
    pairs = list(combinations(dimensions, 2))
    figure, shown = new_figure(0.8 + 3.6 * len(pairs), 3.5), measure.scale * scores
    for axis, (across, up) in zip(figure.subplots(1, len(pairs), squeeze=False)[0], pairs, strict=True):
        x, y = across.line, up.line
        if not across.ticks and not up.ticks and _spread(x, y):
            axis.tricontourf(x, y, shown, levels=12, cmap=_map(measure), alpha=0.55, vmin=shown.min(), vmax=shown.max())
        dots = axis.scatter(
            _apart(across), _apart(up), c=shown, s=22, cmap=_map(measure), edgecolors=INK, linewidth=0.4
        )
        for one, name, set_label in ((across, "x", axis.set_xlabel), (up, "y", axis.set_ylabel)):
            set_label(one.name, fontsize=8)
            _mark(getattr(axis, f"{name}axis"), one)
        axis.tick_params(labelsize=7, length=2)
        axis.spines[["top", "right"]].set_visible(False)
        axis.use_sticky_edges = False  # of the surface, which would cut dots
        axis.margins(0.06)
    bar = figure.colorbar(dots, ax=figure.axes, aspect=30)
    bar.set_label(f"validation {measure.label}", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    save(figure, path)


def plot_parallel(dimensions: Sequence[Dimension], scores: np.ndarray, measure: Measure, path: str | Path) -> None:
    """A line for each trial through its values, coloured by its score, the best on top; scores [N]."""
    from matplotlib import colormaps
    from matplotlib.cm import ScalarMappable
    from matplotlib.colors import Normalize

    figure, shown = new_figure(max(5.4, 1.5 * (len(dimensions) + 1)), 3.8), measure.scale * scores
    axis, norm = figure.subplots(), Normalize(shown.min(), shown.max())
    score = Dimension(f"validation {measure.label}", shown)
    columns, colours = [*dimensions, score], colormaps[_map(measure)](norm(shown))
    heights = np.stack([_height(one) for one in columns], 1)
    for i in np.argsort(measure.sign * shown, kind="stable"):
        axis.plot(range(len(columns)), heights[i], color=colours[i], linewidth=1.2, alpha=0.75)
    for place, one in enumerate(columns):
        axis.axvline(place, color=GREY, linewidth=0.8)
        for value, text in _scale(one):
            axis.annotate(
                text,
                (place, value),
                (4, 0),
                textcoords="offset points",
                va="center",
                fontsize=7,
                color=INK,
                bbox=BEHIND,
            )
    axis.set_xticks(range(len(columns)), [_folded(one.name) for one in columns], fontsize=7)
    axis.set_yticks([])
    axis.set_xlim(-0.15, len(columns) - 0.55)
    axis.spines[:].set_visible(False)
    figure.colorbar(ScalarMappable(norm, _map(measure)), ax=axis, aspect=30, pad=0.01).ax.tick_params(labelsize=7)
    save(figure, path)


def _map(measure: Measure) -> str:
    return MAP if measure.more else f"{MAP}_r"


def _spread(x: np.ndarray, y: np.ndarray) -> bool:
    """Whether points span an area."""
    points = np.unique(np.stack([x, y], 1), axis=0)
    scaled = (points - points.mean(0)) / np.where(np.ptp(points, 0) > 0, np.ptp(points, 0), 1)
    return len(points) >= FEWEST and np.linalg.matrix_rank(scaled, tol=1e-3) == 2


def _apart(one: Dimension) -> np.ndarray:
    """Members of a list beside each other, so that dots do not hide dots."""
    line = one.line.astype(float)
    return line + np.random.default_rng(0).uniform(-0.12, 0.12, len(line)) if one.ticks else line


def _mark(axis: Any, one: Dimension) -> None:
    """The words of a list, or the powers of ten."""
    if one.ticks:
        axis.set_ticks(range(len(one.ticks)), one.ticks)
    elif one.log:
        axis.set_major_formatter(lambda value, _: f"{10**value:.2g}")


def _height(one: Dimension) -> np.ndarray:
    """Values between 0 and 1."""
    low, high = (0, len(one.ticks) - 1) if one.ticks else (one.line.min(), one.line.max())
    return (one.line - low) / (high - low) if high > low else np.full(len(one.line), 0.5)


def _scale(one: Dimension) -> list[tuple[float, str]]:
    """Heights and what stands there."""
    if one.ticks:
        return [(place / max(1, len(one.ticks) - 1), text) for place, text in enumerate(one.ticks)]
    ends = one.values.min(), one.values.max()
    return [(0.0, f"{ends[0]:.3g}"), (1.0, f"{ends[1]:.3g}")] if ends[0] < ends[1] else [(0.5, f"{ends[0]:.3g}")]


def _folded(name: str) -> str:
    """A path over several lines."""
    return name.replace(".", ".\n").replace(" [", "\n[")
