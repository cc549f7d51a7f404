"""Table: what others have measured of every architecture, at the cost that it had.

Shorter trainings that the table knows as well are its cheaper evaluations: of 200 epochs, those of 12.
"""

from collections.abc import Callable
from typing import Annotated

import jax
import jax.numpy as jnp
import numpy as np

from dnas import find
from dnas.evaluators import truths
from dnas.evaluators.protocol import Evaluator, Measured
from dnas.ranges import Range
from dnas.tables.protocol import Table, place


def evaluator(*, table: str = "nasbench201", data: str = "", epochs: Annotated[int, Range(0, 10_000)] = 0) -> Evaluator:
    """`table`, see dnas list; `data`, one of its data sets, empty: its first; `epochs` of training before a validation,
    0: the fewest that the table knows.

    Errors: `UserError` for what the table lacks.
    """
    known: Table = find.resolve("table", table)
    known.check_complete()
    chosen, epochs = data or next(iter(known.datasets)), epochs or known.epochs[0]
    known.column(chosen, "parameters")
    known.check_epochs(epochs)
    fixed = {name: known.column(chosen, name) for name in ("parameters", "mflops")}
    options = known.options

    def after(some: int) -> Callable[[jax.Array], Measured]:
        columns = fixed | {"accuracy": known.visible(chosen, some)}
        values = {name: jnp.asarray(column, jnp.float32) for name, column in columns.items()}
        costs = jnp.asarray(known.seconds(chosen, some), jnp.float32)

        def evaluate(architectures: jax.Array) -> Measured:
            places = place(architectures, options)
            return Measured({name: column[places] for name, column in values.items()}, costs[places])

        return evaluate

    computed = known.multiply_adds(chosen, epochs)

    def multiply_adds(architectures: np.ndarray, fidelities: np.ndarray) -> np.ndarray:
        assert computed is not None
        return computed[place(architectures.astype(np.int64), options)] * fidelities

    seconds, accuracies = known.seconds(chosen, epochs), known.visible(chosen, epochs)
    return Evaluator(
        space=known.space,
        measures={"accuracy": True, "parameters": False, "mflops": False},
        evaluate=after(epochs),
        seconds=(float(seconds.min()), float(seconds.max())),
        **truths.of_table(known, chosen)._asdict(),
        cheaper={some / epochs: after(some) for some in known.epochs if some < epochs},
        multiply_adds=None if computed is None else multiply_adds,
        network=known.networks.get(chosen),
        bounds={n: (float(c.min()), float(c.max())) for n, c in (fixed | {"accuracy": accuracies}).items()},
    )
