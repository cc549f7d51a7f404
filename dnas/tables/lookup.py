"""What a table says of one architecture, beside all others."""

from collections.abc import Iterator
from contextlib import suppress
from functools import cache
from typing import Any

import numpy as np

from dnas import find
from dnas.architectures.encoding import decode, encode
from dnas.architectures.genotype import Genotype, to_text
from dnas.architectures.genotype_data import shown
from dnas.data._files import NotHere
from dnas.errors import UserError
from dnas.tables.protocol import Table, place

BY_LENGTH = ("test", "valid", "single", "deviation")  # kinds of columns, one for every length of training


def place_of(table: Table, genotype: Genotype) -> int:
    """Where an architecture stands in a table.

    Errors: `UserError` for one that is not of the table's space, or that the table does not list.
    """
    if genotype.space != table.space.name:
        raise UserError(
            f"The table '{table.name}' has cells of the space '{table.space.name}', and this one is of "
            f"{shown(genotype.space)}: give one of that space, or another --table."
        )
    if table.listed:
        if (found := _places(table).get(_edges(genotype))) is None:
            raise UserError(
                f"The cell is none of the {table.size} that the table '{table.name}' knows: give one of them, as in "
                f"dnas bench 0 --table {table.name}, or another --table."
            )
        return found
    space = table.space
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


def here() -> Iterator[Table]:
    """All tables whose files are on this machine."""
    for name in find.described("table"):
        with suppress(NotHere):
            yield find.resolve("table", name)


def looked_up(table: Table, genotype: Genotype) -> dict[str, Any]:
    """What is known of an architecture, ready for JSON: accuracies in percent, ranks and regret by data set.

    rank: by test accuracy after the longest training. regret: what the cell has more that is best by what a search may
    see after the longest training (`Table.visible`). isomorphic: how many cells compute the same, this one counted.
    What the table does not know is left out.
    Errors: `UserError` for an architecture that the table does not know.
    """
    number, last = place_of(table, genotype), table.epochs[-1]
    known: dict[str, Any] = {"table": table.name, "cell": to_text(genotype), "cells": table.size}
    if table.classes is not None:
        known["isomorphic"] = int((table.classes == table.classes[number]).sum())
    known["data"] = {}
    for name in table.datasets:
        test = table.column(name, f"test_{last}")
        measured = [f"{kind}_{epochs}" for epochs in reversed(table.epochs) for kind in BY_LENGTH]
        row = {what: float(table.column(name, what)[number]) for what in measured if table.has(name, what)}
        row["rank"] = int(table.ranks(test)[number])
        if table.options:
            best = np.argmax(table.visible(name, last))
            row["regret"] = round(float(test[best] - test[number]), 4)
        if table.has(name, "parameters"):
            row["parameters"] = int(table.column(name, "parameters")[number])
        if table.has(name, "mflops"):
            row["mflops"] = float(table.column(name, "mflops")[number])
        if table.has(name, seconds := f"seconds_{table.epochs[0]}"):
            row[seconds] = round(float(table.column(name, seconds)[number]), 2)
        known["data"][name] = row
    return known


@cache
def _places(table: Table) -> dict[tuple[tuple[Any, ...], ...], int]:
    return {_edges(genotype): number for number, genotype in enumerate(table.listed)}


def _edges(genotype: Genotype) -> tuple[tuple[Any, ...], ...]:
    """What an architecture is, in whichever order its edges are written."""
    return tuple(sorted((kind, *edge) for kind, cell in genotype.cells for edge in cell.edges))
