"""The levels of a step as a loop over one gradient program; each turn has its batch and its end.

Every further copy would be compiled anew, and what those of an unrolled step have in common XLA would keep from one to
the next, at several times the memory. The price: each turn takes both gradients, of weights and alphas. While the
alphas warm up only the weights have their turn.
"""

from typing import Any

import jax
import jax.numpy as jnp

from dnas.nets.layers import absorb
from dnas.search.levels import Levels, carry_of, choose, with_carry
from dnas.tasks.task import Sums
from dnas.types import SearchState

WEIGHTS, OUTER, INNER = range(3)  # a step of the weights, and the turns of an estimator (`hypergrad.Estimator.turns`)


class InTurns:
    """What a `bilevel.Bilevel` does so; methods, so that programs are named after what these read of it."""

    def step_in_turns(
        self: Any, state: SearchState, levels: Levels, drawn: jax.Array
    ) -> tuple[SearchState, Sums, Sums]:
        """One step, and the sums of the outer and of the inner level; drawn: the keys of the two, in this order."""
        inner_key, outer_key = jax.random.split(drawn[0])
        unrolled = self.method.hypergrad.implicit is not None
        turns: list[Any] = [(INNER, levels.train, inner_key)] * unrolled + [(OUTER, levels.valid, outer_key)]
        warmup = self.config.alphas.warmup_epochs
        skipped: jax.Array | int = jnp.where(self.warming(state), len(turns), 0) if warmup else 0
        first = self.alphas_first
        begin, end = (skipped, len(turns) + 1) if first else (0, len(turns) + 1 - skipped)
        turns.insert(len(turns) if first else 0, (WEIGHTS, levels.train, drawn[1]))
        rows = jax.tree.map(lambda *leaves: jnp.stack(leaves), *turns)

        def turn(i, carry):
            state, inner_gradient, metrics = carry
            state, inner_gradient, one, whose = self._turn(state, inner_gradient, levels, inner_key, rows, i)
            metrics = jax.tree.map(lambda s, o: s.at[whose].set(o.astype(s.dtype)), metrics, one)
            return state, inner_gradient, metrics

        kind = jax.tree.leaves(state.weights)[0].dtype
        metrics = {name: (jnp.zeros(3, kind), jnp.zeros(3, kind)) for name in self.task.trained}
        nothing = jax.tree.map(jnp.zeros_like, state.weights) if unrolled else ()
        state, _, metrics = jax.lax.fori_loop(begin, end, turn, (state, nothing, metrics))
        valid, train = (jax.tree.map(lambda leaf: leaf[whose], metrics) for whose in (OUTER, WEIGHTS))  # noqa: B023
        return state, valid, train

    def _turn(self: Any, state: SearchState, inner_gradient: Any, levels: Levels, inner_key, rows, i):
        """(state, inner gradient, sums, whose turn it was) after turn i of the rows."""
        implicit_term = self.method.hypergrad.implicit
        unrolled = implicit_term is not None
        whose, batch, key = jax.tree.map(lambda leaf: leaf[i], rows)
        now, update = self.clock(state), self.inner_update(state, levels.train.pace)
        point = choose(whose == OUTER, update(inner_gradient), state.weights) if unrolled else state.weights
        before = choose(whose == OUTER, carry_of(state, "valid"), carry_of(state, "train"))
        objective = self.objective(state, batch, key, False, before)
        (loss, seen), (to_weights, to_alphas) = jax.value_and_grad(objective, (0, 1), has_aux=True)(point, state.alphas)
        absorbed = state._replace(stats=absorb(state.stats, seen.moments))
        if self.method.gradient_filter is not None:
            memory, to_weights = self.filtered(state.memory, to_weights, whose == OUTER, now)
            absorbed = absorbed._replace(memory=memory)

        def end_of_weights():
            stepped = self.with_weights(absorbed, to_weights, batch.pace)
            return with_carry(stepped, "train", seen.carry), inner_gradient, loss

        def end_of_outer():
            total, gradient, of_weights = loss, to_alphas, to_weights
            if any(part is not None for part in (self.method.factor, self.method.penalty, self.method.expense)):
                whole = lambda of_data, a: self.outer_loss(of_data, a, self.mix_of(state, a, key), state)  # noqa: E731
                total, (share, extra) = jax.value_and_grad(whole, (0, 1))(loss, state.alphas)
                gradient = jax.tree.map(lambda g, e: share * g + e, to_alphas, extra)
                of_weights = jax.tree.map(lambda g: share * g, to_weights)
            if implicit_term is None:
                return with_carry(self.with_alphas(absorbed, gradient), "valid", seen.carry), inner_gradient, total
            inner = self.objective(state, levels.train, inner_key, False, carry_of(state, "train"))
            implicit = implicit_term(inner, state.weights, state.alphas, update, inner_gradient, of_weights)
            stepped = self.with_alphas(state, jax.tree.map(jnp.add, gradient, implicit))
            return with_carry(stepped, "valid", seen.carry), inner_gradient, total

        def end_of_inner():
            return absorbed, to_weights, loss

        ends = (end_of_weights, end_of_outer) + (end_of_inner,) * unrolled
        state, inner_gradient, loss = jax.lax.switch(whose, ends)
        return state, inner_gradient, self.sums(loss, seen), whose
