"""Many runs of a traced searcher with a traced evaluator in one loop on the device, each until its budget is spent."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dnas import keys
from dnas.blackbox import trials, warmup
from dnas.blackbox.config import UNITS
from dnas.blackbox.jobs import REFUSALS, SLACK, Job
from dnas.blackbox.trials import Trials
from dnas.blackbox.warmup import Openings
from dnas.evaluators.protocol import Evaluator
from dnas.tables.protocol import place


def simulated(job: Job, opening: Openings | None = None) -> Trials:
    """All runs of a job, on the device, until the last of them has spent its budget; opening: what they begin with.

    Errors: `UserError` where a searcher proposes nothing that the limits allow.
    """
    ours = jax.vmap(lambda run: key_of_run(job.config.seed, run))(jnp.arange(job.config.runs))
    given = () if opening is None else (jnp.asarray(opening.first), jnp.asarray(opening.seconds, jnp.float32))
    count, found = jax.jit(_loop(job))(ours, *given)
    architectures, scores, seconds = (np.asarray(leaf)[: int(count)].swapaxes(0, 1) for leaf in found)
    if job.within is not None:
        places = place(architectures.astype(np.int64), job.problem.decisions.options)
        if not job.within[places].all():
            raise job.refused
    if opening is not None:
        seconds = seconds.astype(np.float64)
        seconds[:, 0] += opening.seconds
    return trials.counted(architectures, scores, seconds, job.budget, job.config.past_budget)


def key_of_run(seed: int, run: Any) -> jax.Array:
    """What all randomness of a run of a traced searcher follows from."""
    return keys.stream(jax.random.key(seed), "blackbox", run)


def _loop(job: Job) -> Callable:
    """keys [R] -> T and architectures int16 [most, R, D], scores [most, R, M] and seconds [most, R], of which T rows
    are filled. With a warm-up, it takes what the runs begin with [R, N, D] and have spent [R] as well."""
    assert isinstance(job.evaluator, Evaluator) and job.strategy.build is not None
    searcher, evaluate, evaluations = job.strategy.build(job.problem), job.evaluator.evaluate, job.problem.evaluations
    searcher = searcher if job.ranks is None else warmup.opened(searcher)
    ask = searcher.ask if job.problem.allowed is None else _within(searcher.ask, job.problem.allowed)
    depth, several = len(job.problem.decisions.options), job.strategy.several
    limit = job.budget.amount * (1 + SLACK) if job.budget.unit != UNITS[0] else np.inf

    def step(states: Any, now: jax.Array) -> tuple[Any, tuple[jax.Array, jax.Array, jax.Array]]:
        states, architectures = jax.vmap(ask)(states, now)
        measured = evaluate(architectures)
        scores = jnp.stack(job.columns(measured.values), -1)
        told = jax.vmap(searcher.tell)(states, architectures, scores if several else scores[:, 0])
        return told, (architectures, scores, measured.seconds)

    def going(carry: Any) -> jax.Array:
        t, _, spent, _ = carry
        return (t < evaluations) & (spent <= limit).any()

    def loop(ours: jax.Array, *given: jax.Array) -> Any:
        def body(carry: Any) -> Any:
            t, states, spent, rows = carry
            now = jax.vmap(lambda key: keys.stream(key, "ask", t))(ours)
            states, (architectures, scores, seconds) = step(states, now)
            new = architectures.astype(jnp.int16), scores, seconds
            rows = jax.tree.map(lambda all_, row: all_.at[t].set(row), rows, new)
            return t + 1, states, spent + seconds, rows

        states = jax.vmap(lambda key, *first: searcher.init(keys.stream(key, "init"), *first))(ours, *given[:1])
        runs, seconds = len(ours), jnp.zeros((evaluations, len(ours)))
        spent = given[1] if given else jnp.zeros(runs)
        rows = (
            jnp.zeros((evaluations, runs, depth), jnp.int16),
            jnp.zeros((*seconds.shape, len(job.objectives))),
            seconds,
        )
        t, _, _, rows = jax.lax.while_loop(going, body, (jnp.int32(0), states, spent, rows))
        return t, rows

    return loop


def _within(ask: Callable, allowed: Callable[[jax.Array], jax.Array]) -> Callable:
    """`Searcher.ask`, again in the same state and with another key while it proposes what is not allowed; the last of
    `REFUSALS` proposals stands. As `adapter.py` does on the host."""

    def again(state: Any, key: jax.Array) -> Any:
        def refused(carry: Any) -> jax.Array:
            turn, (_, architecture) = carry
            return (turn < REFUSALS) & ~allowed(architecture[None])[0]

        def next_turn(carry: Any) -> Any:
            turn, _ = carry
            return turn + 1, ask(state, keys.stream(key, "again", turn))

        return jax.lax.while_loop(refused, next_turn, (jnp.int32(1), ask(state, key)))[1]

    return again
