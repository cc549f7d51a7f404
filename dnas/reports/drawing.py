"""Cells and chains as SVG for pages: `layout.py`'s drawing, texts as text, with what a search says of every operation.

An operation's box and arrow have the colour of its family; how broad the arrow is, and the number in the box, say how
much weight the mix gives it, or whatever else is known of every edge.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup

from dnas.architectures.genotype import CellGenotype, Edge, Genotype
from dnas.architectures.genotype_data import decisions
from dnas.reports.layout import Vertex, layout_of, named_ends, ports
from dnas.reports.marks import BLOCKS, FAMILIES, GREY, family, label
from dnas.reports.svg import colour, element, joined

INCH = 96  # pixels
MARGIN = 6
NARROWEST = 0.75  # of its size
THINNEST, BROADEST = 1.2, 5.5  # pixels of an arrow
BOX, LINE = 158, 19  # pixels: width of a layer, height of a line in it
SUBSCRIPT = re.compile(r"_\{([^}]*)\}")

About = Mapping[tuple[str, Edge], float]


class Drawn(NamedTuple):
    """title: which cell it is. drawing: one SVG, or several beside each other, the layers of a chain."""

    title: str
    drawing: Markup
    chain: bool = False


def drawn(genotype: Genotype, weights: About | None = None, importance: About | None = None) -> list[Drawn]:
    """A drawing of each kind of cell, or of the layers of a genotype of decisions. weights: {(kind, edge): number}, of
    all that it is known of, which is written beside it. importance: what arrows are broad by, else it is the weight."""
    known, broad = weights or {}, importance or weights or {}
    if layers := decisions(genotype):
        return [Drawn("", _layers(genotype, layers, known), chain=True)]
    return [
        Drawn(named_ends(kind)[0], cell(kind, one, _of_kind(known, kind, one), _of_kind(broad, kind, one)))
        for kind, one in genotype.cells
    ]


def cell(kind: str, genotype: CellGenotype, weights: Mapping[Edge, float], broad: Mapping[Edge, float]) -> Markup:
    """One cell."""
    notes = {edge: _number(value) for edge, value in weights.items()}
    layout = layout_of(kind, genotype, notes)
    most = max(broad.values(), default=0.0)
    parts = list[Markup]()
    for (edge, way), (start, end) in zip(layout.arrows, ports(layout), strict=True):
        value = broad.get(edge) if edge is not None else None
        parts.extend(_arrow(edge, way, [start, *(vertex.y for vertex in way[1:-1]), end], _breadth(value, most)))
    parts += [part for vertex in layout.vertices for part in _vertex(vertex, notes)]
    width, height = (INCH * size + 2 * MARGIN for size in (layout.width, layout.height))
    box = f"{-MARGIN} {-height / 2:.1f} {width:.1f} {height:.1f}"
    title = element("title", f"{named_ends(kind)[0]}: {'; '.join(map(_said, genotype.edges))}")
    least = f"min-width:{NARROWEST * width:.0f}px"  # what a phone shows of it, and scrolls
    return element(
        "svg", title, *parts, viewBox=box, width=width, height=height, role="img", class_="cell", style=least
    )


def _of_kind(known: About, kind: str, one: CellGenotype) -> dict[Edge, float]:
    return {edge: known[kind, edge] for edge in one.edges if (kind, edge) in known}


def families(genotype: Genotype) -> list[tuple[str, str, str, str]]:
    """The colours in a genotype of cells, as `charts.legend` takes them."""
    if decisions(genotype):
        return []
    used = {family(edge.operation) for _, one in genotype.cells for edge in one.edges}
    return [(FAMILIES[name][0], "", name, "") for name in FAMILIES if name in used]


def _layers(genotype: Genotype, layers: Sequence[Mapping[str, str]], known: About) -> Markup:
    """A box for each layer; what there is only one of stands first, as it is the network's."""
    single = [kind for kind, one in genotype.cells if len(one.edges) == 1] if len(layers) > 1 else []
    boxes = [_layer("network", {kind: (layers[0][kind], _of(known, genotype, kind, 0)) for kind in single})]
    for number, layer in enumerate(layers):
        rows = {kind: (name, _of(known, genotype, kind, number)) for kind, name in layer.items() if kind not in single}
        boxes.append(_layer(f"layer {number + 1}", rows))
    return element("div", *(box for box in boxes if box), class_="chain")


def _of(known: About, genotype: Genotype, kind: str, number: int) -> float | None:
    return known.get((kind, genotype.cell(kind).edges[number]))


