"""What a cost is: a number of every architecture of a space and, where it is a sum over decisions, of every mix.

    cost(mix) = constant + sum over kinds k, edges e, operations o of mix[k][e, o] * table[k][e, o]

So the cost of a one-hot mix is that of its architecture. Where an edge chooses its operation by itself, the cost of
the probabilities is the expected one, whatever the number of architectures. A cell that keeps some of its edges chooses
these together; there the cost of a mix counts what every edge carries.

A cost is a file in `dnas/costs/` with `cost(*, ...) -> Build`: a function of a space and the sizes of its networks.
Axis letters: E edges, O operations.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import jax
import jax.numpy as jnp
import numpy as np

from dnas.architectures.genotype import Genotype, as_mix
from dnas.architectures.topology import NetworkSize, Space
from dnas.errors import UserError
from dnas.types import Mix


@dataclass(frozen=True, eq=False)
class Additive:
    """A cost that is a sum. constant: of what all networks of the space share, as stem and head. tables:
    {kind: [E, O]}, what an operation adds where an edge carries it, in all cells of its kind together."""

    constant: float
    tables: Mapping[str, np.ndarray]

    def __call__(self, mix: Mix) -> jax.Array:
        """The cost of mix {kind: [E, O]}, [], differentiable; columns that a method added to the mix are free."""
        total = jnp.asarray(self.constant, jnp.result_type(*mix.values()))
        for kind, table in self.tables.items():
            rows = mix[kind][:, : table.shape[1]]
            total += (rows * table.astype(rows.dtype)).sum()
        return total

    def of(self, genotype: Genotype, space: Space) -> float:
        """The cost of an architecture, in float64. Errors: `UserError` for one that is not of this space."""
        mix = as_mix(genotype, space)
        return self.constant + sum(float((mix[kind] * table).sum()) for kind, table in self.tables.items())

    def bounds(self, space: Space) -> tuple[float, float]:
        """The least cost of an architecture, and the largest, of a space whose cells keep all edges.

        Errors: `UserError` for any other space.
        """
        if any(cell.kept is not None for cell in space.cells.values()):
            raise UserError(
                f"The cells of '{space.name}' keep some of their edges, so its least cost is not known here."
            )
        least = most = self.constant
        for kind, table in self.tables.items():
            for row, names in zip(table, space.cells[kind].operations, strict=True):
                least, most = least + float(row[: len(names)].min()), most + float(row[: len(names)].max())
        return least, most


@dataclass(frozen=True, eq=False)
class Cost:
    """A cost of the architectures of one space, as networks of one size.

    name, unit: "latency", "ms"; counts have no unit. of: an architecture -> its cost. additive: the same as a sum over
    decisions, None where it is none; without `exact` a bound, which some networks stay below. about: how it came about,
    for whoever reads a number.
    """

    name: str
    unit: str
    space: Space
    of: Callable[[Genotype], float]
    additive: Additive | None
    about: str = ""
    exact: bool = True

    def said(self, amount: float) -> str:
        """An amount of it as one reads it: 12.3 ms."""
        return f"{amount:,.6g} {self.unit}".rstrip()

    def label(self, name: str) -> str:
        """How an axis or a column calls it, which is called `name` beside others: latency [ms]."""
        return f"{name} [{self.unit}]" if self.unit else name

    @property
    def expected(self) -> Additive:
        """The cost of a mix. Errors: `UserError` where only whole architectures have one."""
        if self.additive is None:
            raise UserError(
                f"The cost '{self.name}' of the space '{self.space.name}' is no sum over its decisions, so a mix has "
                "none: use it in black-box search or selection, or choose another cost."
            )
        return self.additive


Build = Callable[[Space, NetworkSize, int], Cost]
"""(space, size of its networks, pixels of a side of their images) -> Cost."""
