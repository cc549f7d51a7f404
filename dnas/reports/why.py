"""Why a search found its cell, as a page shows it: what `dnas why` left in why.json, see `dnas/explain/run.py`."""

import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from dnas.architectures.genotype import Edge, Genotype
from dnas.errors import StorageError
from dnas.files import read_json
from dnas.reports import charts, graphs
from dnas.reports.charts import PALETTE, Bar, Line
from dnas.reports.layout import CELLS
from dnas.reports.marks import label
from dnas.reports.plots import Measure, Rows

FILE = "why.json"
HINT = "remove it, and ask again with dnas why"
MOST_BARS = 14
Renamed = Callable[[str], str]
EDGE = re.compile(r"\d+<-\d+")
EDGE_OF_KIND = re.compile(r"(\d+<-\d+) of the (\w+) cell")


def found(folder: Path) -> dict[str, Any] | None:
    """What why.json of a run folder holds; None where nobody has asked. Errors: `StorageError` for what is damaged."""
    asked = read_json(folder / FILE, dict, HINT)
    if asked is not None and not isinstance(asked.get("decisions"), list):
        raise StorageError(f"{folder / FILE} is damaged: {HINT}.")
    return asked


def is_old(why: Mapping[str, Any], rows: Rows) -> bool:
    """Whether the search has gone on since it was asked."""
    epoch, last = why.get("epoch"), max((row["epoch"] for row in rows if row.get("epoch") is not None), default=0)
    return not isinstance(epoch, int) or epoch < last


def importance(why: Mapping[str, Any] | None, genotype: Genotype, seed: int) -> dict[tuple[str, Edge], float]:
    """Of every edge of a seed's cell by how much the score is worse without it; empty where that is not known, or is of
    another cell."""
    if why is None or why.get("seed") != seed:
        return {}
    lost = {
        (decision["kind"], decision["node"], decision["source"], decision["found"]): decision["lost"]
        for decision in why["decisions"]
        if decision.get("lost") is not None
    }
    edges = [(kind, edge) for kind, cell in genotype.cells for edge in cell.edges]
    known = {(kind, edge): lost.get((kind, *edge)) for kind, edge in edges}
    return {key: value for key, value in known.items() if value is not None}


def described(why: Mapping[str, Any], folder: Path) -> dict[str, Any]:
    """For the template. Errors: `StorageError` for what is damaged."""
    try:
        score = Measure(str(why["score"]["name"]), bool(why["score"]["more"]))
        renamed = _renamer(why["decisions"])
        looks = graphs.options([option for one in why["decisions"] for option in one["options"] if option])
        return {
            "sentence": renamed(str(why["sentence"])),
            "tiles": _tiles(why, score),
            "charts": [*_bars(why, score, looks), *_over_epochs(why)],
            "rows": [_row(one, score, renamed) for one in why["decisions"]],
            "options": [row for one in why["decisions"] for row in _options(one, score, renamed)],
            "trained": _trained(why.get("trained"), score, renamed),
            "how": _how(why),
            "reasons": [str(text) for text in (why.get("reasons") or {}).values()],
            "command": str(why.get("command") or ""),
        }
    except (KeyError, TypeError, ValueError, IndexError) as error:
        raise StorageError(f"{folder / FILE} is damaged: {HINT}.") from error


def _tiles(why: Mapping[str, Any], score: Measure) -> dict[str, str]:
    tiles = dict[str, str]()
    for name, what in (("mix", "of the supernet"), ("found", "of the found cell in it")):
        if (base := (why.get("base") or {}).get(name)) and base.get("score") is not None:
            tiles[f"validation {score.label} {what}"] = f"{score.scale * base['score']:.2f}"
    if agreement := why.get("agreement"):
        tiles["decisions where mix and ablation agree"] = f"{agreement['same']} of {agreement['of']}"
        tiles["Kendall's tau of mix and ablation"] = f"{agreement['kendall']:.2f}"
    if stability := why.get("stability"):
        tiles[f"decisions that two of {stability['seeds']} seeds share"] = f"{100 * stability['agreement']:.0f} %"
        if stability.get("chance") is not None:
            tiles["they would share by chance"] = f"{100 * stability['chance']:.0f} %"
    if (curvature := why.get("curvature")) and curvature.get("eigenvalue") is not None:
        tiles["largest eigenvalue of the alphas' Hessian"] = f"{curvature['eigenvalue']:.3g}"
    return tiles


def _bars(why: Mapping[str, Any], score: Measure, looks: Mapping[str, tuple[str, str]]) -> list[Markup]:
    """What is lost without what was found, decision by decision, the most first."""
    known = [one for one in why["decisions"] if one.get("lost") is not None and one.get("found") is not None]
    known.sort(key=lambda one: -one["lost"])
    drawn = [
        Bar(
            f"{_short(one, why['decisions'])}: {label(one['found'])}",
            score.scale * one["lost"],
            looks[one["found"]][0],
            f"{score.scale * one['lost']:.2f}",
            score.scale * (one.get("chance") or 0.0),
        )
        for one in known[:MOST_BARS]
    ]
    unit = "points of accuracy" if score.name == "accuracy" else score.name.replace("_", " ")
    return [charts.bars(f"lost without it [{unit}]", drawn, names=186)] if drawn else []


