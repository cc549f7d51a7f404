"""A search that can be run: what its config names, built and checked against each other."""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any, NamedTuple

import jax
import numpy as np

from dnas import find
from dnas.architectures.choices import decode
from dnas.blackbox import prices as listed
from dnas.blackbox import warmup
from dnas.blackbox.config import MOST_EVALUATIONS, UNITS, BlackboxConfig, Budget, parse_budget
from dnas.blackbox.rewards import Reward
from dnas.blackbox.rewards import parse as parse_reward
from dnas.blackbox.searcher import Problem, Strategy, decisions_of
from dnas.costs.budget import Limits, cost_of
from dnas.costs.budget import build as limits_of
from dnas.costs.protocol import Cost
from dnas.errors import UserError, unknown
from dnas.evaluators.protocol import Evaluator, HostEvaluator
from dnas.tables.protocol import place

MOST_ROWS = 20_000_000  # evaluations of all runs together: arrays of some GB
SEPARATOR = re.compile(rf"\+|,(?!\s*{find.KEY}\s*=)")  # of objectives: a comma may also stand between settings
WORST = 1e6  # of a measure of which less is better
REFUSALS = 10_000  # proposals beyond the limits, one after the other
SLACK = 0.01  # the traced loop adds up seconds in float32; what counts is decided after it, in float64


class Job(NamedTuple):
    """objectives: the measures to search for. problem: as the searcher sees it. ranks: the evaluator of a warm-up.
    limits: what networks may cost. within: of a traced evaluator, which architectures do, by their places. prices: the
    costs of networks among the objectives. rewards: the objectives that are made of a score and a cost."""

    config: BlackboxConfig
    evaluator: Evaluator | HostEvaluator
    strategy: Strategy
    budget: Budget
    objectives: tuple[str, ...]
    problem: Problem
    ranks: HostEvaluator | None = None
    limits: Limits | None = None
    within: np.ndarray | None = None
    prices: Mapping[str, Cost] = {}
    rewards: Mapping[str, Reward] = {}

    def allows(self, architecture: np.ndarray) -> bool:
        """Whether a network of int32 [D] costs at most what it may."""
        if self.within is not None:
            return bool(self.within[place(architecture.astype(np.int64), self.problem.decisions.options)])
        return self.limits is None or self.limits.allows(decode(architecture, self.evaluator.space))

    @property
    def refused(self) -> UserError:
        """What is said where `REFUSALS` proposals in a row are beyond the limits."""
        return UserError(
            f"The searcher '{self.config.searcher}' has proposed {REFUSALS:,} networks one after the other that are "
            f"beyond the budget '{self.config.budget}': give more."
        )

    @property
    def signs(self) -> np.ndarray:
        """1 for each objective of which more is better, else -1 [M]."""
        return np.array([1 if self.evaluator.measures[name] else -1 for name in self.objectives], np.float32)

    @property
    def labels(self) -> dict[str, str]:
        """How axes and tables call each objective: a cost with its unit, `latency:device=raspi4 [ms]`."""
        return {name: self.prices[name].label(name) if name in self.prices else name for name in self.objectives}

    @property
    def bad(self) -> np.ndarray:
        """What a searcher is told of what has no scores, before any other has [M]."""
        return np.where(self.signs > 0, 0.0, -WORST)

    def columns(self, values: Mapping[str, Any]) -> list[Any]:
        """The objectives by the measures, such that more is better."""
        return [values[name] if self.evaluator.measures[name] else -values[name] for name in self.objectives]


def build(config: BlackboxConfig) -> Job:
    """Errors: `UserError` for names and settings that do not exist, and for what does not go together."""
    budget = parse_budget(config.budget)
    if budget.unit == UNITS[0] and config.past_budget != "dropped":
        raise UserError("past_budget=interpolated acts with a budget in seconds only: give one, or leave it out.")
    strategy: Strategy = find.resolve("searcher", config.searcher)
    evaluator: Evaluator | HostEvaluator = find.resolve("evaluator", config.evaluator)
    names = tuple(name.strip() for name in SEPARATOR.split(config.objective))
    rewards = {name: reward for name in names if (reward := parse_reward(name)) is not None}
    evaluator, prices = _priced(config, evaluator, (*names, *(reward.cost for reward in rewards.values())))
    for reward in rewards.values():
        for name in (reward.score, reward.cost):
            if name not in evaluator.measures:
                raise unknown(f"measure of the evaluator '{config.evaluator}':", name, evaluator.measures)
        if not evaluator.measures[reward.score] or evaluator.measures[reward.cost]:
            raise UserError(
                f"The objective '{config.objective}' multiplies {reward.score} by a power of {reward.cost}: write a "
                "measure of which more is better, as accuracy, and a cost, of which less is."
            )
    evaluator = replace(evaluator, measures={**evaluator.measures, **dict.fromkeys(rewards, True)})
    for name in names:
        if name not in evaluator.measures:
            raise unknown(f"objective of the evaluator '{config.evaluator}':", name, evaluator.measures)
        if names.count(name) > 1:
            raise UserError(f"The objective '{config.objective}' names '{name}' twice: leave one out.")
    if len(names) > 1 and not strategy.several:
        raise UserError(
            f"The searcher '{config.searcher}' needs one number to search for, and the objective '{config.objective}' "
            f"is {len(names)}: choose one of them."
        )
    if len(names) > 1 and config.past_budget != "dropped":
        raise UserError("past_budget=interpolated is for one objective: fronts cannot be interpolated, leave it out.")
    if strategy.fidelities and len(evaluator.fidelities) == 1:
        raise UserError(
            f"The searcher '{config.searcher}' asks for cheaper evaluations too, and '{config.evaluator}' has whole "
            "ones only: choose an evaluator with several fidelities, as table:epochs=200, or another searcher."
        )
    fidelities = evaluator.fidelities if strategy.fidelities else (1.0,)
    evaluations = _most_evaluations(config, budget, evaluator, fidelities)
    problem = Problem(decisions_of(evaluator.space), evaluations, len(names), fidelities)
    ranks = warmup.evaluator_of(config, strategy, problem.decisions)
    limits, within = _limits_of(config, budget, evaluator), None
    if isinstance(evaluator, Evaluator):
        within = None if limits is None else listed.allowed(limits, evaluator.space, budget.limits)
        evaluator = listed.measured(evaluator, prices, rewards)
    job = Job(config, evaluator, strategy, budget, names, problem, ranks, limits, within, prices, rewards)
    return job._replace(problem=problem._replace(allowed=_traced(job)))


