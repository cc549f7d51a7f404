"""The discrete result of a search: which operation sits on which edge of each cell, and how it is written.

DARTS text (Liu et al. 2019, arXiv:1806.09055): `Genotype(normal=[('sep_conv_3x3', 0), ...],
normal_concat=range(2, 6), reduce=[...], reduce_concat=range(2, 6))`. A list has one of three layouts:
    (operation, source): entry k enters node 2 + k // 2;
    the same with an entry for every edge: node i of 2 to 5 has i entries (SNAS, arXiv:1812.09926);
    (operation, node, source): any number of entries for a node (FairDARTS, arXiv:1911.12126).
Recurrent: `Genotype(recurrent=[('tanh', 0), ...], concat=range(1, 9))`, entry k enters node k + 1.
NAS-Bench-201 text (Dong and Yang 2020, arXiv:2001.00326): `|op~0|+|op~0|op~1|+...`, node i has i entries.
"""

import ast
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dnas.errors import UserError, unknown
from dnas.spaces.topology import Cell, Space, all_edges


class Edge(NamedTuple):
    """One operation of a discrete cell: it reads node `source` and adds to node `node`."""

    node: int
    source: int
    operation: str


@dataclass(frozen=True)
class CellGenotype:
    """Edges in the reference order of the paper's code; `concat` as in `topology.Cell`."""

    edges: tuple[Edge, ...]
    concat: tuple[int, ...] | None = None


@dataclass(frozen=True)
class Genotype:
    """Cells by kind, e.g. (("normal", ...), ("reduce", ...)). Hashable; equal if written the same."""

    space: str
    cells: tuple[tuple[str, CellGenotype], ...]

    def cell(self, kind: str) -> CellGenotype:
        """The cell of one kind."""
        return dict(self.cells)[kind]


def parse(text: str) -> Genotype:
    """Read the name of a published cell, a DARTS or NAS-Bench-201 text, or the path of a JSON file.

    Errors: `UserError` that says what was found, where, and what was expected.
    """
    from dnas.spaces import zoo  # not above: the zoo is written in the texts that this file reads

    text = text.strip()
    if text.startswith("|"):
        genotype = _parse_nasbench201(text)
    elif call := re.fullmatch(r"(?:\w+\s*=\s*)?(Genotype\s*\(.*)", text, re.DOTALL):
        genotype = _parse_darts(call[1])
    elif text.endswith(".json"):
        genotype = _read_json(Path(text))
    elif re.fullmatch(r"[\w-]+", text):
        genotype = zoo.entry(text).genotype
    else:
        expected = "a published cell's name, Genotype(normal=[...], ...), |...|+|...| or the path of a .json file"
        raise _unreadable("the genotype", text, expected)
    _check_graph(genotype)
    return genotype


def to_text(genotype: Genotype) -> str:
    """What the original code prints: the DARTS namedtuple or the NAS-Bench-201 string.

    The DARTS text does not name the space; it is read back as "darts" or "darts_rnn".
    Errors: `UserError` for cells that neither can express.
    """
    cells = dict(genotype.cells)
    if list(cells) == ["cell"] and _is_nasbench201(cells["cell"].edges):
        groups: dict[int, str] = {}
        for node, source, operation in cells["cell"].edges:
            groups[node] = groups.get(node, "|") + f"{operation}~{source}|"
        return "+".join(groups.values())
    pairs = all(_targets(kind, cell) == [edge.node for edge in cell.edges] for kind, cell in cells.items())
    expressible = list(cells) == ["normal", "reduce"] or (list(cells) == ["recurrent"] and pairs)
    if not expressible or not all(cell.concat for cell in cells.values()):
        raise UserError(f"The cells {list(cells)} of a '{genotype.space}' genotype have no text form; use JSON.")
    fields = []
    for kind, cell in cells.items():
        entries = [(e.operation, e.source) if pairs else (e.operation, e.node, e.source) for e in cell.edges]
        nodes = list(cell.concat or ())
        run = range(nodes[0], nodes[-1] + 1)
        fields += [f"{kind}={entries}", f"{_concat_field(kind)}={run if list(run) == nodes else nodes}"]
    return f"Genotype({', '.join(fields)})"


