"""Table: what others have measured of every architecture, at the cost that it had."""

from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np

from dnas import find
from dnas.evaluators.protocol import Evaluator, Measured
from dnas.ranges import Range
from dnas.tables.protocol import Table, place


def evaluator(
    *, table: str = "nasbench201", data: str = "", epochs: Annotated[int, Range(1, 10_000)] = 12
) -> Evaluator:
    """`table`, see dnas list; `data`, one of its data sets, empty: its first; `epochs` of training before a validation.

    Errors: `UserError` for what the table lacks.
    """
    known: Table = find.resolve("table", table)
    chosen = data or next(iter(known.datasets))
    known.column(chosen, "parameters")
    known.check_epochs(epochs)
    last = known.epochs[-1]
    columns = {"accuracy": f"valid_{epochs}", "parameters": "parameters", "mflops": "mflops"}
    values = {name: jnp.asarray(known.column(chosen, what), jnp.float32) for name, what in columns.items()}
    seconds = known.column(chosen, f"seconds_{epochs}")
    costs = jnp.asarray(seconds, jnp.float32)
    options = known.options
    ordered = [chosen, *(name for name in known.datasets if name != chosen)]
    truths = {f"{name}_test_{last}": known.column(name, f"test_{last}") for name in ordered}
    ranks = known.ranks(truths[f"{chosen}_test_{last}"])

    def evaluate(architectures: jax.Array) -> Measured:
        places = place(architectures, options)
        return Measured({name: column[places] for name, column in values.items()}, costs[places])

    def truth(architectures: np.ndarray) -> dict[str, np.ndarray]:
        places = place(architectures.astype(np.int64), options)
        return {name: column[places] for name, column in truths.items()}

    return Evaluator(
        space=find.resolve("space", known.space),
        measures={"accuracy": True, "parameters": False, "mflops": False},
        evaluate=evaluate,
        seconds=(float(seconds.min()), float(seconds.max())),
        truth=truth,
        truths={f"{name}_test_{last}": known.datasets[name] for name in ordered},
        quantity="test accuracy [%]",
        rank=lambda architectures: ranks[place(architectures.astype(np.int64), options)],
    )
