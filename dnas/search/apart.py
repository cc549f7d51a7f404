"""The levels of a step one after the other: any hypergradient, any number of inner steps, mixes of their own."""

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp

from dnas.nets.layers import absorb
from dnas.search.levels import Levels, Stepped, carry_of, with_carry
from dnas.tasks.task import Sums
from dnas.types import Batch, SearchState


class Apart:
    """What a `bilevel.Bilevel` does so; methods, so that programs are named after what these read of it."""

    def step_apart(self: Any, state: SearchState, levels: Levels, drawn: jax.Array) -> tuple[SearchState, Sums, Sums]:
        """One step, and the sums of the outer and of the inner level; drawn: the keys of the two, in this order."""
        if self.alphas_first:
            state, valid = self._outer_level(state, levels, drawn[0])
            state, train = self._inner_level(state, levels, drawn[1])
        else:
            state, train = self._inner_level(state, levels, drawn[1])
            state, valid = self._outer_level(state, levels, drawn[0])
        return state, train if valid is None else valid, train

    def _outer_level(self: Any, state: SearchState, levels: Levels, key: jax.Array) -> tuple[SearchState, Sums | None]:
        if self.method.hypergrad is None:
            return state, None
        several = self.config.inner_steps > 1
        last = jax.tree.map(lambda leaf: leaf[-1], levels.train) if several else levels.train

        def stepped(state):
            return self.step_outer(state, last, levels.valid, key)

        if not self.config.alphas.warmup_epochs:
            return stepped(state)
        nothing = jax.eval_shape(lambda: stepped(state)[1])
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, leaf.dtype), nothing)
        return jax.lax.cond(self.warming(state), lambda s: (s, zeros), stepped, state)

    def _inner_level(self: Any, state: SearchState, levels: Levels, key: jax.Array) -> Stepped:
        if self.config.inner_steps == 1:
            return self.step_inner(state, levels.train, key)
        rows = levels.train, jax.random.split(key, self.config.inner_steps)
        state, sums = jax.lax.scan(lambda state, row: self.step_inner(state, *row), state, rows)
        return state, jax.tree.map(lambda leaf: leaf.mean(0), sums)

    def step_outer(self: Any, state: SearchState, train: Batch, valid: Batch, key: jax.Array) -> Stepped:
        """The outer level: a step of the alphas."""
        inner_key, outer_key = jax.random.split(key)
        inner = self.objective(state, train, inner_key, False, carry_of(state, "train"))
        outer = self.objective(state, valid, outer_key, True, carry_of(state, "valid"))
        assert self.method.hypergrad is not None
        update = self.inner_update(state, train.pace)
        estimate = self.method.hypergrad(inner, outer, state.weights, state.alphas, update)
        stats = state.stats
        for moments in estimate.moments:
            stats = absorb(stats, moments)
        state = self.with_alphas(state._replace(stats=stats), estimate.gradient)
        return with_carry(state, "valid", estimate.seen.carry), self.sums(estimate.loss, estimate.seen)

    def step_inner(self: Any, state: SearchState, train: Batch, key: jax.Array) -> Stepped:
        """The inner level: a step of the weights."""
        own, before = self.method.weight_gradient, carry_of(state, "train")
        if own is None:
            gradients = jax.value_and_grad(self.objective(state, train, key, False, before), (0, 1), has_aux=True)
            (loss, seen), (gradient, _) = gradients(state.weights, state.alphas)
        else:
            mix = self.mix_of(state, state.alphas, key, False)
            own = partial(own, teacher=state.teacher) if self.method.teacher else own
            value = self.loss_of_mix(state, train, key, before)
            (loss, seen), gradient = own(value, state.weights, mix, self.clock(state))
        state = self.with_weights(state._replace(stats=absorb(state.stats, seen.moments)), gradient, train.pace)
        return with_carry(state, "train", seen.carry), self.sums(loss, seen)
