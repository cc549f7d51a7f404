"""The page of a search by `dnas blackbox`. Its numbers are those of summary.json and of the tables beside it."""

import csv
import io
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from dnas.errors import StorageError
from dnas.files import read_json
from dnas.paths import content_of
from dnas.reports import charts, drawing, html, sentences
from dnas.reports.charts import PALETTE, Line, Point
from dnas.reports.page import genotypes_of, indented, nothing, picture
from dnas.reports.scores import plain

FILE = "blackbox.json"
HINT = "remove it, and the search is done again"
BEST = 20  # evaluations, or members of the front, that the table has
DOTS = 3000  # evaluations behind a front
DRAWN = ("accuracy.png", "front.png")  # what charts show as well

Values = Mapping[str, Any]


def page(folder: str | Path) -> Path:
    """Write report.html into the folder of a search. Errors: `StorageError` for what is damaged."""
    folder = Path(folder)
    return html.write("page.html.jinja", folder / "report.html", described(folder))


def described(folder: Path, state: str = "") -> dict[str, Any]:
    """What the template shows. state: "running" and the like, where that is known. Errors: as of `page`."""
    config = read_json(folder / FILE, dict, HINT) or {}
    summary = read_json(folder / "summary.json", dict, HINT) or {}
    try:
        return _described(folder, config, summary, state)
    except (KeyError, TypeError, ValueError, IndexError, AttributeError) as error:
        raise StorageError(f"{folder / 'summary.json'} is damaged: {HINT}.") from error


def text(folder: Path) -> str:
    """What a list of runs says of a search."""
    config = read_json(folder / FILE, dict, HINT) or {}
    return f"black-box search: {_named(config)}, {config.get('budget', '')}"


def _described(folder: Path, config: Values, summary: Values, state: str) -> dict[str, Any]:
    genotype = read_json(folder / "genotype.json", dict, HINT)
    cells = genotypes_of([genotype] if genotype else [])
    front, trials = _table(folder / "front.csv"), _table(folder / "trials.csv")
    labels = summary.get("labels", {})
    rows = [_renamed(row, labels) for row in front[:BEST]] or _best(trials)
    return nothing() | {
        "title": _named(config),
        "heading": _named(config),
        "subtitle": f"{folder.resolve().name}: {config['searcher']} on {config['evaluator']}, {config['budget']}",
        "state": state,
        "sentence": _sentence(folder, config, summary, cells, trials),
        "tiles": _tiles(summary) if summary else {},
        "notes": [f"Mean ± standard deviation over {config['runs']:,} runs."] if config["runs"] > 1 else [],
        "cells": [{"open": True, "drawings": drawing.drawn(cells[0])}] if cells else [],
        "families": charts.legend(drawing.families(cells[0])) if cells else "",
        "curves": _curve(config, summary),
        "curves_note": "The best so far"
        + (" of every run: their mean, and between which values half of them lie." if config["runs"] > 1 else "."),
        "costs": _front(front, trials, labels),
        "pictures": [picture(path) for path in sorted(folder.glob("*.png")) if path.name not in DRAWN],
        "genotypes": [indented(genotype)] if genotype else [],
        "columns": [*rows[0]] if rows else [],
        "rows": rows,
        "rows_are": "Pareto front of all runs" if front else "Best evaluations",
        "config": {name: value for name, value in plain(dict(config)).items() if name != "crc32"},
        "environment": plain(read_json(folder / "environment.json", dict, HINT) or {}),
    }


def _named(config: Values) -> str:
    return f"{sentences.named(config.get('searcher', ''))} on {sentences.named(config.get('evaluator', ''))}"


def _sentence(folder: Path, config: Values, summary: Values, cells: Sequence[Any], trials: Sequence[Values]) -> str:
    if not summary:
        ended = _ended(folder)
        return f"The search has not ended: {_evaluations(ended)} so far." if ended else "Nothing has ended yet."
    runs = f"{summary['runs']:,} runs" if summary["runs"] > 1 else "one run"
    text = f"{config['searcher']} searched by {config['objective']}, {summary['evaluations']['mean']:,.0f} evaluations"
    text += f" in {'each of ' if summary['runs'] > 1 else ''}{runs}"
    text += f", and found {sentences.described(cells[0])}." if cells else "."
    for name, title in list(summary["titles"].items())[:1]:
        text += f" The {summary['quantity']} on {title} of what runs found: {_spread(summary['truths'][name])}."
    if failed := [row["failed"] for row in trials if row.get("failed")]:
        text += f" {_evaluations(len(failed))} failed, the first: {failed[0]}"
    return text


