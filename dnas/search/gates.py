"""Gates: what a method does to the weights' gradients. A `types.Gate` is (init, apply), with a memory of its own."""

from typing import NamedTuple

import jax
import jax.numpy as jnp

from dnas.errors import UserError
from dnas.types import Gate, Tree, Weights


class Agreement(NamedTuple):
    """previous: the training gradients of the step before, of candidates only. total, checks: sum and number of the
    cosines in this window. frozen: whether an operation is stopped. By candidate, arrays [cells, edges]."""

    previous: dict[str, Tree]
    total: dict[str, jax.Array]
    checks: jax.Array
    frozen: dict[str, jax.Array]


def freeze_disagreeing(threshold: float, window: int) -> Gate:
    """Stop the training of an operation whose validation and training gradients disagree (OLES, section 3.2).

    Per operation and edge of every cell: the cosine between the gradient on a validation batch and that on the training
    batch before it. When its mean over `window` such pairs is below `threshold`, the operation's gradient is zero from
    then on.
    """
    if window < 1 or not -1 <= threshold <= 1:
        raise UserError(
            f"The gate's window must be at least 1 and its threshold from -1 to 1, not {window} and {threshold}."
        )

    def init(weights: Weights) -> Agreement:
        parts = _candidates(weights)
        shapes = {name: jax.tree.leaves(tree)[0].shape[:2] for name, tree in parts.items()}
        return Agreement(
            previous=jax.tree.map(jnp.zeros_like, parts),
            total={name: jnp.zeros(shape) for name, shape in shapes.items()},
            checks=jnp.int32(0),
            frozen={name: jnp.zeros(shape, bool) for name, shape in shapes.items()},
        )

    def apply(memory: Agreement, gradient: Weights, of_alpha_level: jax.Array, clock) -> tuple[Agreement, Weights]:
        parts = _candidates(gradient)
        begun = jnp.stack([jnp.any(leaf != 0) for leaf in jax.tree.leaves(memory.previous)]).any()
        counts = of_alpha_level & begun
        total = {
            name: memory.total[name] + jnp.where(counts, cosine(parts[name], memory.previous[name]), 0)
            for name in parts
        }
        checks = memory.checks + counts
        full = counts & (checks == window)
        frozen = {name: memory.frozen[name] | (full & (total[name] / window < threshold)) for name in parts}
        memory = Agreement(
            previous=jax.tree.map(lambda old, new: jnp.where(of_alpha_level, old, new), memory.previous, parts),
            total={name: jnp.where(full, 0, t) for name, t in total.items()},
            checks=jnp.where(full, 0, checks),
            frozen=frozen,
        )

        def gated(path, leaf):
            name = _candidate(path)
            if name is None:
                return leaf
            stopped = frozen[name].reshape(*frozen[name].shape, *[1] * (leaf.ndim - 2))
            return jnp.where(stopped, 0, leaf)

        return memory, jax.tree_util.tree_map_with_path(gated, gradient)

    return Gate(init, apply)


def cosine(a: Tree, b: Tree) -> jax.Array:
    """Of two trees of leaves [cells, edges, ...], over all that follows the first two axes -> [cells, edges]."""

    def dot(x, y):
        pairs = zip(jax.tree.leaves(x), jax.tree.leaves(y), strict=True)
        return sum((p * q).sum(tuple(range(2, p.ndim))) for p, q in pairs)

    norms = jnp.sqrt(dot(a, a)) * jnp.sqrt(dot(b, b))
    return jnp.where(norms > 0, dot(a, b) / jnp.where(norms > 0, norms, 1), 0)


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
