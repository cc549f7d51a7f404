"""Calibration of batch norm: running statistics computed anew for the weights of one architecture.

    mean = sum_b n_b mean_b / sum_b n_b,   var = sum_b n_b var_b / sum_b n_b,   n_b examples of batch b

As in once-for-all (Cai et al. 2020, arXiv:1908.09791; mit-han-lab/once-for-all) the variance of a batch is the biased
one. After Yu and Huang 2019, "Universally Slimmable Networks", arXiv:1903.05134 (section 3.2).
"""

from collections.abc import Callable, Iterable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx

from dnas.nets.functional import Functional, forward, functionalize
from dnas.nets.layers import BatchNorm
from dnas.types import Tree


def calibrating(build: Callable[[nnx.Rngs], nnx.Module]) -> Functional:
    """The network of `build` whose moments have the biased variance, as `calibrated` takes them."""

    def biased(rngs: nnx.Rngs) -> nnx.Module:
        module = build(rngs)
        for _, node in nnx.iter_graph(module):
            if isinstance(node, BatchNorm):
                node.biased = True
        return module

    return functionalize(biased)


def calibrated(network: Functional, weights: Tree, stats: Tree, batches: Iterable[jax.Array], *args: Any) -> Tree:
    """The statistics [C] of every norm over batches of inputs [B, ...]; args: what the network takes beside them.
    Statistics that a pass leaves as they are stay so. network: of `calibrating`."""
    total, count = jax.tree.map(jnp.zeros_like, stats), 0
    for x in batches:
        _, moments = network.apply(weights, stats, x, *args, train=True)
        examples = len(x)
        total = jax.tree.map(lambda old, new, examples=examples: old + examples * new, total, _seen(moments, stats))
        count += examples
    return jax.tree.map(lambda leaf: leaf / count, total)


def calibrated_over(
    network: Functional, weights: Tree, stats: Tree, inputs: Callable[[jax.Array], Tree], count: int, *args: Any
) -> Tree:
    """The same over the batches `inputs(0)` to `inputs(count - 1)`, all of one size, in one program."""

    def one(total: Tree, number: jax.Array) -> tuple[Tree, None]:
        x = inputs(number)
        before = () if network.carry is None else network.carry(jax.tree.leaves(x)[0].shape[0])
        _, moments, _ = forward(network, weights, stats, x, *args, carry=before, train=True)
        return jax.tree.map(lambda old, new: old + new / count, total, _seen(moments, stats)), None

    return jax.lax.scan(one, jax.tree.map(jnp.zeros_like, stats), jnp.arange(count))[0]


def _seen(moments: Tree, stats: Tree) -> Tree:
    """Moments as statistics: the mean over all times that a norm was used in the pass, see `layers.absorb`."""
    return jax.tree.map(lambda new, old: new.mean(tuple(range(old.ndim - 1, new.ndim - 1))), moments, stats)
