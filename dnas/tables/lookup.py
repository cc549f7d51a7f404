"""What a table says of one cell, beside all others."""

from typing import Any

import numpy as np

from dnas import find
from dnas.architectures.encoding import decode, encode
from dnas.architectures.genotype import Genotype, to_text
from dnas.architectures.genotype_data import shown
from dnas.errors import UserError
from dnas.tables.protocol import Table, place

ACCURACIES = ("test", "valid")


def place_of(table: Table, genotype: Genotype) -> int:
    """Where a cell stands in a table. Errors: `UserError` for a cell that is not of the table's space."""
    space = find.resolve("space", table.space)
    if genotype.space != space.name:
        raise UserError(
            f"The table '{table.name}' has cells of the space '{space.name}', and this one is of "
            f"{shown(genotype.space)}: give one of that space, or another --table."
        )
    try:
        architecture = encode(genotype, space)
        inside = _edges(decode(architecture, space)) == _edges(genotype)
    except (UserError, KeyError):
        inside = False
    if not inside:
        names = dict.fromkeys(name for cell in space.cells.values() for edge in cell.operations for name in edge)
        raise UserError(
            f"The cell is outside the table '{table.name}', which has cells of {len(table.options)} edges with one of "
            f"{', '.join(names)} each: give one of these."
        )
    return int(place(architecture, table.options))


def looked_up(table: Table, genotype: Genotype) -> dict[str, Any]:
    """What is known of a cell, ready for JSON: accuracies in percent, ranks and regret by data set.

    rank: by test accuracy after the longest training. regret: what the cell with the best validation accuracy has more.
    isomorphic: how many cells compute the same, this one counted.
    Errors: `UserError` for a cell that is not of the table's space.
    """
    number, last = place_of(table, genotype), table.epochs[-1]
    known: dict[str, Any] = {"table": table.name, "cell": to_text(genotype), "cells": table.size}
    known["isomorphic"] = int((table.classes == table.classes[number]).sum())
    known["data"] = {}
    for name in table.datasets:
        test, valid = (table.column(name, f"{part}_{last}") for part in ACCURACIES)
        measured = [f"{part}_{epochs}" for epochs in reversed(table.epochs) for part in ACCURACIES]
        known["data"][name] = {
            **{what: float(table.column(name, what)[number]) for what in measured},
            "rank": int(table.ranks(test)[number]),
            "regret": round(float(test[np.argmax(valid)] - test[number]), 4),
            "parameters": int(table.column(name, "parameters")[number]),
            "mflops": float(table.column(name, "mflops")[number]),
            f"seconds_{table.epochs[0]}": round(float(table.column(name, f"seconds_{table.epochs[0]}")[number]), 2),
        }
    return known


def _edges(genotype: Genotype) -> list[tuple[Any, ...]]:
    return sorted((kind, *edge) for kind, cell in genotype.cells for edge in cell.edges)
