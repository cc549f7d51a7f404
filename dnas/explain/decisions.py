"""What a search chose among what: a decision is a row of a mix, an edge of a cell or one of a table of options."""

from typing import NamedTuple

import numpy as np

from dnas.architectures import genotype_data
from dnas.architectures.genotype import Genotype
from dnas.architectures.topology import Space
from dnas.search.relax import allowed_operations
from dnas.types import Mix

ABSENT = "no edge"  # what is found on an edge that the genotype lacks


class Decision(NamedTuple):
    """A row of the mix of a kind of cell. edge: (node, source). options: in the order of its columns.

    open_to: whether a genotype may have them there: `none` counts only where all edges are kept, and what was pruned
    does not. found: the option of the genotype; None on an edge that it lacks. label: as people read it.
    """

    kind: str
    row: int
    edge: tuple[int, int]
    options: tuple[str, ...]
    open_to: tuple[bool, ...]
    found: str | None
    label: str

    @property
    def name(self) -> str:
        """Of the row, as in mix.jsonl."""
        return "{}<-{}".format(*self.edge)


def decisions_of(space: Space, genotype: Genotype, mask: Mix = ()) -> list[Decision]:
    """All rows of a space, kind by kind. mask: of the options that pruning left {kind: [E, O]}, or ()."""
    made = []
    for kind, cell in space.cells.items():
        allowed = allowed_operations(cell)
        if mask:
            allowed = allowed & (np.asarray(mask[kind]) > 0)
        chosen = {(edge.node, edge.source): edge.operation for edge in genotype.cell(kind).edges}
        for row, (edge, names) in enumerate(zip(cell.edges, cell.operations, strict=True)):
            label = label_of(kind, edge, is_table(genotype), len(space.cells))
            open_to = tuple(allowed[row, : len(names)].tolist())
            made.append(Decision(kind, row, edge, tuple(names), open_to, chosen.get(edge), label))
    return made


def label_of(kind: str, edge: tuple[int, int], table: bool, kinds: int) -> str:
    """Of a row: "edge 2<-0 of the normal cell", "edge 2<-0" where there is one kind of cell, "width 3" of a table."""
    if table:
        return f"{kind} {edge[0]}"
    return "edge {}<-{}".format(*edge) + (f" of the {kind} cell" if kinds > 1 else "")


def is_table(genotype: Genotype) -> bool:
    """Whether decisions are no edges: then there is always one option taken, and nothing can be removed."""
    return genotype_data.decisions(genotype) is not None
