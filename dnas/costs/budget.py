"""Budgets: what a network may cost at most, `parameters<3e6,latency_ms:device=raspi4<20`.

A part is a cost of `dnas/costs` with its settings, `<`, and the most of it; a unit may stand behind the name. Axis
letters: N costs, E edges, O operations.
"""

import math
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dnas import find
from dnas.architectures.encoding import decisions_of, options_of
from dnas.architectures.genotype import CellGenotype, Edge, Genotype
from dnas.architectures.topology import NetworkSize, Space
from dnas.costs.protocol import Additive, Cost
from dnas.errors import UserError, unknown
from dnas.types import Mix

PART = re.compile(r"\s*([^<]*)<([^,<]*)(?:,|$)", re.DOTALL)
UNITS = ("ms", "bytes")  # that may stand behind a name
SLACK = 1e-9  # costs are sums of floats
MIXTURES = 64  # weightings of several costs with which a network is looked for that meets all


Edges = Mapping[str, Collection[int]]  # by kind of cell
ANY: Edges = {}


class Limit(NamedTuple):
    """cost: a choice among `dnas/costs`. unit: the one that was written, empty: none was. most: in the cost's unit."""

    cost: str
    unit: str
    most: float


def parse(text: str) -> tuple[Limit, ...]:
    """Errors: `UserError` for anything but costs, `<` and numbers above 0."""
    found, place = list[Limit](), 0
    while place < len(text):
        part = PART.match(text, place)
        if part is None:
            raise UserError(
                f"Cannot read '{text[place:].strip()}' in the budget '{text}': expected a cost, < and a number, as in "
                "parameters<3e6."
            )
        found.append(Limit(*named(part[1]), _amount(part[2], text)))
        place = part.end()
    names = [limit.cost for limit in found]
    if len({*names}) < len(names):
        raise UserError(f"The budget '{text}' names one cost twice: leave one out.")
    return tuple(found)


def named(text: str) -> tuple[str, str]:
    """`"latency_ms:device=raspi4"` -> `("latency:device=raspi4", "ms")`. Errors: `UserError` for an unknown cost."""
    name, colon, settings = text.strip().partition(":")
    stem, _, unit = name.rpartition("_")
    known = find.described("cost")
    if name not in known and stem in known and unit in UNITS:
        return f"{stem}{colon}{settings}", unit
    if name not in known:
        raise unknown("cost", name, known)
    return text.strip(), ""


def _amount(text: str, budget: str) -> float:
    try:
        amount = float(text)
    except ValueError:
        amount = math.nan
    if not (math.isfinite(amount) and amount > 0):
        raise UserError(f"The budget '{budget}' has '{text.strip()}' behind <, expected a number above 0, as 3e6.")
    return amount


def cost_of(choice: str, unit: str, space: Space, size: NetworkSize, image_size: int) -> Cost:
    """A cost by `named`. Errors: `UserError`, also for a unit that is another than its own."""
    cost: Cost = find.resolve("cost", choice)(space, size, image_size)
    if unit and unit != cost.unit:
        counted = f"in {cost.unit}" if cost.unit else "a count"
        raise UserError(f"The cost '{cost.name}' is {counted}, not in {unit}: leave out '_{unit}'.")
    return cost


@dataclass(frozen=True, eq=False)
class Limits:
    """Several costs of one space and the most of each. most: float64 [N]."""

    space: Space
    costs: tuple[Cost, ...]
    most: np.ndarray

    def of(self, genotype: Genotype) -> np.ndarray:
        """What an architecture costs, float64 [N]."""
        return np.array([price(cost, genotype) for cost in self.costs])

    def allows(self, genotype: Genotype) -> bool:
        return bool((self.of(genotype) <= self.most * (1 + SLACK)).all())

    @property
    def additive(self) -> tuple[Additive, ...]:
        """Errors: `UserError` for a cost that is none."""
        return tuple(cost.expected for cost in self.costs)


def build(text: str, space: Space, size: NetworkSize, image_size: int) -> Limits:
    """A budget for the networks of a space. Errors: `UserError` for one that is none, and for one that no network meets
    or is known to meet."""
    limits = parse(text)
    costs = tuple(cost_of(limit.cost, limit.unit, space, size, image_size) for limit in limits)
    if len({cost.name for cost in costs}) < len(costs):  # one cost with several settings
        costs = tuple(replace(cost, name=limit.cost) for cost, limit in zip(costs, limits, strict=True))
    found = Limits(space, costs, np.array([limit.most for limit in limits]))
    for cost, most in zip(costs, found.most, strict=True):
        if cost.additive is not None:
            least = price(cost, cheapest(space, cost.additive.tables))
            if least > most * (1 + SLACK):
                raise UserError(
                    f"No network of '{space.name}' has {cost.name} below {cost.said(most)}: the smallest has "
                    f"{cost.said(least)}, so give at least that."
                )
    if len(costs) > 1 and all(cost.additive is not None for cost in costs) and fitting(found) is None:
        raise UserError(
            f"No network of '{space.name}' is found that meets all of the budget '{text}' at once, only each by "
            "itself: give more of one of them."
        )
    return found


def price(cost: Cost, genotype: Genotype) -> float:
    """What an architecture costs: by the sum where there is one and its cells have the outputs of the space's."""
    cells = cost.space.cells
    if cost.additive is None or any(cell.concat != cells[kind].concat for kind, cell in genotype.cells):
        return cost.of(genotype)
    total = cost.additive.constant
    for kind, chosen in genotype.cells:
        cell, table = cells[kind], cost.additive.tables[kind]
        for node, source, operation in chosen.edges:
            e = cell.edges.index((node, source))
            total += float(table[e, cell.operations[e].index(operation)])
    return total


