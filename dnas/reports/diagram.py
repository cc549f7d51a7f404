"""Pictures of cells: `draw` writes a figure for a paper, `text` a table for a terminal.

The figure is a layered drawing (Sugiyama, Tagawa and Toda 1981): a node stands to the right of all it reads;
an operation, or an arrow that passes a column, has a place of its own there, so arrows never cross a label.
"""

import io
from dataclasses import dataclass
from itertools import combinations, pairwise
from pathlib import Path
from random import Random
from typing import Any

import numpy as np

from dnas.architectures.genotype import CellGenotype, Edge, Genotype
from dnas.architectures.genotype_data import decisions
from dnas.files import atomic_write
from dnas.reports import layered
from dnas.reports.marks import CENTER, FAMILIES, GREY, INK, PALE, family, label, tint

CELLS = {  # kind: title, names of the inputs, name of the output
    "normal": ("normal cell", ("c_{k-2}", "c_{k-1}"), "c_{k}"),
    "reduce": ("reduction cell", ("c_{k-2}", "c_{k-1}"), "c_{k}"),
    "recurrent": ("recurrent cell", ("x_{t}, h_{t-1}",), "h_{t}"),
    "cell": ("cell", ("input",), "output"),
}


def text(genotype: Genotype) -> str:
    """The cells node by node, or the layers of a genotype of decisions, for a terminal."""
    if layers := decisions(genotype):
        return layered.text(layers)
    longest = max((len(label(e.operation)) for _, cell in genotype.cells for e in cell.edges), default=0)
    lines: list[str] = []
    for kind, cell in genotype.cells:
        title, inputs, output = _ends(kind)
        names = _names(kind, cell)
        computed = list(names)[len(inputs) :]
        column = max(len(name) for name in [*(names[node] for node in computed), output]) + 2
        lines += ["", title] if lines else [title]
        for node in computed:
            incoming = [edge for edge in cell.edges if edge.node == node]
            if not incoming:
                lines.append(f"{names[node]:>{column}} ── no input")
            for i, edge in enumerate(incoming):
                last = i == len(incoming) - 1
                branch = ("──" if last else "┬─") if i == 0 else ("└─" if last else "├─")
                operation = f"{label(edge.operation)} ".ljust(longest + 2, "─")
                lines.append(f"{'' if i else names[node]:>{column}} {branch} {operation}── {names[edge.source]}")
        if cell.concat is not None:
            rule = "mean of" if kind == "recurrent" else "concat of"
            lines.append(f"{output:>{column}} ══ {rule} {', '.join(names[node] for node in cell.concat)}")
    return "\n".join(lines)


def draw(genotype: Genotype, path: str | Path, title: str = "") -> None:
    """Write a PNG with one panel for each kind of cell, side by side, or with the layers of a genotype of decisions.
    title: the space's name if empty.

    Errors: `StorageError` if it cannot be written; what was there stays.
    """
    if layers := decisions(genotype):
        return layered.draw(layers, path, title or genotype.space)
    # Not above: matplotlib takes half a second, and whoever enumerates the spaces imports this file.
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    layouts = [(kind, _layout(kind, cell)) for kind, cell in genotype.cells]
    margin, head, foot = 0.35, 0.85, 0.5  # inches, as all lengths here
    content = sum(layout.width + margin for _, layout in layouts) + margin
    width, height = max(content, 4.5), max(layout.height for _, layout in layouts) + head + foot
    figure = Figure(figsize=(width, height), dpi=200)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
    axes.axis("off")
    axes.text(width / 2, height - 0.28, title or genotype.space, size=13, weight="bold", **CENTER)
    left = margin + (width - content) / 2
    for kind, layout in layouts:
        axes.text(left + layout.width / 2, height - 0.62, _ends(kind)[0], size=10.5, color=INK, **CENTER)
        for vertex in layout.vertices:
            vertex.x, vertex.y = vertex.x + left, vertex.y + (height - head + foot) / 2
        _panel(axes, layout)
        left += layout.width + margin
    _legend(axes, genotype)
    picture = io.BytesIO()  # first all of it: a disk may be full
    FigureCanvasAgg(figure).print_png(picture)
    atomic_write(path, picture.getvalue())