def to_json(genotype: Genotype) -> dict[str, Any]:
    """`{"space": name, "cells": {kind: {"edges": [[node, source, operation], ...], "concat": [...]}}}`."""
    cells = {
        kind: {"edges": [list(edge) for edge in cell.edges], "concat": cell.concat and list(cell.concat)}
        for kind, cell in genotype.cells
    }
    return {"space": genotype.space, "cells": cells}


def from_json(record: Any) -> Genotype:
    """The genotype that `to_json` wrote. Errors: `UserError` that names the part that does not fit."""
    match record:
        case {"space": str(space), "cells": dict(cells)}:
            return Genotype(space, tuple((kind, _cell_from_json(kind, cell)) for kind, cell in cells.items()))
    raise _unreadable("the genotype", record, "{'space': name, 'cells': {kind: {'edges': [...], 'concat': [...]}}}")


def check(genotype: Genotype, space: Space) -> None:
    """Check that the graph is sound and that the space knows its operations.

    Numbers of nodes and edges may differ from the searched cells, as in published cells (NASNet, FairDARTS).
    Errors: `UserError`, one sentence.
    """
    kinds = [kind for kind, _ in genotype.cells]
    if sorted(kinds) != sorted(space.cells):
        found, expected = ", ".join(kinds) or "none", ", ".join(space.cells)
        raise UserError(f"The genotype has the cells {found}, expected those of '{space.name}': {expected}.")
    _check_graph(genotype)
    for kind, cell in genotype.cells:
        inputs = space.cells[kind].inputs
        last = max([space.cells[kind].computed[-1], *(edge.node for edge in cell.edges)])
        for edge in cell.edges:
            if edge.operation not in space.operations:
                raise unknown(f"operation in the {kind} cell:", edge.operation, space.operations)
            if edge.node < inputs:
                raise UserError(f"The {kind} cell has an edge into node {edge.node}, which is a cell input.")
        for node in cell.concat or ():
            if not inputs <= node <= last:
                raise UserError(f"The {kind} cell concatenates node {node}, expected {inputs} to {last}.")


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
    generator = np.random.default_rng(seed)
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


def _check_graph(genotype: Genotype) -> None:
    """Every edge reads an earlier node, so a cell can be computed in the order of its nodes."""
    for kind, cell in genotype.cells:
        for node, source, _ in cell.edges:
            if not 0 <= source < node:
                raise UserError(f"Node {node} of the {kind} cell reads node {source}, expected an earlier node.")
        for node in [*(edge.node for edge in cell.edges), *(cell.concat or ())]:
            if not 0 <= node < 1000:
                raise UserError(f"The {kind} cell has a node {node}, expected a number from 0 to 999.")


def _parse_nasbench201(text: str) -> Genotype:
    edges: list[Edge] = []
    for node, group in enumerate(text.split("+"), start=1):
        found = re.findall(r"([^|~]+)~(\d+)\|", group)
        edges += [Edge(node, int(source), operation) for operation, source in found]
        written = "|" + "".join(f"{operation}~{source}|" for operation, source in found)
        if not found or group != written or not _is_nasbench201(edges):
            expected = f"|operation~source|...| with the sources 0 to {node - 1}"
            raise _unreadable(f"node {node} of the NAS-Bench-201 string", group, expected)
    return Genotype("nasbench201", (("cell", CellGenotype(tuple(edges))),))


def _is_nasbench201(edges: Sequence[Edge]) -> bool:
    return [(e.node, e.source) for e in edges] == list(all_edges(1, len({e.node for e in edges})))


def _parse_darts(text: str) -> Genotype:
    try:
        call = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        reason = error.msg if isinstance(error, SyntaxError) else error
        raise _unreadable("the genotype", text, f"a complete Genotype(...) ({reason})") from None
    fields = {str(field.arg): field.value for field in call.keywords} if isinstance(call, ast.Call) else {}
    kinds = ["recurrent"] if "recurrent" in fields else ["normal", "reduce"]
    expected = [name for kind in kinds for name in (kind, _concat_field(kind))]
    if sorted(fields) != sorted(expected):
        raise _unreadable("the genotype", text, f"the fields {', '.join(expected)}")
    cells = [(kind, _darts_cell(kind, fields[kind], fields[_concat_field(kind)])) for kind in kinds]
    return Genotype("darts_rnn" if kinds == ["recurrent"] else "darts", tuple(cells))