def cheapest(space: Space, tables: Mapping[str, np.ndarray], edges: Edges = ANY) -> Genotype:
    """The architecture with the smallest sum of tables {kind: [E, O]} that has these edges."""
    cells = []
    for kind, cell in space.cells.items():
        chosen, table = list[Edge](), tables[kind]
        for places, kept in decisions_of(cell):
            best = []
            for e in places:
                names = options_of(cell, e)
                cost, name = min((float(table[e, cell.operations[e].index(name)]), name) for name in names)
                best.append((e not in edges.get(kind, ()), cost, e, name))
            taken = sorted(sorted(best)[:kept], key=lambda choice: choice[2])
            chosen += [Edge(*cell.edges[e], name) for *_, e, name in taken]
        cells.append((kind, CellGenotype(tuple(chosen), cell.concat)))
    return Genotype(space.name, tuple(cells))


def fitting(limits: Limits, edges: Edges = ANY) -> Genotype | None:
    """An architecture with these edges that meets several limits at once, the smallest in some weighting of them; None:
    not found."""
    generator = np.random.default_rng(0)
    for _ in range(MIXTURES):
        weights = generator.dirichlet(np.ones(len(limits.most))) / limits.most
        genotype = cheapest(limits.space, weighted([cost.tables for cost in limits.additive], weights), edges)
        if limits.allows(genotype):
            return genotype
    return None


def leaves(limits: Limits, mask: Mix, edges: Edges = ANY) -> bool:
    """Whether what is left, mask {kind: [E, O]} of ones and zeros, has a network within the limits with these edges; of
    several costs: one that is found. Errors: `UserError` for a cost that is no sum."""
    dear = {kind: np.where(np.asarray(rows) > 0, 0.0, np.inf) for kind, rows in mask.items()}
    left = tuple(
        replace(cost, additive=Additive(sums.constant, {kind: t + dear[kind] for kind, t in sums.tables.items()}))
        for cost, sums in zip(limits.costs, limits.additive, strict=True)
    )
    found = replace(limits, costs=left)
    if len(left) > 1:
        return fitting(found, edges) is not None
    return found.allows(cheapest(limits.space, found.additive[0].tables, edges))


def on(limits: Limits, space: Space) -> Limits:
    """The same for what pruning has left of the space."""
    if space.cells == limits.space.cells:
        return limits

    def narrowed(sums: Additive | None) -> Additive | None:
        return None if sums is None else Additive(sums.constant, {k: columns(k, t) for k, t in sums.tables.items()})

    def columns(kind: str, table: np.ndarray) -> np.ndarray:
        found = np.zeros(space.cells[kind].mix_shape)
        for e, names in enumerate(space.cells[kind].operations):
            found[e, : len(names)] = table[e, [limits.space.cells[kind].operations[e].index(name) for name in names]]
        return found

    costs = tuple(replace(cost, space=space, additive=narrowed(cost.additive)) for cost in limits.costs)
    return replace(limits, space=space, costs=costs)


def weighted(tables: Sequence[Mapping[str, np.ndarray]], weights: np.ndarray) -> dict[str, np.ndarray]:
    """The sum of tables, each times its weight."""
    return {kind: sum(w * t[kind] for w, t in zip(weights, tables, strict=True)) for kind in tables[0]}


def relaxed(limits: Limits) -> Callable[[Mix], jax.Array]:
    """mix {kind: [E, O]} -> [N], each expected cost as a part of the most of it.

    Every edge draws its operation by its row, normalised. Where cells keep some of their edges, any of these with equal
    probability, and none of them carries `none`. Errors: `UserError` for a cost that is no sum.
    """
    constants = np.array([cost.constant for cost in limits.additive]) / limits.most
    tables = weighted_by_edge(limits)

    def of_mix(mix: Mix) -> jax.Array:
        total = jnp.asarray(constants, jnp.result_type(float))
        for kind, (allowed, priced) in tables.items():
            rows = mix[kind][:, : allowed.shape[1]] * allowed
            sums = rows.sum(-1, keepdims=True)
            share = rows / jnp.where(sums > 0, sums, 1)
            total += (share.astype(total.dtype) * priced).sum((1, 2))
        return total

    return of_mix


def expected(text: str, space: Space, size: NetworkSize, image_size: int) -> Callable[[Mix], jax.Array]:
    """(a cost as budgets name it, ...) -> mix -> its expectation []; see `relaxed`. Errors: `UserError`."""
    one = Limits(space, (cost_of(*named(text), space, size, image_size),), np.ones(1))
    of_mix = relaxed(one)
    return lambda mix: of_mix(mix)[0]


def weighted_by_edge(limits: Limits) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """{kind: which operations a genotype may have [E, O], their costs [N, E, O] as parts of the most, times the
    probability that the edge is kept}."""
    found = {}
    for kind, cell in limits.space.cells.items():
        allowed, share = np.zeros(cell.mix_shape), np.zeros((len(cell.edges), 1))
        for edges, kept in decisions_of(cell):
            share[edges] = kept / len(edges)
            for e in edges:
                allowed[e, [cell.operations[e].index(name) for name in options_of(cell, e)]] = 1
        priced = [share * cost.tables[kind] / most for cost, most in zip(limits.additive, limits.most, strict=True)]
        found[kind] = allowed, np.stack(priced) * allowed
    return found