def _ends(kind: str) -> tuple[str, tuple[str, ...], str]:
    return CELLS.get(kind, (kind, ("input",), "output"))


def _names(kind: str, cell: CellGenotype) -> dict[int, str]:
    """What every node is called, in order: inputs and output by name, the others by number as in papers."""
    _, inputs, output = _ends(kind)
    first = 0 if len(inputs) > 1 else 1  # DARTS counts from 0 after its two inputs; a single input is node 0
    last = max([len(inputs) - 1, *(edge.node for edge in cell.edges), *(cell.concat or ())])
    names = dict(enumerate(inputs)) | {n: str(n - len(inputs) + first) for n in range(len(inputs), last + 1)}
    return names if cell.concat is not None else names | {last: output}


@dataclass(eq=False)
class _Vertex:
    """What has a place in a column: a node (named), an operation (an edge), a passing arrow (neither)."""

    column: int
    name: str = ""
    edge: Edge | None = None
    fed: bool = True
    arrows: int = 1
    x: float = 0
    y: float = 0
    width: float = 0

    @property
    def height(self) -> float:
        return max(0.4, 0.15 + 0.075 * self.arrows) if self.name else 0.25 if self.edge else 0.04

    @property
    def text_width(self) -> float:
        if self.edge:
            return 0.2 + 0.066 * len(label(self.edge.operation))
        return 0.22 + 0.09 * sum(letter not in "{_}" for letter in self.name) if self.name else 0


Link = tuple[_Vertex, _Vertex]
Columns = list[list[_Vertex]]


@dataclass(frozen=True)
class _Layout:
    """arrows: from node to node through an operation and passed columns, or to the output (no edge)."""

    arrows: list[tuple[Edge | None, list[_Vertex]]]
    vertices: list[_Vertex]
    width: float
    height: float


def _layout(kind: str, cell: CellGenotype) -> _Layout:
    """Columns by longest path, order in them by fewest crossings, heights by least steps; around y = 0."""
    arrows, nodes = _arrows(kind, cell)
    vertices = nodes + [vertex for _, way in arrows for vertex in way[1:-1]]
    links = [link for _, way in arrows for link in pairwise(way)]
    for ends in zip(*links, strict=True):
        for vertex in nodes:
            vertex.arrows = max(vertex.arrows, ends.count(vertex))
    columns: Columns = [[v for v in vertices if v.column == c] for c in range(1 + max(v.column for v in nodes))]
    columns = _ordered([column for column in columns if column], links)
    _place_vertically(columns, links)
    bottom, top = min(v.y - v.height / 2 for v in vertices), max(v.y + v.height / 2 for v in vertices)
    right, gap = 0.0, 0.36
    for column in columns:
        width = max(vertex.text_width for vertex in column)
        for vertex in column:
            vertex.x, vertex.y = right + width / 2, vertex.y - (bottom + top) / 2
            vertex.width = vertex.text_width if vertex.name else width
        right += width + gap
    return _Layout(arrows, vertices, right - gap, top - bottom)


def _arrows(kind: str, cell: CellGenotype) -> tuple[list[tuple[Edge | None, list[_Vertex]]], list[_Vertex]]:
    """Nodes in even columns, each arrow's operation in the emptiest of the odd columns on its way."""
    names, inputs = _names(kind, cell), len(_ends(kind)[1])
    depth = dict.fromkeys(range(inputs), 0)
    for node in list(names)[inputs:]:
        depth[node] = 1 + max((depth[e.source] for e in cell.edges if e.node == node), default=0)
    fed = {*range(inputs), *(edge.node for edge in cell.edges)}
    nodes = {node: _Vertex(2 * depth[node], name, fed=node in fed) for node, name in names.items()}
    arrows: list[tuple[Edge | None, list[_Vertex]]] = []
    labels = [0] * (2 * max(depth.values()))
    for edge in sorted(cell.edges, key=lambda e: depth[e.node] - depth[e.source]):
        way = range(2 * depth[edge.source] + 1, 2 * depth[edge.node])
        at = min(way[::2], key=lambda column: labels[column])
        labels[at] += 1
        inner = [_Vertex(column, edge=edge if column == at else None) for column in way]
        arrows.append((edge, [nodes[edge.source], *inner, nodes[edge.node]]))
    if cell.concat is None:
        return arrows, list(nodes.values())
    output = _Vertex(2 * max(depth.values()) + 1, _ends(kind)[2])
    for node in cell.concat:
        inner = [_Vertex(column) for column in range(2 * depth[node] + 1, output.column)]
        arrows.append((None, [nodes[node], *inner, output]))
    return arrows, [*nodes.values(), output]


