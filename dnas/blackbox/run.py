"""Run a searcher: many runs in one traced loop, each until its budget is spent. A folder keeps what was tried, found.

blackbox.json: the search. environment.json: what it ran with. trials.csv: a row for every evaluation, for pandas.
summary.json: what the runs found, in numbers. genotype.json: the found architecture with the best score of all runs.
accuracy.png: the truth about the best so far against the budget. The searches of a table take seconds, so one that was
cut off is done again, with the same outcome.
"""

import json
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from dnas import find, keys, paths
from dnas.architectures.encoding import decode
from dnas.architectures.genotype import to_json
from dnas.blackbox import trials
from dnas.blackbox.config import MOST_EVALUATIONS, UNITS, BlackboxConfig, Budget, parse_budget
from dnas.blackbox.searcher import Problem, Searcher, Strategy, decisions_of
from dnas.blackbox.trials import Trials
from dnas.config import differences, from_dict, to_dict
from dnas.errors import StorageError, UserError, unknown
from dnas.evaluators.protocol import Evaluator
from dnas.files import atomic_write, read_sealed, sealed, storage
from dnas.runs import environment, loop

MOST_ROWS = 20_000_000  # evaluations of all runs together: arrays of some GB
SLACK = 0.01  # the loop adds up seconds in float32; what counts is decided after it, in float64


class Job(NamedTuple):
    """A search that can be run: what its config names, built and checked against each other."""

    config: BlackboxConfig
    evaluator: Evaluator
    budget: Budget
    searcher: Searcher
    score: Callable[[dict[str, jax.Array]], jax.Array]
    evaluations: int


class Result(NamedTuple):
    """What is known of a search. summary: see `trials.summary`; of a folder, with its `curve`."""

    config: BlackboxConfig
    folder: Path | None
    summary: dict[str, Any]


def build(config: BlackboxConfig) -> Job:
    """Errors: `UserError` for names and settings that do not exist, and for what does not go together."""
    evaluator: Evaluator = find.resolve("evaluator", config.evaluator)
    strategy: Strategy = find.resolve("searcher", config.searcher)
    names = [name.strip() for name in config.objective.split("+")]
    for name in names:
        if name not in evaluator.measures:
            raise unknown(f"objective of the evaluator '{config.evaluator}':", name, evaluator.measures)
    if len(names) > 1 and not strategy.several:
        raise UserError(
            f"The searcher '{config.searcher}' needs one number to search for, and the objective '{config.objective}' "
            f"is {len(names)}: choose one of them."
        )
    budget = parse_budget(config.budget)
    if budget.unit == UNITS[0]:
        evaluations = int(budget.amount)
        if config.past_budget != "dropped":
            raise UserError("past_budget=interpolated acts with a budget in seconds only: give one, or leave it out.")
    else:
        cheapest, dearest = evaluator.seconds
        if budget.amount < dearest:
            raise UserError(
                f"The budget '{config.budget}' is less than one evaluation by '{config.evaluator}', which takes up to "
                f"{dearest:,.0f} s: give more."
            )
        evaluations = int(budget.amount * (1 + SLACK) / cheapest) + 2
    if evaluations > MOST_EVALUATIONS or evaluations * config.runs > MOST_ROWS:
        raise UserError(
            f"{config.runs:,} runs of up to {evaluations:,} evaluations each are too many, the most are "
            f"{MOST_EVALUATIONS:,} in a run and {MOST_ROWS:,} together: give fewer runs, or a smaller budget."
        )
    searcher = strategy.build(Problem(decisions_of(evaluator.space), evaluations))
    name, sign = names[0], 1 if evaluator.measures[names[0]] else -1
    return Job(config, evaluator, budget, searcher, lambda values: sign * values[name], evaluations)


def simulated(job: Job) -> Trials:
    """All runs of a job, on the device, until the last of them has spent its budget."""
    numbers = jnp.arange(job.config.runs)
    ours = jax.vmap(lambda run: keys.stream(jax.random.key(job.config.seed), "blackbox", run))(numbers)
    count, found = jax.jit(_loop(job))(ours)
    architectures, scores, seconds = (np.asarray(leaf)[: int(count)].swapaxes(0, 1) for leaf in found)
    return trials.counted(architectures, scores, seconds, job.budget, job.config.past_budget)


