"""Pictures: curves, the mix over epochs, rankings, comparisons, confusion matrices. All numbers come from runs' files.

Shares are shown in percent.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dnas.errors import UserError
from dnas.reports.figures import dress, new_figure, save

Rows = list[dict[str, Any]]
Series = dict[Any, tuple[list[float], list[float]]]


class Measure(NamedTuple):
    """The score of a run: its name in the rows, whether more of it is better."""

    name: str = "accuracy"
    more: bool = True

    @property
    def scale(self) -> float:
        """What its numbers are multiplied by when they are shown."""
        return 100 if self.name == "accuracy" else 1

    @property
    def sign(self) -> int:
        """What makes more of it better."""
        return 1 if self.more else -1

    @property
    def label(self) -> str:
        """With its unit."""
        return "accuracy [%]" if self.name == "accuracy" else self.name


ACCURACY = Measure()

# Families of operations have families of colours; `none` is grey. Other names take from SPARE in order.

COLOURS = {
    "none": "#9a9a9a",
    "skip_connect": "#d62728",
    "max_pool_3x3": "#ff9d2e",
    "avg_pool_3x3": "#c8a400",
    "sep_conv_3x3": "#1f77b4",
    "sep_conv_5x5": "#5aaae3",
    "dil_conv_3x3": "#238b45",
    "dil_conv_5x5": "#6fc27b",
    "nor_conv_1x1": "#5aaae3",
    "nor_conv_3x3": "#1f77b4",
}
SPARE = ("#9467bd", "#17becf", "#8c564b", "#e377c2", "#4c4c4c", "#bcbd22", "#393b79", "#637939")
SPLITS = {"train": "#1f77b4", "valid": "#d95f02", "test": "#238b45"}


class MixHistory(NamedTuple):
    """Mixing weights [T, E, O] of one kind of cell at T epochs; edges as "2<-0", operations [E][O]."""

    epochs: list[float]
    edges: list[str]
    operations: list[list[str]]
    weights: np.ndarray


def mix_histories(rows: Rows) -> dict[int, dict[str, MixHistory]]:
    """The rows of mix.jsonl as seed -> kind -> history. A kind keeps the rows with the edges of its last one; an
    operation that is not there at an epoch, or not on an edge, is not a number."""
    histories: dict[int, dict[str, MixHistory]] = {}
    for seed in sorted({row["seed"] for row in rows}):
        own = [row for row in rows if row["seed"] == seed]
        histories[seed] = {}
        for kind, last in own[-1]["mix"].items():
            same = [row for row in own if list(row["mix"].get(kind, {})) == list(last)]
            tables = [row["mix"][kind] for row in same]
            names = [list(dict.fromkeys(name for table in tables for name in table[edge])) for edge in last]
            width = max(map(len, names))
            padded = dict(zip(last, (row + [""] * (width - len(row)) for row in names), strict=True))
            weights = [[[table[e].get(name, np.nan) for name in row] for e, row in padded.items()] for table in tables]
            histories[seed][kind] = MixHistory(
                epochs=[row["step"] if row["epoch"] is None else row["epoch"] for row in same],
                edges=list(last),
                operations=names,
                weights=np.array(weights, float),
            )
    return histories


def plot_alphas(history: dict[str, MixHistory], path: str | Path, title: str = "") -> None:
    """Mixing weights over epochs: a panel per edge, with the name of its strongest operation."""
    colours = _colours(history)
    top = max(float(np.nanmax(h.weights)) for h in history.values())
    low = min(float(np.nanmin(h.weights)) for h in history.values())
    low = 0.0 if low < top / 2 else low  # a mix that has hardly moved is worth a closer look
    margin = 0.06 * (top - low) or 0.01
    columns = max(min(7, -(-len(h.edges) // 2)) for h in history.values())
    rows = [-(-len(h.edges) // columns) for h in history.values()]
    width = max(1.75 * columns + 0.3, 5.6)
    figure = new_figure(width, 1.45 * sum(rows) + 0.3 * len(rows) + 0.7)
    figure.suptitle(title, fontsize=12)
    parts = figure.subfigures(len(history), 1, height_ratios=rows, squeeze=False)[:, 0]
    for part, (kind, h), count in zip(parts, history.items(), rows, strict=True):
        part.suptitle(f"{kind} cell" if len(history) > 1 else "", fontsize=11)
        axes = part.subplots(count, columns, sharey=True, squeeze=False).flat
        for index, axis in enumerate(axes):
            if index < len(h.edges):
                _edge_panel(axis, h, index, colours)
                axis.set_ylim(low - margin * (low > 0), top + margin)
                axis.tick_params(labelbottom=index + columns >= len(h.edges))
            axis.set_visible(index < len(h.edges))
    handles = [_line(colour, name) for name, colour in colours.items()]
    style = {"frameon": False, "fontsize": 8.5, "handlelength": 1.2, "columnspacing": 1.2}
    figure.legend(handles=handles, loc="outside lower center", ncols=min(8, int(width / 1.3)), **style)
    save(figure, path)


def plot_curves(rows: Rows, path: str | Path, title: str = "", measure: Measure = ACCURACY) -> None:
    """Losses, scores, entropy of the mix, learning rate, ground truth over epochs; thin: seeds, thick: mean."""
    panels = [
        ("loss", ["train_loss", "valid_loss", "test_loss"], 1),
        (measure.label, [f"{part}_{measure.name}" for part in ("train", "valid", "test")], measure.scale),
        ("entropy of the mix [nat]", sorted({k for row in rows for k in row if "entropy" in k}), 1),
        ("learning rate", ["learning_rate"], 1),
        ("NAS-Bench-201, test accuracy [%]", ["truth_cifar10", "truth_cifar100", "truth_imagenet16"], 1),
    ]
    drawn = [
        (label, curves, scale)
        for label, names, scale in panels
        if (curves := {name: by_seed for name in names if (by_seed := series_of(rows, name))})
    ]
    if not drawn:
        raise UserError("There are no curves to draw: metrics.jsonl holds no loss and no score yet.")
    columns = min(2, len(drawn))
    figure = new_figure(5.2 * columns, 3.1 * -(-len(drawn) // columns) + 0.2)
    figure.suptitle(title, fontsize=12)
    axes = figure.subplots(-(-len(drawn) // columns), columns, squeeze=False)
    for axis in axes.flat[len(drawn) :]:
        axis.set_visible(False)
    for axis, (label, curves, scale) in zip(axes.flat, drawn, strict=False):
        spare = iter(SPARE * len(curves))
        for name, by_seed in curves.items():
            split = name.partition("_")[0]
            colour = SPLITS.get(split) or next(spare)
            _curve(axis, by_seed, scale, colour, split if split in SPLITS else name.replace("_", " "))
        axis.set_title(label, fontsize=10, loc="left")
        axis.set_xlabel("epoch", fontsize=9)
        axis.ticklabel_format(axis="y", useOffset=False)
        if len(curves) > 1 or next(iter(curves)).partition("_")[0] in SPLITS:
            axis.legend(frameon=False, fontsize=9)
    save(figure, path)


def plot_ranking(
    found: float,
    others: Sequence[float],
    path: str | Path,
    quantity: str = "test accuracy [%]",
    found_label: str = "found cell",
    others_label: str = "random cells",
    title: str = "",
) -> None:
    """Where the found cell stands among others: all values sorted, best first. Larger is better."""
    values = np.sort(np.asarray(others, float))[::-1]
    rank = 1 + int((values > found).sum())
    figure = new_figure(7.4, 3.6)
    axis = figure.subplots()
    places = np.delete(np.arange(1, len(values) + 2), rank - 1)
    axis.plot(places, values, "o", color="#8a9bb0", markersize=5, label=others_label)
    axis.axhline(float(np.mean(values)), color="#8a9bb0", linewidth=1, linestyle="--")
    axis.annotate(
        f"mean of {others_label}: {np.mean(values):.2f}",
        (1, float(np.mean(values))),
        xycoords=("axes fraction", "data"),
        xytext=(-4, 4),
        textcoords="offset points",
        ha="right",
        fontsize=9,
        color="#5c6b7d",
    )
    axis.plot([rank], [found], "D", color="#d62728", markersize=9, label=found_label, zorder=3)
    left = rank <= (len(values) + 1) / 2  # the others fall to the right: above on the left side, below on the right
    axis.annotate(
        f"{found_label}: {found:.2f}\nrank {rank} of {len(values) + 1}",
        (rank, found),
        xytext=(12, 4) if left else (-12, -4),
        textcoords="offset points",
        ha="left" if left else "right",
        va="bottom" if left else "top",
        fontsize=10,
        color="#d62728",
    )
    axis.margins(y=0.25)
    axis.set_xlabel("rank", fontsize=9)
    axis.set_title(title, fontsize=11, loc="left")
    axis.set_ylabel(quantity, fontsize=9)
    dress(axis)
    save(figure, path)


def plot_comparison(
    names: Sequence[str], panels: Mapping[str, Sequence[Sequence[float]]], path: str | Path, title: str = ""
) -> None:
    """Methods below each other, a dot for each seed and a bar for the mean; a panel per quantity, larger is better."""
    figure = new_figure(2.2 + 4.2 * len(panels), 1.3 + 0.26 * len(names))
    axes = figure.subplots(1, len(panels), sharey=True, squeeze=False)[0]
    for axis, (quantity, rows) in zip(axes, panels.items(), strict=True):
        for place, values in enumerate(rows):
            if values:
                axis.plot(values, [place] * len(values), "o", color="#4c78a8", markersize=4, alpha=0.55, linewidth=0)
                axis.plot([np.mean(values)] * 2, [place - 0.32, place + 0.32], color="#d62728", linewidth=2)
        axis.set_xlabel(quantity, fontsize=9)
        axis.set_ylim(len(names) - 0.5, -0.5)
        axis.grid(axis="y", color="#eeeeee")
        axis.set_axisbelow(True)
        dress(axis)
    axes[0].set_yticks(range(len(names)), names, fontsize=9)
    figure.suptitle(title, fontsize=10, x=0.01, ha="left")
    save(figure, path)


def plot_confusion(confusion: np.ndarray, classes: Sequence[str], path: str | Path, title: str = "") -> None:
    """Images of each class (rows) that were taken for which (columns): shares as colours, numbers where they fit."""
    count = len(classes)
    shares = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    side = min(max(3.2, 0.42 * count + 1.4), 16)
    figure = new_figure(side + 0.6, side)
    axis = figure.subplots()
    image = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    if count <= 30:
        for row, column in zip(*np.nonzero(confusion), strict=True):
            colour = "white" if shares[row, column] > 0.5 else "#333333"
            axis.text(column, row, confusion[row, column], ha="center", va="center", fontsize=7.5, color=colour)
    names = [name if len(name) <= 14 else f"{name[:13]}\N{HORIZONTAL ELLIPSIS}" for name in classes]
    size = 8 if count <= 30 else 4
    axis.set_xticks(range(count), names, rotation=90, fontsize=size)
    axis.set_yticks(range(count), names, fontsize=size)
    axis.set_xlabel("taken for", fontsize=9)
    axis.set_ylabel("class", fontsize=9)
    axis.set_title(title, fontsize=10, loc="left")
    figure.colorbar(image, ax=axis, shrink=0.8).set_label("share of the class", fontsize=9)
    save(figure, path)


def _line(colour: str, label: str) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=colour, label=label, linewidth=2)


def _colours(history: dict[str, MixHistory]) -> dict[str, str]:
    """A colour for every operation that occurs, in order of appearance."""
    names = list(dict.fromkeys(name for h in history.values() for edge in h.operations for name in edge))
    others = [name for name in names if name not in COLOURS]
    spare = {name: SPARE[i % len(SPARE)] for i, name in enumerate(others)}
    return {name: COLOURS.get(name) or spare[name] for name in names}


def _edge_panel(axis: Any, h: MixHistory, index: int, colours: dict[str, str]) -> None:
    names, weights = h.operations[index], h.weights[:, index]
    strongest = int(np.nanargmax(weights[-1]))
    for order, name in enumerate(names):
        style = {"marker": "o", "markersize": 3} if len(h.epochs) == 1 else {}
        width = 2.2 if order == strongest else 1.1
        axis.plot(h.epochs, weights[:, order], color=colours[name], linewidth=width, **style)
    edge = h.edges[index].replace("<-", "\N{LEFTWARDS ARROW}")
    axis.set_title(edge, fontsize=8.5, loc="left", pad=2, color="#333333")
    axis.set_title(names[strongest], fontsize=8, loc="right", pad=2, color=colours[names[strongest]])
    dress(axis)
    axis.tick_params(labelsize=7)


def series_of(rows: Rows, name: str) -> Series:
    """A field over epochs (or steps), as seed -> (epochs, values); rows without a value are skipped."""
    found: Series = {}
    for row in rows:
        if row.get(name) is not None:
            epochs, values = found.setdefault(row.get("seed"), ([], []))
            epochs.append(row["step"] if row.get("epoch") is None else row["epoch"])
            values.append(row[name])
    return found


def values_of(rows: Rows, name: str) -> list[list[float]]:
    return [values for _, values in series_of(rows, name).values()]


def _curve(axis: Any, by_seed: Series, scale: float, colour: str, label: str) -> None:
    single = len(by_seed) == 1
    for epochs, values in by_seed.values():
        marker = "o" if len(epochs) == 1 else None
        style = {"linewidth": 1.8, "label": label} if single else {"linewidth": 0.7, "alpha": 0.5}
        axis.plot(epochs, np.multiply(values, scale), color=colour, marker=marker, markersize=4, **style)
    if not single:
        epochs = sorted(set.intersection(*(set(e) for e, _ in by_seed.values())))
        each = [dict(zip(e, v, strict=True)) for e, v in by_seed.values()]
        mean = [scale * float(np.mean([values[epoch] for values in each])) for epoch in epochs]
        axis.plot(epochs, mean, color=colour, linewidth=2, label=label)
    dress(axis)
