"""linear_regions: into how many linear pieces a thin network cuts small patches, by the patterns of its ReLUs.

    the number of different patterns x [units] over all patches,   x: which units are above zero

Chen, Gong and Wang, "Neural Architecture Search on ImageNet in Four GPU Hours", ICLR 2021, arXiv:2102.11535; after
Xiong et al., "On the Number of Linear Regions of Convolutional Neural Networks", ICML 2020, arXiv:2006.00978. Reference
code: VITA-Group/TENAS. As there: patches of 3x3 pixels of one random channel, a network of one channel with weights of
its own, norms by the batch: a network as wide as those that are trained tells all patches apart. Unlike there, patches
come from the images of the batch, many of each, and are normalised together, not in three groups; the thin network is a
whole one, with as few cells as have all kinds, where theirs ends after one or two cells.
In a supernet, operations without weight see zeros, as with `nwot`.
"""

from typing import Annotated

import jax
import jax.numpy as jnp

from dnas import keys
from dnas.nets.supernet import Candidate
from dnas.proxies.nwot import agreement
from dnas.proxies.protocol import Evidence, Proxy, Score, Subject
from dnas.proxies.relus import summed
from dnas.proxies.watched import Blocked
from dnas.ranges import Range

SIDE = 3


def proxy(*, patches: Annotated[int, Range(2, 10_000)] = 1000) -> Proxy:
    """`patches`: how many there are. Parts: on how many units two patches agree [patches, patches]."""

    def build(subject: Subject):
        network = subject.thin_with({Candidate: Blocked})

        def measure(evidence: Evidence) -> Score:
            weights, stats = network.init(keys.stream(evidence.key, "thin"))
            images = cut(keys.stream(evidence.key, "patches"), evidence.batch.inputs, patches)
            weights, stats = jax.tree.map(lambda leaf: leaf.astype(images.dtype), (weights, stats))

            def run(images: jax.Array):
                return network.apply(weights, stats, images, *evidence.mix, train=True)

            _, alike = summed(run, agreement, jnp.zeros((patches, patches), images.dtype))(images)
            return Score(distinct(alike), alike)

        return measure

    return build


def cut(key: jax.Array, images: jax.Array, count: int) -> jax.Array:
    """So many patches of one channel, from random places of images [B, H, W, C]: [count, SIDE, SIDE, 1]. Images that
    are smaller are taken whole."""
    b, h, w, c = images.shape
    of_rows, of_columns, of_channels = jax.random.split(key, 3)
    rows = jax.random.randint(of_rows, (count, 1, 1), 0, max(h - SIDE, 0) + 1) + jnp.arange(min(SIDE, h))[:, None]
    columns = jax.random.randint(of_columns, (count, 1, 1), 0, max(w - SIDE, 0) + 1) + jnp.arange(min(SIDE, w))
    which = (jnp.arange(count) % b)[:, None, None]
    return images[which, rows, columns, jax.random.randint(of_channels, (count, 1, 1), 0, c)][..., None]


def distinct(alike: jax.Array) -> jax.Array:
    """How many different patterns there are, by on how many units two agree [N, N]; []."""
    same = alike == jnp.diagonal(alike)[:, None]  # with itself a pattern agrees on all units
    return (1 / same.sum(1)).sum()
