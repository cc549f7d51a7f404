"""Gradient filters: what becomes of the gradient that steps the weights. A `types.GradientFilter` is (init, apply)."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax

from dnas.errors import UserError
from dnas.types import GradientFilter, Tree, Weights


class Agreement(NamedTuple):
    """What `freeze_disagreeing` remembers, by candidate; arrays [cells, edges]."""

    previous: dict[str, Tree]
    """The training gradients of the step before, of candidates only."""
    total: dict[str, jax.Array]
    """Sum of the cosines in this window."""
    checks: jax.Array
    """Number of them."""
    frozen: dict[str, jax.Array]
    """Whether an operation is stopped."""


class Rule(NamedTuple):
    """What "disagree" means."""

    cosine: Callable[[Tree, Tree], jax.Array]
    """(validation, training gradient) of an operation -> [cells, edges]."""
    more: int
    """How many cosines a window sums beyond those that it divides by."""


def freeze_disagreeing(threshold: float, window: int, rule: str, clip: optax.GradientTransformation) -> GradientFilter:
    """Stop the training of an operation whose validation and training gradients disagree (OLES, NeurIPS 2023,
    OpenReview yAOwkf4FyL, section 3.2).

    Per operation and edge of every cell: the cosine between the gradient on a validation batch and that on the training
    batch before it, clipped by `clip`. When its mean over `window` such pairs is below `threshold`, the operation's
    gradient is zero from then on. rule: "paper" or "code", see `RULES`.
    """
    cosine, terms = RULES[rule].cosine, window + RULES[rule].more

    def init(weights: Weights) -> Agreement:
        parts = _candidates(weights)
        if not parts:
            raise UserError("This method stops the training of operations, and no operation of the space has weights.")
        shapes = {name: jax.tree.leaves(tree)[0].shape[:2] for name, tree in parts.items()}
        return Agreement(
            previous=jax.tree.map(jnp.zeros_like, parts),
            total={name: jnp.zeros(shape) for name, shape in shapes.items()},
            checks=jnp.int32(0),
            frozen={name: jnp.zeros(shape, bool) for name, shape in shapes.items()},
        )

    def apply(memory: Agreement, gradient: Weights, outer: jax.Array, clock) -> tuple[Agreement, Weights]:
        parts = _candidates(gradient)
        begun = jnp.stack([jnp.any(leaf != 0) for leaf in jax.tree.leaves(memory.previous)]).any()
        counts = outer & begun
        total = {
            name: memory.total[name] + jnp.where(counts, cosine(parts[name], memory.previous[name]), 0)
            for name in parts
        }
        checks = memory.checks + counts
        full = counts & (checks == terms)
        frozen = {name: memory.frozen[name] | (full & (total[name] / window < threshold)) for name in parts}

        def filtered(path, leaf):
            name = _candidate(path)
            if name is None:
                return leaf
            stopped = frozen[name].reshape(*frozen[name].shape, *[1] * (leaf.ndim - 2))
            return jnp.where(stopped, 0, leaf)

        gradient = jax.tree_util.tree_map_with_path(filtered, gradient)
        new = _candidates(clip.update(gradient, clip.init(gradient))[0])
        memory = Agreement(
            previous=jax.tree.map(lambda old, new: jnp.where(outer, old, new), memory.previous, new),
            total={name: jnp.where(full, 0, t) for name, t in total.items()},
            checks=jnp.where(full, 0, checks),
            frozen=frozen,
        )
        return memory, gradient

    return GradientFilter(init, apply)


def whole_cosine(valid: Tree, train: Tree) -> jax.Array:
    """Of two trees of leaves [cells, edges, ...], over all that follows the first two axes -> [cells, edges]."""

    def dot(x, y):
        pairs = zip(jax.tree.leaves(x), jax.tree.leaves(y), strict=True)
        return sum((p * q).sum(tuple(range(2, p.ndim))) for p, q in pairs)

    return _divided(dot(valid, train), dot(valid, valid), dot(train, train))


def mean_cosine(valid: Tree, train: Tree) -> jax.Array:
    """The mean over parameters of the mean of cosines along the output channels, our last axis, between the sum of both
    gradients and the training gradient -> [cells, edges]. The reference code adds the validation gradient to the
    training gradient that it did not clear."""

    def one(v, t):
        both = v + t
        cosines = _divided((both * t).sum(-1), (both * both).sum(-1), (t * t).sum(-1))
        return cosines.mean(tuple(range(2, cosines.ndim)))

    means = [one(v, t) for v, t in zip(jax.tree.leaves(valid), jax.tree.leaves(train), strict=True)]
    return sum(means[1:], means[0]) / len(means)


RULES = {"paper": Rule(whole_cosine, 0), "code": Rule(mean_cosine, 1)}


def _divided(dot: jax.Array, a: jax.Array, b: jax.Array) -> jax.Array:
    """dot / sqrt(a b), where one of them is 0: 0."""
    norms = jnp.sqrt(a) * jnp.sqrt(b)
    return jnp.where(norms > 0, dot / jnp.where(norms > 0, norms, 1), 0)


def _candidate(path: tuple) -> str | None:
    """The operation that a leaf of a supernet's weights belongs to: its path as far as `candidates/<number>`."""
    names = [str(entry.key) for entry in path]
    if "candidates" not in names:
        return None
    return "/".join(names[: names.index("candidates") + 2])


def _candidates(weights: Weights) -> dict[str, dict[str, jax.Array]]:
    """The leaves of every operation, by its path."""
    found: dict[str, dict[str, jax.Array]] = {}
    for path, leaf in jax.tree_util.tree_leaves_with_path(weights):
        name = _candidate(path)
        if name is not None:
            found.setdefault(name, {})[jax.tree_util.keystr(path)] = leaf
    return found