def _darts_cell(kind: str, entries_node: ast.expr, concat_node: ast.expr) -> CellGenotype:
    entries, concat = _literal(entries_node), _literal(concat_node)
    if not isinstance(entries, list | tuple):
        raise _unreadable(f"'{kind}'", ast.unparse(entries_node), "a list of operations")
    if not concat or not isinstance(concat, list | tuple) or not all(type(node) is int for node in concat):
        raise _unreadable(f"'{_concat_field(kind)}'", ast.unparse(concat_node), "range(2, 6) or [2, 3, 4, 5]")
    triples = kind != "recurrent" and all(isinstance(e, list | tuple) and len(e) == 3 for e in entries)
    edges = []
    for k, entry in enumerate(entries):
        match entry:
            case [str(operation), int(node), int(source)] if triples:
                edges.append(Edge(node, source, operation))
            case [str(operation), int(source)]:
                edges.append(Edge(-1, source, operation))
            case _:
                expected = "('operation', node, source)" if triples else "('operation', source)"
                raise _unreadable(f"entry {k} of '{kind}'", entry, expected)
    cell = CellGenotype(tuple(edges), tuple(concat))
    if triples:
        return cell
    targets = _targets(kind, cell)
    if len(targets) != len(edges):
        raise UserError(f"Cannot read '{kind}': found {len(edges)} operations, expected two for each node.")
    return CellGenotype(tuple(e._replace(node=n) for e, n in zip(edges, targets, strict=True)), cell.concat)


def _targets(kind: str, cell: CellGenotype) -> list[int]:
    """The nodes that a list of (operation, source) enters, by its length; empty if none fits."""
    count, nodes = len(cell.edges), max(cell.concat or (0,)) - 1
    if kind == "recurrent":
        return list(range(1, count + 1))
    if count == nodes * (nodes + 3) // 2:
        return [node for node, _ in all_edges(2, nodes)]
    return [2 + k // 2 for k in range(count)] if count % 2 == 0 else []


def _concat_field(kind: str) -> str:
    return "concat" if kind == "recurrent" else f"{kind}_concat"


def _literal(value: ast.expr) -> Any:
    """The value of a Python literal or of `range(a, b)`; None for anything else."""
    match value:
        case ast.Call(func=ast.Name(id="range"), args=[ast.Constant(int(start)), ast.Constant(int(stop))]):
            return list(range(start, min(stop, start + 1000)))
    try:
        return ast.literal_eval(value)
    except (ValueError, TypeError, RecursionError, MemoryError):
        return None


def _read_json(path: Path) -> Genotype:
    try:
        return from_json(json.loads(path.read_text(encoding="utf-8")))
    except OSError as error:
        raise UserError(f"Cannot read the genotype file '{path}': {error.strerror}.") from None
    except ValueError as error:
        raise UserError(f"The genotype file '{path}' is not JSON: {error}.") from None
    except UserError as error:
        raise UserError(f"In the genotype file '{path}': {error}") from None


def _cell_from_json(kind: str, cell: Any) -> CellGenotype:
    match cell:
        case {"edges": [*edges], "concat": ([*_] | None) as concat}:
            for edge in edges:
                match edge:
                    case [int(), int(), str()]:
                        continue
                raise _unreadable(f"an edge of the {kind} cell", edge, "[node, source, operation]")
            if not all(type(node) is int for node in concat or ()):
                raise _unreadable(f"'concat' of the {kind} cell", concat, "a list of nodes")
            return CellGenotype(tuple(Edge(*edge) for edge in edges), concat and tuple(concat))
    raise _unreadable(f"the {kind} cell", cell, "{'edges': [...], 'concat': [...] or null}")


def _unreadable(where: str, found: Any, expected: str) -> UserError:
    text = repr(found)
    text = text if len(text) <= 80 else f"{text[:60]}...{text[-15:]}"
    return UserError(f"Cannot read {where}: found {text}, expected {expected}.")
