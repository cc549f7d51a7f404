"""Genotypes as they are written, by the original codes and by us.

DARTS text (Liu et al. 2019, arXiv:1806.09055): `Genotype(normal=[('sep_conv_3x3', 0), ...],
normal_concat=range(2, 6), reduce=[...], reduce_concat=range(2, 6))`. A list has one of four layouts:
    (operation, source): entry k enters node 2 + k // 2;
    the same with an entry for every edge: node i of 2 to 5 has i entries (SNAS, arXiv:1812.09926);
    the same in a list for each node;
    (operation, node, source): any number of entries for a node (FairDARTS, arXiv:1911.12126).
Recurrent: `Genotype(recurrent=[('tanh', 0), ...], concat=range(1, 9))`, entry k enters node k + 1.
NAS-Bench-201 text (Dong and Yang 2020, arXiv:2001.00326): `|op~0|+|op~0|op~1|+...`, node i has i entries.
JSON: what `to_json` gives, or an object with the fields of a DARTS text.
"""

import ast
import json
import re
import warnings
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from dnas.architectures.genotype_data import (
    INPUTS,
    MOST,
    CellGenotype,
    Edge,
    Genotype,
    check_graph,
    concat_nodes,
    from_json,
    is_whole,
    read_name,
    shown,
    unreadable,
)
from dnas.architectures.topology import all_edges
from dnas.errors import UserError


def to_text(genotype: Genotype) -> str:
    """What the original code prints: the DARTS namedtuple or the NAS-Bench-201 string.

    The text does not name the space; it is read back as "darts", "rnn" or "nasbench201".
    Errors: `UserError` for cells that neither can express.
    """
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
    """All genotypes of a text: DARTS or NAS-Bench-201 texts, of which other lines are passed over, or JSON.

    Empty for a text that is none of these. Errors: `UserError` that says what was found, where, and what was expected.
    """
    text = text.translate(TYPOGRAPHY).strip()
    if CALL.search(text):
        found = _calls(text)
    elif text.startswith("{") or (text.startswith("[") and "~" not in text):
        found = [_record(record) for record in _records(text)]
    elif text.startswith("|") or re.search(r"\|[^|\n]*~", text):
        found = _nasbench201s(text)
    else:
        return []
    for genotype in found:
        check_graph(genotype)
    return found


# NAS-Bench-201

BLANKS = re.compile(r"\s*([~+])\s*")
BETWEEN = re.compile(r"(?<=\|)[\s,;'\"\[\]()]*(?=\|)")  # of one string and the next


def _nasbench201s(text: str) -> list[Genotype]:
    """Those of every line that has one: what stands before it is passed over."""
    found = []
    for line in BLANKS.sub(r"\1", text).splitlines():
        before, bar, rest = line.partition("|")
        if bar:
            string = re.sub(r"\s*\|\s*", "|", bar + rest).rstrip(" \t,;'\")]}")
            found += [_nasbench201(part) for part in BETWEEN.split(string)]
    return found


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
TOKEN = re.compile(r"'[^'\n]*'|\"[^\"\n]*\"|#[^\n]*|[()\[\]{}]")
LONGEST = 200_000  # characters of one text: Python's parser takes a thousand times the memory
TYPOGRAPHY = str.maketrans("\u00a0\u2018\u2019\u201c\u201d", " ''\"\"", "\ufeff")  # which web pages and PDFs put in


def _calls(text: str) -> list[Genotype]:
    """All `Genotype(...)`: what stands before one on its line is passed over, as in logs and lists."""
    found, call = [], CALL.search(text)
    while call:
        end = _end(text, call.end())
        found.append(_call(text[call.start() : end]))
        call = CALL.search(text, end)
        line = text[end:].partition("\n")[0]
        if not re.fullmatch(r"[\s,;.)\]}'\"]*(#.*)?", line) and not CALL.search(line):
            raise unreadable("the end of the genotype", line.strip(), "nothing after its last bracket")
    return found


