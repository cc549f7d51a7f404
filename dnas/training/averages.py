"""Averages of weights: what is evaluated in place of the last iterate.

    EMA: average = decay average + (1 - decay) weights        ASGD: average = mean of all weights since a trigger

EMA begins with the first weights and has no correction of the bias, as in EfficientNet (arXiv:1905.11946) and timm.
ASGD is Polyak and Juditsky's (1992) with the non-monotone trigger of AWD-LSTM (Merity, Keskar and Socher, ICLR 2018,
arXiv:1708.02182), as in DARTS' code for recurrent cells. All functions are pure; arrays have any shape.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from dnas.types import Tree, Weights


class Average(NamedTuple):
    """init(weights) -> state;  update(state, weights, active=True) -> state, after every step;  averaged(state) ->
    weights. active, a boolean: whether these weights count; until some have, `averaged` is the weights themselves."""

    init: Callable[[Weights], Tree]
    update: Callable[..., Tree]
    averaged: Callable[[Tree], Weights]


class Mean(NamedTuple):
    """Of `number` iterates, int32 []; of none it is the last weights."""

    number: jax.Array
    weights: Weights


def ema(decay: float) -> Average:
    """The exponential moving average; decay: from 0, the last weights, to below 1."""

    def update(mean, weights, active=True):
        kept = jnp.where(active & (mean.number > 0), decay, 0.0)
        return _moved(mean, weights, active, kept)

    return Average(_nothing, update, lambda mean: mean.weights)


def asgd() -> Average:
    """The mean of all iterates that are `active`: those since a trigger."""

    def update(mean, weights, active=True):
        kept = jnp.where(active, mean.number / (mean.number + 1), 0.0)
        return _moved(mean, weights, active, kept)

    return Average(_nothing, update, lambda mean: mean.weights)


class Losses(NamedTuple):
    """last: the newest validation losses [patience], inf where there was none; best: the least of those before;
    triggered: bool []."""

    last: jax.Array
    best: jax.Array
    triggered: jax.Array


class Trigger(NamedTuple):
    """init() -> Losses;  update(losses, loss) -> Losses, after every validation; `triggered` stays once it is true."""

    init: Callable[[], Losses]
    update: Callable[[Losses, jax.Array], Losses]


def not_improved(patience: int = 5) -> Trigger:
    """When a loss is above the least of all but the last `patience` before it (`nonmono` of AWD-LSTM)."""

    def init():
        return Losses(jnp.full(patience, jnp.inf), jnp.asarray(jnp.inf), jnp.asarray(False))

    def update(losses, loss):
        triggered = losses.triggered | (loss > losses.best)
        best = jnp.minimum(losses.best, losses.last[0])
        return Losses(jnp.append(losses.last[1:], loss), best, triggered)

    return Trigger(init, update)


def _nothing(weights: Weights) -> Mean:
    return Mean(jnp.zeros((), jnp.int32), weights)


def _moved(mean: Mean, weights: Weights, active: jax.Array | bool, kept: jax.Array) -> Mean:
    """The mean of which this share is kept; where none is, the weights to the last bit."""

    def one(old, new):
        share = kept.astype(new.dtype)
        return jnp.where(share > 0, share * old + (1 - share) * new, new)

    return Mean(jnp.where(active, mean.number + 1, 0), jax.tree.map(one, mean.weights, weights))