def _layer(heading: str, rows: Mapping[str, tuple[str, float | None]]) -> Markup:
    """rows: decision -> (option, its weight)."""
    if not rows:
        return Markup("")
    face = GREY
    if list(rows) == ["block"]:  # whose word says several things
        option, weight = rows["block"]
        word, _, rest = option.partition("_")
        heading = f"{heading.removeprefix('layer ')}  {word}"
        face = BLOCKS.get(word.rstrip("0123456789"), GREY)
        rows = {rest.replace("_", " ") or "passes on": ("", weight)}
    height = (len(rows) + 1) * LINE + 12
    parts = [element("rect", class_="box", style=colour(face), x=1, y=1, width=BOX - 2, height=height - 2, rx=8)]
    parts.append(element("text", heading, x=10, y=19, class_="name"))
    for place, (kind, (option, weight)) in enumerate(rows.items(), 2):
        y = place * LINE
        parts.append(element("text", kind.replace("_", " "), x=10, y=y, class_="soft"))
        parts.append(element("text", option, x=BOX - 10 - 34 * (weight is not None), y=y, text_anchor="end"))
        if weight is not None:
            parts.append(element("text", _number(weight), x=BOX - 10, y=y, text_anchor="end", class_="soft"))
            parts.append(
                element("rect", class_="bar", style=colour(face), x=10, y=y + 4, height=2, width=138.0 * min(weight, 1))
            )
    said = ", ".join(f"{kind} {option}".strip() for kind, (option, _) in rows.items())
    title = element("title", f"{heading}: {said}")
    return element("svg", title, *parts, viewBox=f"0 0 {BOX} {height}", width=BOX, height=height, role="img")


def _arrow(edge: Edge | None, way: Sequence[Vertex], heights: Sequence[float], breadth: float) -> Iterator[Markup]:
    """A curve that is level in every column and bends between the columns, and its head."""
    faint = edge is not None and edge.operation == "none"
    style = {"style": colour(FAMILIES[family(edge.operation)][0] if edge else GREY)}
    places = [(vertex.x - vertex.width / 2, vertex.x + vertex.width / 2) for vertex in way]
    x, y = places[0][1] * INCH, -heights[0] * INCH
    steps, head = [f"M{x:.1f},{y:.1f}"], 5 + breadth
    for place, ((left, right), height) in enumerate(zip(places[1:], heights[1:], strict=True), 2):
        at, to = left * INCH, -height * INCH
        last = place == len(way)
        until = at - head if last else at
        steps.append(f"C{(x + until) / 2:.1f},{y:.1f} {(x + until) / 2:.1f},{to:.1f} {until:.1f},{to:.1f}")
        if not last:
            steps.append(f"L{right * INCH:.1f},{to:.1f}")
        x, y = right * INCH, to
    end = way[-1].x - way[-1].width / 2
    kind = "edge dashed" if faint else "edge"
    yield element("path", class_=kind, d=" ".join(steps), stroke_width=f"{0.9 if faint else breadth:.2f}", **style)
    tip, half = end * INCH, 2.5 + breadth * 0.75
    corners = f"{tip:.1f},{y:.1f} {tip - head:.1f},{y - half:.1f} {tip - head:.1f},{y + half:.1f}"
    yield element("polygon", class_="dot", points=corners, opacity="0.5" if faint else None, **style)


def _vertex(vertex: Vertex, notes: Mapping[Edge, str]) -> Iterator[Markup]:
    if not vertex.name and not vertex.edge:
        return
    x, y, width, height = (INCH * size for size in (vertex.x, -vertex.y, vertex.width, vertex.height))
    shape: dict[str, Any] = {"x": x - width / 2, "y": y - height / 2, "width": width, "height": height}
    if vertex.edge:
        faint = vertex.edge.operation == "none"
        face = FAMILIES[family(vertex.edge.operation)][0]
        yield element("rect", class_="box", style=colour(face), rx=height / 2, **shape)
        note = notes.get(vertex.edge, "")
        inside = [label(vertex.edge.operation), *([element("tspan", note, dx=6, class_="soft")] if note else [])]
        yield element("text", *inside, x=x, y=y + 3.8, text_anchor="middle", class_="soft" if faint else "")
    else:
        open_ = "" if vertex.fed else " dashed"
        kind = "node" if vertex.name.isdigit() else "end"
        yield element("rect", class_=f"{kind}{open_}", rx=8, **shape)
        yield element("text", _formula(vertex.name), x=x, y=y + 4.5, text_anchor="middle", class_="name")


def _formula(name: str) -> Markup:
    """`c_{k-1}` with its index below the line."""
    parts, below = list[Markup | str](), 0
    for place, text in enumerate(SUBSCRIPT.split(name)):
        lower = 3 * (place % 2)
        if text:
            size = "75%" if lower else None
            parts.append(element("tspan", text, dy=lower - below or None, font_size=size))
            below = lower
    return joined(parts)


def _breadth(value: float | None, most: float) -> float:
    if value is None or most <= 0:
        return 1.6
    return THINNEST + (BROADEST - THINNEST) * max(value, 0.0) / most


def _number(value: float) -> str:
    return f"{value:.2f}".replace("0.", ".", 1) if 0 <= value < 0.995 else f"{value:.2f}"


def _said(edge: Edge) -> str:
    return f"{label(edge.operation)} from {edge.source} to {edge.node}"
