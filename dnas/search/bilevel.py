"""The bilevel step: alphas on a validation batch, weights on a training batch (DARTS, algorithm 1).

`make_search` turns a network, a task, a method and a config into pure functions of one `SearchState`.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from dnas import grid, keys
from dnas.architectures.topology import Space
from dnas.config import SearchConfig
from dnas.errors import UserError
from dnas.nets.functional import Functional, ensemble, forward
from dnas.nets.layers import absorb
from dnas.search import relax
from dnas.search.apart import Apart
from dnas.search.levels import (
    WHOLE,
    Levels,
    Span,
    StepMetrics,
    Stepped,
    alike,
    carry_of,
    check,
    check_alike,
    taught,
    with_carry,
)
from dnas.search.method import Method, adapted
from dnas.search.turns import InTurns
from dnas.tasks.task import Sums, Task, Teaching, reward
from dnas.training.epoch import SHORT
from dnas.training.protocols import Optimiser
from dnas.training.weights import clip, optimiser_of, rate_of
from dnas.types import Batch, Clock, Evaluated, Mix, Noise, Objective, SearchState, Tree, Update


class Search(NamedTuple):
    """The pure functions of a search."""

    init: Callable[[jax.Array], SearchState]
    """key -> the state before the first step."""
    step: Callable[[SearchState, Levels], tuple[SearchState, StepMetrics]]
    """(state, levels) -> (state, StepMetrics)."""
    mix: Callable[[SearchState], Mix]
    """state -> the evaluation mix."""
    network: Functional
    """What the state's weights belong to."""


def phase_rate(config: SearchConfig, steps: int, span: Span) -> optax.Schedule:
    """The learning rate of the weights in a phase, as a function of the step of the whole search."""
    return rate_of(config.weights, span.schedule_epochs or config.epochs, steps, span.schedule_start)


def unlike(points: tuple[SearchConfig, ...]) -> tuple[SearchConfig, ...]:
    """None, where the weights are trained alike at all points."""
    return points if len({point.weights for point in points}) > 1 else ()


def make_search(
    network: Functional,
    space: Space,
    method: Method,
    config: SearchConfig,
    steps: int,
    span: Span = WHOLE,
    points: tuple[SearchConfig, ...] = (),
    *,
    task: Task,
) -> Search:
    """Build the pure functions of a search, or of one phase of it.

    network: of the supernet that `method.supernet(space)` describes. task: of it, what `loss`, `trained` and `score`
    are. steps: of an epoch. points: the config at every point of the grid.
    Errors: `UserError` for options that the method cannot be combined with.
    """
    method = adapted(method, space, config)
    check(method, config)
    if method.members > 1 and network.carry is not None:
        raise UserError("Supernets side by side cannot be recurrent: choose a method with one supernet.")
    if method.distils and not isinstance(task, Teaching):
        raise UserError(
            "This method lets networks learn from the outputs of others, which the task of this search does not tell "
            "how: search one with classes, or use another method."
        )
    network, supernet = ensemble(network, method.members), method.supernet(space)
    bilevel = Bilevel(
        network,
        task,
        space,
        method,
        config,
        steps,
        span,
        traced=network._replace(apply=jax.jit(network.apply, static_argnames="train")),
        points=points or (config,),
        rates=tuple(phase_rate(point, steps, span) for point in unlike(points) or (config,)),
        optimiser=optimiser_of(config.weights),
        clip_tx=clip(config.weights.clip),
        draws=bool(supernet.random) or supernet.draws,
        alphas_first=config.order == "alphas_first",
        in_turns=takes_turns(method, config, steps),
    )
    return Search(bilevel.init, bilevel.step, bilevel.evaluation_mix, bilevel.network)


def takes_turns(method: Method, config: SearchConfig, steps: int) -> bool:
    """Whether a step is a loop over one gradient program, see `turns`: where all its gradients are of one kind.

    Two of them alone are faster apart, which pays in a long run; but only here a gradient filter sees both.
    """
    if method.hypergrad is None or not method.hypergrad.turns:
        return False
    if config.inner_steps > 1 or method.perturb or method.weight_relax or method.weight_gradient:
        return False
    short = config.epochs * steps <= SHORT or method.gradient_filter is not None
    return short or not method.hypergrad.is_outer_gradient


