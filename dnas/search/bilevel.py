"""The bilevel step: alphas on a validation batch, weights on a training batch (DARTS, algorithm 1).

    min_a F(w*(a), a)   with   w*(a) = argmin_w L(w, a)

`make_search` turns a network, a method and a config into pure functions of one `SearchState`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from dnas.config import AlphaConfig, SearchConfig, WeightConfig
from dnas.nets.functional import Functional
from dnas.nets.layers import absorb
from dnas.search import discretise, hypergrad, relax
from dnas.types import (
    Batch,
    Discretiser,
    Evaluated,
    Hypergradient,
    Objective,
    Penalty,
    Perturbation,
    Relaxation,
    SearchState,
    Tree,
)


def adam_with_l2(config: AlphaConfig) -> optax.GradientTransformation:
    """Adam as in PyTorch: L2 is added to the gradient, not decoupled."""
    return optax.chain(
        clip(config.clip),
        optax.add_decayed_weights(config.decay),
        optax.scale_by_adam(config.beta1, config.beta2, eps=1e-8),
        optax.scale_by_learning_rate(config.learning_rate),
    )


@dataclass(frozen=True)
class Method:
    """A search method is a value: one choice per axis. A published method is a name for a combination."""

    relax: Relaxation = relax.softmax
    hypergrad: Hypergradient = hypergrad.first_order
    perturb: Perturbation | None = None
    penalty: Penalty | None = None
    alpha_tx: Callable[[AlphaConfig], optax.GradientTransformation] = adam_with_l2
    discretise: Discretiser = discretise.strongest


class Levels(NamedTuple):
    """What one step reads: a batch for the weights, a batch for the alphas."""

    train: Batch
    valid: Batch


class StepMetrics(NamedTuple):
    """Losses and numbers of correct images of one step, measured in training mode."""

    train_loss: jax.Array
    train_correct: jax.Array
    valid_loss: jax.Array
    valid_correct: jax.Array


class Search(NamedTuple):
    """init(key) -> SearchState;  step(state, levels) -> (state, StepMetrics);  mix(alphas, key, step) -> Mix."""

    init: Callable[[jax.Array], SearchState]
    step: Callable[[SearchState, Levels], tuple[SearchState, StepMetrics]]
    mix: Relaxation


def clip(norm: float) -> optax.GradientTransformation:
    """Scale the gradient to at most this global norm, with PyTorch's 1e-6 in the denominator; 0: do nothing."""

    def scale(updates, _):
        factor = jnp.minimum(norm / (optax.global_norm(updates) + 1e-6), 1.0)
        return jax.tree.map(lambda g: g * factor.astype(g.dtype), updates)

    return optax.stateless(scale) if norm else optax.identity()


