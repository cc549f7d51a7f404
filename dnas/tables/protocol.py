"""What a table is: results of architectures that others have trained.

A complete table knows every architecture of a space, by its place: an architecture as integers
(`dnas.architectures.encoding`) is a number whose digits these are. Any other table lists those that it knows. A table
is a file in `dnas/tables/` with `table() -> Table`. Axis letters: N architectures, D decisions.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from dnas.architectures.genotype_data import Genotype
from dnas.architectures.topology import NetworkSize, Space
from dnas.errors import UserError, unknown

PASSES = 3  # of a step: one forward, and a backward one of twice its cost


@dataclass(frozen=True, eq=False)
class Table:
    """name, title: as people choose and write it. space: what its architectures are of.

    datasets: the data sets that it knows, with their titles; the first one is the usual. epochs: for how long
    architectures have been trained, the longest last.
    columns: float64 [N] by name, `DATA_KIND` or, where it differs by length of training, `DATA_KIND_EPOCHS`. Kinds are
    `test`, the accuracy on test images in percent, which every table has, a mean where several trainings were done;
    `deviation`, their standard deviation; `valid`, the accuracy on validation images; `single`, where that is not
    known, the test accuracy of one training; `seconds`, what it took to train for so long and to validate once;
    `parameters`; `mflops`.
    options: of a complete table, those of each decision [D]. listed: the architectures of any other, in the order of
    the columns.
    classes: [N], a number that isomorphic architectures share and no others (`dnas.architectures.isomorphism`); None
    where that is not known.
    images: of each data set where that is known, how many an epoch of training reads, and how many a validation.
    networks: of each data set where they can be built, the size of the networks, and the pixels of a side of their
    images.
    notation: reads how the table's own authors write an architecture, None for any other text.
    """

    name: str
    title: str
    space: Space
    datasets: Mapping[str, str]
    epochs: tuple[int, ...]
    columns: Mapping[str, np.ndarray]
    options: tuple[int, ...] = ()
    listed: tuple[Genotype, ...] = ()
    classes: np.ndarray | None = None
    images: Mapping[str, tuple[int, int]] = field(default_factory=dict)
    networks: Mapping[str, tuple[NetworkSize, int]] = field(default_factory=dict)
    notation: Callable[[str], Genotype | None] = lambda text: None

    @property
    def size(self) -> int:
        """N."""
        return len(self.listed) or int(np.prod(self.options))

    def has(self, dataset: str, what: str) -> bool:
        """Whether there is such a column."""
        return f"{dataset}_{what}" in self.columns

    def column(self, dataset: str, what: str) -> np.ndarray:
        """`column("cifar10", "test_200")`, float64 [N]. Errors: `UserError` for a data set or a column that the table
        lacks."""
        if dataset not in self.datasets:
            raise unknown(f"data set of the table '{self.name}':", dataset, self.datasets)
        if not self.has(dataset, what):
            known = [name.removeprefix(f"{dataset}_") for name in self.columns if name.startswith(f"{dataset}_")]
            raise unknown(f"column of the table '{self.name}' for {dataset}:", what, known)
        return self.columns[f"{dataset}_{what}"]

    def visible(self, dataset: str, epochs: int) -> np.ndarray:
        """The accuracies that a search may see, float64 [N]: on validation images or, where the table has none after
        so many epochs, on test images of one training. What selects by the latter has seen test images."""
        return self.column(dataset, f"{'valid' if self.has(dataset, f'valid_{epochs}') else 'single'}_{epochs}")

    def seconds(self, dataset: str, epochs: int) -> np.ndarray:
        """What it took to train for so long and to validate once, float64 [N]; zeros where the table does not say."""
        what = f"seconds_{epochs}"
        return self.column(dataset, what) if self.has(dataset, what) else np.zeros(self.size)

    def multiply_adds(self, dataset: str, epochs: int) -> np.ndarray | None:
        """Those of a training for so many epochs and of one validation, float64 [N]; None where nobody knows."""
        if dataset not in self.images or not self.has(dataset, "mflops"):
            return None
        trained, validated = self.images[dataset]
        return 1e6 * self.column(dataset, "mflops") * (PASSES * epochs * trained + validated)

    def check_epochs(self, epochs: int) -> None:
        """Errors: `UserError` for a length of training that the table lacks."""
        if epochs not in self.epochs:
            *others, last = map(str, self.epochs)
            known = f"{', '.join(others)} and {last}" if others else last
            raise UserError(f"The table '{self.name}' knows architectures after {known} epochs, not after {epochs}.")

    def check_complete(self) -> None:
        """Errors: `UserError` for a table that lists some architectures of its space."""
        if not self.options:
            raise UserError(
                f"The table '{self.name}' knows {self.size} architectures of the space '{self.space.name}', and a "
                "search needs all: choose a complete table, as nasbench201."
            )

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
