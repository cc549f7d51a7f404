"""What tables say of found architectures in the end: no searcher sees it."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np

from dnas.architectures.topology import Space
from dnas.tables.lookup import here
from dnas.tables.protocol import Table, place


class Truths(NamedTuple):
    """Fields of evaluators, see `protocol.Evaluator`."""

    truth: Callable[[np.ndarray], dict[str, np.ndarray]]
    truths: Mapping[str, str]
    quantity: str
    rank: Callable[[np.ndarray], np.ndarray]


def of_table(table: Table, data: str) -> Truths:
    """Test accuracies after the longest training, those on `data` first."""
    last, options = table.epochs[-1], table.options
    ordered = [data, *(name for name in table.datasets if name != data)]
    columns = {f"{name}_test_{last}": table.column(name, f"test_{last}") for name in ordered}
    ranks = table.ranks(columns[f"{data}_test_{last}"])

    def truth(architectures: np.ndarray) -> dict[str, np.ndarray]:
        places = place(architectures.astype(np.int64), options)
        return {name: column[places] for name, column in columns.items()}

    return Truths(
        truth,
        {f"{name}_test_{last}": table.datasets[name] for name in ordered},
        "test accuracy [%]",
        lambda architectures: ranks[place(architectures.astype(np.int64), options)],
    )


def of_space(space: Space, data: str) -> dict[str, Any]:
    """The fields by name that a table of this space gives; none where there is no such table. data: the data set that
    is searched on, if the table has it."""
    options = tuple(len(names) for cell in space.cells.values() for names in cell.operations)
    for table in here():
        if table.space.name == space.name and table.options == options:
            names = table.space.cells.values(), space.cells.values()
            if [cell.operations for cell in names[0]] == [cell.operations for cell in names[1]]:
                return of_table(table, data if data in table.datasets else next(iter(table.datasets)))._asdict()
    return {}
