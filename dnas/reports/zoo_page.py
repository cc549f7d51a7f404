"""The page of the zoo: a picture, costs and score of each, and scores against costs."""

import hashlib
import json
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from markupsafe import Markup

from dnas.architectures.genotype import to_text
from dnas.architectures.genotype_data import Genotype, to_json
from dnas.data._files import progress
from dnas.errors import UserError
from dnas.paths import cache_folder, read_own, replaced
from dnas.reports import charts, drawing, html, layout, marks, svg
from dnas.reports.plots import Measure
from dnas.reports.zoo import Entry

DRAWN_BY = drawing, layout, marks, svg  # what the drawings follow from


def page(entries: Sequence[Entry], path: str | Path) -> Path:
    """Write a page of these, with a picture of each. Errors: `StorageError` if it cannot be written."""
    titles = dict[str, list[Entry]]()
    for entry in entries:
        kind = "Found here" if entry.folder else "Published"
        titles.setdefault(f"{kind}: {entry.space.partition(':')[0]}", []).append(entry)
    drawings = dict(zip(entries, (_drawings(entry.genotype) for entry in progress(entries, "drawing")), strict=True))
    groups = [
        {"title": title, "cards": [_card(entry, drawings[entry]) for entry in same]} for title, same in titles.items()
    ]
    columns = ["name", "space", "data", "parameters", "multiply-adds", "score"]
    rows = [
        [e.name, e.space.partition(":")[0], e.data.partition(":")[0], e.parameters, e.multiply_adds, e.said]
        for e in entries
    ]
    shown = {
        "title": "Zoo",
        "about": f"{len(entries)} cells and networks; costs are exact, without auxiliary heads.",
        "groups": groups,
        "columns": columns,
        "rows": rows,
        "drawings": _charts(entries),
    }
    return html.write("zoo.html.jinja", path, shown)


def _card(entry: Entry, drawings: list[dict[str, Any]]) -> dict[str, Any]:
    facts = [entry.space, entry.data]
    if entry.parameters is not None:
        facts.append(f"{entry.parameters:,} parameters")
    if entry.multiply_adds is not None:
        facts.append(f"{entry.multiply_adds:,} multiply-adds")
    if entry.score is not None:
        facts.append(f"{entry.said} ({entry.score_from})" if entry.score_from else entry.said)
    facts.append(f"{entry.source}, {entry.began[:10]}" if entry.folder else entry.source)
    try:
        text = to_text(entry.genotype)
    except UserError:  # some cells have no text form
        text = ""
    chain = bool(drawings) and drawings[0]["chain"]
    return {"name": entry.name, "facts": facts, "chain": chain, "drawings": drawings, "text": text}


def _charts(entries: Sequence[Entry]) -> list[Markup]:
    """Scores against multiply-adds, a chart for each data set and measure that several entries have."""
    alike = dict[tuple[str, Measure], list[Entry]]()
    for entry in entries:
        if entry.score is not None and entry.multiply_adds:
            alike.setdefault((entry.data, entry.measure), []).append(entry)
    return [
        charts.scatter(f"{data}: {measure.label}", _points(same), x_label="multiply-adds", y_label="score", log=True)
        for (data, measure), same in alike.items()
        if len(same) > 2
    ]


def _points(entries: Sequence[Entry]) -> list[charts.Point]:
    found = list[charts.Point]()
    for entry in entries:
        kind, colour = ("found here", charts.PALETTE[1]) if entry.folder else ("published", charts.PALETTE[0])
        assert entry.multiply_adds is not None and entry.score is not None
        texts = entry.name, f"{entry.multiply_adds:,} multiply-adds", entry.said
        found.append(charts.Point(kind, entry.multiply_adds, entry.score, colour, texts))
    return found


def _drawings(genotype: Genotype) -> list[dict[str, Any]]:
    """Title, SVG and whether it is a chain, of each kind of cell; kept, as a drawing takes a second."""
    folder, path = cache_folder("drawings"), None
    if folder is not None:
        key = json.dumps(to_json(genotype)).encode() + b"".join(Path(str(m.__file__)).read_bytes() for m in DRAWN_BY)
        path = folder / f"{hashlib.sha256(key).hexdigest()}.json"
        with suppress(OSError, ValueError):
            return [one | {"drawing": Markup(one["drawing"])} for one in json.loads(read_own(path))]
    found = [one._asdict() for one in drawing.drawn(genotype)]
    if path is not None:
        with suppress(OSError), replaced(path) as part:
            part.write_text(json.dumps(found))
    return found
