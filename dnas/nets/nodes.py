"""The nodes of a cell: sums over the edges that enter them, and what the cell makes of them."""

from collections.abc import Sequence

import jax
import jax.numpy as jnp


class Nodes:
    """The nodes of a cell while it is computed: sums that grow edge by edge, with partial channels in two parts."""

    def __init__(self, inputs: list[jax.Array], computed: int, zero: jax.Array, partial: int = 1):
        self.whole: list = [*inputs] + [None] * computed
        self.mixed, self.bypass = dict[int, jax.Array](), dict[int, jax.Array]()
        self.zero, self.partial = zero, partial

    def add(self, nodes: Sequence[int], values: Sequence[jax.Array], bypass: bool = False) -> None:
        """Add the values of some edges to the nodes that they enter."""
        sums = self.bypass if bypass else self.mixed
        for node, value in zip(nodes, values, strict=True):
            sums[node] = sums[node] + value if node in sums else value

    def value(self, node: int) -> jax.Array:
        """A node that is complete; zeros if nothing reaches it."""
        if self.whole[node] is None:
            mixed = self.mixed.get(node)
            if self.partial > 1:
                width = self.zero.shape[-1] // self.partial
                mixed = self.zero[..., :width] if mixed is None else mixed
                mixed = shuffle(jnp.concatenate([mixed, self.bypass[node]], -1), self.partial)
            self.whole[node] = self.zero if mixed is None else mixed
        return self.whole[node]

    def parts(self, node: int) -> tuple[jax.Array, jax.Array | None]:
        """What passes through operations and what does not."""
        x = self.value(node)
        if self.partial == 1:
            return x, None
        width = x.shape[-1] // self.partial
        return x[..., :width], x[..., width:]

    def output(self, concat: tuple[int, ...] | None) -> jax.Array:
        """Concatenated nodes, or the last one."""
        nodes = concat if concat is not None else (len(self.whole) - 1,)
        return jnp.concatenate([self.value(n) for n in nodes], -1)


def shuffle(x: jax.Array, groups: int) -> jax.Array:
    """Interleave the channels of `groups` equal parts (ShuffleNet, arXiv:1707.01083)."""
    parts = x.reshape(*x.shape[:-1], groups, x.shape[-1] // groups)
    return parts.swapaxes(-1, -2).reshape(x.shape)


def zero_node(inputs: list[jax.Array], stride: int) -> jax.Array:
    """The value of a node that nothing reaches; operations on it are computed, for a norm makes something of it."""
    return jnp.zeros_like(inputs[-1][:, ::stride, ::stride])
