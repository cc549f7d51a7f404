"""The bilevel step: alphas on a validation batch, weights on a training batch (DARTS, algorithm 1).

    min_a F(w*(a), a)   with   w*(a) = argmin_w L(w, a)

`make_search` turns a network, a method and a config into pure functions of one `SearchState`.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from dnas import keys
from dnas.architectures.topology import Space
from dnas.config import SearchConfig
from dnas.errors import UserError
from dnas.nets.functional import Functional, replicated
from dnas.nets.layers import absorb
from dnas.search import hypergrad, relax
from dnas.search.method import Method, adapted
from dnas.training.weights import clip, optimiser_of, rate_of
from dnas.types import Batch, Clock, Evaluated, Mix, Noise, Objective, SearchState, Tree, Update

SHORT = 1000  # steps of a run: up to here less compilation is worth more than a faster step
WEIGHTS, OUTER, INNER = range(3)  # whose gradient a turn takes: of the weights, of the alphas, of the unrolled step


class Levels(NamedTuple):
    """What one step reads: a batch for the weights, a batch for the alphas.

    With `inner_steps` K > 1 `train` holds K batches on a further first axis. A single level reads `train` only.
    """

    train: Batch
    valid: Batch


class StepMetrics(NamedTuple):
    """Losses and numbers of correct images of one step, measured in training mode.

    `valid` is of the batch that the alphas were trained on; where nothing trains them it repeats `train`, while they
    warm up it is 0.
    """

    train_loss: jax.Array
    train_correct: jax.Array
    valid_loss: jax.Array
    valid_correct: jax.Array


class Search(NamedTuple):
    """init(key) -> SearchState;  step(state, levels) -> (state, StepMetrics);  mix(state) -> the scores that count.

    network: what the state's weights belong to.
    """

    init: Callable[[jax.Array], SearchState]
    step: Callable[[SearchState, Levels], tuple[SearchState, StepMetrics]]
    mix: Callable[[SearchState], Mix]
    network: Functional


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Mean cross-entropy of logits [B, classes] and labels [B]; of replicas [R, B, classes] the sum of theirs."""
    labels = jnp.broadcast_to(labels, logits.shape[:-1])
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean(-1).sum()


class Span(NamedTuple):
    """Where a phase begins: its first step, the epochs done before it, and the first step and the epochs of the
    learning rate's schedule, which may span several phases; 0 epochs: those of the phase. settled: the method's own
    schedules stand at the last of so many epochs; 0: they run."""

    start: int = 0
    epoch: int = 0
    schedule_start: int = 0
    schedule_epochs: int = 0
    settled: int = 0


WHOLE = Span()


def phase_rate(config: SearchConfig, steps: int, span: Span) -> optax.Schedule:
    """The learning rate of the weights in a phase, as a function of the step of the whole search."""
    return rate_of(config.weights, span.schedule_epochs or config.epochs, steps, span.schedule_start)


