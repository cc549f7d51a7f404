"""When to stop, by what is seen between epochs."""

from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
import numpy as np
from jax.flatten_util import ravel_pytree

from dnas.architectures.genotype import Genotype
from dnas.architectures.topology import Space
from dnas.types import Alphas, Mix

WITHOUT_WEIGHTS = frozenset({"none", "noise", "skip_connect", "max_pool_3x3", "avg_pool_3x3"})


def hessian(loss: Callable[[Alphas], jax.Array], alphas: Alphas, decay: float) -> jax.Array:
    """The Hessian [N, N] of loss + decay / 2 |alphas|^2, the alphas flat in the order of their tree.

    Zela et al. 2020 (RobustDARTS), arXiv:1909.09656, section 3.1; the L2 term is in their code.
    """
    flat, unflat = ravel_pytree(alphas)
    gradient = jax.grad(lambda flat: loss(unflat(flat)))
    identity = jnp.eye(len(flat), dtype=flat.dtype)
    rows = jax.lax.map(lambda direction: jax.jvp(gradient, (flat,), (direction,))[1], identity)
    return rows + decay * identity


def dominant_eigenvalue(matrix: np.ndarray) -> float:
    """The largest eigenvalue of a symmetric matrix, by value and not by modulus."""
    return float(np.linalg.eigvalsh((matrix + matrix.T) / 2)[-1])


def local_averages(values: Sequence[float], window: int = 5) -> list[float]:
    """Means of a sliding window, from the third value on; the first ones are of all values so far."""
    first = window // 2 + 1
    return [float(np.mean(values[max(0, n - window) : n])) for n in range(first, len(values) + 1)]


def sharpened(values: Sequence[float], every: int, factor: float, begin: int) -> int | None:
    """How many epochs to go back where the eigenvalue grows, else None (RobustDARTS, section 4.3).

    values: measured after the epochs 0, every, 2 every, ...; the last one now. The average over five of them belongs to
    the one in the middle. It stops when an average is `factor` times that of four measurements before, which belongs
    to epoch `begin` or a later one, and goes back to the epoch of that earlier average.
    """
    window, delta = 5, 4
    averages = local_averages(values, window)
    back = (window // 2 + delta) * every
    epoch = (len(values) - 1) * every - back
    if epoch < begin or len(averages) <= delta or averages[-1] / averages[-1 - delta] <= factor:
        return None
    return back


def skips(genotype: Genotype) -> int:
    """How many skip connections the first kind of cell has: the normal one, or the only one."""
    return sum(edge.operation == "skip_connect" for edge in genotype.cells[0][1].edges)


def ranking(space: Space, mix: Mix) -> dict[str, list[list[int]]]:
    """The order of the operations with weights on every edge, strongest first {kind: [E][O']}."""

    def row(names: tuple[str, ...], weights: np.ndarray) -> list[int]:
        learnable = [o for o, name in enumerate(names) if name not in WITHOUT_WEIGHTS]
        return sorted(learnable, key=lambda o: -weights[o])

    return {
        kind: [row(names, weights) for names, weights in zip(cell.operations, np.asarray(mix[kind]), strict=True)]
        for kind, cell in space.cells.items()
    }
