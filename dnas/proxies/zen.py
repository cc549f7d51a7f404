"""Zen-NAS: how much the features before pooling change with the input, for Gaussian weights.

    log mean over the batch of sum |f(x) - f(x + gamma e)| + sum over the norms of log sqrt(mean running variance)

Lin et al., ICCV 2021, arXiv:2102.01063. Their networks lose their residual links for it; a cell has no others, so here
they stay, as in NASLib. The running variances are those after both passes.
"""

from typing import Annotated

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict

from dnas import keys
from dnas.nets.functional import Functional
from dnas.nets.layers import GlobalPool, Linear, absorb
from dnas.proxies.protocol import Evidence, Proxy, Score, Subject, read
from dnas.proxies.watched import Unclassified, Unpooled
from dnas.ranges import Range
from dnas.types import Tree, Weights

HEADLESS: dict[type, type] = {GlobalPool: Unpooled, Linear: Unclassified}
Draws = tuple[Weights, jax.Array, jax.Array]  # Gaussian weights, inputs, and what changes them


def proxy(*, gamma: Annotated[float, Range(1e-6, 10)] = 0.01, repeats: Annotated[int, Range(1, 1000)] = 1) -> Proxy:
    """`gamma`: how far inputs are moved; `repeats`: draws, whose mean it is. It draws as many images as the batch has.

    Parts: the score of every draw [repeats], and the part of it that is the norms'.
    """

    def build(subject: Subject):
        features = subject.changed(HEADLESS)

        def measure(evidence: Evidence) -> Score:
            stats, found = cleared(evidence.stats), []
            for repeat in range(repeats):
                stats, *both = expressivity(features, evidence, stats, draws(evidence, repeat), gamma)
                found.append(both)
            scores, norms = map(jnp.stack, zip(*found, strict=True))
            return Score(scores.mean(), (scores, norms))

        return measure

    return build


def expressivity(
    features: Functional, evidence: Evidence, stats: Tree, draws: Draws, gamma: float
) -> tuple[Tree, jax.Array, jax.Array]:
    """Of one draw: the statistics after it, the score, and the part of it that is the norms'."""
    weights, x, noise = draws

    def run(stats: Tree, x: jax.Array) -> tuple[jax.Array, Tree]:
        found, moments = features.apply(weights, stats, x, *evidence.mix, train=True)
        return read((found, moments)), absorb(stats, moments)

    first, stats = run(stats, x)
    second, stats = run(stats, x + gamma * noise)
    norms = log_variances(stats)
    return stats, jnp.log(jnp.abs(first - second).sum((1, 2, 3)).mean()) + norms, norms


def draws(evidence: Evidence, repeat: int) -> Draws:
    """Kernels from N(0, 1), other weights as of a new network; images and their change from N(0, 1)."""
    key, images = keys.stream(evidence.key, "zen", repeat), evidence.batch.inputs
    of_x, of_noise, of_kernels = jax.random.split(key, 3)
    flat = {path: jnp.full_like(leaf, path[-1] == "scale") for path, leaf in flatten_dict(evidence.weights).items()}
    for number, path in enumerate(evidence.subject.kernels):
        own = jax.random.fold_in(of_kernels, number)
        flat[path] = jax.random.normal(own, flat[path].shape, flat[path].dtype)
    x, noise = (jax.random.normal(k, images.shape, images.dtype) for k in (of_x, of_noise))
    return unflatten_dict(flat), x, noise


def cleared(stats: Tree) -> Tree:
    """Running statistics of a new network: means 0, variances 1."""
    return unflatten_dict({path: jnp.full_like(leaf, path[-1] == "var") for path, leaf in flatten_dict(stats).items()})


def log_variances(stats: Tree) -> jax.Array:
    """The sum over norms of log sqrt(mean running variance); [] of variances [..., C]. One that was never used adds
    nothing."""
    variances = [leaf for path, leaf in flatten_dict(stats).items() if path[-1] == "var"]
    return jnp.stack([jnp.log(leaf.mean(-1)).sum() / 2 for leaf in variances]).sum()
