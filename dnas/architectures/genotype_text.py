"""Genotypes as they are written, by the original codes and by us.

DARTS text (Liu et al. 2019, arXiv:1806.09055): `Genotype(normal=[('sep_conv_3x3', 0), ...],
normal_concat=range(2, 6), reduce=[...], reduce_concat=range(2, 6))`. A list has one of four layouts:
    (operation, source): entry k enters node 2 + k // 2;
    the same with an entry for every edge: node i of 2 to 5 has i entries (SNAS, arXiv:1812.09926);
    the same in a list for each node;
    (operation, node, source): any number of entries for a node (FairDARTS, arXiv:1911.12126).
Recurrent: `Genotype(recurrent=[('tanh', 0), ...], concat=range(1, 9))`, entry k enters node k + 1.
NAS-Bench-201 text (Dong and Yang 2020, arXiv:2001.00326): `|op~0|+|op~0|op~1|+...`, node i has i entries.
Decisions: `tabular(width=[1, 0.5], activation=[relu, tanh], ...)`, the space and an option for every layer; where a
space decides some things less often than others, their lists are shorter.
JSON: what `to_json` gives, or an object with the fields of a DARTS text; also as Python prints a dictionary.
Around them there may be other words of a line, and cells of a table. Marks are taken off before (`genotype_paste.py`).
"""

import ast
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any

from dnas.architectures.genotype_data import (
    INPUTS,
    CellGenotype,
    Edge,
    Genotype,
    check_graph,
    concat_nodes,
    decisions,
    from_json,
    is_whole,
    of_decisions,
    read_name,
    unreadable,
)
from dnas.architectures.genotype_literals import RECORD, end_of, extents, parsed, records, value_of
from dnas.architectures.topology import all_edges
from dnas.errors import UserError


def to_text(genotype: Genotype) -> str:
    """What the original code prints: the DARTS namedtuple or the NAS-Bench-201 string; for layers, their decisions.

    The text of cells does not name the space; it is read back as "darts", "rnn" or "nasbench201".
    Errors: `UserError` for cells that none can express.
    """
    if layers := decisions(genotype):
        fields = [f"{name}=[{', '.join(layer[name] for layer in layers if name in layer)}]" for name in layers[0]]
        return f"{genotype.space}({', '.join(fields)})"
    cells = dict(genotype.cells)
    kinds = list(cells)
    if kinds == ["cell"] and cells["cell"].concat is None and _is_nasbench201(cells["cell"].edges):
        groups: dict[int, str] = {}
        for node, source, operation in cells["cell"].edges:
            groups[node] = groups.get(node, "|") + f"{operation}~{source}|"
        return "+".join(groups.values())
    pairs = all(_targets(kind, cell) == [edge.node for edge in cell.edges] for kind, cell in cells.items())
    expressible = kinds == ["normal", "reduce"] or (kinds == ["recurrent"] and pairs)
    if not expressible or not all(cell.concat for cell in cells.values()):
        raise UserError(f"The cells {kinds} of a '{genotype.space}' genotype have no text form; use JSON.")
    fields = []
    for kind, cell in cells.items():
        entries = [(e.operation, e.source) if pairs else (e.operation, e.node, e.source) for e in cell.edges]
        nodes = list(cell.concat or ())
        run = range(nodes[0], nodes[-1] + 1)
        fields += [f"{kind}={entries}", f"{_concat_field(kind)}={run if list(run) == nodes else nodes}"]
    return f"Genotype({', '.join(fields)})"


def from_texts(text: str) -> list[Genotype]:
    """All genotypes of a text: DARTS or NAS-Bench-201 texts or decisions, of which other lines are passed over; JSON.

    Empty for a text that is none of these. Errors: `UserError` that says what was found, where, and what was expected.
    """
    if CALL.search(text):
        found = _calls(text)
    elif text.startswith(("{", "[")) and (RECORD.search(text) or "~" not in text):
        found = [_record(record) for record in records(text)]
    elif RECORD.search(text):
        found = [_record(record) for part in extents(text) for record in records(part)]
    elif text.startswith("|") or re.search(r"\|[^|\n]*~", text):
        found = _nasbench201s(text)
    else:
        found = [_decided(*call.groups()) for call in DECISIONS.finditer(text)]
    for genotype in found:
        check_graph(genotype)
    return found


