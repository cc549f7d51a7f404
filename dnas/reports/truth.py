"""What a table knows of the cells that searches pass through, epoch by epoch: where a search collapses, it falls."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from dnas.reports.figures import dress, new_figure, save

COLUMNS = 5
SEED, MEAN, MARK = "#9bb4cc", "#1f4e79", "#b3b3b3"


def plot_truths(
    searches: Mapping[str, np.ndarray], path: str | Path, title: str = "", marks: Mapping[str, float] | None = None
) -> None:
    """A panel for each method; thin: seeds, thick: their mean.

    searches: by method, accuracies in percent [seeds, epochs] of the cell that each search would end with, nan where it
    has ended. marks: accuracies to compare with, by what they are; a dashed line in every panel.
    """
    columns = min(len(searches), COLUMNS)
    rows = -(-len(searches) // columns)
    figure = new_figure(0.8 + 2.3 * columns, 0.6 + 2.0 * rows)
    figure.suptitle(title, fontsize=11)
    axes = figure.subplots(rows, columns, squeeze=False, sharex=True, sharey=True)
    for axis in axes.flat[len(searches) :]:
        axis.set_visible(False)
    for axis, (name, accuracies) in zip(axes.flat, searches.items(), strict=False):
        epochs = np.arange(1, accuracies.shape[1] + 1)
        for value in (marks or {}).values():
            axis.axhline(value, color=MARK, linewidth=0.9, linestyle=(0, (4, 3)))
        axis.plot(epochs, accuracies.T, color=SEED, linewidth=0.9)
        axis.plot(epochs, np.nanmean(accuracies, 0), color=MEAN, linewidth=2.0)
        axis.set_title(name, fontsize=10, loc="left")
        dress(axis)
    for text, value in (marks or {}).items():
        place = {"xycoords": ("axes fraction", "data"), "textcoords": "offset points", "va": "center"}
        axes[0, -1].annotate(text, (1, value), (4, 0), fontsize=8, color="#7a7a7a", **place)
    figure.supxlabel("epoch of the search", fontsize=9)
    figure.supylabel("test accuracy of its cell [%]", fontsize=9)
    save(figure, path)
