"""Random DARTS: 214 cells drawn at random from DARTS' space, trained for 600 epochs on CIFAR-10; accuracy per epoch.

Yang, Esperança and Carlucci, "NAS evaluation is frustratingly hard", ICLR 2020, arXiv:1912.12522; the numbers of
antoyang/NAS-Benchmark (GPL-3.0, so none of them comes with this package). The table has one training of each cell: what
differs between two cells by less than 0.3 points may be chance. There are no validation accuracies.

`curves` has every epoch, `pairs` cells that were trained twice, `methods` what searches found beside random cells of
their own spaces, on five data sets. Axis letters: N cells, E epochs.
"""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Literal

import numpy as np

from dnas.architectures.genotype import Genotype
from dnas.architectures.genotype_text import from_texts
from dnas.data._archives import inflated_xz, read_npz
from dnas.data._files import Location, of_project, reading
from dnas.errors import UserError
from dnas.spaces import darts
from dnas.tables.protocol import Table

FILE, CURVES = "random_darts.json.xz", "random_darts_curves.npz"
MOST_BYTES, MOST_CELLS = 10_000_000, 10_000  # the file has 0.1 MB
LENGTH = 600  # epochs of a training
EPOCHS = (50, 100, 200, 400, 500, 600)  # those of which the table has a column


def table() -> Table:
    """All of it. Errors: `UserError` if one of its files is not there, or damaged."""
    cells, accuracy = genotypes(), curves()
    if len(cells) != len(accuracy):
        raise UserError(f"{FILE} has {len(cells):,} cells and {CURVES} {len(accuracy):,} curves: get both again.")
    return Table(
        name="random_darts",
        title="Random DARTS",
        space=darts.space(),
        datasets={"cifar10": "CIFAR-10"},
        epochs=EPOCHS,
        columns={f"cifar10_test_{epoch}": accuracy[:, epoch - 1] for epoch in EPOCHS},
        listed=cells,
        notation={str(number): cell for number, cell in enumerate(cells)}.get,
    )


def locate(file: str = FILE) -> Location:
    return of_project(file, "benchmarks")


def genotypes() -> tuple[Genotype, ...]:
    """The cells, by their number. Errors: `UserError`."""
    with _part("genotypes", list) as texts:
        return tuple(_cell(text) for text in texts)


def pairs(what: Literal["8_to_20_cells", "different_seed_24"]) -> np.ndarray:
    """Test accuracies in percent of cells that were trained in two ways, float64 [N, 2]: in networks of 8 and of 20
    cells, or from two seeds. Errors: `UserError`."""
    with _part(what, list) as rows:
        return np.array([_accuracies(row, 2) for row in rows])


def methods() -> dict[str, dict[str, np.ndarray]]:
    """Test accuracies in percent of what eight searches of a method found, by data set and method; `Random METHOD` are
    random cells of its space, trained as its own. Errors: `UserError`."""
    with _part("tables", dict) as tables:
        return {
            str(data): {str(method): np.array(_accuracies(row)) for method, row in rows.items()}
            for data, rows in tables.items()
        }


def curves() -> np.ndarray:
    """Test accuracies in percent after every epoch, float64 [N, E]. Errors: `UserError`."""
    path = locate(CURVES).require("random_darts", CURVES, "table")
    arrays, _ = read_npz(path, ["test_accuracy"], remedy=f"get {CURVES} again")
    accuracy = arrays["test_accuracy"]
    with reading(path, f"get {CURVES} again"):
        if accuracy.ndim != 2 or accuracy.shape[1] != LENGTH or accuracy.dtype.kind != "f":
            raise ValueError(f"its 'test_accuracy' is no curves of {LENGTH} epochs")
        if not ((accuracy >= 0) & (accuracy <= 100)).all():
            raise ValueError("its accuracies are no percents")
    return accuracy.astype(np.float64)


@contextmanager
def _part(name: str, kind: type[list] | type[dict]) -> Iterator[Any]:
    """A part of the file. Errors: `UserError`, also for what goes wrong with it."""
    path = locate().require("random_darts", FILE, "table")
    with reading(path, f"get {FILE} again"):
        found = json.loads(inflated_xz(path, MOST_BYTES))
        part = found.get(name) if isinstance(found, dict) else None
        if not isinstance(part, kind) or not 0 < len(part) <= MOST_CELLS:
            raise ValueError(f"it has no '{name}'")
        yield part


def _accuracies(row: Any, count: int = 0) -> list[float]:
    values = row if isinstance(row, list) else []
    if (count and len(values) != count) or not all(isinstance(v, (int, float)) and 0 <= v <= 100 for v in values):
        raise ValueError("one of its accuracies is no percents")
    return values


def _cell(text: Any) -> Genotype:
    parsed = from_texts(text) if isinstance(text, str) else []
    if len(parsed) != 1:
        raise ValueError("one of its cells is no Genotype(...)")
    return parsed[0]
