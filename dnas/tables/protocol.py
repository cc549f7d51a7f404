"""What a table is: results of every architecture of a space, by the place of the architecture.

An architecture as integers (`dnas.architectures.encoding`) is a number whose digits these are, and that is its place. A
table is a file in `dnas/tables/` with `table() -> Table`. Axis letters: N architectures, D decisions.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dnas.errors import UserError, unknown


@dataclass(frozen=True, eq=False)
class Table:
    """name, title: as people choose and write it. space: the choice of its space. options: those of each decision [D].

    datasets: the data sets that it knows, with their titles; the first one is the usual. epochs: for how long
    architectures have been trained, the longest last.
    columns: float64 [N] by name: `DATA_test_EPOCHS` and `DATA_valid_EPOCHS`, accuracies in percent;
    `DATA_seconds_EPOCHS`, what it took to train for so long and to validate once; `DATA_parameters`, `DATA_mflops`.
    classes: [N], a number that isomorphic architectures share and no others (`dnas.architectures.isomorphism`).
    """

    name: str
    title: str
    space: str
    options: tuple[int, ...]
    datasets: Mapping[str, str]
    epochs: tuple[int, ...]
    columns: Mapping[str, np.ndarray]
    classes: np.ndarray

    @property
    def size(self) -> int:
        """N."""
        return int(np.prod(self.options))

    def column(self, dataset: str, what: str) -> np.ndarray:
        """`column("cifar10", "test_200")`, float64 [N]. Errors: `UserError` for a data set that the table lacks."""
        if dataset not in self.datasets:
            raise unknown(f"data set of the table '{self.name}':", dataset, self.datasets)
        return self.columns[f"{dataset}_{what}"]

    def check_epochs(self, epochs: int) -> None:
        """Errors: `UserError` for a length of training that the table lacks."""
        if epochs not in self.epochs:
            known = " and ".join(map(str, self.epochs))
            raise UserError(f"The table '{self.name}' knows architectures after {known} epochs, not after {epochs}.")

    def ranks(self, column: np.ndarray) -> np.ndarray:
        """The rank of every architecture by a column [N], 1 for the largest; equal ones share the better rank."""
        return 1 + len(column) - np.searchsorted(np.sort(column), column, side="right")


def place(architectures: Any, options: Sequence[int]) -> Any:
    """The places of architectures, whole numbers [..., D] -> [...], of numpy or of JAX."""
    found = 0
    for d, count in enumerate(options):
        found = found * count + architectures[..., d]
    return found


def at(places: Any, options: Sequence[int]) -> np.ndarray:
    """The architectures at places [...] -> int32 [..., D]."""
    return np.stack(np.unravel_index(places, tuple(options)), -1).astype(np.int32)