def _end(text: str, start: int) -> int:
    """Where the bracket closes that was opened before `start`; the end of the text if nowhere."""
    depth = 1
    for token in TOKEN.finditer(text, start):
        depth += (token[0] in "([{") - (token[0] in ")]}")
        if depth == 0:
            return token.end()
    return len(text)


def _call(text: str) -> Genotype:
    expected = "a complete Genotype(...)"
    if len(text) > LONGEST:
        raise unreadable("the genotype", text, f"{expected} of at most {LONGEST:,} characters")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of a backslash in a string, say
            call = ast.parse(text, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise unreadable("the genotype", text, f"{expected} ({_reason(error)})") from None
    if not isinstance(call, ast.Call) or call.args:
        raise unreadable("the genotype", text, "Genotype(name=..., ...), every field with its name")
    names = [str(field.arg) for field in call.keywords]
    for name in names:
        if names.count(name) > 1:
            raise unreadable("the genotype", text, f"the field '{name}' once")
    fields = {str(field.arg): _read_value(field, text) for field in call.keywords}
    if names == ["space", "cells"]:  # as Python prints ours
        try:
            return from_json({**fields, "cells": dict(fields["cells"])})
        except (TypeError, ValueError):
            raise unreadable("'cells'", fields["cells"], "pairs of a kind and a CellGenotype(...)") from None
    return _from_fields(fields)


def _read_value(field: ast.keyword, text: str) -> Any:
    try:
        return _value(field.value)
    except (ValueError, TypeError, RecursionError, MemoryError, OverflowError):
        found = ast.get_source_segment(text, field.value)
        raise unreadable(f"'{field.arg}'", found, "lists of names and numbers, range(2, 6) or the like") from None


def _value(node: ast.expr) -> Any:
    """The value of a literal, as people paste them. Errors: `ValueError`, `TypeError` for anything else."""
    match node:
        case ast.Constant(value):
            return value
        case ast.UnaryOp(ast.USub(), ast.Constant(int(value))):
            return -value
        case ast.List(items) | ast.Tuple(items):
            return [value for item in items for value in _values(item)]
        case ast.Call(ast.Name(name) | ast.Attribute(attr=name), arguments, keywords) if name in CALLS:
            named = {
                str(keyword.arg): _value(keyword.value) for keyword in keywords if name in ("CellGenotype", "Edge")
            }
            return CALLS[name](*(value for argument in arguments for value in _values(argument)), **named)
    raise ValueError


def _values(node: ast.expr) -> Any:
    """Of one item of a list, which may be `*range(2, 6)`."""
    return _value(node.value) if isinstance(node, ast.Starred) else [_value(node)]


def _range(*limits: int) -> list[int]:
    return list(range(*limits)[: MOST + 1])


def _itself(value: Any) -> Any:
    return value


WRAPPERS = "int int_ intp int8 int16 int32 int64 uint8 uint16 uint32 uint64 str str_ list tuple array tensor"
CALLS: dict[str, Callable[..., Any]] = {  # that NumPy, PyTorch and our own classes print, by their last name
    **dict.fromkeys(WRAPPERS.split(), _itself),
    "range": _range,
    "Edge": lambda node, source, operation: [node, source, operation],
    "CellGenotype": lambda edges, concat=None: {"edges": edges, "concat": concat},
}


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


def _records(text: str) -> list[Any]:
    """One record, or a list of them."""
    try:
        found = json.loads(text, object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise unreadable("the genotype", text, f"JSON ({_reason(error)})") from None
    return found if isinstance(found, list) and found else [found]


def _record(found: Any) -> Genotype:
    is_darts = isinstance(found, dict) and "cells" not in found and not found.keys().isdisjoint(("normal", "recurrent"))
    return _from_fields(found) if is_darts else from_json(found)


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object; Python would keep the last of equal names."""
    for name, times in Counter(name for name, _ in pairs).most_common(1):
        if times > 1:
            raise UserError(f"Cannot read the genotype: it has {shown(name)} twice, expected every name once.")
    return dict(pairs)


def _reason(error: Exception) -> str:
    if isinstance(error, RecursionError | MemoryError):
        return "it is nested too deeply"
    return " ".join(str(error.msg if isinstance(error, SyntaxError) else error).split())