def make_search(
    network: Functional, space: Space, method: Method, config: SearchConfig, steps: int, span: Span = WHOLE
) -> Search:
    """Build the pure functions of a search, or of one phase of it.

    network: of the supernet that `method.supernet(space)` describes. steps: of an epoch.
    Errors: `UserError` for options that the method cannot be combined with.
    """
    method = adapted(method, space, config)
    check(method, config)
    network = replicated(network, method.replicas)
    # traced once for all gradients of a step, if all are of weights and mix: XLA leaves out those that nobody reads
    apply = jax.jit(network.apply, static_argnames="train")
    rate, start = phase_rate(config, steps, span), span.start
    optimiser = optimiser_of(config.weights)  # not while the step is traced: it reads files
    clip_tx, alpha_tx = clip(config.weights.clip), method.alpha_tx(config.alphas)
    alphas_first, is_random = config.order == "alphas_first", bool(method.supernet(space).random)

    def weight_tx(step: jax.Array) -> optax.GradientTransformation:
        """With the learning rate of this step: optax counts updates, of which a step may make several, or begin anew
        in a later phase."""
        return optimiser.make(lambda _: rate(step), config.weights.decay)

    def init(key: jax.Array) -> SearchState:
        weights, stats = network.init(keys.stream(key, "weights"))
        alphas = method.alphas(space, keys.stream(key, "alphas"), config.alphas)
        state = SearchState(
            jnp.int32(start),
            keys.stream(key, "run"),
            weights,
            stats,
            alphas,
            weight_tx(jnp.int32(start)).init(weights),
            alpha_tx.init(alphas),
        )
        return state._replace(
            mask={kind: jnp.ones(shape) for kind, shape in space.mix_shapes.items()} if method.masks else (),
            memory=method.gate.init(weights) if method.gate is not None else (),
            knobs={name: jnp.asarray(value, float) for name, value in method.knobs.items()},
        )

    def clock(state: SearchState, after: bool = False) -> Clock:
        """after: what counts between epochs, when the last one is over."""
        if span.settled:
            return Clock(state.step, jnp.int32(span.settled - (not after)), span.settled)
        return Clock(state.step, (state.step - start) // steps, config.epochs)

    def scores(state: SearchState) -> Mix:
        read = method.scores or relax.score(method.relax)
        return relax.masked(read(state.alphas, clock(state, after=True)), state.mask)

    def mix_of(state: SearchState, alphas: Tree, key: jax.Array, outer: bool = True) -> Mix:
        relaxation = method.relax if outer else method.weight_relax or method.relax
        return relax.masked(relaxation(alphas, keys.stream(key, "relax"), clock(state)), state.mask)

    def objective(state: SearchState, batch: Batch, key: jax.Array, outer: bool) -> Objective:
        now = clock(state)
        noise = Noise(keys.stream(key, "noise"), method.drop_rate(now) if method.drop_rate else 0.0)

        def loss(weights, alphas):
            mix = mix_of(state, alphas, key, outer)
            if method.perturb is not None and not outer:
                fixed = jax.lax.stop_gradient(weights)
                mix = method.perturb(mix, lambda m: value(fixed, m, False)[0], keys.stream(key, "perturb"), now)
            total, seen = value(weights, mix, True)
            if method.penalty is not None and outer:
                total += method.penalty(alphas, mix, now)
            return total, seen

        def value(weights, mix, train):
            random = {"noise": noise} if train and is_random else {}
            logits, moments = apply(weights, state.stats, batch.x, mix, train=train, **random)
            accuracy = correct(logits, batch.y) / len(batch.y)
            return cross_entropy(logits, batch.y), Evaluated(moments, logits, mix, accuracy)

        return loss

    def with_alphas(state: SearchState, gradient: Tree) -> SearchState:
        updates, alpha_opt = alpha_tx.update(gradient, state.alpha_opt, state.alphas)
        return state._replace(alphas=method.move(state.alphas, updates), alpha_opt=alpha_opt)

    def with_weights(state: SearchState, gradient: Tree) -> SearchState:
        gradient = clipped(gradient)
        updates, weight_opt = weight_tx(state.step).update(decayed(state, gradient), state.weight_opt, state.weights)
        return state._replace(weights=optax.apply_updates(state.weights, updates), weight_opt=weight_opt)

    def clipped(gradient: Tree) -> Tree:
        def one(gradient):
            return clip_tx.update(gradient, clip_tx.init(gradient))[0]

        return one(gradient) if method.replicas == 1 else jax.vmap(one)(gradient)  # each replica by its own norm

    def decayed(state: SearchState, gradient: Tree) -> Tree:
        """The gradient with what a method adds to the weight decay of the config."""
        if "decay_factor" not in state.knobs:
            return gradient
        more = (state.knobs["decay_factor"] - 1) * config.weights.decay
        return jax.tree.map(lambda g, w: g + more.astype(g.dtype) * w, gradient, state.weights)

    def inner_update(state: SearchState) -> Update:
        """From a gradient to the weights after one step, see `hypergrad`."""

        def update(gradient):
            updates, _ = weight_tx(state.step).update(decayed(state, gradient), state.weight_opt, state.weights)
            return optax.apply_updates(state.weights, updates)

        return update

    def step_alphas(state: SearchState, train: Batch, valid: Batch, key: jax.Array):
        inner_key, outer_key = jax.random.split(key)
        inner, outer = objective(state, train, inner_key, False), objective(state, valid, outer_key, True)
        assert method.hypergrad is not None
        estimate = method.hypergrad(inner, outer, state.weights, state.alphas, inner_update(state))
        stats = state.stats
        for moments in estimate.moments:
            stats = absorb(stats, moments)
        state = with_alphas(state._replace(stats=stats), estimate.gradient)
        return state, (estimate.loss, correct(estimate.logits, valid.y))

    def step_weights(state: SearchState, train: Batch, key: jax.Array):
        (loss, seen), (gradient, _) = jax.value_and_grad(objective(state, train, key, False), (0, 1), has_aux=True)(
            state.weights, state.alphas
        )
        state = with_weights(state._replace(stats=absorb(state.stats, seen.moments)), gradient)
        return state, (loss, correct(seen.logits, train.y))

    def step_jointly(state: SearchState, batch: Batch, key: jax.Array):
        """Single level: weights and alphas take a step each by the gradients of one loss on one batch."""
        (loss, seen), (to_weights, to_alphas) = jax.value_and_grad(
            objective(state, batch, key, True), (0, 1), has_aux=True
        )(state.weights, state.alphas)
        state = state._replace(stats=absorb(state.stats, seen.moments))
        return with_weights(with_alphas(state, to_alphas), to_weights), (loss, correct(seen.logits, batch.y))

    def step_in_turns(state: SearchState, levels: Levels, drawn: jax.Array):
        """The levels of a step as a loop over one gradient program; each turn has its batch and its end.

        Every further copy would be compiled anew, and what those of an unrolled step have in common XLA would keep from
        one to the next, at several times the memory. The price: each turn takes both gradients, of weights and alphas.

        While the alphas warm up only the weights have their turn.
        """
        inner_key, outer_key = jax.random.split(drawn[0])
        turns = [(INNER, levels.train, inner_key)] * unrolled + [(OUTER, levels.valid, outer_key)]
        skipped: jax.Array | int = jnp.where(warming(state), len(turns), 0) if config.alphas.warmup_epochs else 0
        begin, end = (skipped, len(turns) + 1) if alphas_first else (0, len(turns) + 1 - skipped)
        turns.insert(len(turns) if alphas_first else 0, (WEIGHTS, levels.train, drawn[1]))
        rows = jax.tree.map(lambda *leaves: jnp.stack(leaves), *turns)

        def turn(i, carry):
            state, inner_gradient, metrics = carry
            whose, batch, key = jax.tree.map(lambda leaf: leaf[i], rows)
            now, update = clock(state), inner_update(state)
            point = choose(whose == OUTER, update(inner_gradient), state.weights) if unrolled else state.weights
            (loss, seen), (to_weights, to_alphas) = jax.value_and_grad(
                objective(state, batch, key, False), (0, 1), has_aux=True
            )(point, state.alphas)
            absorbed = state._replace(stats=absorb(state.stats, seen.moments))
            if method.gate is not None:
                memory, to_weights = method.gate.apply(state.memory, to_weights, whose == OUTER, now)
                absorbed = absorbed._replace(memory=memory)

            def end_of_weights():
                return with_weights(absorbed, to_weights), inner_gradient, loss

            def end_of_outer():
                total, gradient = loss, to_alphas
                if method.penalty is not None:
                    added = lambda a: method.penalty(a, mix_of(state, a, key), now)  # noqa: E731
                    extra, to_extra = jax.value_and_grad(added)(state.alphas)
                    total, gradient = loss + extra, jax.tree.map(jnp.add, gradient, to_extra)
                if not unrolled:
                    return with_alphas(absorbed, gradient), inner_gradient, total
                inner = objective(state, levels.train, inner_key, False)
                implicit = hypergrad.through_one_step(
                    inner, state.weights, state.alphas, update, inner_gradient, to_weights
                )
                return with_alphas(state, jax.tree.map(jnp.add, gradient, implicit)), inner_gradient, total

            def end_of_inner():
                return absorbed, to_weights, loss

            ends = (end_of_weights, end_of_outer) + (end_of_inner,) * unrolled
            state, inner_gradient, loss = jax.lax.switch(whose, ends)
            one = loss, correct(seen.logits, batch.y)
            metrics = jax.tree.map(lambda s, o: s.at[whose].set(o.astype(s.dtype)), metrics, one)
            return state, inner_gradient, metrics

        metrics = jnp.zeros(3, stats_dtype(state.stats)), jnp.zeros(3, jnp.int32)
        nothing = jax.tree.map(jnp.zeros_like, state.weights) if unrolled else ()
        state, _, (losses, hits) = jax.lax.fori_loop(begin, end, turn, (state, nothing, metrics))
        return state, (losses[OUTER], hits[OUTER]), (losses[WEIGHTS], hits[WEIGHTS])

    def warming(state: SearchState) -> jax.Array:
        return clock(state).epoch < config.alphas.warmup_epochs

    def apart(state: SearchState, levels: Levels, drawn: jax.Array):
        """The levels one after the other: any hypergradient, any number of inner steps."""
        several = config.inner_steps > 1
        last = jax.tree.map(lambda leaf: leaf[-1], levels.train) if several else levels.train

        def alpha_level(state):
            if method.hypergrad is None:
                return state, None
            if not config.alphas.warmup_epochs:
                return step_alphas(state, last, levels.valid, drawn[0])
            nothing = jax.eval_shape(lambda: step_alphas(state, last, levels.valid, drawn[0])[1])
            zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), nothing)
            return jax.lax.cond(
                warming(state), lambda s: (s, zeros), lambda s: step_alphas(s, last, levels.valid, drawn[0]), state
            )

        def weight_level(state):
            if not several:
                return step_weights(state, levels.train, drawn[1])
            rows = levels.train, jax.random.split(drawn[1], config.inner_steps)
            state, (losses, hits) = jax.lax.scan(lambda state, row: step_weights(state, *row), state, rows)
            return state, (losses.mean(), hits.mean())

        if alphas_first:
            state, valid = alpha_level(state)
            state, train = weight_level(state)
        else:
            state, train = weight_level(state)
            state, valid = alpha_level(state)
        return state, valid or train, train

    unrolled = method.hypergrad is hypergrad.unrolled
    short = method.hypergrad is hypergrad.first_order and (config.epochs * steps <= SHORT or method.gate is not None)
    in_turns = (unrolled or short) and config.inner_steps == 1 and not (method.perturb or method.weight_relax)

    def step(state: SearchState, levels: Levels) -> tuple[SearchState, StepMetrics]:
        drawn = jax.random.split(keys.stream(state.key, "step", state.step), 2)  # of the alphas, of the weights
        if config.levels == "single":
            state, train = step_jointly(state, levels.train, drawn[1])
            valid = train
        elif in_turns and levels.train.x.shape == levels.valid.x.shape:
            state, valid, train = step_in_turns(state, levels, drawn)
        elif method.gate is not None:
            raise UserError("This method compares the gradients of both levels: their batches must have one shape.")
        else:
            state, valid, train = apart(state, levels, drawn)
        (loss, hits), (valid_loss, valid_hits) = train, valid
        metrics = StepMetrics(loss / method.replicas, hits, valid_loss / method.replicas, valid_hits)
        return state._replace(step=state.step + 1), metrics

    return Search(init, step, scores, network)


