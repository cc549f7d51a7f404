"""Pictures of cells: `draw` writes a figure for a paper, `text` a table for a terminal. Where its parts stand says
`layout.py`.
"""

import io
from pathlib import Path
from typing import Any

from dnas.architectures.genotype import Edge, Genotype
from dnas.architectures.genotype_data import decisions
from dnas.files import atomic_write
from dnas.reports import layered
from dnas.reports.layout import Layout, Vertex, layout_of, named_ends, names_of, ports
from dnas.reports.marks import CENTER, FAMILIES, GREY, INK, PALE, family, label, tint


def text(genotype: Genotype) -> str:
    """The cells node by node, or the layers of a genotype of decisions, for a terminal."""
    if layers := decisions(genotype):
        return layered.text(layers)
    longest = max((len(label(e.operation)) for _, cell in genotype.cells for e in cell.edges), default=0)
    lines: list[str] = []
    for kind, cell in genotype.cells:
        title, inputs, output = named_ends(kind)
        names = names_of(kind, cell)
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

    layouts = [(kind, layout_of(kind, cell)) for kind, cell in genotype.cells]
    margin, head, foot = 0.35, 0.85, 0.5  # inches, as all lengths here
    content = sum(layout.width + margin for _, layout in layouts) + margin
    width, height = max(content, 4.5), max(layout.height for _, layout in layouts) + head + foot
    figure = Figure(figsize=(width, height), dpi=200)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
    axes.axis("off")
    axes.text(width / 2, height - 0.28, title or genotype.space, size=13, weight="bold", **CENTER)
    left = margin + (width - content) / 2
    for kind, layout in layouts:
        axes.text(left + layout.width / 2, height - 0.62, named_ends(kind)[0], size=10.5, color=INK, **CENTER)
        for vertex in layout.vertices:
            vertex.x, vertex.y = vertex.x + left, vertex.y + (height - head + foot) / 2
        _panel(axes, layout)
        left += layout.width + margin
    _legend(axes, genotype)
    picture = io.BytesIO()  # first all of it: a disk may be full
    FigureCanvasAgg(figure).print_png(picture)
    atomic_write(path, picture.getvalue())


def _panel(axes: Any, layout: Layout) -> None:
    heights = ports(layout)
    for (edge, way), (start, end) in zip(layout.arrows, heights, strict=True):
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


def _arrow(axes: Any, edge: Edge | None, way: list[Vertex], heights: list[float]) -> None:
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


def _box(axes: Any, vertex: Vertex, name: str, ink: str, size: float, **style: Any) -> None:
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