@dataclass(frozen=True, eq=False)
class Bilevel(Apart, InTurns):
    """The pieces of a step, all made by `make_search`: nothing here looks anything up."""

    network: Functional
    task: Task
    space: Space
    method: Method
    config: SearchConfig
    steps: int
    span: Span
    traced: Functional
    """The network, traced once for all gradients of a step, if all are of weights and mix: XLA leaves out those that
    nobody reads."""
    points: tuple[SearchConfig, ...]
    """The config at every point of the grid; one without a grid."""
    rates: tuple[optax.Schedule, ...]
    """The learning rate of the weights at every point; one, where it is the same for all."""
    optimiser: Optimiser
    clip_tx: optax.GradientTransformation
    draws: bool
    """Whether the network takes noise."""
    alphas_first: bool
    in_turns: bool
    """See `takes_turns`."""

    def weight_tx(self, step: jax.Array, knobs: Tree, pace: jax.Array | None = None) -> optax.GradientTransformation:
        """With the learning rate of this step, times the pace of its batch: optax counts updates, of which a step may
        make several, or begin anew in a later phase."""
        scheduled = grid.rate_at(self.rates, knobs)

        def rate(_: Any) -> jax.Array:
            return scheduled(step) if pace is None else scheduled(step) * pace

        return self.optimiser.make(rate, self.decay(knobs))

    def decay(self, knobs: Tree) -> Any:
        """Of the weights."""
        return grid.at([point.weights.decay for point in self.points], knobs)

    def alpha_tx(self, knobs: Tree) -> optax.GradientTransformation:
        """The optimiser of the alphas."""
        rate = grid.at([point.alphas.learning_rate for point in self.points], knobs)
        return self.method.alpha_tx(replace(self.config.alphas, learning_rate=rate))

    def init(self, key: jax.Array) -> SearchState:
        """The state before the first step of the span."""
        start, config = self.span.start, self.config
        weights, stats = self.network.init(keys.stream(key, "weights"))
        alphas = self.method.alphas(self.space, keys.stream(key, "alphas"), config.alphas)
        at = {grid.POINT: 0.0} if len(self.points) > 1 else {}
        knobs = {name: jnp.asarray(value, float) for name, value in {**self.method.knobs, **at}.items()}
        state = SearchState(
            jnp.int32(start),
            keys.stream(key, "run"),
            weights,
            stats,
            alphas,
            self.weight_tx(jnp.int32(start), knobs).init(weights),
            self.alpha_tx(knobs).init(alphas),
        )
        carry = self.network.carry
        return state._replace(
            mask={kind: jnp.ones(shape) for kind, shape in self.space.mix_shapes.items()} if self.method.masks else (),
            memory=self.each_member(own.init)(weights) if (own := self.method.gradient_filter) is not None else (),
            knobs=knobs,
            carry={level: carry(config.batch_size) for level in ("train", "valid")} if carry is not None else (),
            teacher=weights if self.method.teacher else (),
        )

    def clock(self, state: SearchState, after: bool = False) -> Clock:
        """after: what counts between epochs, when the last one is over."""
        if self.span.frozen_at:
            return Clock(state.step, jnp.int32(self.span.frozen_at - (not after)), self.span.frozen_at)
        return Clock(state.step, (state.step - self.span.start) // self.steps, self.config.epochs)

    def evaluation_mix(self, state: SearchState) -> Mix:
        """The mix that evaluation and discretisation read."""
        read = self.method.evaluation_mix or relax.keyless(self.method.relax)
        return relax.masked(read(state.alphas, self.clock(state, after=True)), state.mask)

    def mix_of(self, state: SearchState, alphas: Tree, key: jax.Array, outer: bool = True) -> Mix:
        """The mix of a step at one of the levels."""
        relaxation = self.method.relax if outer else self.method.weight_relax or self.method.relax
        return relax.masked(relaxation(alphas, keys.stream(key, "relax"), self.clock(state)), state.mask)

    def objective(self, state: SearchState, batch: Batch, key: jax.Array, outer: bool, carry: Tree) -> Objective:
        """The loss of a level on a batch as a function of weights and alphas; carry: the recurrent state before it."""
        now, value = self.clock(state), self.loss_of_mix(state, batch, key, carry)

        def loss(weights, alphas):
            mix = self.mix_of(state, alphas, key, outer)
            if self.method.perturb is not None and not outer:
                fixed = jax.lax.stop_gradient(weights)
                mix = self.method.perturb(mix, lambda m: value(fixed, m, False)[0], keys.stream(key, "perturb"), now)
            total, seen = value(weights, mix, True)
            return (self.outer_loss(total, alphas, mix, state) if outer else total), seen

        return loss

    def outer_loss(self, total: jax.Array, alphas: Tree, mix: Mix, state: SearchState) -> jax.Array:
        """What the outer level minimises, of its loss on the data: with the method's factor, penalty and expense."""
        now = self.clock(state)
        if self.method.factor is not None:
            total *= self.method.factor(alphas, mix, now)
        if self.method.penalty is not None:
            total += self.method.penalty(alphas, mix, now)
        if self.method.expense is not None:
            total += state.knobs["expense"] * self.method.expense(mix)
        return total

    def loss_of_mix(self, state: SearchState, batch: Batch, key: jax.Array, carry: Tree) -> Callable[..., Any]:
        """(weights, mix, train, lesson) -> the loss on a batch, and what else is seen."""
        now = self.clock(state)
        noise = Noise(keys.stream(key, "noise"), self.method.drop_rate(now) if self.method.drop_rate else 0.0)

        def value(weights, mix, train=True, lesson=None):
            more: dict[str, Any] = {"noise": noise} if train and self.draws else {}
            outputs, moments, after = forward(
                self.traced, weights, state.stats, batch.inputs, mix, carry=carry, last=batch.last, train=train, **more
            )
            total, sums = self.task.loss(outputs, batch)
            seen = Evaluated(moments, sums, mix, reward(self.task.score, sums), after)
            return (total, seen) if lesson is None else taught(self.task, lesson, outputs, batch, total, seen)

        return value

    def with_alphas(self, state: SearchState, gradient: Tree) -> SearchState:
        """After a step of the alphas."""
        updates, alpha_opt = self.alpha_tx(state.knobs).update(gradient, state.alpha_opt, state.alphas)
        alphas = self.method.move(state.alphas, updates)
        if self.method.within is not None:
            alphas = self.method.within(alphas, lambda a: self.evaluation_mix(state._replace(alphas=a)))
        return state._replace(alphas=alphas, alpha_opt=alpha_opt)

    def with_weights(self, state: SearchState, gradient: Tree, pace: jax.Array | None) -> SearchState:
        """After a step of the weights, at the pace of its batch."""
        gradient = self.decayed(state, self.clipped(gradient))
        updates, weight_opt = self.weight_tx(state.step, state.knobs, pace).update(
            gradient, state.weight_opt, state.weights
        )
        return state._replace(weights=optax.apply_updates(state.weights, updates), weight_opt=weight_opt)

    def clipped(self, gradient: Tree) -> Tree:
        """Each ensemble member by its own norm."""

        def one(gradient):
            return self.clip_tx.update(gradient, self.clip_tx.init(gradient))[0]

        return self.each_member(one)(gradient)

    def filtered(self, memory: Tree, gradient: Tree, outer: jax.Array, now: Clock) -> tuple[Tree, Tree]:
        """The gradient that steps the weights, after the gradient filter; its memory sees the outer one as well."""
        own = self.method.gradient_filter
        assert own is not None
        return self.each_member(lambda memory, gradient: own.apply(memory, gradient, outer, now))(memory, gradient)

    def each_member(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """A function of the trees of one supernet, for every ensemble member by itself."""
        return function if self.method.members == 1 else jax.vmap(function)

    def decayed(self, state: SearchState, gradient: Tree) -> Tree:
        """The gradient with what a method adds to the weight decay of the config."""
        if "decay_factor" not in state.knobs:
            return gradient
        more = (state.knobs["decay_factor"] - 1) * self.decay(state.knobs)
        return jax.tree.map(lambda g, w: g + more.astype(g.dtype) * w, gradient, state.weights)

    def inner_update(self, state: SearchState, pace: jax.Array | None) -> Update:
        """From a gradient to the weights after one step at this pace, see `hypergrad`."""

        def update(gradient):
            tx = self.weight_tx(state.step, state.knobs, pace)
            updates, _ = tx.update(self.decayed(state, gradient), state.weight_opt, state.weights)
            return optax.apply_updates(state.weights, updates)

        return update

    def step_jointly(self, state: SearchState, batch: Batch, key: jax.Array) -> Stepped:
        """Single level: weights and alphas take a step each by the gradients of one loss on one batch."""
        objective = self.objective(state, batch, key, True, carry_of(state, "train"))
        gradients = jax.value_and_grad(objective, (0, 1), has_aux=True)
        (loss, seen), (to_weights, to_alphas) = gradients(state.weights, state.alphas)
        state = state._replace(stats=absorb(state.stats, seen.moments))
        state = self.with_weights(self.with_alphas(state, to_alphas), to_weights, batch.pace)
        return with_carry(state, "train", seen.carry), self.sums(loss, seen)

    def sums(self, loss: jax.Array, seen: Evaluated) -> Sums:
        """Of the measures that a step counts, as arrays."""
        kind = jnp.result_type(float)  # not that of activations: in bfloat16 not even a batch could be counted
        one = {**seen.sums, "loss": (loss / self.method.members, 1)}
        return {name: (jnp.asarray(one[name][0], kind), jnp.asarray(one[name][1], kind)) for name in self.task.trained}

    def warming(self, state: SearchState) -> jax.Array:
        """Whether the alphas stand still."""
        return self.clock(state).epoch < self.config.alphas.warmup_epochs

    def step(self, state: SearchState, levels: Levels) -> tuple[SearchState, StepMetrics]:
        """One step of both levels."""
        if self.network.carry is not None:  # an epoch begins with an empty memory
            first = (state.step - self.span.start) % self.steps == 0
            state = state._replace(carry=jax.tree.map(lambda leaf: jnp.where(first, 0, leaf), state.carry))
        drawn = jax.random.split(keys.stream(state.key, "step", state.step), 2)  # of the alphas, of the weights
        if self.config.levels == "single":
            state, train = self.step_jointly(state, levels.train, drawn[1])
            valid = train
        elif self.in_turns and alike(levels):
            state, valid, train = self.step_in_turns(state, levels, drawn)
        else:
            check_alike(self.method.gradient_filter, levels)
            state, valid, train = self.step_apart(state, levels, drawn)
        return state._replace(step=state.step + 1), StepMetrics(train, valid)
