"""Perturbations of the mix of a weights' step. (mix, loss_of_mix, key, clock) -> mix.

Chen and Hsieh 2020 (SmoothDARTS), arXiv:2002.05283: weights are trained on the worst or a random mix near the current
one, so that the loss is smooth where the genotype will be. The radius grows linearly over the epochs.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from dnas.types import Clock, Mix, Perturbation


def growing(start: float, end: float) -> Callable[[Clock], jax.Array]:
    """The radius of an epoch, from `start` to just below `end`."""
    return lambda clock: start + (end - start) * clock.epoch / clock.epochs


def random(radius: Callable[[Clock], jax.Array]) -> Perturbation:
    """Uniform noise within the radius (SDARTS-RS, equation 6)."""

    def perturb(mix, loss_of_mix, key, clock):
        return shifted(mix, noise(mix, key, radius(clock)))

    return perturb


def adversarial(radius: Callable[[Clock], jax.Array], steps: int) -> Perturbation:
    """The worst mix that projected gradient ascent finds within the radius (SDARTS-ADV, equation 7)."""

    def perturb(mix, loss_of_mix, key, clock):
        size = radius(clock)
        return attack(mix, loss_of_mix, noise(mix, key, size), size, steps).mix

    return perturb


class Attack(NamedTuple):
    """An attack on a mix."""

    mix: Mix
    """What it ends with."""
    path: Mix
    """The mixes after the random start and after every step, on a first axis."""
    losses: jax.Array
    """At the mix without noise, where each gradient was taken, and at the end."""


def attack(
    mix: Mix, loss_of_mix: Callable[[Mix], jax.Array], start: Mix, radius: jax.Array | float, steps: int
) -> Attack:
    """Ascent by the sign of the gradient from mix + start, each step 2 radius / steps long.

    After every step the distance from the mix is clipped to the radius and then the rows are `normalised`, so a point
    may leave the ball a little, as in the reference code. An attack that lowers the loss is undone.
    """
    length = 2 * radius / steps

    def step(point, _):
        loss, gradient = jax.value_and_grad(loss_of_mix)(point)
        moved = jax.tree.map(lambda p, g: p + length * jnp.sign(g), point, gradient)
        difference = jax.tree.map(lambda m, s: jnp.clip(m - s, -radius, radius), moved, mix)
        point = shifted(mix, difference)
        return point, (point, loss)

    before, first = loss_of_mix(mix), shifted(mix, start)
    last, (path, losses) = jax.lax.scan(step, first, length=steps)
    after = loss_of_mix(last)
    found = jax.tree.map(lambda new, old: jnp.where(before > after, old, new), last, mix)
    whole = jax.tree.map(lambda one, rest: jnp.concatenate([one[None], rest]), first, path)
    return Attack(found, whole, jnp.concatenate([before[None], losses, after[None]]))


def noise(mix: Mix, key: jax.Array, radius: jax.Array | float) -> Mix:
    """Uniform in +-radius, of the shape of a mix."""
    keys = jax.random.split(key, len(mix))
    return {
        kind: radius * jax.random.uniform(k, m.shape, m.dtype, -1, 1)
        for k, (kind, m) in zip(keys, sorted(mix.items()), strict=True)
    }


def shifted(mix: Mix, difference: Mix) -> Mix:
    """A mix elsewhere, its rows normalised."""
    return {kind: normalised(m + difference[kind]) for kind, m in mix.items()}


def normalised(rows: jax.Array) -> jax.Array:
    """Rows [E, O] clipped to [0, 1] and divided by their sums; a row that is clipped to zeros keeps its largest entry
    alone."""
    clipped = jnp.clip(rows, 0, 1)
    largest = jax.nn.one_hot(rows.argmax(-1), rows.shape[-1], dtype=rows.dtype)
    clipped = jnp.where(clipped.sum(-1, keepdims=True) > 0, clipped, largest)
    return clipped / clipped.sum(-1, keepdims=True)
