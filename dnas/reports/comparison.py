"""The page of a comparison. Its numbers are those of comparison.json and of the tables beside it."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from dnas.errors import StorageError
from dnas.files import read_json
from dnas.paths import content_of
from dnas.reports import charts, drawing, html
from dnas.reports.charts import PALETTE, Point
from dnas.reports.page import genotypes_of, picture
from dnas.reports.plots import Measure
from dnas.reports.scores import plain, summary
from dnas.reports.sentences import named

FILE = "comparison.json"
HINT = "remove it, and repeat the command of the comparison, which keeps what is finished"
LEVEL = 0.05  # below which p says that two methods differ
PICTURES = ("comparison.ranks.png", "comparison.truth.png")
UNITS = {"seconds": "seconds of one search", "flop": "floating-point operations of one search"}

Row = dict[str, Any]


def page(folder: str | Path) -> Path:
    """Write report.html into the folder of a comparison. Errors: `StorageError` for what is damaged."""
    folder = Path(folder)
    return html.write("comparison.html.jinja", folder / "report.html", described(folder))


def described(folder: Path, state: str = "") -> dict[str, Any]:
    """What the template shows. state: "running" and the like, where that is known. Errors: as of `page`."""
    rows = read_json(folder / FILE, list, HINT) or []
    try:
        return _described(folder, rows, state)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise StorageError(f"{folder / FILE} is damaged: {HINT}.") from error


def _described(folder: Path, rows: list[Row], state: str) -> dict[str, Any]:
    measure = Measure(*(rows[0]["measure"][name] for name in ("name", "more"))) if rows else Measure()
    header, *lines = _table(folder / "comparison.csv") or [[]]
    tests = _table(folder / "comparison.tests.csv")
    config: dict[str, Any] = next((row["config"] for row in rows if "data" in row["config"]), {})
    about = read_json(folder / "comparison.environment.json", dict, HINT) or {}
    return {
        "title": f"comparison {folder.resolve().name}",
        "heading": f"{len(rows)} ways compared" + (f" on {named(config['data'])}" if config else ""),
        "subtitle": ", ".join([folder.resolve().name, *(f"{k} {config[k]}" for k in ("space", "data") if k in config)]),
        "state": state,
        "sentence": _sentence(rows, measure, tests),
        "columns": [name for name in header if name != "failed"],
        "lines": [dict(zip(header, line, strict=True)) for line in lines],
        "failed": {row["name"]: row["failed"] for row in rows if row["failed"]},
        "dots": [charts.dots(title, values) for title, values in _panels(rows, measure).items() if any(values)],
        "costs": _costs(rows, measure),
        "significance": _significance(tests, [row["name"] for row in rows]),
        "pictures": [picture(folder / name) for name in PICTURES if (folder / name).is_file()],
        "cells": [_best_cell(row) for row in rows if row["genotypes"]],
        "seeds": _table(folder / "comparison.seeds.csv"),
        "configs": {row["name"]: plain(row["config"]) for row in rows},
        "environment": plain(about),
    }


def judged(row: Row, measure: Measure) -> list[float]:
    """The numbers that a row is judged by, as one reads them."""
    return [measure.scale * score for score in row["trained"]] or list(row["tabulated"])


def _sentence(rows: Sequence[Row], measure: Measure, tests: Sequence[Sequence[str]]) -> str:
    """Which way is best, and whether that can be told from chance."""
    able = [row for row in rows if judged(row, measure) and not row["failed"]]
    if not able:
        return "Nothing has been compared yet."
    best = able[0]
    unit = " %" if measure.name == "accuracy" or not best["trained"] else f" {measure.name}"
    score = f"{summary(judged(best, measure))}{unit}"
    text = f"{best['name']} is best of {len(able)}, with {score} over {len(judged(best, measure))} searches."
    if len(able) == 1:
        return f"{best['name']} has {score}."
    others = [line for line in _named_columns(tests) if best["name"] in (line["method"], line["other"])]
    if not others:
        return f"{text} With so few searches nothing can be said of chance."
    beaten = [
        line["other"] if line["method"] == best["name"] else line["method"]
        for line in others
        if float(line["p_holm"]) < LEVEL
    ]
    holm = "after Holm's correction"
    if not beaten:
        return f"{text} It cannot be told from any of the others: all differences may be chance (p {holm})."
    return f"{text} It differs by more than chance from {', '.join(beaten)} (p below {LEVEL} {holm})."


def _panels(rows: Sequence[Row], measure: Measure) -> dict[str, list[tuple[str, list[float]]]]:
    """Quantities, and of every row its numbers; those that no row has are left out."""
    less = "" if measure.more else ", less is better"
    trained = [(row["name"], [measure.scale * score for score in row["trained"]]) for row in rows]
    tabulated = [(row["name"], list(row["tabulated"])) for row in rows]
    panels = {f"test {measure.label}, retrained{less}": trained, "NAS-Bench-201, CIFAR-10 test accuracy [%]": tabulated}
    return {title: drawn for title, drawn in panels.items() if any(values for _, values in drawn)}


def _costs(rows: Sequence[Row], measure: Measure) -> list[Markup]:
    """What a search cost against what it found, by every unit that is known."""
    drawn = list[Markup]()
    for unit, title in UNITS.items():
        able = [row for row in rows if row["cost"].get(unit) and judged(row, measure)]
        points = [
            Point(
                row["name"],
                row["cost"][unit],
                value := sum(judged(row, measure)) / len(judged(row, measure)),
                PALETTE[place % len(PALETTE)],
                (f"{value:.2f}", f"{html.shown(float(row['cost'][unit]))} {unit}"),
            )
            for place, row in enumerate(able)
        ]
        if len(points) > 1:
            label = f"mean {measure.label}"
            drawn.append(charts.scatter(f"{label} against cost", points, x_label=title, y_label=label, log=True))
    return drawn


def _significance(tests: Sequence[Sequence[str]], names: Sequence[str]) -> list[dict[str, Any]]:
    """Of every two ways p after correction: a row for each, whose cells are None where there is no test."""
    p = dict[tuple[str, str], float]()
    for line in _named_columns(tests):
        p[line["method"], line["other"]] = p[line["other"], line["method"]] = float(line["p_holm"])
    tested = [name for name in names if any(name in pair for pair in p)]
    return [{"name": a, "cells": [p.get((a, b)) for b in tested]} for a in tested]


def _best_cell(row: Row) -> dict[str, Any]:
    """The cell of the best search of a row."""
    values = row["trained"] or row["tabulated"]
    more = row["measure"]["more"] or not row["trained"]
    whole = len(values) == len(row["genotypes"])
    best = max(range(len(values)), key=lambda i: values[i] if more else -values[i]) if whole and values else 0
    read = genotypes_of(row["genotypes"])
    return {"name": row["name"], "drawings": drawing.drawn(read[best]) if read else []}


def _named_columns(table: Sequence[Sequence[str]]) -> list[dict[str, str]]:
    return [dict(zip(table[0], line, strict=True)) for line in table[1:]]


def _table(path: Path) -> list[list[str]]:
    """Header and lines; nothing where there is no such file. Errors: `StorageError` for what is no text."""
    try:
        return [*csv.reader(io.StringIO(content_of(path).decode()))]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, csv.Error) as error:
        raise StorageError(f"{path} is damaged: {HINT}.") from error


def names_of(folder: Path) -> list[str]:
    """The ways that a comparison has results of, for lists of runs; none where it is damaged or not finished."""
    try:
        return [str(row["name"]) for row in json.loads(content_of(folder / FILE))]
    except (OSError, ValueError, KeyError, TypeError):
        return []