def _evaluations(count: int) -> str:
    return f"{count:,} evaluation" + "s" * (count != 1)


def _ended(folder: Path) -> int:
    """How many evaluations the journal knows of, while a search goes on."""
    try:
        return content_of(folder / "trials.jsonl").count(b'"values"')
    except OSError:
        return 0


def _tiles(summary: Values) -> dict[str, str]:
    """The numbers on top of the page."""
    objectives = _renamed(summary["objectives"], summary.get("labels", {}))
    found = {name: _spread(values) for name, values in objectives.items()}
    found |= {
        f"{title}, {summary['quantity']}": _spread(summary["truths"][n]) for n, title in summary["titles"].items()
    }
    if "hypervolume" in summary:
        found |= {
            "volume below the front": _spread(summary["hypervolume"]),
            "architectures on the front": _spread(summary["front"]),
        }
    if summary["rank"] is not None:
        found["median of the rank"] = f"{summary['rank']['median']:,.0f}"
    numbers = {"evaluations": summary["evaluations"]["mean"], "seconds": summary["seconds"]["mean"]}
    if summary["runs"] > 1:
        numbers |= {"runs": summary["runs"], "different architectures found": summary["distinct"]}
    return found | {name: f"{value:,.0f}" for name, value in numbers.items()}


def _spread(values: Mapping[str, float]) -> str:
    """Mean and, where runs differ, standard deviation."""
    return f"{values['mean']:.5g}" + (f" ± {values['std']:.3g}" if values["std"] else "")


def _curve(config: Values, summary: Values) -> list[Markup]:
    """The best so far against the budget."""
    if not summary.get("curve"):
        return []
    places, mean, low, high = zip(*summary["curve"], strict=True)
    several = summary["runs"] > 1
    lines = [Line("mean" if several else "best so far", places, mean, PALETTE[0], "strong")]
    if several:
        lines += [Line(f"{q} quartile", places, y, PALETTE[0], "thin") for q, y in (("lower", low), ("upper", high))]
    label = "evaluation" if "evaluations" in config["budget"] else "second"
    return [charts.lines(_quantity(config, summary), lines, label=label)]


def _quantity(config: Values, summary: Values) -> str:
    if "hypervolume" in summary:
        return "volume below the front"
    return next((f"{title}, {summary['quantity']}" for title in summary["titles"].values()), config["objective"])


def _renamed(values: Values, labels: Mapping[str, str]) -> dict[str, Any]:
    """By labels, with units, in the place of the names that have one."""
    return {labels.get(name, name): value for name, value in values.items()}


def _front(front: Sequence[Values], trials: Sequence[Values], names: Mapping[str, str]) -> list[Markup]:
    """The first two objectives of the front, before all other evaluations. names: labels with units."""
    if not front:
        return []
    y, x = [name for name in front[0] if name != "architecture"][:2]
    seen = {(row[x], row[y]) for row in trials if isinstance(row[x], float) and isinstance(row[y], float)}
    cloud = sorted(seen)[:: max(1, len(seen) // DOTS)]
    points = [Point("front", row[x], row[y], PALETTE[1]) for row in front]
    labels: dict[str, Any] = {
        f"{axis}_label": names.get(name, name).replace("_", " ") for axis, name in (("x", x), ("y", y))
    }
    return [
        charts.scatter(f"{labels['y_label']} against {labels['x_label']}", points, **labels, cloud=("other", cloud))
    ]


def _best(trials: Sequence[Values]) -> list[Values]:
    """Those with the best scores, more is better, and of what was evaluated in part whole ones first."""
    known = [row for row in trials if isinstance(row.get("score"), float)]
    known.sort(key=lambda row: (-row.get("fidelity", 1.0), -row["score"]))
    first = {row["architecture"]: row for row in reversed(known)}  # of an architecture its best evaluation
    return [row for row in known if row is first[row["architecture"]]][:BEST]


def _table(path: Path) -> list[Values]:
    """The rows of a table of ours, numbers as such; none where there is no such file. Errors: `StorageError`."""
    try:
        rows = [*csv.DictReader(io.StringIO(content_of(path).decode()))]
    except FileNotFoundError:
        return []
    except (OSError, ValueError, csv.Error) as error:
        raise StorageError(f"{path} is damaged: {HINT}.") from error
    words = ("architecture", "failed")
    return [{name: value if name in words else _number(value) for name, value in row.items()} for row in rows]


def _number(text: str | None) -> Any:
    try:
        return float(text or "")
    except ValueError:
        return text