def run(config: BlackboxConfig, out: str | Path | None = None) -> Result:
    """Search, and leave a folder if `out` names one; one that holds this search already is read.

    Errors: `UserError` for a config that cannot be run and for a folder that holds something else.
    """
    job = build(config)
    if out is None:
        return Result(config, None, trials.summary(simulated(job), job.evaluator))
    folder = Path(out)
    with ExitStack() as lock:
        with storage(folder):
            folder.mkdir(parents=True, exist_ok=True)
            lock.enter_context(paths.locked(folder, "a search"))
        if (summary := _known(folder, config)) is None:
            summary = _searched(job, folder)
    return Result(config, folder, summary)


def _searched(job: Job, folder: Path) -> dict[str, Any]:
    from dnas.reports.budgets import plot_budgets

    atomic_write(folder / "blackbox.json", json.dumps(to_dict(job.config), indent=1))
    here = environment.described(loop.typed_command())
    atomic_write(folder / "environment.json", json.dumps(here, indent=1))
    done = simulated(job)
    summary = trials.summary(done, job.evaluator)
    atomic_write(folder / "trials.csv", trials.table(done, job.evaluator))
    best = trials.best_of_all(done)
    atomic_write(folder / "genotype.json", json.dumps(to_json(decode(best, job.evaluator.space))))
    curve = trials.curve(done, job.evaluator, job.budget)
    title = f"{job.config.runs:,} runs of {job.config.searcher}, {job.config.evaluator}"
    first = f"{next(iter(job.evaluator.truths.values()))} {job.evaluator.quantity}"
    plot_budgets({first: (job.budget.unit, {job.config.searcher: curve})}, folder / "accuracy.png", title)
    kept = summary | {"curve": curve.round(4).tolist()}
    atomic_write(folder / "summary.json", sealed(kept))
    return kept


def _known(folder: Path, config: BlackboxConfig) -> dict[str, Any] | None:
    """The summary that a folder holds, if it is of this search; None if there is none yet."""
    with storage(folder):
        names = {file.name for file in folder.iterdir() if not file.name.startswith(".")}
    if names and "blackbox.json" not in names:
        raise UserError(f"{folder} is not empty and holds no black-box search: choose another --out.")
    known = read_sealed(folder / "blackbox.json", REMOVE)
    if known is not None and (changed := differences(from_dict(known, BlackboxConfig), config)):
        raise UserError(f"{folder} was made with another config ({'; '.join(changed)}): choose another --out.")
    finished = read_sealed(folder / "summary.json", REMOVE)
    if finished is None:
        return None
    if not {"truths", "rank", "curve"} <= finished.keys():
        raise StorageError(f"{folder / 'summary.json'} is damaged, it holds no summary: {REMOVE}.")
    return finished


REMOVE = "remove it, and the search is done again"


def _loop(job: Job) -> Callable:
    """keys [R] -> T and architectures int16 [most, R, D], scores and seconds [most, R], of which T rows are filled."""
    searcher, evaluate, score, evaluations = job.searcher, job.evaluator.evaluate, job.score, job.evaluations
    depth = len(decisions_of(job.evaluator.space).options)
    limit = job.budget.amount * (1 + SLACK) if job.budget.unit != UNITS[0] else np.inf

    def step(states: Any, now: jax.Array) -> tuple[Any, tuple[jax.Array, jax.Array, jax.Array]]:
        states, architectures = jax.vmap(searcher.ask)(states, now)
        measured = evaluate(architectures)
        scores = score(measured.values)
        return jax.vmap(searcher.tell)(states, architectures, scores), (architectures, scores, measured.seconds)

    def going(carry: Any) -> jax.Array:
        t, _, spent, _ = carry
        return (t < evaluations) & (spent <= limit).any()

    def loop(ours: jax.Array) -> Any:
        def body(carry: Any) -> Any:
            t, states, spent, rows = carry
            now = jax.vmap(lambda key: keys.stream(key, "ask", t))(ours)
            states, (architectures, scores, seconds) = step(states, now)
            new = architectures.astype(jnp.int16), scores, seconds
            rows = jax.tree.map(lambda all_, row: all_.at[t].set(row), rows, new)
            return t + 1, states, spent + seconds, rows

        states = jax.vmap(lambda key: searcher.init(keys.stream(key, "init")))(ours)
        empty = jnp.zeros((evaluations, len(ours)))
        rows = jnp.zeros((*empty.shape, depth), jnp.int16), empty, empty
        t, _, _, rows = jax.lax.while_loop(going, body, (jnp.int32(0), states, jnp.zeros(len(ours)), rows))
        return t, rows

    return loop