def _over_epochs(why: Mapping[str, Any]) -> list[Markup]:
    drawn = list[Markup]()
    if undecided := why.get("undecided"):
        line = Line("last", undecided["epochs"], _numbers(undecided["entropy"]), PALETTE[0])
        drawn.append(charts.lines("how undecided the mix is (1: not at all decided)", [line]))
    curvature = why.get("curvature") or {}
    if curvature.get("epochs"):
        line = Line("last", curvature["epochs"], _numbers(curvature["eigenvalues"]), PALETTE[1])
        drawn.append(charts.lines("largest eigenvalue of the alphas' Hessian", [line]))
    return drawn


def _row(one: Mapping[str, Any], score: Measure, renamed: Renamed) -> list[Any]:
    """decision, found, its weight, the strongest option, lost, may be chance, most needed, found by how many seeds."""
    weight = dict(zip(one["options"], one["mix"], strict=True)).get(one["found"])
    agreement, seeds = one.get("agreement") or {}, one.get("seeds") or {}
    lost = one.get("lost")
    chance = one.get("chance")
    return [
        renamed(str(one["label"])),
        label(one["found"]) if one["found"] else "left out",
        _named(agreement.get("strongest")),
        _named(one.get("most_needed")),
        None if weight is None else f"{weight:.3f}",
        None if lost is None else f"{score.scale * lost:.2f}",
        None if chance is None else f"{score.scale * chance:.2f}",
        seeds.get(one["found"]) if seeds and one["found"] else None,
    ]


def _options(one: Mapping[str, Any], score: Measure, renamed: Renamed) -> list[list[Any]]:
    """A row for every option: its weight, and the scores without it, with it alone, and with it in the found cell."""
    columns = [
        ((one.get(part) or {}).get(what) or {}).get("score")
        for part, what in (("in_mix", "removed"), ("in_mix", "alone"), ("in_found", "replaced"))
    ]
    rows = list[list[Any]]()
    for place, (option, weight) in enumerate(zip(one["options"], one["mix"], strict=True)):
        values = [column[place] if column else None for column in columns]
        if option and any(value is not None for value in (weight, *values)):
            shown = [None if value is None else f"{score.scale * value:.2f}" for value in values]
            own = None if weight is None else f"{weight:.3f}"
            rows.append([renamed(str(one["label"])), label(option), own, *shown])
    return rows


def _trained(trained: Mapping[str, Any] | None, score: Measure, renamed: Renamed) -> dict[str, Any] | None:
    """Trainings of the found network and of those that differ in one decision."""
    if not trained:
        return None

    def worth(measures: Mapping[str, Any] | None) -> str | None:
        if measures is None:  # of a training that failed
            return None
        value = next((measures[key] for key in (score.name, f"valid_{score.name}") if key in measures), None)
        return None if value is None else f"{score.scale * value:.2f}"

    rows = [
        [renamed(str(one["label"])), _named(one["before"]), _named(one["after"]), worth(one["measures"])]
        for one in trained["neighbours"]
    ]
    found_ = worth(trained["found"])
    text = f"{trained['better']} of {trained['of']} neighbours are better than what was found ({found_})"
    if found_ is None:
        text = "The training of what was found failed"
    epochs = f"{trained['epochs']} epoch{'s' * (trained['epochs'] > 1)}"
    return {"sentence": f"{text}, after {epochs} of training each.", "rows": rows}


def _how(why: Mapping[str, Any]) -> str:
    about = why.get("ablation")
    if not about:
        return ""
    statistics = "calibrated" if about["statistics"] == "calibrated" else "the batch's own"
    return (
        f"Measured with the supernet's weights on {about['examples']:,} validation examples, {about['variants']:,} "
        f"variants, with {statistics} statistics of batch norm. A line at the end of a bar is twice its standard error."
    )


def _renamer(decisions: Sequence[Mapping[str, Any]]) -> Callable[[str], str]:
    """Writes edges with the names that nodes have in drawings of cells."""
    drawn = {one["name"]: _place(one, decisions) for one in decisions if one["kind"] in CELLS}
    of_kind = {(one["name"], one["kind"]): _place(one, decisions) for one in decisions}

    def renamed(text: str) -> str:
        text = EDGE_OF_KIND.sub(lambda m: f"{of_kind.get((m[1], m[2]), m[1])} of the {m[2]} cell", text)
        return EDGE.sub(lambda m: drawn.get(m[0], m[0]), text)

    return renamed


def _short(one: Mapping[str, Any], decisions: Sequence[Mapping[str, Any]]) -> str:
    several = len({other["kind"] for other in decisions}) > 1 and one["kind"] in CELLS
    return f"{one['kind']} {_place(one, decisions)}" if several else _place(one, decisions)


def _place(one: Mapping[str, Any], decisions: Sequence[Mapping[str, Any]]) -> str:
    if one["kind"] not in CELLS:
        return str(one["label"])
    edges = [other["name"] for other in decisions if other["kind"] == one["kind"]]
    return graphs.place_name(one["kind"], one["name"], edges)


def _named(option: str | None) -> str | None:
    return label(option) if option else None


def _numbers(values: Sequence[float | None]) -> list[float]:
    return [float("nan") if value is None else float(value) for value in values]
