"""Run folders to pictures, one HTML page and a table. Every number comes from a file of the run folder.

Accuracies in the files are fractions and are shown in percent. The fields of metrics.jsonl that count are
train_loss, valid_loss, train_accuracy, valid_accuracy, test_accuracy, learning_rate, entropy and parameters.
"""

import base64
import io
import json
import re
import zlib
from collections.abc import Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from rich import markup
from rich.table import Table

from dnas import config as configs
from dnas.errors import StorageError, UserError
from dnas.files import atomic_write
from dnas.paths import content_of
from dnas.runs.records import config_of, read_facts, read_genotypes, read_metrics, read_mix

Rows = list[dict[str, Any]]
Series = dict[Any, tuple[list[float], list[float]]]

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
REDRAWN = "a run draws its own anew with --resume"
GRID = {"color": "#e6e6e6", "linewidth": 0.6}


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
    figure = _figure(width, 1.45 * sum(rows) + 0.3 * len(rows) + 0.7)
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
    _save(figure, path)


def plot_curves(rows: Rows, path: str | Path, title: str = "") -> None:
    """Losses, accuracies, entropy of the mix and learning rate over epochs; thin: seeds, thick: mean."""
    panels = [
        ("loss", ["train_loss", "valid_loss", "test_loss"], 1),
        ("accuracy [%]", ["train_accuracy", "valid_accuracy", "test_accuracy"], 100),
        ("entropy of the mix [nat]", sorted({k for row in rows for k in row if "entropy" in k}), 1),
        ("learning rate", ["learning_rate"], 1),
    ]
    drawn = [
        (label, curves, scale)
        for label, names, scale in panels
        if (curves := {name: by_seed for name in names if (by_seed := _series(rows, name))})
    ]
    if not drawn:
        raise UserError("There are no curves to draw: metrics.jsonl holds no loss and no accuracy yet.")
    columns = min(2, len(drawn))
    figure = _figure(5.2 * columns, 3.1 * -(-len(drawn) // columns) + 0.2)
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
    _save(figure, path)


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
    figure = _figure(7.4, 3.6)
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
    _dress(axis)
    _save(figure, path)


def plot_comparison(
    names: Sequence[str], panels: Mapping[str, Sequence[Sequence[float]]], path: str | Path, title: str = ""
) -> None:
    """Methods below each other, a dot for each seed and a bar for the mean; a panel per quantity, larger is better."""
    figure = _figure(2.2 + 4.2 * len(panels), 1.3 + 0.26 * len(names))
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
        _dress(axis)
    axes[0].set_yticks(range(len(names)), names, fontsize=9)
    figure.suptitle(title, fontsize=10, x=0.01, ha="left")
    _save(figure, path)


def plot_confusion(confusion: np.ndarray, classes: Sequence[str], path: str | Path, title: str = "") -> None:
    """Images of each class (rows) that were taken for which (columns): shares as colours, numbers where they fit."""
    count = len(classes)
    shares = confusion / np.maximum(confusion.sum(1, keepdims=True), 1)
    side = min(max(3.2, 0.42 * count + 1.4), 16)
    figure = _figure(side + 0.6, side)
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
    _save(figure, path)


def draw(folder: str | Path) -> list[Path]:
    """Draw what the rows of a run folder hold, into it: curves.png and mix.png (mix_seed_3.png, ...)."""
    folder = Path(folder)
    config, rows, drawn = config_of(folder), read_metrics(folder), []
    if any(_series(rows, name) for name in ("train_loss", "valid_loss", "train_accuracy", "valid_accuracy")):
        plot_curves(rows, folder / "curves.png")
        drawn.append(folder / "curves.png")
    histories = mix_histories(read_mix(folder))
    for seed, history in histories.items():
        path = folder / ("mix.png" if len(histories) == 1 else f"mix_seed_{seed}.png")
        plot_alphas(history, path, f"mixing weights, {config.method} on {config.data}, seed {seed}")
        drawn.append(path)
    return drawn


def page(folder: str | Path) -> Path:
    """Write report.html, one self-contained page, into a run folder. Errors: `UserError` if it is none."""
    folder = Path(folder)
    config, rows = config_of(folder), read_metrics(folder)
    draw(folder)
    pictures = sorted(folder.glob("*.png"), key=lambda p: (p.stem != "curves", not p.stem.startswith("mix"), p.name))
    environment = read_facts(folder, "environment.json")
    figures = [_inline(p, "half" if p.stem.startswith("mix_seed") else "whole") for p in pictures]
    sections = [
        ("Result", _headline(config, rows)),
        ("Pictures", f"<div class='figures'>{''.join(figures)}</div>" if figures else ""),
        ("Genotype", _genotype(folder)),
        ("Last metrics", _metrics_table(rows)),
        ("Data", _facts(read_facts(folder, "data.json") or {"data set": config.data})),
        ("Config", _facts(_flat(configs.to_dict(config)))),
        ("Environment", _facts(_flat(environment))),
    ]
    body = "".join(f"<section><h2>{name}</h2>{content}</section>" for name, content in sections if content)
    title = escape(f"{config.method} on {config.data}, space {config.space}")
    html = PAGE.format(title=title, name=escape(folder.resolve().name), style=STYLE, body=body)
    atomic_write(folder / "report.html", html)
    return folder / "report.html"


def table(folders: Sequence[str | Path]) -> Table:
    """Run folders side by side; with several seeds, mean and standard deviation of each seed's value."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("run", "method", "space", "data", "seed"):
        shown.add_column(name, overflow="fold")
    for name in ("epoch", "best valid %", "test %", "parameters"):
        shown.add_column(name, justify="right", no_wrap=True)
    for folder in map(Path, folders):
        config, rows = config_of(folder), read_metrics(folder)
        seeds = str(config.seed) if config.seeds == 1 else f"{config.seed}-{config.seed + config.seeds - 1}"
        shown.add_row(
            *map(markup.escape, (folder.resolve().name, config.method, config.space, config.data)),
            seeds,
            str(max((row["epoch"] for row in rows if row.get("epoch") is not None), default="-")),
            _summary([max(values) for values in _values(rows, "valid_accuracy")], 100),
            _summary([values[-1] for values in _values(rows, "test_accuracy")], 100),
            _summary([values[-1] for values in _values(rows, "parameters")], 1, "{:,.0f}"),
        )
    return shown


def _figure(width: float, height: float) -> Any:
    from matplotlib.figure import Figure  # 0.7 s, and only pictures need it

    return Figure(figsize=(width, height), layout="constrained")


def _save(figure: Any, path: str | Path) -> None:
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130)
    atomic_write(path, buffer.getvalue())


def _line(colour: str, label: str) -> Any:
    from matplotlib.lines import Line2D

    return Line2D([], [], color=colour, label=label, linewidth=2)


def _dress(axis: Any) -> None:
    axis.grid(True, **GRID)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    axis.tick_params(labelsize=8, length=2)
    axis.xaxis.get_major_locator().set_params(integer=True)  # epochs and ranks


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
    _dress(axis)
    axis.tick_params(labelsize=7)


def _series(rows: Rows, name: str) -> Series:
    """A field over epochs (or steps), as seed -> (epochs, values); rows without a value are skipped."""
    found: Series = {}
    for row in rows:
        if row.get(name) is not None:
            epochs, values = found.setdefault(row.get("seed"), ([], []))
            epochs.append(row["step"] if row.get("epoch") is None else row["epoch"])
            values.append(row[name])
    return found


def _values(rows: Rows, name: str) -> list[list[float]]:
    return [values for _, values in _series(rows, name).values()]


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
    _dress(axis)


def _summary(values: list[float], scale: float, form: str = "{:.2f}") -> str:
    if not values:
        return "-"
    mean = form.format(scale * float(np.mean(values)))
    spread = scale * float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return mean + (f" ± {form.format(spread)}" if spread else "")


def _headline(config: configs.Config, rows: Rows) -> str:
    last = max((row["epoch"] for row in rows if row.get("epoch") is not None), default=None)
    tiles = {
        "best valid accuracy [%]": _summary([max(v) for v in _values(rows, "valid_accuracy")], 100),
        "test accuracy [%]": _summary([v[-1] for v in _values(rows, "test_accuracy")], 100),
        "last train loss": _summary([v[-1] for v in _values(rows, "train_loss")], 1, "{:.3f}"),
        "parameters": _summary([v[-1] for v in _values(rows, "parameters")], 1, "{:,.0f}"),
        "last epoch": "-" if last is None else str(last),
        "seeds": str(config.seeds),
    }
    shown = [f"<div><b>{escape(v)}</b><span>{escape(k)}</span></div>" for k, v in tiles.items() if v != "-"]
    spread = "<p>mean ± standard deviation over seeds</p>" if config.seeds > 1 else ""
    return f"<div class='tiles'>{''.join(shown)}</div>{spread}"


def _genotype(folder: Path) -> str:
    try:
        genotypes = read_genotypes(folder)
    except StorageError:
        raise
    except UserError:  # the run has not come so far
        return ""
    texts = [json.dumps(genotype, indent=2) for genotype in genotypes]
    flat = [re.sub(r"\[[^][{}]*\]", lambda m: re.sub(r"\s+", " ", m[0]), text) for text in texts]
    return "".join(f"<pre>{escape(text)}</pre>" for text in flat)


def _metrics_table(rows: Rows, count: int = 10) -> str:
    last = rows[-count:]
    names = list(dict.fromkeys(name for row in last for name in row))
    if not names:
        return ""
    head = "".join(f"<th>{escape(name.replace('_', ' '))}</th>" for name in names)
    lines = ["".join(f"<td>{escape(_shown(row.get(name)))}</td>" for name in names) for row in last]
    return f"<div class='wide'><table><tr>{head}</tr><tr>{'</tr><tr>'.join(lines)}</tr></table></div>"


def _facts(facts: dict[str, Any]) -> str:
    lines = [f"<tr><th>{escape(str(k))}</th><td>{escape(_shown(v))}</td></tr>" for k, v in facts.items()]
    return f"<table class='facts'>{''.join(lines)}</table>" if facts else ""


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.5g}"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _flat(values: dict[str, Any], path: str = "") -> dict[str, Any]:
    """Nested dictionaries as one, with dotted names."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{path}{key}.")
        elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
            for number, item in enumerate(value, 1):
                flat |= _flat(item, f"{path}{key} {number}.")
        elif value != []:
            flat[f"{path}{key}"] = value
    return flat


def _inline(path: Path, width: str) -> str:
    try:
        picture = content_of(path)
    except OSError as error:
        raise StorageError(f"Cannot read {path} ({error.strerror}): remove it; {REDRAWN}.") from error
    if not _is_png(picture):
        raise StorageError(f"{path} is damaged, it is no PNG: remove it; {REDRAWN}.")
    data = base64.b64encode(picture).decode()
    return f"<figure class='{width}'><img alt='{escape(path.stem)}' src='data:image/png;base64,{data}'></figure>"


def _is_png(data: bytes) -> bool:
    """Whether all chunks, [size, type, content, checksum], are there and whole."""
    begin, kind = 8, b""
    while kind != b"IEND" and begin + 12 <= len(data):
        end = begin + 8 + int.from_bytes(data[begin : begin + 4])
        kind = data[begin + 4 : begin + 8]
        if zlib.crc32(data[begin + 4 : end]) != int.from_bytes(data[end : end + 4]):
            return False
        begin = end + 4
    return data.startswith(b"\x89PNG\r\n\x1a\n") and kind == b"IEND" and begin == len(data)


STYLE = """
:root { --ink: #1d2733; --soft: #5c6b7d; --line: #e3e7ec; --paper: #fff; --back: #f5f7f9; }
* { box-sizing: border-box; }
body { margin: 0 auto; padding: 2.5rem 1.5rem 4rem; max-width: 72rem;
  background: var(--back); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif; }
h1 { font-size: 1.6rem; margin: 0; } header p { color: var(--soft); margin: .2rem 0 1.5rem; }
h2 { font-size: 1.05rem; margin: 0 0 .9rem; }
section { background: var(--paper); border: 1px solid var(--line); border-radius: 10px;
  padding: 1.2rem 1.4rem; margin-bottom: 1.1rem; }
section p { color: var(--soft); margin: .8rem 0 0; font-size: .85rem; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(9.5rem, 1fr)); gap: .8rem; }
.tiles div { background: var(--back); border-radius: 8px; padding: .7rem .9rem; }
.tiles b { display: block; font-size: 1.25rem; font-variant-numeric: tabular-nums; white-space: nowrap; }
.tiles span { color: var(--soft); font-size: .8rem; }
.figures { display: flex; flex-wrap: wrap; gap: 1.2rem 2%; }
figure { margin: 0; text-align: center; } .whole { width: 100%; } .half { width: 49%; }
img { max-width: 100%; height: auto; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; font-size: .85rem; font-variant-numeric: tabular-nums; width: 100%; }
th, td { text-align: right; padding: .3rem .5rem; white-space: nowrap; border-bottom: 1px solid var(--line); }
th { color: var(--soft); font-weight: 600; }
.facts th, .facts td { text-align: left; white-space: normal; overflow-wrap: anywhere; vertical-align: top; }
.facts th { width: 17rem; font-weight: 400; }
tr:last-child th, tr:last-child td { border-bottom: 0; }
pre { background: var(--back); border-radius: 8px; padding: .9rem 1rem; margin: 0 0 .6rem; overflow: auto;
  max-height: 30rem;
  font-size: .8rem; line-height: 1.45; }
"""

PAGE = """<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{title}</title><style>{style}</style></head>
<body><header><h1>{title}</h1><p>{name}</p></header>{body}</body>
</html>
"""
