"""A budget of networks in a gradient search: alphas that stay within it, and genotypes that meet it.

After every step of the alphas each cost c has a multiplier l >= 0, the smallest for which the expected cost of

    alphas - sum over costs l c / most        (c [E, O] less the cheapest of its row, through `Method.move`)

is at most what the budget says. Where the mix is a softmax, this is the distribution within the budget that is nearest
to the step's in relative entropy, and l the multiplier of the constraint: a penalty l E[c] whose weight is found
anew at each step instead of by dual ascent over many. Beck and Teboulle 2003, "Mirror descent and nonlinear projected
subgradient methods", Operations Research Letters 31. Axis letters: N costs.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dnas import keys
from dnas.architectures import flow
from dnas.architectures.genotype import Genotype, random
from dnas.architectures.topology import Space
from dnas.config import Config
from dnas.costs import budget
from dnas.errors import UserError
from dnas.search.method import Method
from dnas.tasks.task import Task
from dnas.training.job import priced_as
from dnas.types import Alphas, Discretiser, Mix, Selector

LARGEST = 2.0**12  # a multiplier, of costs that are at most 1
HALVINGS = 40
DRAWS = 2000  # of which one has to be within the budget of a method that draws
WHOLE = 100  # the same, where networks are traced whole, which takes a while for each
ROUNDS = 8  # through the costs, where there are several
WITHIN = 1 - 1e-4  # of the budget, for sums in float32


def of_config(config: Config, space: Space, task: Task) -> budget.Limits | None:
    """The budget of a search, for networks as they will be trained. Errors: `UserError`."""
    if not config.budget:
        return None
    check_kinds("The budget", config, space)
    return budget.build(config.budget, space, *priced_as(config.retrain, space, task.shape))


def check_kinds(what: str, config: Config, space: Space) -> None:
    """Errors: `UserError` where what is searched has other kinds of cells than the networks that have a cost."""
    cells = config.retrain.cells
    if {*space.sequence(cells)} not in (set(), {*space.cells}):
        raise UserError(
            f"{what} is of networks of {cells} cells, and a search of {config.search.cells} cells has other kinds of "
            "them: choose search.cells and retrain.cells that contain the same."
        )


def applied(method: Method, limits: budget.Limits, config: Config) -> Method:
    """A method within a budget; method: adapted. Errors: `UserError` for one that has no place for it."""
    name, space = config.method, limits.space
    pruned = method.masks or any(phase.keep for phase in method.phases(space, config.search))
    if method.masks and not method.prunes_within:
        raise UserError(
            f"Method '{name}' leaves out operations as it goes, whatever the rest costs: leave out the budget, or "
            "choose a method that keeps all until the end."
        )
    unknown = next((cost.name for cost in limits.costs if cost.additive is None), None) if pruned else None
    if unknown:
        raise UserError(
            f"Method '{name}' leaves out operations as it goes, and {unknown} is no sum over decisions, so nobody "
            "knows what the rest costs: choose another cost, or a method that keeps all until the end."
        )
    if method.select is not None and method.select_within is None and not method.masks:
        raise UserError(
            f"Method '{name}' selects its architecture step by step and looks at no budget: leave it out, or choose "
            "a method that ends with a mix or with an evolution."
        )
    select = method.select
    sums = all(cost.additive is not None for cost in limits.costs)
    if method.select_within is not None:
        allowed = cache(limits.allows)
        _check_draws(limits, config, allowed, DRAWS if sums or space.chain else WHOLE)
        select = method.select_within(allowed)
    elif method.select is not None:
        select = selected(method.select, limits, config.retrain.cells)
    if method.hypergrad is None and method.select_within is not None and not sums:
        return replace(method, select=select)  # of an epoch's genotype, which is none of these, only the costs are told
    found = replace(
        method, discretise=discretised(method.discretise, limits, config.retrain.cells, pruned), select=select
    )
    if method.hypergrad is None:
        return found
    shapes = jax.eval_shape(lambda key: method.alphas(space, key, config.search.alphas), jax.random.key(0))
    tables = shapes.get("operations", shapes) if isinstance(shapes, Mapping) else {}
    if {kind: getattr(leaf, "shape", None) for kind, leaf in tables.items()} != space.mix_shapes:
        raise UserError(
            f"The alphas of method '{name}' are not one table of operations for each kind of cell, which a budget "
            "could move: leave it out, or choose another method."
        )
    return replace(found, within=projection(limits, method.move))


def _check_draws(limits: budget.Limits, config: Config, allowed: Callable[[Genotype], bool], count: int) -> None:
    """Errors: `UserError` where no random architecture is within the budget."""
    draws, seen = keys.generator(0, "within a budget"), list[np.ndarray]()
    for _ in range(count):
        genotype = random(limits.space, draws)
        if allowed(genotype):
            return
        seen.append(limits.of(genotype))
    least = ", ".join(f"{c.name} {c.said(v)}" for c, v in zip(limits.costs, np.min(seen, 0), strict=True))
    sums = all(cost.additive is not None for cost in limits.costs)  # which is what alphas need
    other = "a method with alphas, which do not draw" if sums else "a space with smaller networks"
    raise UserError(
        f"Method '{config.method}' draws its architectures, and of {count:,} random ones none is within the budget "
        f"'{config.budget}', the least among them is {least}: give more, or choose {other}."
    )


def priced(method: Method, space: Space, config: Config, task: Task) -> Method:
    """A method with what it makes of costs, of networks as they will be trained."""
    if method.price is None:
        return method
    check_kinds(f"The cost in method '{config.method}'", config, space)
    return method.price(replace(method, price=None), space, *priced_as(config.retrain, space, task.shape))


def projection(limits: budget.Limits, move: Callable[[Alphas, Alphas], Alphas]) -> Callable[..., Alphas]:
    """(alphas, read) -> the alphas within the budget, see above; read: alphas -> the mix that evaluation sees.

    Errors: `UserError` for a cost that is no sum.
    """
    expected, steps = budget.relaxed(limits), _directions(limits)
    count = len(limits.most)

    def moved(alphas: Alphas, multipliers: jax.Array) -> Alphas:
        tables = alphas.get("operations", alphas)
        update = jax.tree.map(jnp.zeros_like, alphas)
        down = {k: -jnp.tensordot(multipliers, step, 1).astype(tables[k].dtype) for k, step in steps.items()}
        return move(alphas, {**update, "operations": down} if "operations" in alphas else down)

    def project(alphas: Alphas, read: Callable[[Alphas], Mix]) -> Alphas:
        def over(multipliers: jax.Array, n: jax.Array) -> jax.Array:
            return expected(read(moved(alphas, multipliers)))[n] > WITHIN

        def one(turn: jax.Array, multipliers: jax.Array) -> jax.Array:
            n = turn % count

            def halve(_: Any, bounds: tuple[jax.Array, jax.Array]) -> tuple[jax.Array, jax.Array]:
                low, high = bounds
                middle = (low + high) / 2
                above = over(multipliers.at[n].set(middle), n)
                return jnp.where(above, middle, low), jnp.where(above, high, middle)

            none = multipliers.at[n].set(0.0)
            ends = jnp.zeros(()), jnp.asarray(LARGEST, multipliers.dtype)
            turns = jnp.where(over(none, n), HALVINGS, 0)
            _, high = jax.lax.fori_loop(0, turns, halve, ends)
            return multipliers.at[n].set(jnp.where(turns > 0, high, 0.0))

        rounds = 1 if count == 1 else ROUNDS * count
        multipliers = jax.lax.fori_loop(0, rounds, one, jnp.zeros(count))
        changed = moved(alphas, multipliers)
        return jax.tree.map(lambda new, old: jnp.where(multipliers.any(), new, old), changed, alphas)

    return project


def _directions(limits: budget.Limits) -> dict[str, np.ndarray]:
    """{kind: [N, E, O]}: what an operation costs more than the cheapest of its edge, at most 1 for each cost."""
    found, largest = {}, np.full(len(limits.most), 1e-30)
    for kind, (allowed, priced) in budget.weighted_by_edge(limits).items():
        least = np.where(allowed > 0, priced, np.inf).min(-1, keepdims=True)
        found[kind] = (priced - np.where(np.isfinite(least), least, 0)) * allowed
        largest = np.maximum(largest, found[kind].max((1, 2)))
    return {kind: (step / largest[:, None, None]).astype(np.float32) for kind, step in found.items()}


def selected(select: Selector, limits: budget.Limits, cells: int) -> Selector:
    """A selection of what pruning has left, which evaluates nothing, within a budget: see `discretised`."""

    def within(space: Space, mix: Mix, evaluate: Any, seed: int) -> Genotype:
        return discretised(lambda space, mix, evaluate: select(space, mix, evaluate, seed), limits, cells, True)(
            space, mix, evaluate
        )

    return within


def discretised(discretise: Discretiser, limits: budget.Limits, cells: int, pruned: bool = False) -> Discretiser:
    """A discretiser whose genotypes meet a budget: where one does not, the mix is multiplied by exp(-l c) with the
    smallest l that makes one which does; then every edge takes the operation that weighs most, as far as the budget
    has room, where a cell keeps all edges. What is cheap may be `none`: a network of so many cells whose answer would
    be the same for every input is passed over, and if there is no other, `none` is left out of the mix. pruned: what
    weighs nothing is gone.

    Errors: `UserError` for a cost that is no sum.
    """
    steps, most = _directions(limits), np.ones(len(limits.most))

    def tilted(mix: Mix, multiplier: float) -> dict[str, np.ndarray]:
        found = {}
        for kind, rows in mix.items():
            found[kind] = np.log(np.maximum(np.asarray(rows, np.float64), 1e-30))
            step = np.tensordot(most, steps[kind], 1)
            found[kind][:, : step.shape[1]] -= multiplier * step
            found[kind] = np.exp(found[kind] - found[kind].max())
            if pruned:
                found[kind][np.asarray(rows) <= 0] = 0
        return found

    @cache
    def allowed(genotype: Genotype) -> bool:
        return limits.allows(genotype) and not flow.is_constant(genotype, limits.space, cells)

    def nearest(space: Space, mix: Mix, evaluate: Any) -> Genotype | None:
        low, high, best = 0.0, LARGEST, None
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            genotype = discretise(space, tilted(mix, middle), evaluate)
            if limits.allows(genotype):
                high, best = middle, genotype if allowed(genotype) else best
            else:
                low = middle
        return best

    def within(space: Space, mix: Mix, evaluate: Any = None) -> Genotype:
        genotype = discretise(space, mix, evaluate)
        if limits.allows(genotype):
            return genotype
        best = nearest(space, mix, evaluate) or nearest(space, _flowing(space, mix), evaluate)
        if best is None:  # the mix decides too much, or several costs are met by no tilt
            return filled(_smallest(limits), mix, limits.space, limits.allows)
        return filled(best, mix, limits.space, allowed)

    return within


def _flowing(space: Space, mix: Mix) -> Mix:
    """The mix without the operations that let nothing through, on edges that have others."""
    found = {}
    for kind, rows in mix.items():
        found[kind] = np.array(rows, np.float64)
        for row, names in zip(found[kind], space.cells[kind].operations, strict=True):
            opaque = [o for o, name in enumerate(names) if name in flow.OPAQUE]
            if row.sum() > row[opaque].sum():
                row[opaque] = 0
    return found


def _smallest(limits: budget.Limits) -> Genotype:
    found = budget.fitting(limits) if len(limits.most) > 1 else None
    return found or budget.cheapest(limits.space, limits.additive[0].tables)


def filled(genotype: Genotype, mix: Mix, space: Space, allowed: Callable[[Genotype], bool]) -> Genotype:
    """The genotype after all changes of one operation that weigh more and are allowed, the largest gain first; of cells
    that keep all edges."""
    while True:
        best, gain = None, 0.0
        for kind, chosen in genotype.cells:
            cell = space.cells[kind]
            if cell.kept is not None:
                continue
            for place, edge in enumerate(chosen.edges):
                e = cell.edges.index(edge[:2])
                names, rows = cell.operations[e], np.log(np.maximum(np.asarray(mix[kind][e], np.float64), 1e-30))
                for o, name in enumerate(names):
                    more = float(rows[o] - rows[names.index(edge.operation)])
                    if more > gain:
                        edges = (*chosen.edges[:place], edge._replace(operation=name), *chosen.edges[place + 1 :])
                        cells = ((k, replace(c, edges=edges) if k == kind else c) for k, c in genotype.cells)
                        other = replace(genotype, cells=tuple(cells))
                        if allowed(other):
                            best, gain = other, more
        if best is None:
            return genotype
        genotype = best


def row(limits: budget.Limits | None, mix: Mix, genotype: Genotype) -> dict[str, float]:
    """What the log of an epoch says: expected costs of the mix, where they are sums, and those of the genotype."""
    if limits is None:
        return {}
    names = [cost.name for cost in limits.costs]
    found = dict(zip(names, limits.of(genotype).tolist(), strict=True))
    if any(cost.additive is None for cost in limits.costs):
        return found
    expected = np.asarray(budget.relaxed(limits)({k: jnp.asarray(m, float) for k, m in mix.items()})) * limits.most
    return found | {f"expected_{name}": float(value) for name, value in zip(names, expected, strict=True)}
