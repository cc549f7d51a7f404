"""Genotypes: read from whatever a user names or pastes, checked against a space, as mixing weights, drawn at random."""

import os
import re
from pathlib import Path

import numpy as np

from dnas.architectures import blocks, zoo
from dnas.architectures.genotype_data import (
    CellGenotype,
    Edge,
    Genotype,
    check_graph,
    decisions,
    from_json,
    shown,
    to_json,
    unreadable,
)
from dnas.architectures.genotype_paste import cleaned
from dnas.architectures.genotype_text import from_texts, to_text
from dnas.architectures.topology import Cell, Space
from dnas.errors import UserError, unknown
from dnas.paths import expanded, opened

__all__ = [
    "CellGenotype",
    "Edge",
    "Genotype",
    "as_mix",
    "check",
    "cross",
    "from_json",
    "mutate",
    "parse",
    "random",
    "read",
    "to_json",
    "to_text",
]

LARGEST_BYTES = 16 * 2**20  # of a file of genotypes
LONGEST_NAMES = 100_000  # characters of a text of names


def parse(source: str) -> Genotype:
    """The one genotype that a source gives, see `read`. Errors: `UserError`, also where there are several."""
    found = read(source)
    if len(found) > 1:
        raise UserError(
            f"Cannot read one genotype: {shown(source.strip())} holds {len(found)}: give one of them by itself."
        )
    return found[0]


def read(source: str) -> list[Genotype]:
    """The genotypes that a source gives. It is, in this order:

    the path of a file of genotypes, or of a run folder (one genotype per seed);
    one or several DARTS or NAS-Bench-201 texts, decisions, or JSON, see `genotype_text.py`;
    the name of a published cell, or the index of a cell in NAS-Bench-201.
    Errors: `UserError` that says what was found, where, and what was expected.
    """
    text = source.strip()
    place = expanded(text)
    is_folder = os.path.isdir(place)  # these say no to whatever the system takes for no path, and raise nothing
    path = Path(place, "genotype.json") if is_folder else Path(place)
    if text and os.path.exists(path):
        return _read_file(path)
    if found := _read_text(written := cleaned(text)):
        return found
    if is_folder:
        raise UserError(f"The folder {shown(text)} holds no genotype.json: give a run folder that has one.")
    if re.fullmatch(r"[\w-]{1,100}", written):
        return [zoo.entry(written).genotype]
    if re.fullmatch(r"\S*([/\\]\S*|\.\w+)", text):
        raise UserError(f"Cannot read the genotype file {shown(text)}: there is no such file.")
    expected = "a published cell's name, Genotype(normal=[...], ...), |...|+|...|, JSON or the path of a file"
    raise unreadable("the genotype", text, expected)