def _traced(job: Job) -> Callable[[jax.Array], jax.Array] | None:
    """int32 [N, D] -> which of them the limits of a job allow [N]; None where nobody asks: without a traced evaluator
    only a searcher that lists architectures does, which then asks the host.

    Errors: `UserError` for costs that it cannot ask for so often.
    """
    if job.within is not None:
        return listed.looked_up(job.within, job.evaluator.space)
    if job.limits is None or not job.strategy.lists:
        return None
    for cost in job.limits.costs:
        if cost.additive is None:
            raise UserError(
                f"The searcher '{job.config.searcher}' asks what all neighbours of a network cost, and {cost.name} is "
                "no sum over decisions, which would be quick: choose another searcher, or another cost."
            )
    known: dict[bytes, bool] = {}

    def one(row: np.ndarray) -> bool:
        if row.tobytes() not in known:
            known[row.tobytes()] = job.allows(row)
        return known[row.tobytes()]

    def allowed(architectures: jax.Array) -> jax.Array:
        shape = jax.ShapeDtypeStruct(architectures.shape[:1], bool)
        return jax.pure_callback(lambda rows: np.array([one(row) for row in np.asarray(rows)]), shape, architectures)

    return allowed


def _priced(
    config: BlackboxConfig, evaluator: Evaluator | HostEvaluator, names: tuple[str, ...]
) -> tuple[Evaluator | HostEvaluator, dict[str, Cost]]:
    """The evaluator with the objectives that are costs among its measures, and these. Errors: `UserError`."""
    known = find.described("cost")
    asked = [name for name in names if name not in evaluator.measures and name.partition(":")[0] in known]
    if asked and evaluator.network is None:
        raise UserError(
            f"The evaluator '{config.evaluator}' does not say how large its networks are, so nothing is known of their "
            f"{asked[0]}: choose one of its measures, {', '.join(evaluator.measures)}, or another evaluator."
        )
    if not asked or evaluator.network is None:
        return evaluator, {}
    prices = {name: cost_of(name, "", evaluator.space, *evaluator.network) for name in asked}
    return replace(evaluator, measures={**evaluator.measures, **dict.fromkeys(asked, False)}), prices


def _limits_of(config: BlackboxConfig, budget: Budget, evaluator: Evaluator | HostEvaluator) -> Limits | None:
    if not budget.limits:
        return None
    if evaluator.network is None:
        raise UserError(
            f"The evaluator '{config.evaluator}' does not say how large its networks are, so nothing is known of their "
            "costs: leave the limits out of the budget, or choose another evaluator, as train."
        )
    return limits_of(budget.limits, evaluator.space, *evaluator.network)


def _most_evaluations(
    config: BlackboxConfig, budget: Budget, evaluator: Evaluator | HostEvaluator, fidelities: tuple[float, ...]
) -> int:
    """How many evaluations a run has at most, cheap ones as well. Errors: `UserError` for too many, and for none."""
    if budget.unit == UNITS[0]:
        evaluations = int(budget.amount / fidelities[0] + 1e-6)
    elif isinstance(evaluator, HostEvaluator):
        return MOST_EVALUATIONS  # nobody knows what they take before
    else:
        cheapest, dearest = evaluator.seconds
        if not dearest:
            raise UserError(
                f"The evaluator '{config.evaluator}' does not know how long an evaluation takes: give the budget in "
                "evaluations, as in 300evaluations."
            )
        if budget.amount < dearest:
            raise UserError(
                f"The budget '{config.budget}' is less than one evaluation by '{config.evaluator}', which takes up to "
                f"{dearest:,.0f} s: give more."
            )
        evaluations = int(budget.amount * (1 + SLACK) / (cheapest * fidelities[0])) + 2
    if evaluations > MOST_EVALUATIONS or evaluations * config.runs > MOST_ROWS:
        raise UserError(
            f"{config.runs:,} runs of up to {evaluations:,} evaluations each are too many, the most are "
            f"{MOST_EVALUATIONS:,} in a run and {MOST_ROWS:,} together: give fewer runs, or a smaller budget."
        )
    return evaluations
