"""What random cells, and random search, may cost beside methods with a budget of networks: as much as these.

So a method within a budget is held against chance within the same one. There is a row of random cells for each budget
that methods have, and one for those without; see `rows.random_name`.
"""

from collections.abc import Mapping

import numpy as np

from dnas import keys
from dnas.architectures.genotype import Genotype, random
from dnas.architectures.topology import Space
from dnas.blackbox import jobs, prices
from dnas.compare import correlation
from dnas.compare.check import of_row
from dnas.compare.experiment import AnyConfig, Baseline, budget_of
from dnas.config import Config
from dnas.costs.budget import Limits
from dnas.errors import UserError
from dnas.search.run import build
from dnas.tables import nasbench201 as tabular

DRAWS = 10_000  # for each cell


def limits(configs: Mapping[str, AnyConfig]) -> dict[str, Limits]:
    """The limits of every budget that there is among configs, by its text.

    Errors: `UserError` that names the row of one that cannot be, and for one that is of other networks elsewhere.
    """
    found: dict[str, tuple[str, Limits]] = {}
    for name, config in configs.items():
        if isinstance(config, Baseline) or not (text := budget_of(config)):
            continue
        with of_row(f"'{name}'"):
            own = build(config).limits if isinstance(config, Config) else jobs.build(config).limits
        assert own is not None
        first, known = found.setdefault(text, (name, own))
        cell = random(own.space, 0)
        if known.of(cell).tolist() != own.of(cell).tolist():
            raise UserError(
                f"Compared are methods under one budget, but a cell has other costs as '{name}' counts them for "
                f"'{text}' than for '{first}': let both be of networks of one size, as those that are trained."
            )
    return {text: own for text, (_, own) in found.items()}


def drawn(space: Space, known: Limits, text: str, seed: int) -> Genotype:
    """A random cell within limits. text: the budget. Errors: `UserError` where `DRAWS` have none."""
    draws = keys.generator(seed, "random cells")
    for _ in range(DRAWS):
        if known.allows(genotype := random(space, draws)):
            return genotype
    raise UserError(
        f"Of {DRAWS:,} random cells none is within the budget '{text}', so there are none to compare with: give more, "
        "or random_cells=0."
    )


def of_table(known: Limits, text: str) -> np.ndarray | None:
    """Which cells of NAS-Bench-201 are within limits, bool by place; None where it does not know all of the space."""
    if not correlation.known(known.space):
        return None
    found = np.zeros(len(tabular.OPERATIONS) ** tabular.EDGES, bool)
    found[correlation.places(known.space, correlation.every(known.space))] = prices.allowed(known, known.space, text)
    return found