def decoded(content: bytes) -> str:
    """The text of a file. Errors: `UserError` for what is not text, or too much of it."""
    if len(content) > LARGEST_BYTES:
        raise UserError(f"It has more than {LARGEST_BYTES // 2**20} MiB, expected a genotype.")
    try:
        return content.decode("utf-16" if content[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except ValueError:
        raise UserError("It is not a text in UTF-8, expected a genotype.") from None


def _read_file(path: Path) -> list[Genotype]:
    try:
        with opened(path) as file:
            content = file.read(LARGEST_BYTES + 1)
        text = cleaned(decoded(content))
        found = _read_text(text)
        if not found:
            raise unreadable("the genotype", text, "JSON, Genotype(normal=[...], ...) or |...|+|...|")
    except OSError as error:
        raise UserError(f"Cannot read the genotype file '{path}': {error.strerror}.") from None
    except UserError as error:
        raise UserError(f"In the genotype file '{path}': {error}") from None
    return found


def _read_text(text: str) -> list[Genotype]:
    """Empty if it is no text, name or index of a genotype; text: `cleaned`."""
    return _named(text) or from_texts(text)


def _named(text: str) -> list[Genotype]:
    """Those of published names and indices, one a line or in the rows of a table; empty if there is anything else."""
    found: list[Genotype] = []
    for line in text.splitlines() if len(text) < LONGEST_NAMES else ():
        cells = [cell for cell in (part.strip(" \t\"',;") for part in line.split("|")) if cell]
        entries = [entry for entry in map(zoo.find, cells) if entry]
        if len(cells) == 1 and re.fullmatch(r"[0-9]{1,100}", cells[0]):
            found.append(zoo.nasbench201(int(cells[0])))
        elif cells and not entries and "|" not in line:
            return []
        found += [entry.genotype for entry in entries]
    return found


def check(genotype: Genotype, space: Space, cells: int | None = None) -> None:
    """Check that the graph is sound and that the space knows its operations.

    cells: of the network that is to be built, which needs the kinds of cells that it contains; None: all kinds.
    Numbers of nodes and edges may differ from the searched cells, as in published cells (NASNet, FairDARTS).
    Errors: `UserError`, one sentence.
    """
    kinds = [kind for kind, _ in genotype.cells]
    needed = space.cells if cells is None else space.contained(cells)
    if not set(needed) <= set(kinds) <= set(space.cells):
        found, expected = ", ".join(kinds) or "none", ", ".join(needed)
        whose = f"'{space.name}'" if cells is None else f"a network of '{space.name}' with {cells} cells"
        raise UserError(f"The genotype has the cells {found}, expected those of {whose}: {expected}.")
    check_graph(genotype)
    _check_lengths(genotype, space)
    for kind, cell in genotype.cells:
        inputs = space.cells[kind].inputs
        if (cell.concat is None) != (space.cells[kind].concat is None):
            expected = "none" if cell.concat else "a list of nodes"
            raise UserError(f"The {kind} cell concatenates {cell.concat or 'no nodes'}, expected {expected}.")
        last = max([space.cells[kind].computed[-1], *(edge.node for edge in cell.edges)])
        for edge in cell.edges:
            if (space.chain or space.chain_of) and kind == blocks.KIND:
                blocks.parse(edge.operation)  # which says what does not fit
            if edge.operation not in space.operations:
                raise unknown(f"operation in the {kind} cell:", edge.operation, space.operations)
            if edge.node < inputs:
                raise UserError(f"The {kind} cell has an edge into node {edge.node}, which is a cell input.")
        for node in cell.concat or ():
            if not inputs <= node <= last:
                raise UserError(f"The {kind} cell concatenates node {node}, expected {inputs} to {last}.")


def _check_lengths(genotype: Genotype, space: Space) -> None:
    """Each layer has all decisions or, where the space has unlike numbers of them, there are as many as its own, or
    those that its network has."""
    found = {kind: len(cell.edges) for kind, cell in genotype.cells}
    own = {kind: len(space.cells[kind].edges) for kind in found}
    if len(found) < 2 or found == own or not decisions(genotype):
        return
    if space.used is not None:
        space.used(genotype)  # which says what is missing
        return
    if len(set(own.values())) == 1 and len(set(found.values())) > 1:
        raise unreadable("the genotype", found, "as many options for each decision, one a layer")
    if len(set(own.values())) > 1:
        raise unreadable("the genotype", found, f"as many options for each decision as '{space.name}' has, {own}")


def as_mix(genotype: Genotype, space: Space) -> dict[str, np.ndarray]:
    """Mixing weights {kind: float32 [E, O]}: one-hot rows, and zero rows for edges that the genotype lacks.

    Errors: `UserError` if the supernet of this space cannot express the genotype.
    """
    check(genotype, space)
    mix = {kind: np.zeros(cell.mix_shape, np.float32) for kind, cell in space.cells.items()}
    for kind, cell in genotype.cells:
        searched = space.cells[kind]
        if cell.concat != searched.concat:
            raise UserError(f"The {kind} cell outputs nodes {cell.concat}, expected {searched.concat}.")
        for node, source, operation in cell.edges:
            where = f"edge {source} -> {node} of the {kind} cell"
            if (node, source) not in searched.edges:
                raise UserError(f"The space '{space.name}' has no {where}.")
            row = searched.edges.index((node, source))
            if operation not in searched.operations[row]:
                raise unknown(f"operation on {where} of '{space.name}':", operation, searched.operations[row])
            if mix[kind][row].any():
                raise UserError(f"The genotype has two operations on {where}; mixing weights express one.")
            mix[kind][row, searched.operations[row].index(operation)] = 1
    return mix


def random(space: Space, seed: int | np.random.Generator) -> Genotype:
    """A uniformly random genotype: each node keeps `kept` distinct edges, each with any operation but `none`.

    Cells with `kept=None` have every edge, and `none` is an operation as any other.
    """
    generator = np.random.default_rng(seed % 2**64 if isinstance(seed, int) else seed)  # it takes no negative seed
    cells = [(k, CellGenotype(_random_edges(cell, generator), cell.concat)) for k, cell in space.cells.items()]
    return Genotype(space.name, tuple(cells))


def mutate(genotype: Genotype, space: Space, probability: float, generator: np.random.Generator) -> Genotype:
    """Each edge is drawn anew with this probability: its source, among those that its node does not read, then its
    operation. Edges of cells with `kept=None` keep their source."""
    cells = []
    for kind, old in genotype.cells:
        cell, edges = space.cells[kind], list(old.edges)
        for i, (node, source, _) in enumerate(edges):
            if generator.random() >= probability:
                continue
            taken = {edge.source for edge in edges if edge.node == node} - {source}
            free = [e for e in cell.incoming(node) if cell.edges[e][1] not in taken]
            if cell.kept is None:
                free = [cell.edges.index((node, source))]
            e = free[generator.integers(len(free))]
            edges[i] = Edge(node, cell.edges[e][1], _random_operation(cell, e, generator))
        cells.append((kind, CellGenotype(tuple(sorted(edges, key=lambda edge: edge[:2])), old.concat)))
    return Genotype(genotype.space, tuple(cells))


def cross(a: Genotype, b: Genotype, space: Space, generator: np.random.Generator) -> Genotype:
    """Each node has the edges of one of the two parents; in cells with `kept=None`, each edge its operation."""
    cells = []
    for kind, cell in space.cells.items():
        parents, chosen = (a.cell(kind), b.cell(kind)), list[Edge]()
        for node in cell.computed:
            pairs = [[edge for edge in parent.edges if edge.node == node] for parent in parents]
            if cell.kept is None:
                chosen += [pair[generator.integers(2)] for pair in zip(*pairs, strict=True)]
            else:
                chosen += pairs[generator.integers(2)]
        cells.append((kind, CellGenotype(tuple(chosen), cell.concat)))
    return Genotype(a.space, tuple(cells))


def _random_edges(cell: Cell, generator: np.random.Generator) -> tuple[Edge, ...]:
    edges = []
    for node in cell.computed:
        incoming = cell.incoming(node)
        if cell.kept is not None and cell.kept < len(incoming):
            incoming = sorted(generator.choice(incoming, cell.kept, replace=False).tolist())
        for e in incoming:
            edges.append(Edge(node, cell.edges[e][1], _random_operation(cell, e, generator)))
    return tuple(edges)


def _random_operation(cell: Cell, e: int, generator: np.random.Generator) -> str:
    choices = [name for name in cell.operations[e] if cell.kept is None or name != "none"]
    return choices[generator.integers(len(choices))]