def check(method: Method, config: SearchConfig) -> None:
    """Refuse what cannot be combined; method: `adapted`."""
    single, warmup = config.levels == "single", config.alphas.warmup_epochs
    if single and (
        method.perturb or method.gate or method.weight_relax or method.hypergrad is not hypergrad.first_order
    ):
        raise UserError("search.levels is 'single', but this method needs two levels: set search.levels to 'bilevel'.")
    if single and (config.inner_steps > 1 or warmup):
        raise UserError(
            "With search.levels 'single' weights and alphas step together: search.inner_steps must be 1 and "
            "search.alphas.warmup_epochs 0."
        )
    if method.gate and config.inner_steps > 1:
        raise UserError("This method compares the gradients of both levels: search.inner_steps must be 1.")
    if method.gate and (method.perturb or method.weight_relax or method.hypergrad is not hypergrad.first_order):
        raise UserError(
            "This method stops operations by the gradients of both levels, which it sees with first-order alphas only: "
            "it cannot be combined with another hypergradient, with alphas that stand still (blank) or with perturbed "
            "weights."
        )
    coupled = optimiser_of(config.weights).coupled
    if "decay_factor" in method.knobs and not coupled:
        raise UserError(
            f"This method adds to the weight decay in the gradient, and optimiser '{config.weights.optimiser}' has its "
            "own beside it: set search.weights.optimiser to 'sgd', 'adam' or 'rmsprop'."
        )
    if method.hypergrad is not None and warmup >= config.epochs:
        raise UserError(
            f"search.alphas.warmup_epochs is {warmup}, but the search, or a phase of it, has {config.epochs} epochs: "
            "no alphas would be trained; choose fewer warm-up epochs."
        )


def correct(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """How many of the batch are classified right; of replicas, by the first."""
    return (logits.reshape(-1, *logits.shape[-2:])[0].argmax(-1) == labels).sum()


def choose(condition: jax.Array, yes: Any, no: Any) -> Any:
    """One of two equal trees."""
    return jax.tree.map(lambda a, b: a if a is b else jax.lax.select_n(condition, b, a), yes, no)


def stats_dtype(stats: Tree) -> Any:
    """The float type the statistics are kept in."""
    return jax.tree.leaves(stats)[0].dtype
