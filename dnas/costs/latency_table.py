"""Tables of latency: what every operation of every layer takes on one device, as a file of our own.

A table is JSON: `space`, `device`, `unit` (ms or us), `how` it was measured, `constant` (what all networks share), and
`cells`: by kind a list with an object {operation: time} for every edge, in the order of the space; or, of a space where
what an option takes depends on others, `blocks`: {block and its input: time} (`latency_blocks.py`). `sizes` says of
which networks (`channels`, `cells`, `image_size`, ...), where that is known; `spread` may have the interquartile
ranges, in the layout of `cells`. Times are of one batch of `batch` inputs.
"""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from dnas.architectures.genotype_data import shown
from dnas.architectures.topology import Space
from dnas.costs.protocol import Additive
from dnas.data._files import reading
from dnas.errors import UserError
from dnas.files import atomic_write
from dnas.paths import content_of

MOST = 1e12  # of a time
UNITS = {"ms": 1.0, "us": 1e-3}  # milliseconds of one
MOST_BYTES = 2**24
REMEDY = "give a table that dnas latency wrote"

Rows = Mapping[str, Sequence[Mapping[str, float]]]


@dataclass(frozen=True, eq=False)
class LatencyTable:
    """As of the file, in milliseconds. cells, spread: {kind: one {operation: milliseconds} for each edge}. blocks:
    {block: milliseconds}, empty where options have times of their own."""

    space: str
    device: str
    cells: Rows
    how: str
    constant: float = 0.0
    batch: int = 1
    sizes: Mapping[str, int | str] = field(default_factory=dict)
    spread: Rows = field(default_factory=dict)
    blocks: Mapping[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        where = f"The latency table of '{self.space}' on '{self.device}'"
        _check_time(self.constant, f"{where} has a constant of")
        for rows in (self.cells, self.spread):
            for kind, layers in rows.items():
                for number, row in enumerate(layers, 1):
                    for operation, time in row.items():
                        _check_time(time, f"{where} has for '{operation}' in layer {number} of '{kind}'")
        for name, time in self.blocks.items():
            _check_time(time, f"{where} has for '{name}'")

    def check_networks(self, space: Space, sizes: Mapping[str, int | str]) -> None:
        """Errors: `UserError` for networks of another space than those of the table, or of other sizes."""
        where = f"The latency table on '{self.device}'"
        if space.name != self.space:
            raise UserError(
                f"{where} is of the space '{self.space}', not of '{space.name}': choose that space, or measure a table "
                f"of this one, dnas latency {space.name}."
            )
        for name, value in sizes.items():
            if name in self.sizes and self.sizes[name] != value:
                raise UserError(
                    f"{where} was measured with {name} {self.sizes[name]}, and these networks have {value}: measure a "
                    "table of them, or choose the same sizes."
                )

    def of_space(self, space: Space, sizes: Mapping[str, int | str] | None = None) -> Additive:
        """The table as a cost of a space. sizes: of the networks that it is wanted for, None: whichever.

        Errors: `UserError` for a table of another space, of other sizes, or with missing entries.
        """
        self.check_networks(space, sizes or {})
        where, tables = f"The latency table on '{self.device}'", {}
        for kind, cell in space.cells.items():
            rows = self.cells.get(kind, ())
            if len(rows) != len(cell.edges):
                raise UserError(
                    f"{where} has {len(rows)} layers of '{kind}', and the space '{space.name}' has {len(cell.edges)}: "
                    "measure it with the same settings of the space."
                )
            tables[kind] = np.zeros(cell.mix_shape)
            for e, names in enumerate(cell.operations):
                for o, name in enumerate(names):
                    if name not in rows[e]:
                        missing = sum(n not in row for row, ns in zip(rows, cell.operations, strict=True) for n in ns)
                        others = f", and {missing - 1} more are missing" if missing > 1 else ""
                        raise UserError(
                            f"{where} has no entry for '{name}' in layer {e + 1} of '{kind}'{others}: measure it anew, "
                            "or leave the operation out of the space."
                        )
                    tables[kind][e, o] = rows[e][name]
        return Additive(self.constant, tables)


def write(table: LatencyTable, path: str | Path) -> None:
    """Errors: `StorageError` if the file cannot be written."""
    content: dict[str, Any] = {
        "space": table.space,
        "device": table.device,
        "unit": "ms",
        "how": table.how,
        "batch": table.batch,
        "sizes": dict(table.sizes),
        "constant": table.constant,
        "cells": {kind: [dict(row) for row in rows] for kind, rows in table.cells.items()},
    }
    if table.blocks:
        content["blocks"] = dict(table.blocks)
    if table.spread:
        content["spread"] = {kind: [dict(row) for row in rows] for kind, rows in table.spread.items()}
    atomic_write(path, json.dumps(content, indent=1) + "\n")


def read(path: str | Path) -> LatencyTable:
    """Errors: `UserError` for a file that is missing or no table, for a unit that is unknown and for times that are
    negative or no numbers."""
    with reading(path, REMEDY):
        found = json.loads(content_of(Path(path), MOST_BYTES))
    match found:
        case {"space": str(space), "device": str(device), "unit": unit, "how": str(how), "cells": {**cells}}:
            pass
        case _:
            raise UserError(f"{path} is no latency table, with space, device, unit, how and cells: {REMEDY}.")
    if unit not in UNITS:
        raise UserError(f"The unit of {path} is {shown(unit)}, expected one of {', '.join(UNITS)}: {REMEDY}.")
    batch, sizes = found.get("batch", 1), found.get("sizes", {})
    if type(batch) is not int or batch < 1 or not isinstance(sizes, dict):
        raise UserError(f"{path} has 'batch' {shown(batch)} and 'sizes' {shown(sizes)}, expected a count and names.")
    factor, spread = UNITS[unit], found.get("spread", {})
    constant = _times(found.get("constant", 0.0), factor, f"{path}, constant")
    rows, spreads = (_rows(part, factor, f"{path}, {name}") for part, name in ((cells, "cells"), (spread, "spread")))
    (blocks,) = _rows({"blocks": [found.get("blocks", {})]}, factor, str(path))["blocks"]
    return LatencyTable(space, device, rows, how, constant, batch, sizes, spreads, blocks)


def _rows(found: Any, factor: float, where: str) -> Rows:
    if not isinstance(found, dict):
        raise UserError(f"{where}: found {shown(found)}, expected kinds of cells: {REMEDY}.")
    rows: dict[str, list[dict[str, float]]] = {}
    for kind, layers in found.items():
        if not isinstance(layers, list) or not all(isinstance(row, dict) for row in layers):
            raise UserError(f"{where}, '{kind}': found {shown(layers)}, expected a list of objects: {REMEDY}.")
        rows[kind] = [
            {name: _times(time, factor, f"{where}, '{kind}', layer {number}, '{name}'") for name, time in row.items()}
            for number, row in enumerate(layers, 1)
        ]
    return rows


def _times(found: Any, factor: float, where: str) -> float:
    if isinstance(found, bool) or not isinstance(found, int | float) or found > MOST:
        raise UserError(f"{where}: found {shown(found)}, expected a time: {REMEDY}.")
    return float(found) * factor


def _check_time(time: float, what: str) -> None:
    if not (math.isfinite(time) and time >= 0):
        raise UserError(f"{what} {time:g}, expected a time of at least 0: measure it anew, or correct the entry.")