def _ordered(columns: Columns, links: list[Link]) -> Columns:
    """Barycentre sweeps from random starts: fewest crossings, then nodes by number. The inputs stay."""
    generator = Random(0)
    best, lowest = columns, _disorder(columns, links)
    for _ in range(40):
        order = [columns[0], *(generator.sample(column, len(column)) for column in columns[1:])]
        for sweep in range(8):
            side = sweep % 2  # by what is on the left, then by what is on the right
            for c in range(1, len(order)) if side == 0 else range(len(order) - 2, 0, -1):
                place = {vertex: i for column in order for i, vertex in enumerate(column)}
                near = {v: [place[link[side]] for link in links if link[1 - side] is v] for v in order[c]}
                middle = {v: float(np.mean(places)) if places else place[v] for v, places in near.items()}
                order[c] = sorted(order[c], key=middle.__getitem__)
            disorder = _disorder(order, links)
            if disorder < lowest:
                best, lowest = list(order), disorder
    return best


def _disorder(columns: Columns, links: list[Link]) -> tuple[int, int]:
    place = {vertex: i for column in columns for i, vertex in enumerate(column)}
    ends = [(a.column, place[a], place[b]) for a, b in links]
    crossings = sum(p[0] == q[0] and (p[1] - q[1]) * (p[2] - q[2]) < 0 for p, q in combinations(ends, 2))
    numbers = [[int(v.name) for v in column if v.name.isdigit()] for column in columns]
    return crossings, sum(a > b for column in numbers for a, b in combinations(column, 2))


def _place_vertically(columns: Columns, links: list[Link]) -> None:
    """Minimise the squared steps of all arrows one column at a time, keeping order and distance.

    Steps inside an arrow are weighted ever more by their inverse size, so that few remain.
    """
    near: dict[_Vertex, list[_Vertex]] = {vertex: [] for column in columns for vertex in column}
    for a, b in links:
        near[a].append(b)
        near[b].append(a)
    for sweep in range(400):
        smallest = max(0.004, 0.98**sweep)
        for column in columns if sweep % 2 else reversed(columns):
            wishes, weights = [], []
            for vertex in column:
                pulls = [(_pull(vertex, other, smallest), other.y) for other in near[vertex]]
                weights.append(0.01 + sum(pull for pull, _ in pulls))
                wishes.append(sum(pull * y for pull, y in pulls) / weights[-1])
            _stack(column, wishes, weights)


def _pull(a: _Vertex, b: _Vertex, smallest: float) -> float:
    if a.name and b.name:
        return 1
    return 4 if a.name or b.name else 7 / (smallest + abs(a.y - b.y))


def _stack(column: list[_Vertex], wishes: list[float], weights: list[float]) -> None:
    """Put a column, top down, as near to the wished heights as distances allow (isotonic regression)."""
    depths = np.cumsum([0.0] + [(above.height + below.height) / 2 + 0.1 for above, below in pairwise(column)])
    blocks: list[np.ndarray] = []  # sum of weighted heights, sum of weights, length
    for wish, weight, depth in zip(wishes, weights, depths, strict=True):
        blocks.append(np.array([weight * (wish + depth), weight, 1]))
        while len(blocks) > 1 and blocks[-2][0] / blocks[-2][1] < blocks[-1][0] / blocks[-1][1]:
            blocks[-2:] = [blocks[-2] + blocks[-1]]
    heights = [total / weight for total, weight, length in blocks for _ in range(int(length))]
    for vertex, height, depth in zip(column, heights, depths, strict=True):
        vertex.y = float(height - depth)


