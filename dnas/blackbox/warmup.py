"""Warm-up: random architectures are ranked by something cheap, and a run begins with the best of them.

Abdelfattah, Mehrotra, Dudziak and Lane, "Zero-Cost Proxies for Lightweight NAS", ICLR 2021, arXiv:2101.08134: they take
proxies, which need no training; here any evaluator does. The first proposals of a searcher are exchanged for the best
of its pool. Every run draws a pool of its own. An architecture has one score, in all runs, so it is computed once; each
run that ranks it pays its seconds, before the first evaluation. Budgets of evaluations do not count it.

A folder keeps the scores, so that a search that goes on begins as it did, warmup.jsonl:

    {"architecture": [3, 0, 1], "value": 0.91, "seconds": 0.2}

Axis letters: R runs, N first proposals, D decisions.
"""

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dnas import find, keys
from dnas.blackbox.config import UNITS, BlackboxConfig, WarmupConfig, parse_budget
from dnas.blackbox.searcher import Decisions, Searcher, Strategy, decisions_of
from dnas.blackbox.workers import Work, attempt, on_host
from dnas.errors import StorageError, UserError
from dnas.evaluators.protocol import HostEvaluator
from dnas.files import append, parsed, storage
from dnas.paths import content_of
from dnas.runs import loop

FILE = "warmup.jsonl"
DRAWS = 200  # of architectures for each of a pool; one of all of a space is drawn after some 10 of each
MOST_RANKED = 20_000_000  # architectures of all pools together

Known = dict[bytes, tuple[float, float]]  # architecture -> its score, more is better, and seconds


class Openings(NamedTuple):
    """first: int32 [R, N, D], what each run begins with. seconds: float64 [R], what ranking its pool cost."""

    first: np.ndarray
    seconds: np.ndarray

    def check(self, budget: str, dearest: float) -> None:
        """dearest: what one evaluation takes at most, where that is known. Errors: `UserError` for a budget in seconds
        that the warm-up leaves nothing of."""
        amount, unit, _ = parse_budget(budget)
        most = self.seconds.max()
        if unit != UNITS[0] and most + dearest > amount:
            raise UserError(
                f"The warm-up took {most:,.1f} s of the budget '{budget}', which leaves less than one evaluation: give "
                "a smaller warmup.pool, or a larger budget, and another --out."
            )


def evaluator_of(config: BlackboxConfig, strategy: Strategy, decisions: Decisions) -> HostEvaluator | None:
    """What ranks the pools; None without a warm-up. Errors: `UserError` for what does not go together."""
    warmup = config.warmup
    if not warmup.evaluator:
        if warmup != WarmupConfig():
            raise UserError("warmup.pool and warmup.first act with warmup.evaluator only: set that too.")
        return None
    if strategy.build is None and not strategy.opens:
        raise UserError(
            f"The searcher '{config.searcher}' cannot begin with given architectures: leave out the warm-up."
        )
    budget, architectures = parse_budget(config.budget), math.prod(decisions.options)
    most = {"warmup.pool": warmup.pool}
    if budget.unit == UNITS[0]:
        most["the budget in evaluations"] = int(budget.amount)
    for name, number in most.items():
        if warmup.first > number:
            raise UserError(f"warmup.first is {warmup.first:,}, and {name} is {number:,}: it can be at most that.")
    if warmup.pool > architectures or warmup.pool * config.runs > MOST_RANKED:
        raise UserError(
            f"warmup.pool is {warmup.pool:,}, and it can be at most the {architectures:,} architectures of the space, "
            f"and {MOST_RANKED:,} in all runs together: give a smaller one."
        )
    evaluator = on_host(find.resolve("evaluator", warmup.evaluator))
    if decisions_of(evaluator.space) != decisions:
        raise UserError(
            f"The warm-up's evaluator '{warmup.evaluator}' is of another space than '{config.evaluator}': give both "
            "the same space."
        )
    return evaluator


