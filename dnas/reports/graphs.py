"""The charts of a run's page: curves of all that its rows hold, and the mix over time."""

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from markupsafe import Markup

from dnas.reports import charts
from dnas.reports.charts import PALETTE, Line
from dnas.reports.layout import CELLS
from dnas.reports.marks import FAMILIES, family, label
from dnas.reports.plots import Measure, MixHistory, Rows, Series, series_of

SPLITS = {"train": PALETTE[0], "search": PALETTE[3], "valid": PALETTE[1], "test": PALETTE[2]}
TRUTHS = {"truth_cifar10": "CIFAR-10", "truth_cifar100": "CIFAR-100", "truth_imagenet16": "ImageNet16-120"}
NO_CURVES = {"step", "epoch", "seed", "parameters", "best_epoch", "stopped", "truth_rank", "evaluated", "calibrated"}
STYLES = ("", "dashed", "dotted")
INDEXED = {  # names of inputs where no text can be lowered
    "c_{k-2}": "c\u2096\u208b\u2082",
    "c_{k-1}": "c\u2096\u208b\u2081",
    "x_{t}, h_{t-1}": "x\u209c, h\u209c\u208b\u2081",
    "input": "input",
}
SIZES = re.compile(r"_[cs]\d+")  # in the name of a block, which say where it stands
BLOCK = re.compile(r"(mb|conv|shuffle|xception)\d")


class Mixes(NamedTuple):
    """Small charts of one kind of cell, and their legend."""

    heading: str
    charts: list[Markup]
    legend: Markup


def curves(rows: Rows, measure: Measure) -> list[Markup]:
    """A chart for the losses, the scores, the other measures and everything else that changes; a strong line is the
    mean over the seeds, which are thin."""
    names = list(dict.fromkeys(name for row in rows for name, value in row.items() if _is_number(value)))
    grouped: dict[str, list[str]] = {"loss": [], measure.name: []}
    for name in names:
        if name not in NO_CURVES:
            grouped.setdefault(_group(name), []).append(name)
    drawn = list[Markup]()
    for title, members in grouped.items():
        found = {name: by_seed for name in members if (by_seed := series_of(rows, name))}
        if found and (_changes(found.values()) or title in ("loss", measure.name)):
            drawn.append(_curve(title, found))
    return drawn


def mixes(history: Mapping[str, MixHistory]) -> list[Mixes]:
    """For every kind of cell a small chart of each edge or decision, with the name of its strongest option."""
    found = list[Mixes]()
    for kind, h in history.items():
        if _stands(h):
            continue
        looks = options([name for names in h.operations for name in names if name])
        top = float(np.nanmax(h.weights))
        low = float(np.nanmin(h.weights))
        low = 0.0 if low < top / 2 else low  # a mix that has hardly moved is worth a closer look
        margin = 0.06 * (top - low) or 0.01
        within = (low - margin * (low > 0), top + margin)
        drawn = [_mix(kind, h, place, looks, within) for place in range(len(h.edges))]
        shown = {(*look, label(_plain(name))): None for name, look in looks.items()}
        entries = charts.legend((colour, style, name, "") for colour, style, name in shown)
        found.append(Mixes(_heading(kind) if len(history) > 1 or kind != "cell" else "", drawn, entries))
    return found


