"""Once-for-all: one network whose sub-networks all work, by progressive shrinking; then evolution by a predictor.

    phase 1    the largest network alone
    phase k    L(w, a) + CE(y(w, a), softmax y(teacher)),  a random among the options that are open, ever smaller ones

Cai, Gan, Wang, Zhang and Han, "Once-for-All: Train One Network and Specialize it for Efficient Deployment", ICLR 2020,
arXiv:1908.09791 (sections 3.3 and 3.4); as in mit-han-lab/once-for-all the teacher is the network of phase 1, which
looks at the same batch in training mode, and channels are sorted before widths open. rule=sandwich is that of BigNAS
(Yu et al. 2020, arXiv:2003.11142) and AttentiveNAS (arXiv:2011.09011): every step trains the largest network by the
labels, the smallest and random ones by what the largest says, from the first step on.

Options stand in ascending order, as in the space `ofa`: of any other the "largest" network has the last of each. What
differs from the paper: phases draw the same number of networks a step.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np

from dnas.architectures.topology import Space
from dnas.config import SearchConfig
from dnas.errors import UserError, unknown
from dnas.methods.fairnas import summed
from dnas.ranges import Amount, Count, Range, Whole, beside
from dnas.search import phases, predicted, relax
from dnas.search.method import Method, Phase, one_phase
from dnas.types import Lesson, Mix, Relaxation, SearchState

RULES = ("shrinking", "sandwich")
Share = Annotated[float, Range(0, 1, above=True)]
Open = dict[str, np.ndarray]  # options that may be drawn {kind: [E, O]}


def method(
    *,
    rule: str = "shrinking",
    order: str = "",
    epochs: str = "",
    rates: str = "",
    samples: Count = 2,
    soft: Annotated[Amount, beside(rule="shrinking")] = 1.0,
    probes: Count = 100,
    population: Count = 100,
    generations: Count = 50,
    parents: Share = 0.25,
    mutation: Share = 0.1,
    finalists: Count = 10,
    calibration: Whole = 2000,
) -> Method:
    """`rule`: shrinking or sandwich. For shrinking, `order`: the decisions that open, a phase each, `a+b`, one that
    stands twice in two phases; empty: all of the space; others are open from the start, as the paper's resolutions are:
    name an order without them. `epochs`: of the phases, the first of the largest network; empty: alike. `rates`: what
    the learning rate is multiplied by in each; empty: 1. `samples`: random networks of a step, whose gradients are
    added. `soft`: weight of the teacher's loss. At the end, evolution (`search/predicted.py`) among the networks that
    the budget of the search allows. `calibration`: training examples, of one pass at most, on which the norms of each
    network that is evaluated are calibrated (published: 2,000); 0: they normalise by the batch."""
    if rule not in RULES:
        raise unknown("rule of method 'once_for_all':", rule, RULES)
    if rule == "sandwich" and (order or epochs or rates):
        raise UserError(
            "With rule=sandwich all options are open from the first step: leave out the settings order, epochs and "
            "rates."
        )
    breeding = predicted.Breeding(probes, population, generations, parents, mutation, finalists, calibration)

    def fitted(method: Method, space: Space, config: SearchConfig) -> Method:
        whole = opened(space, {})
        shrinks = rule == "shrinking"
        return replace(
            method,
            relax=largest(space),
            weight_relax=several(space, whole, samples) if shrinks else sandwich(space, samples),
            weight_gradient=summed if shrinks else by_the_largest,
        )

    return Method(
        hypergrad=None,
        distils=True,
        single_path=True,
        supernet=lambda space: replace(space, paths="one"),
        phases=partial(shrinking, order, epochs, rates, samples, soft) if rule == "shrinking" else one_phase,
        select=predicted.evolution(breeding),
        select_within=partial(predicted.evolution, breeding),
        calibration=calibration,
        adapt=fitted,
    )


def shrinking(
    order: str, epochs: str, rates: str, samples: int, soft: float, space: Space, config: SearchConfig
) -> tuple[Phase, ...]:
    """The largest network, then a phase for every decision that opens. Errors: `UserError`."""
    kinds = order.split("+") if order else [*space.cells]
    for kind in kinds:
        if kind not in space.cells:
            raise unknown(f"decision of '{space.name}' in the setting 'order':", kind, space.cells)
    count = len(kinds) + 1
    lengths = phases.numbers(int, "epochs", epochs, count) if epochs else None
    if lengths and (0 in lengths or sum(lengths) != config.epochs):
        raise UserError(
            f"The setting 'epochs' is '{epochs}', and search.epochs is {config.epochs}: let each phase have at least "
            "1, and all of them together search.epochs."
        )
    plans = [replace(config, epochs=n) for n in lengths] if lengths else phases.split(config, count)
    factors = phases.numbers(float, "rates", rates, count) if rates else [1.0] * count
    used, found = dict.fromkeys(kinds, 1), list[Phase]()
    for index, (plan, factor) in enumerate(zip(plans, factors, strict=True)):
        rate = replace(plan.weights, learning_rate=factor * plan.weights.learning_rate)
        begins = None
        if index:
            kind = kinds[index - 1]
            before = used[kind]
            options = max(map(len, space.cells[kind].operations))
            done = kinds[:index].count(kind) / kinds.count(kind)
            used[kind] = 1 + round((options - 1) * done)
            begins = partial(reordered, kind, before)
        altered = partial(of_phase, space, dict(used), samples, soft, bool(index))
        found.append(Phase(replace(plan, weights=rate), method=altered, begins=begins))
    return tuple(found)


def of_phase(space: Space, used: dict[str, int], samples: int, soft: float, taught: bool, method: Method) -> Method:
    """The method in a phase in which so many of the largest options are open."""
    whole = relax.allowed_operations
    fixed = all(used.get(kind, 2) == 1 or whole(cell).sum(1).max() == 1 for kind, cell in space.cells.items())
    drawn = several(space, opened(space, used), 1 if fixed else samples)
    own = partial(by_a_teacher, largest(space), tuple(used), soft) if taught else summed
    return replace(method, weight_relax=drawn, weight_gradient=own, teacher=taught)


def reordered(kind: str, before: int, space: Space, state: SearchState) -> SearchState:
    """Weights that are ready for smaller options of a kind."""
    if space.reorder is None:
        return state
    weights, stats = space.reorder(state.weights, state.stats, kind, before)
    return state._replace(weights=weights, stats=stats)


def opened(space: Space, used: dict[str, int], first: bool = False) -> Open:
    """The last options of every row, as many as are used, all of a kind that is not named; first: the first ones."""
    found = {}
    for kind, cell in space.cells.items():
        rows = relax.allowed_operations(cell)
        rank = rows.cumsum(1) if first else rows[:, ::-1].cumsum(1)[:, ::-1]
        found[kind] = rows & (rank <= used.get(kind, rows.shape[1]))
    return found


def largest(space: Space) -> Relaxation:
    """The last option of every decision, always; where all edges are kept, a constant, so that XLA sees which it is."""
    last = opened(space, dict.fromkeys(space.cells, 1))
    if all(cell.kept is None for cell in space.cells.values()):
        known = {kind: rows.astype(np.float32) for kind, rows in last.items()}
        return lambda alphas, key, clock: known
    return partial(_always, relax.uniform_path(space, last))


def _always(path: Relaxation, alphas: Any, key: jax.Array, clock: Any) -> Mix:
    return path(alphas, jax.random.key(0), clock)


def several(space: Space, open_to: Open, count: int) -> Relaxation:
    """So many random paths {kind: [K, E, O]}."""
    path = relax.uniform_path(space, open_to)

    def mix(alphas, key, clock):
        return jax.vmap(lambda key: path(alphas, key, clock))(jax.random.split(key, count))

    return mix


def sandwich(space: Space, count: int) -> Relaxation:
    """The largest network, the smallest, and so many random ones."""
    ends = (
        largest(space),
        partial(_always, relax.uniform_path(space, opened(space, dict.fromkeys(space.cells, 1), first=True))),
    )
    between = several(space, opened(space, {}), count)

    def mix(alphas, key, clock):
        known = [end(alphas, key, clock) for end in ends]
        together = jax.tree.map(lambda *leaves: jnp.stack(leaves), *known)
        return jax.tree.map(lambda a, b: jnp.concatenate([a, b]), together, between(alphas, key, clock))

    return mix


def by_a_teacher(whole: Relaxation, kinds: tuple[str, ...], soft: float, loss, weights, mix, clock, teacher: Any = ()):
    """Every path learns from its batch and from the largest network with the teacher's weights, whose other decisions
    are those of the path: it looks at the batch once where there are none."""

    def said(path: Mix) -> Any:
        all_of = whole((), jax.random.key(0), clock)
        teaching = {kind: all_of[kind] if kind in kinds else table for kind, table in path.items()}
        _, seen = loss(teacher, teaching, lesson=Lesson())
        return seen.outputs

    once = said(mix) if {*mix} <= {*kinds} else None

    def taught(weights, path):
        return loss(weights, path, lesson=Lesson(said(path) if once is None else once, soft=soft))

    return summed(taught, weights, mix, clock)


def by_the_largest(loss: Callable[..., Any], weights, mix, clock):
    """The first path learns from its batch, the others from what it says."""
    first = jax.tree.map(lambda leaf: leaf[0], mix)
    _, seen = loss(jax.lax.stop_gradient(weights), first, lesson=Lesson())

    def taught(weights, row):
        path, leads = row
        return loss(weights, path, lesson=Lesson(seen.outputs, labels=leads, soft=1 - leads))

    leads = jnp.zeros(len(jax.tree.leaves(mix)[0])).at[0].set(1)
    return summed(taught, weights, (mix, leads), clock)
