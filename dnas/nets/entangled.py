"""Entangled weights: operations of an edge that differ in kernel size only share those of the largest.

    sum_k m_k o_k(x)   becomes   t o(x; K * sum_k (m_k / t) P_k),   t = sum_k m_k

K is the kernel of the largest operation o, P_k is one in the middle, as far as the k-th kernel reaches, and zero around
it. A convolution is linear in its kernel, so without a norm behind it the two are equal, and one is computed instead of
several. Sukthanker, Krishnakumar, Safari and Hutter 2023, arXiv:2312.10440 ("weight superposition").
"""

from collections.abc import Callable, Sequence
from itertools import chain
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from flax.traverse_util import flatten_dict, unflatten_dict

from dnas.architectures.topology import Cell
from dnas.nets.functional import Deferred, over_copies, plain, stack, takes_noise
from dnas.types import Noise

Build = Callable[[nnx.Rngs], Any]
Sizes = dict[tuple, tuple[int, int]]  # where a kernel stands in an operation -> its pixels


def together(cell: Cell, source: int, build: Callable[[str, nnx.Rngs], Any] | None) -> dict[tuple[str, ...], list[int]]:
    """The operations on the edges that leave a node, those that share weights together -> the edges that have them.

    build: (name, rngs) -> operation, where weights are shared; None: every operation is by itself.
    """
    found: dict[tuple[str, ...], list[int]] = {}
    parts: dict[tuple[str, ...], list[tuple[str, ...]]] = {}
    for names in (cell.operations[e] for e in cell.outgoing(source)):
        if names not in parts:
            parts[names] = [(name,) for name in names] if build is None else _shared(names, build)
    for e in cell.outgoing(source):
        for names in parts[cell.operations[e]]:
            found.setdefault(names, []).append(e)
    return found


def _shared(names: Sequence[str], build: Callable[[str, nnx.Rngs], Any]) -> list[tuple[str, ...]]:
    """The operations of an edge, those that share weights together. None that draws noise does."""
    groups: list[list[tuple[str, Any, list[int]]]] = []
    for name in names:
        operation = build(name, Deferred(params=jax.random.key(0)))
        look = None if operation is None or takes_noise(operation) else _look(operation)
        sizes = [] if operation is None else [*chain(*_kernel_sizes(operation).values())]
        for group in groups:
            if look is not None and all(look == other and _nested(sizes, within) for _, other, within in group):
                group.append((name, look, sizes))
                break
        else:
            groups.append([(name, look, sizes)])
    return [tuple(name for name, *_ in group) for group in groups]


def _nested(a: list[int], b: list[int]) -> bool:
    """Whether the kernels of one of two operations are the middle of those of the other."""
    steps = [x - y for x, y in zip(a, b, strict=True)]
    return any(steps) and not any(step % 2 for step in steps) and (min(steps) >= 0 or max(steps) <= 0)


def _look(operation: nnx.Module) -> list[tuple]:
    """All of an operation but the pixels of its kernels: its parts, their settings, and its variables' other axes."""
    found: list[tuple] = []
    for path, part in nnx.iter_graph(operation):
        if isinstance(part, nnx.Variable):
            shape = part.get_value().shape
            found.append((path, type(part), shape[2:] if _is_kernel(shape) else shape))
        elif isinstance(part, nnx.Module):
            parts = (nnx.Pytree, nnx.Variable)
            settings = {k: v for k, v in vars(part).items() if k[0] != "_" and not isinstance(v, parts)}
            found.append((path, type(part), settings))
    return found


def _is_kernel(shape: tuple[int, ...]) -> bool:
    return len(shape) > 2  # [kh, kw, C] or [kh, kw, C_in, C_out], see `layers`


def _middles(sizes: Sequence[tuple[int, int]]) -> np.ndarray:
    """How far each kernel reaches in the largest: ones and zeros [kernels, kh, kw]."""
    height, width = max(sizes)
    found = np.zeros((len(sizes), height, width))
    for middle, (h, w) in zip(found, sizes, strict=True):
        top, left = (height - h) // 2, (width - w) // 2
        middle[top : top + h, left : left + w] = 1
    return found


def _kernel_sizes(operation: nnx.Module) -> Sizes:
    """The pixels of every kernel of an operation."""
    shapes = {path: leaf.shape for path, leaf in nnx.to_flat_state(nnx.as_pure(nnx.state(operation, nnx.Param)))}
    return {path: shape[:2] for path, shape in shapes.items() if _is_kernel(shape)}


class Entangled(nnx.Module):
    """Operations that share weights, for all edges that leave one node; as `supernet.Candidate`.

    columns: of each operation the columns of the mix [operations][edges]. shape: [E, O], of the mix.
    """

    def __init__(
        self,
        builds: Sequence[Build],
        edges: list[int],
        columns: list[list[int]],
        shape: tuple[int, int],
        loop: bool,
        *,
        rngs: nnx.Rngs,
    ):
        self.edges, self.members, self.loop = tuple(edges), tuple(map(tuple, columns)), loop
        self.columns, self.shape, self.shared, self.random = self.members[0], shape, False, False
        sizes = [_kernel_sizes(build(Deferred(params=jax.random.key(0)))) for build in builds]
        largest = max(range(len(builds)), key=lambda i: sum(chain(*sizes[i].values())))
        self.sizes = tuple((path, tuple(of_one[path] for of_one in sizes)) for path in sizes[0])
        self.operation = stack(builds[largest], len(edges), rngs)

    def weighed(self, x: jax.Array, mix: jax.Array, noise: Noise | None) -> tuple[jax.Array, jax.Array]:
        """x [B, H, W, C], mix [E, O] -> the operations' total weights [edges], values [edges, B, H', W', C].

        Where the weights of all are zero each has the same share, so that the norm sees something of every kernel.
        """
        weights = self._weights(mix)
        total = weights.sum(-1)
        some = total[:, None] > 0
        shares = jnp.where(some, weights / jnp.where(some, total[:, None], 1), 1 / weights.shape[-1])
        parameters = flatten_dict(plain(nnx.state(self.operation, nnx.Param)))
        for path, sizes in self.sizes:
            kernel = parameters[path]
            cut = jnp.einsum("ek,kpq->epq", shares, _middles(sizes).astype(shares.dtype)).astype(kernel.dtype)
            parameters[path] = kernel * cut.reshape(*cut.shape, *[1] * (kernel.ndim - 3))
        stats = nnx.State(plain(nnx.state(self.operation, nnx.BatchStat)))
        mixed = nnx.merge(nnx.graphdef(self.operation), nnx.State(unflatten_dict(parameters)), stats)
        values = over_copies(mixed, len(self.edges), x, loop=self.loop)
        nnx.update(self.operation, nnx.state(mixed, nnx.BatchStat))
        return total, values

    def _weights(self, mix: jax.Array) -> jax.Array:
        """mix [E, O] -> the weight of each operation [edges, operations], by a product as in `supernet.Candidate`."""
        picked = np.zeros((len(self.edges), len(self.members), *self.shape))
        for k, columns in enumerate(self.members):
            picked[range(len(self.edges)), k, self.edges, columns] = 1
        return jnp.einsum("ekEO,EO->ek", picked.astype(mix.dtype), mix)
