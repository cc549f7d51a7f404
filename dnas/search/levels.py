"""What the two levels of a search exchange, and what cannot be combined in one.

min_a F(w*(a), a)   with   w*(a) = argmin_w L(w, a)       (DARTS, equations 3 and 4)
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from dnas.config import SearchConfig
from dnas.errors import UserError
from dnas.search.method import Method
from dnas.tasks.task import Sums
from dnas.training.weights import optimiser_of
from dnas.types import Batch, Evaluated, GradientFilter, Lesson, SearchState, Tree


class Levels(NamedTuple):
    """What one step reads, a batch for each level. A single level reads `train` only."""

    train: Batch
    """For the weights, of the training part; with `inner_steps` K > 1, K batches on a further first axis."""
    valid: Batch
    """For the alphas, of the validation part."""


class StepMetrics(NamedTuple):
    """Sums of the task's measures over one step, in training mode: `task.Sums` with the names in `task.trained`.

    "loss" is the objective's value, regularisers included, with a count of 1.
    """

    train: Sums
    valid: Sums
    """Of the batch that the alphas were trained on; where nothing trains them it repeats `train`, while they warm up it
    is 0."""


Stepped = tuple[SearchState, Sums]


class Span(NamedTuple):
    """Where a phase begins."""

    start: int = 0
    """Its first step."""
    epoch: int = 0
    """The epochs done before it."""
    schedule_start: int = 0
    """The first step of the learning rate's schedule, which may span several phases."""
    schedule_epochs: int = 0
    """The epochs of that schedule; 0: those of the phase."""
    frozen_at: int = 0
    """The method's own schedules stand at the last of so many epochs; 0: they run."""


WHOLE = Span()


def check(method: Method, config: SearchConfig) -> None:
    """Refuse what cannot be combined; method: `adapted`. Errors: `UserError`."""
    single, warmup, estimator = config.levels == "single", config.alphas.warmup_epochs, method.hypergrad
    of_their_own = method.perturb or method.weight_relax or method.weight_gradient
    one_gradient = estimator is not None and estimator.is_outer_gradient and not of_their_own
    if single and (method.gradient_filter or not one_gradient):
        raise UserError("search.levels is 'single', but this method needs two levels: set search.levels to 'bilevel'.")
    if single and (config.inner_steps > 1 or warmup):
        raise UserError(
            "With search.levels 'single' weights and alphas step together: search.inner_steps must be 1 and "
            "search.alphas.warmup_epochs 0."
        )
    if method.gradient_filter and config.inner_steps > 1:
        raise UserError("This method compares the gradients of both levels: search.inner_steps must be 1.")
    if method.gradient_filter and not one_gradient:
        raise UserError(
            "This method stops operations by the gradients of both levels, which it sees with first-order alphas only: "
            "it cannot be combined with another hypergradient, with alphas that stand still (blank), or with perturbed "
            "weights or a gradient of their own."
        )
    differs = estimator is not None and estimator.differentiates and not estimator.is_outer_gradient
    if method.weight_gradient and (differs or method.perturb or method.members > 1):
        raise UserError(
            "This method steps the weights by a gradient of its own, which no hypergradient through their steps, no "
            "perturbation and no ensemble takes part in: use first-order alphas and one supernet."
        )
    if method.members > 1 and method.masks:
        raise UserError("This method prunes the operations of one supernet: it cannot be combined with an ensemble.")
    if (method.penalty or method.factor or method.expense) and not (estimator and estimator.differentiates):
        raise UserError(
            "This method has a penalty in the outer loss, of which its alphas take no derivative: use a hypergradient "
            "that is one, or no penalty."
        )
    coupled = optimiser_of(config.weights).coupled
    if "decay_factor" in method.knobs and not coupled:
        raise UserError(
            f"This method adds to the weight decay in the gradient, and optimiser '{config.weights.optimiser}' has its "
            "own beside it: set search.weights.optimiser to 'sgd', 'adam' or 'rmsprop'."
        )
    if estimator is not None and warmup >= config.epochs:
        raise UserError(
            f"search.alphas.warmup_epochs is {warmup}, but the search, or a phase of it, has {config.epochs} epochs: "
            "no alphas would be trained; choose fewer warm-up epochs."
        )


def taught(
    task: Any, lesson: Lesson, outputs: Tree, batch: Batch, loss: jax.Array, seen: Evaluated
) -> tuple[jax.Array, Evaluated]:
    """The loss of a network on its batch with that of a lesson, and what is seen with its outputs."""
    if lesson.outputs is None:
        return lesson.labels * loss, seen._replace(outputs=outputs)
    soft = task.distilled(outputs, jax.lax.stop_gradient(lesson.outputs), batch)
    return lesson.labels * loss + lesson.soft * soft, seen._replace(outputs=outputs)


def alike(levels: Levels) -> bool:
    """Whether one gradient program serves both levels."""
    return jax.tree.map(jnp.shape, levels.train) == jax.tree.map(jnp.shape, levels.valid)


def check_alike(gradient_filter: GradientFilter | None, levels: Levels) -> None:
    """Refuse a gradient filter that would not see both levels; levels: shapes suffice. Errors: `UserError`."""
    if gradient_filter is not None and not alike(levels):
        raise UserError("This method compares the gradients of both levels: their batches must have one shape.")


def choose(condition: jax.Array, yes: Any, no: Any) -> Any:
    """One of two equal trees."""
    return jax.tree.map(lambda a, b: a if a is b else jax.lax.select_n(condition, b, a), yes, no)


def carry_of(state: SearchState, level: str) -> Tree:
    """The recurrent state of a level."""
    return state.carry[level] if state.carry else ()


def with_carry(state: SearchState, level: str, carry: Tree) -> SearchState:
    """With the recurrent state that a level has come to, through which no gradient flows."""
    return state._replace(carry={**state.carry, level: jax.lax.stop_gradient(carry)}) if state.carry else state