# Decisions

ITEM = r"\w+\s*=\s*\[[^][()=]*\]"
DECISIONS = re.compile(rf"(?<![\w.-])([A-Za-z][\w.-]*)\s*\(\s*({ITEM}(?:\s*,\s*{ITEM})*)\s*(?:,\s*)?\)", re.ASCII)
FIELD = re.compile(r"(\w+)\s*=\s*\[([^]]*)\]")


def _decided(space: str, written: str) -> Genotype:
    """Of the name of a space and its fields `decision=[option, ...]`, with or without quotes."""
    fields: dict[str, list[str]] = {}
    for name, options in FIELD.findall(written):
        if name in fields:
            raise unreadable("the genotype", f"{space}({written})", f"the field '{name}' once")
        texts = [option.strip().strip("'\"") for option in options.rstrip(", \n").split(",")]
        fields[name] = [read_name(option, f"an option of '{name}'") for option in texts]
    layers = range(max(map(len, fields.values())))
    return of_decisions(space, [{name: o[i] for name, o in fields.items() if i < len(o)} for i in layers])


# NAS-Bench-201

BLANKS = re.compile(r"\s*([~+])\s*")
GROUP = r"\|(?:[ \t]*[\w.-]+~[0-9]+[ \t]*\|)+"
STRING = re.compile(rf"{GROUP}(?:\+{GROUP})*(?![\w~+])", re.ASCII)
BROKEN = re.compile(r"^\+|\+$|\w~[0-9]")  # what stands beside a string and belongs to it


def _nasbench201s(text: str) -> list[Genotype]:
    """Those of every line that has one: what stands around it is passed over."""
    lines = [line.strip() for line in BLANKS.sub(r"\1", text).splitlines() if "|" in line]
    with_entries = [line for line in lines if "~" in line or "|+|" in line]
    return [_nasbench201(string) for line in with_entries or lines[:1] for string in _strings(line)]


def _strings(line: str) -> list[str]:
    found = [re.sub(r"[ \t]", "", string) for string in STRING.findall(line)]
    if found and not any(BROKEN.search(part.strip()) for part in STRING.split(line)):
        return found
    return [line[line.index("|") :].rstrip(" \t,;'\")]}")]  # to be told what is wrong with it


def _nasbench201(text: str) -> Genotype:
    edges: list[Edge] = []
    for node, group in enumerate(text.split("+"), start=1):
        entries = re.findall(r"([^|~]+)~([0-9]+)\|", group)
        written = "|" + "".join(f"{operation}~{source}|" for operation, source in entries)
        if group != written or [source for _, source in entries] != [str(source) for source in range(node)]:
            expected = f"|operation~source|...| with the sources 0 to {node - 1}"
            raise unreadable(f"node {node} of the NAS-Bench-201 string", group, expected)
        edges += [Edge(node, int(source), read_name(name, f"an operation of node {node}")) for name, source in entries]
    return Genotype("nasbench201", (("cell", CellGenotype(tuple(edges))),))


def _is_nasbench201(edges: Sequence[Edge]) -> bool:
    return [(e.node, e.source) for e in edges] == list(all_edges(1, len({e.node for e in edges}))) != []


# DARTS

CALL = re.compile(r"\bGenotype\s*\(")
ENDED = re.compile(r"[\s,;.)\]}'\"]*(#.*|\|.*)?")  # the rest of a line: of a list, a comment, a row of a table


def _calls(text: str) -> list[Genotype]:
    """All `Genotype(...)`: what stands before one on its line is passed over, as in logs and lists."""
    found, call = [], CALL.search(text)
    while call:
        end = end_of(text, call.end())
        found.append(_call(text[call.start() : end]))
        call = CALL.search(text, end)
        line = text[end:].partition("\n")[0]
        if not ENDED.fullmatch(line) and not CALL.search(line):
            raise unreadable("the end of the genotype", line.strip(), "nothing after its last bracket")
    return found


