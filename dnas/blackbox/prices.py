"""What networks cost where an evaluator is traced: of all architectures at once, so that a loop looks costs up.

Such an evaluator is a table, whose architectures can be listed. Its objectives that are costs, and rewards made of
them, become measures; limits become a yes or no for every place. Axis letters: N architectures, D decisions.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np

from dnas.architectures.choices import choices, decode
from dnas.architectures.topology import Space
from dnas.blackbox.rewards import Reward
from dnas.costs.budget import SLACK, Limits
from dnas.costs.protocol import Cost
from dnas.errors import UserError
from dnas.evaluators.protocol import Evaluator, Measured
from dnas.tables.protocol import at, place

MOST = 1_000_000  # architectures that are listed


def of_all(cost: Cost, space: Space) -> np.ndarray:
    """What every architecture costs, float64 [N], by its place. Errors: `UserError` for a space of more than `MOST`."""
    options, _ = choices(space)
    count = int(np.prod(options, dtype=object))
    if count > MOST:
        raise UserError(
            f"The space '{space.name}' has {count:,} architectures, too many to know what all of them cost: leave "
            f"{cost.name} out."
        )
    numbers = at(np.arange(count), options)
    if cost.additive is None or not cost.exact or any(cell.kept is not None for cell in space.cells.values()):
        return np.array([cost.of(decode(row, space)) for row in numbers])
    rows = [row for kind in space.cells for row in cost.additive.tables[kind]]  # an edge each, as the decisions
    total = np.full(count, cost.additive.constant, float)
    for row, chosen in zip(rows, numbers.T, strict=True):
        total += row[chosen]
    return total


def allowed(limits: Limits, space: Space, budget: str) -> np.ndarray:
    """Which architectures cost at most so much, bool [N]. budget: as it was written.

    Errors: `UserError` where none does, with the smallest costs.
    """
    costs = np.stack([of_all(cost, space) for cost in limits.costs], 1)
    found = np.all(costs <= limits.most * (1 + SLACK), axis=1)
    if not found.any():
        least = ", ".join(f"{c.name} {c.said(v)}" for c, v in zip(limits.costs, costs.min(0), strict=True))
        raise UserError(f"No network of '{space.name}' meets the budget '{budget}', the least is {least}: give more.")
    return found


def looked_up(values: np.ndarray, space: Space) -> Callable[[jax.Array], jax.Array]:
    """Architectures, int32 [N, D] -> what is known of their places [N]."""
    options, column = choices(space)[0], jnp.asarray(values)
    return lambda architectures: column[place(architectures, options)]


def measured(evaluator: Evaluator, prices: Mapping[str, Cost], rewards: Mapping[str, Reward]) -> Evaluator:
    """The evaluator with these costs and rewards among the values that it measures."""
    space = evaluator.space
    columns = {name: of_all(cost, space) for name, cost in prices.items()}
    priced = {name: looked_up(column.astype(np.float32), space) for name, column in columns.items()}

    def with_costs(evaluate: Callable[[jax.Array], Measured]) -> Callable[[jax.Array], Measured]:
        def of(architectures: jax.Array) -> Measured:
            found = evaluate(architectures)
            values = found.values | {name: look(architectures) for name, look in priced.items()}
            made = {name: reward.traced(values[reward.score], values[reward.cost]) for name, reward in rewards.items()}
            return Measured(values | made, found.seconds)

        return of

    return replace(
        evaluator,
        evaluate=with_costs(evaluator.evaluate),
        cheaper={fidelity: with_costs(function) for fidelity, function in evaluator.cheaper.items()},
        bounds={**evaluator.bounds, **{n: (float(c.min()), float(c.max())) for n, c in columns.items()}},
    )
