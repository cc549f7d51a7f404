"""Beam search: the sequences that a network finds most likely, as far as a beam of so many can tell.

At every step each of K hypotheses is continued by every token, and the K best of all that come out are kept; one that
has ended stays as it is. They are ranked as in Wu et al. 2016, arXiv:1609.08144, section 7, by

    score(Y) = log P(Y) / ((5 + |Y|) / 6)^penalty,    |Y| the tokens of Y, its end among them

A beam of 1 takes the most likely token at every step; one that is as wide as there are sequences finds the best.
Axis letters: B sentences, K hypotheses, T tokens, V vocabulary.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from dnas.types import Tree

Step = Callable[[jax.Array, jax.Array, Tree], tuple[jax.Array, Tree]]


class Found(NamedTuple):
    """The best of each beam: tokens int32 [B, T], from the first on, filled up with `fill` behind the end; their number
    [B], the end counted; scores [B]."""

    tokens: jax.Array
    lengths: jax.Array
    scores: jax.Array


class _State(NamedTuple):
    number: jax.Array  # of tokens written
    tokens: jax.Array  # [B, K, T + 1], the first is the begin
    logs: jax.Array  # [B, K]
    lengths: jax.Array  # [B, K]
    ended: jax.Array  # [B, K]
    past: Tree  # [B * K, ...]


def beam_search(
    step: Step,
    past: Tree,
    sentences: int,
    *,
    beam: int,
    length: int,
    begin: int,
    end: int,
    never: Sequence[int] = (),
    fill: int = 0,
    penalty: float = 0.0,
    dtype: Any = jnp.float32,
) -> Found:
    """Pure. step(tokens int32 [B * K], number, past) -> (logits [B * K, V] of what follows these tokens, of which
    `begin` has the number 0, past with them). past: what a step knows of the tokens before, arrays [B * K, ...]. beam:
    K; length: T at most; never: tokens that are not written, beside `begin` and `fill`."""
    scale = (5 + jnp.arange(length + 1, dtype=dtype)) / 6
    scale = scale**penalty
    barred = jnp.array(sorted({begin, fill, *never}))
    tokens = jnp.full((sentences, beam, length + 1), fill, jnp.int32).at[:, :, 0].set(begin)
    logs = jnp.full((sentences, beam), -jnp.inf, dtype).at[:, 0].set(0)
    none = jnp.zeros((sentences, beam), jnp.int32)
    state = _State(jnp.int32(0), tokens, logs, none, none.astype(bool), past)

    def written(state: _State) -> _State:
        last = jax.lax.dynamic_index_in_dim(state.tokens, state.number, 2, keepdims=False)
        logits, past = step(last.reshape(-1), state.number, state.past)
        logits, count = logits.astype(dtype), logits.shape[-1]
        own = jax.nn.log_softmax(logits).at[:, barred].set(-jnp.inf).reshape(sentences, beam, count)
        stay = jnp.where(jnp.arange(count) == fill, 0, -jnp.inf).astype(dtype)
        totals = state.logs[..., None] + jnp.where(state.ended[..., None], stay, own)
        lengths = jnp.where(state.ended, state.lengths, state.number + 1)
        ranked = (totals / scale[lengths][..., None]).reshape(sentences, -1)
        _, best = jax.lax.top_k(ranked, beam)
        rows, token = best // count, (best % count).astype(jnp.int32)

        def taken(values: jax.Array) -> jax.Array:
            return jnp.take_along_axis(values, rows, 1)

        whose = (rows + beam * jnp.arange(sentences)[:, None]).reshape(-1)
        kept = jnp.take_along_axis(state.tokens, rows[..., None], 1)
        return _State(
            state.number + 1,
            jax.lax.dynamic_update_index_in_dim(kept, token, state.number + 1, 2),
            jnp.take_along_axis(totals.reshape(sentences, -1), best, 1),
            taken(lengths),
            taken(state.ended) | (token == end),
            jax.tree.map(lambda leaf: leaf[whose], past),
        )

    def goes_on(state: _State) -> jax.Array:
        return (state.number < length) & ~(state.ended | jnp.isneginf(state.logs)).all()

    state = jax.lax.while_loop(goes_on, written, state)
    return Found(state.tokens[:, 0, 1:], state.lengths[:, 0], state.logs[:, 0] / scale[state.lengths[:, 0]])