def _panel(axes: Any, layout: _Layout) -> None:
    ports = _ports(layout)
    for (edge, way), (start, end) in zip(layout.arrows, ports, strict=True):
        _arrow(axes, edge, way, [start, *(vertex.y for vertex in way[1:-1]), end])
    for vertex in layout.vertices:
        if vertex.edge:
            colour = FAMILIES[family(vertex.edge.operation)][0]
            faint = vertex.edge.operation == "none"
            face = "white" if faint else tint(colour)
            _box(
                axes,
                vertex,
                label(vertex.edge.operation),
                GREY if faint else INK,
                8,
                fc=face,
                ec=colour,
                lw=0.9,
            )
        elif vertex.name:
            name = f"${vertex.name}$" if "_" in vertex.name else vertex.name
            face = "white" if vertex.name.isdigit() else PALE
            line = "-" if vertex.fed else (0, (2, 2))
            _box(axes, vertex, name, INK, 10, fc=face, ec=INK, lw=1.1, ls=line)


def _ports(layout: _Layout) -> list[tuple[float, float]]:
    """The heights where each arrow leaves and enters a node: side by side, in the order of the other ends."""
    heights = [[way[0].y, way[-1].y] for _, way in layout.arrows]
    for end, inner in ((0, 1), (-1, -2)):
        for node in {way[end] for _, way in layout.arrows}:
            here = [i for i, (_, way) in enumerate(layout.arrows) if way[end] is node]
            here.sort(key=lambda i: layout.arrows[i][1][inner].y)
            for k, i in enumerate(here):
                heights[i][end] += 0.075 * (k - (len(here) - 1) / 2)
    return [(start, end) for start, end in heights]


def _arrow(axes: Any, edge: Edge | None, way: list[_Vertex], heights: list[float]) -> None:
    """A curve that is level in every column, and bends between the columns."""
    from matplotlib.patches import FancyArrowPatch
    from matplotlib.path import Path as Curve

    points, codes = [(way[0].x + way[0].width / 2, heights[0])], [Curve.MOVETO]
    for vertex, y in zip(way[1:], heights[1:], strict=True):
        (x0, y0), x1 = points[-1], vertex.x - vertex.width / 2
        points += [((x0 + x1) / 2, y0), ((x0 + x1) / 2, y), (x1, y), (vertex.x + vertex.width / 2, y)]
        codes += [Curve.CURVE4] * 3 + [Curve.LINETO]
    faint = edge is not None and edge.operation == "none"
    colour = FAMILIES[family(edge.operation)][0] if edge else GREY
    style: dict[str, Any] = {
        "lw": 0.8 if faint else 1.5 if edge else 1.1,
        "ls": (0, (3, 2)) if faint else "-",
    }
    style |= {"color": colour, "alpha": 0.55 if faint else 1, "mutation_scale": 9 if edge else 7}
    curve = Curve(points[:-1], codes[:-1])  # the arrow ends where the last box begins
    axes.add_patch(FancyArrowPatch(path=curve, arrowstyle="-|>", shrinkA=0, shrinkB=0, **style))


def _box(axes: Any, vertex: _Vertex, name: str, ink: str, size: float, **style: Any) -> None:
    from matplotlib.patches import FancyBboxPatch

    corner = (vertex.x - vertex.width / 2, vertex.y - vertex.height / 2)
    shape = f"round,pad=0,rounding_size={0.08 if vertex.name else vertex.height / 2}"
    axes.add_patch(FancyBboxPatch(corner, vertex.width, vertex.height, shape, zorder=3, **style))
    axes.text(vertex.x, vertex.y - 0.008, name, size=size, color=ink, zorder=4, **CENTER)


def _legend(axes: Any, genotype: Genotype) -> None:
    from matplotlib.lines import Line2D

    used = {family(edge.operation) for _, cell in genotype.cells for edge in cell.edges}
    lines = [Line2D([], [], color=FAMILIES[name][0], lw=2.5, label=name) for name in FAMILIES if name in used]
    if any(cell.concat for _, cell in genotype.cells):
        rule = "mean" if "recurrent" in dict(genotype.cells) else "concat"
        lines.append(Line2D([], [], color=GREY, lw=1.5, label=rule))
    place = {"loc": "lower center", "ncols": len(lines), "borderaxespad": 0.2, "columnspacing": 1.6}
    axes.legend(handles=lines, frameon=False, fontsize=8.5, handlelength=1.4, **place)
