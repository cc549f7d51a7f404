"""`dnas bench`."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any

import tyro

from dnas.cli.parsing import Flag
from dnas.cli.sources import genotypes_of
from dnas.errors import UserError

if TYPE_CHECKING:
    from dnas.architectures.genotype import Genotype
    from dnas.tables.nats import Record
    from dnas.tables.protocol import Table

USUAL = "nasbench201"


@dataclass(frozen=True)
class Bench:
    """Look a cell up in a table of trained networks: accuracies, rank, regret, parameters.

    GENOTYPE is whatever dnas show takes: a NAS-Bench-201 string or index, JSON, a file of any number of these, - for
    standard input, or a run folder (its best seed). Other tables have names of their own: random_darts the numbers of
    its cells, nasbench_macro eight digits. Regret is what the cell has more that a search would have chosen, had it
    seen all: the best by validation accuracy or, as none is known of NAS-Bench-201 after 200 epochs, by the test
    accuracy of one training.

    RECORD is a file of NATS-Bench, NUMBER.pickle.pbz2: what was measured in every training of that cell, of which the
    last epochs are shown, mean and deviation over seeds, and with --json all.

    Examples:
      dnas bench 9930
      dnas bench runs/first
      dnas bench '|nor_conv_3x3~0|+|none~0|nor_conv_3x3~1|+|skip_connect~0|none~1|nor_conv_3x3~2|' --json
      dnas bench 22212220 --table nasbench_macro
      dnas bench NATS-tss-v1_0-3ffb9-simple/000284.pickle.pbz2
    """

    genotype: Annotated[tyro.conf.Positional[str], tyro.conf.arg(metavar="GENOTYPE|RUN|RECORD")]
    """A genotype, a run folder or a record."""
    table: Annotated[str, tyro.conf.arg(metavar="TABLE")] = USUAL
    """Which table; see dnas list."""
    json: Flag = False
    """A JSON object for each cell."""


def run(options: Bench) -> None:
    """`dnas bench`."""
    import json

    from dnas import find
    from dnas.tables import nats
    from dnas.tables.lookup import looked_up

    if nats.is_record(options.genotype):
        if options.table != USUAL:
            raise UserError(f"{options.genotype} is a record, in which no table is looked up: leave out --table.")
        record = nats.read(options.genotype)
        print(json.dumps(nats.described(record))) if options.json else _print_record(record)
        return
    table = find.resolve("table", options.table)
    found = [looked_up(table, genotype) for genotype in _named(options.genotype, table)]
    for number, known in enumerate(found):
        if options.json:
            print(json.dumps(known))
            continue
        if number:
            print()
        _print(known, table)


def _named(source: str, table: "Table") -> "list[Genotype]":
    """Those of a source, which may be as the table's authors write them."""
    own = table.notation(source.strip())
    return [own] if own is not None else genotypes_of(source)


def _print(known: dict[str, Any], table: "Table") -> None:
    """As people read it: a column a data set."""
    shown = _columns(table.title, table.datasets.values())
    rows = list(known["data"].values())
    for what in rows[0]:
        label, form = LABELS.get(what.partition("_")[0], (what, "{:g}"))
        epochs = f", {what.partition('_')[2]} epochs" if "_" in what else ""
        shown.add_row(label.format(cells=known["cells"]) + epochs, *(form.format(row[what]) for row in rows))
    _show(known["cell"], shown)
    if "isomorphic" in known:
        others = known["isomorphic"] - 1
        print(f"{others or 'No'} other cell{'s' * (others != 1)} of the table compute{'s' * (others == 1)} the same.")


def _print_record(record: "Record") -> None:
    """As people read it: a column a data set, the last epochs of its trainings, mean and deviation over seeds."""
    import numpy as np

    from dnas.architectures.genotype import to_text
    from dnas.tables import nats

    datasets = {data: title for data, title in nats.DATASETS.items() if data in {name for name, _ in record.found}}
    shown = _columns(f"cell {record.number}", datasets.values())
    for epochs in sorted({epochs for _, epochs in record.found}, reverse=True):
        columns = [record.found.get((data, epochs), ()) for data in datasets]
        seeds = [f"{len(found)} seed{'s' * (len(found) > 1)}" if found else "" for found in columns]
        shown.add_row(f"{epochs} epochs", *seeds)
        for part in nats.SHOWN:
            ends = [[t.accuracy[part][-1] for t in trainings if part in t.accuracy] for trainings in columns]
            spread = [f"{np.mean(e):.2f}" + f"±{np.std(e):.2f}" * (len(e) > 1) if e else "" for e in ends]
            shown.add_row(f"  {part} [%]", *spread)
        times = [[t.seconds["train"].mean() for t in trainings] for trainings in columns]
        shown.add_row("  seconds/epoch", *(f"{np.mean(time):.1f}" if time else "" for time in times))
    networks = [
        next(trainings[0] for (name, _), trainings in record.found.items() if name == data) for data in datasets
    ]
    shown.add_row("parameters", *(f"{network.parameters:,}" for network in networks))
    shown.add_row("MFLOPs", *(f"{network.mflops:.1f}" for network in networks))
    _show(to_text(record.genotype), shown)


def _columns(title: str, datasets: Iterable[str]) -> Any:
    from rich import box
    from rich.table import Table as Columns

    shown = Columns(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold")
    shown.add_column(title)
    for name in datasets:
        shown.add_column(name, justify="right", no_wrap=True)
    return shown


def _show(cell: str, shown: Any) -> None:
    from rich.console import Console

    print(cell)
    Console().print(shown)


LABELS = {  # of a fact: how it is called, and written
    "test": ("test accuracy [%]", "{:.2f}"),
    "valid": ("validation accuracy [%]", "{:.2f}"),
    "single": ("test, one training [%]", "{:.2f}"),
    "deviation": ("deviation over trainings", "{:.2f}"),
    "rank": ("rank of {cells:,} by test accuracy", "{:,}"),
    "regret": ("regret [%]", "{:.2f}"),
    "parameters": ("parameters", "{:,}"),
    "mflops": ("MFLOPs", "{:.1f}"),
    "seconds": ("seconds to train", "{:.0f}"),
}
