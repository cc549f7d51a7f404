"""Where the parts of a cell stand in a picture, whatever draws it.

A layered drawing (Sugiyama, Tagawa and Toda 1981): a node stands to the right of all it reads; an operation, or an
arrow that passes a column, has a place of its own there, so arrows never cross a label.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations, pairwise
from random import Random
from types import MappingProxyType

import numpy as np

from dnas.architectures.genotype import CellGenotype, Edge
from dnas.reports.marks import label

CELLS = {  # kind: title, names of the inputs, name of the output
    "normal": ("normal cell", ("c_{k-2}", "c_{k-1}"), "c_{k}"),
    "reduce": ("reduction cell", ("c_{k-2}", "c_{k-1}"), "c_{k}"),
    "recurrent": ("recurrent cell", ("x_{t}, h_{t-1}",), "h_{t}"),
    "cell": ("cell", ("input",), "output"),
}


def named_ends(kind: str) -> tuple[str, tuple[str, ...], str]:
    return CELLS.get(kind, (kind, ("input",), "output"))


def names_of(kind: str, cell: CellGenotype) -> dict[int, str]:
    """What every node is called, in order: inputs and output by name, the others by number as in papers."""
    _, inputs, output = named_ends(kind)
    first = 0 if len(inputs) > 1 else 1  # DARTS counts from 0 after its two inputs; a single input is node 0
    last = max([len(inputs) - 1, *(edge.node for edge in cell.edges), *(cell.concat or ())])
    names = dict(enumerate(inputs)) | {n: str(n - len(inputs) + first) for n in range(len(inputs), last + 1)}
    return names if cell.concat is not None else names | {last: output}


@dataclass(eq=False)
class Vertex:
    """What has a place in a column: a node (named), an operation (an edge), a passing arrow (neither). note: what
    stands behind the operation's name."""

    column: int
    name: str = ""
    edge: Edge | None = None
    note: str = ""
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
            return 0.2 + 0.066 * (len(label(self.edge.operation)) + len(self.note) + bool(self.note))
        return 0.22 + 0.09 * sum(letter not in "{_}" for letter in self.name) if self.name else 0


Link = tuple[Vertex, Vertex]
Arrows = list[tuple[Edge | None, list[Vertex]]]
Columns = list[list[Vertex]]


@dataclass(frozen=True)
class Layout:
    """arrows: from node to node through an operation and passed columns, or to the output (no edge)."""

    arrows: Arrows
    vertices: list[Vertex]
    width: float
    height: float


def layout_of(kind: str, cell: CellGenotype, notes: Mapping[Edge, str] = MappingProxyType({})) -> Layout:
    """Columns by longest path, order in them by fewest crossings, heights by least steps; around y = 0. notes: what
    else is written at an operation."""
    arrows, nodes = _arrows(kind, cell, notes)
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
    return Layout(arrows, vertices, right - gap, top - bottom)


def _arrows(kind: str, cell: CellGenotype, notes: Mapping[Edge, str]) -> tuple[Arrows, list[Vertex]]:
    """Nodes in even columns, each arrow's operation in the emptiest of the odd columns on its way."""
    names, inputs = names_of(kind, cell), len(named_ends(kind)[1])
    depth = dict.fromkeys(range(inputs), 0)
    for node in list(names)[inputs:]:
        depth[node] = 1 + max((depth[e.source] for e in cell.edges if e.node == node), default=0)
    fed = {*range(inputs), *(edge.node for edge in cell.edges)}
    nodes = {node: Vertex(2 * depth[node], name, fed=node in fed) for node, name in names.items()}
    arrows: Arrows = []
    labels = [0] * (2 * max(depth.values()))
    for edge in sorted(cell.edges, key=lambda e: depth[e.node] - depth[e.source]):
        way = range(2 * depth[edge.source] + 1, 2 * depth[edge.node])
        at = min(way[::2], key=lambda column: labels[column])
        labels[at] += 1
        inner = [Vertex(c, edge=edge, note=notes.get(edge, "")) if c == at else Vertex(c) for c in way]
        arrows.append((edge, [nodes[edge.source], *inner, nodes[edge.node]]))
    if cell.concat is None:
        return arrows, list(nodes.values())
    output = Vertex(2 * max(depth.values()) + 1, named_ends(kind)[2])
    for node in cell.concat:
        inner = [Vertex(column) for column in range(2 * depth[node] + 1, output.column)]
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
    near: dict[Vertex, list[Vertex]] = {vertex: [] for column in columns for vertex in column}
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


def _pull(a: Vertex, b: Vertex, smallest: float) -> float:
    if a.name and b.name:
        return 1
    return 4 if a.name or b.name else 7 / (smallest + abs(a.y - b.y))


def _stack(column: list[Vertex], wishes: list[float], weights: list[float]) -> None:
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


def ports(layout: Layout) -> list[tuple[float, float]]:
    """The heights where each arrow leaves and enters a node: side by side, in the order of the other ends."""
    heights = [[way[0].y, way[-1].y] for _, way in layout.arrows]
    for end, inner in ((0, 1), (-1, -2)):
        for node in {way[end] for _, way in layout.arrows}:
            here = [i for i, (_, way) in enumerate(layout.arrows) if way[end] is node]
            here.sort(key=lambda i: layout.arrows[i][1][inner].y)
            for k, i in enumerate(here):
                heights[i][end] += 0.075 * (k - (len(here) - 1) / 2)
    return [(start, end) for start, end in heights]