def options(names: Iterable[str]) -> dict[str, tuple[str, str]]:
    """A colour and a style of line for every option: operations have the colours of their families, as in drawings of
    cells; where families tell nothing apart, colours are taken in order."""
    distinct = list(dict.fromkeys(map(_plain, names)))
    looks: dict[str, tuple[str, str]] = {}
    if len({family(name) for name in distinct}) > 1 and sum(family(name) == "other" for name in distinct) < 2:
        within: dict[str, int] = {}
        for name in distinct:
            kind = family(name)
            looks[name] = FAMILIES[kind][0], STYLES[within.setdefault(kind, 0) % len(STYLES)]
            within[kind] += 1
    else:
        known = {name: FAMILIES[family(name)][0] for name in distinct if family(name) in ("skip", "none")}
        spare = [colour for colour in PALETTE if colour not in known.values()]
        for place, name in enumerate(name for name in distinct if name not in known):
            looks[name] = spare[place % len(spare)], STYLES[place // len(spare) % len(STYLES)]
        looks |= {name: (colour, "") for name, colour in known.items()}
    return {name: looks[_plain(name)] for name in dict.fromkeys(names)}


def place_name(kind: str, edge: str, edges: Iterable[str] = ()) -> str:
    """What an edge "2<-0" is called: its nodes as in drawings of a cell, layer 2 in a chain of decisions. edges: all of
    that kind, the last of which may lead to the output."""
    node, _, source = edge.partition("<-")
    if kind not in CELLS:
        return f"layer {node}"
    inputs = CELLS[kind][1]
    first, nodes = 0 if len(inputs) > 1 else 1, {int(one.partition("<-")[0]) for one in edges}
    last = max(nodes, default=None) if kind == "cell" else None
    ends = (
        "output" if n == last else INDEXED[inputs[n]] if n < len(inputs) else str(n - len(inputs) + first)
        for n in map(int, (node, source))
    )
    return " \N{LEFTWARDS ARROW} ".join(ends)


def _curve(title: str, found: Mapping[str, Series]) -> Markup:
    spare = iter(PALETTE * len(found))
    drawn, means = list[Line](), list[Line]()
    share = title.endswith("accuracy")
    for name, by_seed in found.items():
        split = name.partition("_")[0]
        colour = SPLITS.get(split) or next(spare)
        scale = 100 if share else 1
        called = split if split in SPLITS else TRUTHS.get(name) or name.removeprefix("entropy_").replace("_", " ")
        for epochs, values in by_seed.values():
            drawn.append(Line(called, epochs, [scale * v for v in values], colour, "thin", listed=False))
        means.append(_mean(called, by_seed, scale, colour))
    single = all(len(by_seed) == 1 for by_seed in found.values())
    unit = " %" if share or title.startswith("NAS-Bench-201") else ""
    heading = "accuracy [%]" if title == "accuracy" else title
    return charts.lines(heading, means if single else [*drawn, *means], unit=unit)


def _mean(name: str, by_seed: Series, scale: float, colour: str) -> Line:
    """Over the seeds, at the epochs that all have."""
    epochs = sorted(set.intersection(*(set(places) for places, _ in by_seed.values())))
    each = [dict(zip(places, values, strict=True)) for places, values in by_seed.values()]
    return Line(name, epochs, [scale * float(np.mean([v[e] for v in each])) for e in epochs], colour)


def _mix(
    kind: str,
    h: MixHistory,
    place: int,
    looks: Mapping[str, tuple[str, str]],
    within: tuple[float, float],
) -> Markup:
    names, weights = h.operations[place], h.weights[:, place]
    strongest = int(np.nanargmax(weights[-1]))
    drawn = list[Line]()
    for order, name in enumerate(names):
        colour, style = looks[name]
        style = f"{style} strong".strip() if order == strongest else style
        drawn.append(Line(label(name), h.epochs, weights[:, order].tolist(), colour, style))
    aside = label(names[strongest])
    return charts.lines(place_name(kind, h.edges[place], h.edges), drawn, small=True, aside=aside, within=within)


def _stands(h: MixHistory) -> bool:
    """Whether nothing was mixed, and nothing changes: of a supernet that trains one path at a time."""
    ends = h.weights[0]
    return bool(
        (np.nan_to_num(h.weights) == np.nan_to_num(ends)).all() and np.isin(ends[~np.isnan(ends)], (0, 1)).all()
    )


def _heading(kind: str) -> str:
    return CELLS[kind][0] if kind in CELLS else kind.replace("_", " ")


def _plain(name: str) -> str:
    """An option's name without the sizes that differ from layer to layer."""
    return SIZES.sub("", name) if BLOCK.match(name) else name


def _group(name: str) -> str:
    split, _, rest = name.partition("_")
    if split in SPLITS and rest:
        return rest.replace("_", " ")
    if split == "entropy":
        return "entropy of the mix [nat]"
    return "NAS-Bench-201, test accuracy [%]" if name in TRUTHS else name.replace("_", " ")


def _changes(found: Iterable[Series]) -> bool:
    return any(len({*values}) > 1 for by_seed in found for _, values in by_seed.values())


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def last_weights(mix: Rows, seed: int) -> dict[tuple[str, str, str], float]:
    """The last mixing weights of a seed, by kind, edge "2<-0" and option."""
    own: Sequence[Mapping] = [row["mix"] for row in mix if row["seed"] == seed]
    return {
        (kind, edge, option): weight
        for kind, edges in (own[-1] if own else {}).items()
        for edge, options in edges.items()
        for option, weight in options.items()
    }
