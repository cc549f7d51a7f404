"""`dnas bench`."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from dnas.cli.parsing import Flag
from dnas.cli.sources import genotypes_of

if TYPE_CHECKING:
    from dnas.tables.protocol import Table


@dataclass(frozen=True)
class Bench:
    """Look a cell up in a table of trained networks: accuracies, rank, regret, parameters.

    GENOTYPE is whatever dnas show takes: a NAS-Bench-201 string or index, JSON, a file of any number of these, - for
    standard input, or a run folder (its best seed). Regret is what the cell with the best validation accuracy has more
    on test images: as much as choosing by validation could have gained.

    Examples:
      dnas bench 9930
      dnas bench runs/first
      dnas bench '|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_3x3~2|' --json
    """

    genotype: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="GENOTYPE|RUN")]
    """A genotype or a run folder."""
    table: Annotated[str, tyro.conf.arg(metavar="TABLE")] = "nasbench201"
    """Which table; see dnas list."""
    json: Flag = False
    """A JSON object for each cell."""


def run(options: Bench) -> None:
    """`dnas bench`."""
    import json

    from dnas import find
    from dnas.tables.lookup import looked_up

    table = find.resolve("table", options.table)
    found = [looked_up(table, genotype) for genotype in genotypes_of(options.genotype)]
    for number, known in enumerate(found):
        if options.json:
            print(json.dumps(known))
            continue
        if number:
            print()
        _print(known, table)


def _print(known: dict[str, Any], table: "Table") -> None:
    """As people read it: a column a data set."""
    from rich import box
    from rich.console import Console
    from rich.table import Table as Columns

    shown = Columns(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    shown.add_column(f"{table.title}")
    for title in table.datasets.values():
        shown.add_column(title, justify="right", no_wrap=True)
    rows = list(known["data"].values())
    for what in rows[0]:
        label, form = LABELS.get(what.partition("_")[0], (what, "{:g}"))
        epochs = f", {what.partition('_')[2]} epochs" if "_" in what else ""
        shown.add_row(label.format(cells=known["cells"]) + epochs, *(form.format(row[what]) for row in rows))
    others = known["isomorphic"] - 1
    print(known["cell"])
    Console().print(shown)
    print(f"{others or 'No'} other cell{'s' * (others != 1)} of the table compute{'s' * (others == 1)} the same.")


LABELS = {  # of a fact: how it is called, and written
    "test": ("test accuracy [%]", "{:.2f}"),
    "valid": ("validation accuracy [%]", "{:.2f}"),
    "rank": ("rank of {cells:,} by test accuracy", "{:,}"),
    "regret": ("regret [%]", "{:.2f}"),
    "parameters": ("parameters", "{:,}"),
    "mflops": ("MFLOPs", "{:.1f}"),
    "seconds": ("seconds to train", "{:.0f}"),
}
