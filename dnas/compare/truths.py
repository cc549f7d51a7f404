"""What NAS-Bench-201 knows of the cells that searches passed through: a picture in which collapse is seen."""

from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np

from dnas.compare.rows import Row, is_gradient
from dnas.errors import UserError
from dnas.runs import records
from dnas.tables import nasbench201
from dnas.tables.protocol import place

FIELD = "truth_cifar10"


def draw_truths(rows: list[Row], folder: Path) -> None:
    """comparison.truth.png, where there is a search in the space of the table."""
    from dnas.reports.truth import plot_truths

    found = dict[str, np.ndarray]()
    for row in filter(is_gradient, rows):
        with suppress(UserError):  # a search that says what it found, but whose rows are damaged or gone
            found[row.name] = accuracies(records.read_metrics(folder / row.name))
    known = {name: values for name, values in found.items() if values.size}
    if known:
        plot_truths(known, folder / "comparison.truth.png", "NAS-Bench-201, CIFAR-10: the cell of every epoch", marks())


def accuracies(metrics: list[dict[str, Any]]) -> np.ndarray:
    """Of the cell that every seed of a search would have ended with, in percent [seeds, epochs]; nan after its end.

    metrics: the rows of the run.
    """
    by_seed: dict[int, dict[int, float]] = {}
    for row in metrics:
        if row.get(FIELD) is not None and row.get("epoch"):
            by_seed.setdefault(row["seed"], {})[row["epoch"]] = row[FIELD]
    epochs = max((max(of_epochs) for of_epochs in by_seed.values()), default=0)
    return np.array([[values.get(e, np.nan) for e in range(1, epochs + 1)] for values in by_seed.values()])


def marks() -> dict[str, float]:
    """What to compare with."""
    table = nasbench201.table()
    column = table.column("cifar10", f"test_{table.epochs[-1]}")
    (cell,) = table.space.cells.values()
    skips = place(np.array([names.index("skip_connect") for names in cell.operations]), table.options)
    found = {"best of all cells": column.max(), "mean of all cells": column.mean(), "only skips": column[skips]}
    return {what: float(accuracy) for what, accuracy in found.items()}