def _call(text: str) -> Genotype:
    call = parsed(text, "a complete Genotype(...)")
    if not isinstance(call, ast.Call) or call.args:
        raise unreadable("the genotype", text, "Genotype(name=..., ...), every field with its name")
    pairs: list[tuple[str, Any]] = []
    for field in call.keywords:
        value = _read_value(field, text)
        pairs += value.items() if field.arg is None else [(field.arg, value)]
    for name, times in Counter(name for name, _ in pairs).items():
        if times > 1:
            raise unreadable("the genotype", text, f"the field '{name}' once")
    fields = dict(pairs)
    if set(fields) == {"space", "cells"}:  # as Python prints ours
        try:
            return from_json({**fields, "cells": dict(fields["cells"])})
        except (TypeError, ValueError):
            raise unreadable("'cells'", fields["cells"], "pairs of a kind and a CellGenotype(...)") from None
    return _from_fields(fields)


def _read_value(field: ast.keyword, text: str) -> Any:
    """Of one field, or a dictionary of fields: `**{...}`, which has no name."""
    try:
        value = value_of(field.value)
        if field.arg is not None or isinstance(value, dict):
            return value
    except (ValueError, TypeError, RecursionError, MemoryError, OverflowError):
        pass
    found = ast.get_source_segment(text, field.value)
    if field.arg is None:
        raise unreadable("what '**' unpacks", found, "the fields of a genotype, as in **{'normal': [...], ...}")
    raise unreadable(f"'{field.arg}'", found, "lists of names and numbers, range(2, 6) or the like")


def _from_fields(fields: dict[str, Any]) -> Genotype:
    kinds = ["recurrent"] if "recurrent" in fields else ["normal", "reduce"]
    expected = [name for kind in kinds for name in (kind, _concat_field(kind))]
    if sorted(fields) != sorted(expected):
        raise unreadable("the genotype", ", ".join(fields), f"the fields {', '.join(expected)}")
    cells = [(kind, _darts_cell(kind, fields[kind], fields[_concat_field(kind)])) for kind in kinds]
    return Genotype("rnn" if kinds == ["recurrent"] else "darts", tuple(cells))


def _darts_cell(kind: str, found: Any, concat: Any) -> CellGenotype:
    if not isinstance(found, list | tuple) or not all(isinstance(entry, list | tuple) for entry in found):
        raise unreadable(f"'{kind}'", found, "a list of ('operation', source)")
    nodes, entries = [-1] * len(found), list(found)
    nested = all(isinstance(part, list | tuple) for entry in found for part in entry)
    if nested:  # a list for each node
        first = INPUTS.get(kind, 1)
        nodes = [node for node, group in enumerate(found, first) for _ in group]
        entries = [entry for group in found for entry in group]
    triples = kind != "recurrent" and all(len(entry) == 3 for entry in entries)
    edges = []
    for k, (node, entry) in enumerate(zip(nodes, entries, strict=True)):
        match [*entry[:1], node, *entry[1:]] if not triples else entry:
            case [operation, target, source] if is_whole(target) and is_whole(source):
                name = read_name(operation, f"the operation of entry {k} of '{kind}'")
                edges.append(Edge(int(target), int(source), name))
            case _:
                expected = "('operation', node, source)" if triples else "('operation', source)"
                raise unreadable(f"entry {k} of '{kind}'", entry, expected)
    cell = CellGenotype(tuple(edges), concat_nodes(concat, f"'{_concat_field(kind)}'", "range(2, 6) or [2, 3, 4, 5]"))
    if triples or nested:
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


# JSON


def _record(found: Any) -> Genotype:
    is_darts = isinstance(found, dict) and "cells" not in found and not found.keys().isdisjoint(("normal", "recurrent"))
    return _from_fields(found) if is_darts else from_json(found)