def learning_rate(config: WeightConfig, epochs: int, steps_per_epoch: int) -> optax.Schedule:
    """Cosine from `learning_rate` to `learning_rate_end`, constant within an epoch."""
    decay = optax.cosine_decay_schedule(
        config.learning_rate, epochs, config.learning_rate_end / max(config.learning_rate, 1e-30)
    )
    return lambda step: decay(step // steps_per_epoch)


def weight_optimiser(config: WeightConfig, rate: optax.Schedule) -> optax.GradientTransformation:
    """SGD with momentum and coupled weight decay; clipping is applied before, see `make_search`."""
    return optax.chain(
        optax.add_decayed_weights(config.decay),
        optax.trace(config.momentum, config.nesterov),
        optax.scale_by_learning_rate(rate),
    )


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Mean cross-entropy; logits [B, classes], labels [B]."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def make_search(
    network: Functional, mix_shapes: dict[str, tuple[int, int]], method: Method, config: SearchConfig, steps: int
) -> Search:
    """Build the pure functions of a search; `steps` is the number of steps per epoch."""
    rate = learning_rate(config.weights, config.epochs, steps)
    weight_tx, clip_tx = weight_optimiser(config.weights, rate), clip(config.weights.clip)
    alpha_tx = method.alpha_tx(config.alphas)

    def init(key: jax.Array) -> SearchState:
        run_key, weight_key, alpha_key = jax.random.split(key, 3)
        weights, stats = network.init(weight_key)
        keys = jax.random.split(alpha_key, len(mix_shapes))
        alphas = {
            kind: config.alphas.initial_scale * jax.random.normal(k, shape)
            for k, (kind, shape) in zip(keys, sorted(mix_shapes.items()), strict=True)
        }
        return SearchState(
            jnp.zeros((), jnp.int32), run_key, weights, stats, alphas, weight_tx.init(weights), alpha_tx.init(alphas)
        )

    def objective(batch: Batch, stats: Tree, key: jax.Array, step: jax.Array, outer: bool) -> Objective:
        def loss(weights, alphas):
            mix = method.relax(alphas, key, step)
            if method.perturb is not None and not outer:
                perturb_key = jax.random.fold_in(key, 1)
                fixed = jax.lax.stop_gradient(weights)
                mix = method.perturb(mix, lambda m: value(fixed, m)[0], perturb_key, step)
            total, seen = value(weights, mix)
            if method.penalty is not None and outer:
                total += method.penalty(alphas, mix, step)
            return total, seen

        def value(weights, mix):
            logits, moments = network.apply(weights, stats, batch.x, mix, train=True)
            return cross_entropy(logits, batch.y), Evaluated(moments, logits)

        return loss

    def apply_alphas(state: SearchState, gradient: Tree) -> SearchState:
        updates, alpha_opt = alpha_tx.update(gradient, state.alpha_opt, state.alphas)
        moved = state._replace(alphas=optax.apply_updates(state.alphas, updates), alpha_opt=alpha_opt)
        if not config.alphas.warmup_epochs:
            return moved
        return choose(state.step >= config.alphas.warmup_epochs * steps, moved, state)

    def apply_weights(state: SearchState, gradient: Tree) -> SearchState:
        gradient, _ = clip_tx.update(gradient, clip_tx.init(gradient))
        updates, weight_opt = weight_tx.update(gradient, state.weight_opt, state.weights)
        return state._replace(weights=optax.apply_updates(state.weights, updates), weight_opt=weight_opt)

    def step_alphas(state: SearchState, levels: Levels, key: jax.Array):
        inner_key, outer_key = jax.random.split(key)
        inner = objective(levels.train, state.stats, inner_key, state.step, outer=False)
        outer = objective(levels.valid, state.stats, outer_key, state.step, outer=True)

        def update(gradient):
            updates, _ = weight_tx.update(gradient, state.weight_opt, state.weights)
            return optax.apply_updates(state.weights, updates)

        estimate = method.hypergrad(inner, outer, state.weights, state.alphas, update)
        stats = state.stats
        for moments in estimate.moments:
            stats = absorb(stats, moments)
        state = apply_alphas(state._replace(stats=stats), estimate.gradient)
        return state, (estimate.loss, correct(estimate.logits, levels.valid.y))

    def step_weights(state: SearchState, levels: Levels, key: jax.Array):
        inner = objective(levels.train, state.stats, key, state.step, outer=False)
        (loss, seen), gradient = jax.value_and_grad(inner, has_aux=True)(state.weights, state.alphas)
        state = apply_weights(state._replace(stats=absorb(state.stats, seen.moments)), gradient)
        return state, (loss, correct(seen.logits, levels.train.y))

    def step_both(state: SearchState, levels: Levels, keys: jax.Array, alphas_first: bool):
        """Both levels of a first-order step as a loop over one gradient program, which halves what is compiled."""
        order = (levels.valid, levels.train) if alphas_first else (levels.train, levels.valid)
        batches = jax.tree.map(lambda *leaves: jnp.stack(leaves), *order)
        is_alpha = jnp.array([alphas_first, not alphas_first])

        def level(state, row):
            batch, key, alpha_level = row
            plain = objective(batch, state.stats, key, state.step, outer=False)
            (loss, seen), (to_weights, to_alphas) = jax.value_and_grad(plain, (0, 1), has_aux=True)(
                state.weights, state.alphas
            )
            if method.penalty is not None:
                added = lambda a: method.penalty(a, method.relax(a, key, state.step), state.step)  # noqa: E731
                extra, to_extra = jax.value_and_grad(added)(state.alphas)
                loss = loss + jnp.where(alpha_level, extra, 0)
                to_alphas = jax.tree.map(jnp.add, to_alphas, to_extra)
            state = state._replace(stats=absorb(state.stats, seen.moments))
            stepped = choose(alpha_level, apply_alphas(state, to_alphas), apply_weights(state, to_weights))
            return stepped, (loss, correct(seen.logits, batch.y))

        state, (losses, hits) = jax.lax.scan(level, state, (batches, keys, is_alpha))
        a, w = (0, 1) if alphas_first else (1, 0)
        return state, (losses[a], hits[a]), (losses[w], hits[w])

    def step(state: SearchState, levels: Levels) -> tuple[SearchState, StepMetrics]:
        keys = jax.random.split(jax.random.fold_in(state.key, state.step), 2)  # of the alphas, of the weights
        alphas_first = config.order == "alphas_first"
        one_program = method.hypergrad is hypergrad.first_order and method.perturb is None
        if one_program and levels.train.x.shape == levels.valid.x.shape:
            state, valid, train = step_both(state, levels, keys if alphas_first else keys[::-1], alphas_first)
        elif alphas_first:
            state, valid = step_alphas(state, levels, keys[0])
            state, train = step_weights(state, levels, keys[1])
        else:
            state, train = step_weights(state, levels, keys[1])
            state, valid = step_alphas(state, levels, keys[0])
        return state._replace(step=state.step + 1), StepMetrics(*train, *valid)

    return Search(init, step, method.relax)


def correct(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """How many of the batch are classified right."""
    return (logits.argmax(-1) == labels).sum()


def choose(condition: jax.Array, yes: Any, no: Any) -> Any:
    """One of two equal trees."""
    return jax.tree.map(lambda a, b: a if a is b else jax.lax.select_n(condition, b, a), yes, no)