def openings(
    evaluator: HostEvaluator,
    config: BlackboxConfig,
    decisions: Decisions,
    folder: Path | None,
    quiet: bool,
    allows: Callable[[np.ndarray], bool] = lambda _: True,
) -> Openings:
    """What the runs begin with, the best first; what cannot be scored is last. folder: that keeps the scores. allows:
    int32 [D] -> whether it may be in a pool.

    Errors: `UserError` where a pool has no score at all, or too little is allowed; `StorageError` for a damaged file of
    scores.
    """
    known = read(folder) if folder is not None else Known()
    own = int(keys.generator(config.seed, "warm-up").integers(2**31))
    measure, more = next(iter(evaluator.measures.items()))

    def scored(architecture: np.ndarray) -> tuple[float, float]:
        outcome = attempt(evaluator, Work(0, architecture, 1.0, own))
        value = np.nan if outcome.failed else float(outcome.values[measure]) * (1 if more else -1)
        row = {"architecture": architecture.tolist(), "value": value if np.isfinite(value) else None}
        if folder is not None:
            append(folder / FILE, json.dumps(row | {"seconds": outcome.seconds}) + "\n")
        return value if np.isfinite(value) else -np.inf, outcome.seconds

    firsts, seconds = list[np.ndarray](), list[float]()
    with loop.counting("warm-up", "architectures ranked", quiet) as count:
        score = count(scored)
        for run in range(config.runs):
            pool = distinct(keys.generator(config.seed, f"warm-up {run}"), decisions, config.warmup.pool, allows)
            for architecture in pool:
                if architecture.tobytes() not in known:
                    known[architecture.tobytes()] = score(architecture)
            values, costs = np.array([known[architecture.tobytes()] for architecture in pool]).T
            if not np.isfinite(values).any():
                raise UserError(f"'{config.warmup.evaluator}' gives none of {len(pool)} architectures a score.")
            firsts.append(pool[np.argsort(-values, kind="stable")[: config.warmup.first]])
            seconds.append(float(costs.sum()))
    return Openings(np.stack(firsts), np.array(seconds))


def distinct(
    generator: np.random.Generator,
    decisions: Decisions,
    count: int,
    allows: Callable[[np.ndarray], bool] = lambda _: True,
) -> np.ndarray:
    """So many different architectures that are allowed, all of them equally likely, int32 [count, D].

    Errors: `UserError` where `DRAWS` of all that are drawn for each do not give as many.
    """
    seen: dict[bytes, np.ndarray] = {}
    found, drawn = list[np.ndarray](), 0
    while len(found) < count:
        if drawn >= DRAWS * count:
            raise UserError(
                f"warmup.pool is {count:,}, and of {drawn:,} architectures that were drawn only {len(found):,} are "
                "different and within the budget: give a smaller pool, or a larger budget."
            )
        rows = generator.integers(0, decisions.options, (count, len(decisions.options)), np.int32)
        new = {row.tobytes(): row for row in rows if row.tobytes() not in seen}
        found += [row for row in new.values() if allows(row)]
        seen, drawn = seen | new, drawn + count
    return np.stack(found[:count])


def read(folder: Path) -> Known:
    """The scores that a folder has. Errors: `StorageError` that names a line that is damaged."""
    path = folder / FILE
    with storage(folder):
        if not path.exists():
            return {}
        rows, damaged = parsed(content_of(path), lambda row: _score(row) is not None)
    if damaged:
        raise StorageError(f"Line {damaged} of {path} is damaged: remove it and all that follow, then repeat.")
    return dict(score for row in rows if (score := _score(row)) is not None)


def _score(row: Any) -> tuple[bytes, tuple[float, float]] | None:
    match row:
        case {"architecture": list(options), "value": float() | int() | None as value, "seconds": float(seconds)}:
            if all(isinstance(option, int) for option in options):
                return np.array(options, np.int32).tobytes(), (-np.inf if value is None else float(value), seconds)
    return None


class Opened(NamedTuple):
    """The state of a searcher with an opening. first: int32 [N, D]. asked: how often it was."""

    state: Any
    first: jax.Array
    asked: jax.Array


def opened(searcher: Searcher) -> Searcher:
    """The searcher whose first proposals are exchanged for given ones, which it is told about instead. Its `init` takes
    what it begins with as well, int32 [N, D]."""

    def init(key: jax.Array, first: jax.Array) -> Opened:
        return Opened(searcher.init(key), first, jnp.int32(0))

    def ask(state: Opened, key: jax.Array) -> tuple[Opened, jax.Array]:
        inner, own = searcher.ask(state.state, key)
        count = len(state.first)
        given = state.first[jnp.minimum(state.asked, count - 1)]
        chosen = jnp.where(state.asked < count, given, own)
        return Opened(inner, state.first, state.asked + 1), chosen

    def tell(state: Opened, architecture: jax.Array, score: jax.Array) -> Opened:
        return state._replace(state=searcher.tell(state.state, architecture, score))

    return Searcher(init, ask, tell)
