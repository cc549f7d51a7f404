"""ntk: how evenly a network at initialisation can be trained: minus the condition number of its neural tangent kernel.

    -v_B / v_1,   eigenvalues v of J J',   J [B, P]: the sum of the logits of every image, by all kernels

Chen, Gong and Wang, "Neural Architecture Search on ImageNet in Four GPU Hours", ICLR 2021, arXiv:2102.11535. Reference
code: VITA-Group/TENAS, which differentiates by the scales of norms as well, and draws its kernels differently. In
float32 the smallest eigenvalues are noise: enable float64 for it, the network may stay in float32.
"""

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict

from dnas.proxies.protocol import Evidence, Kernels, Proxy, Score, read


def proxy() -> Proxy:
    """It has no settings; minus infinity where the kernel is singular. Parts: the kernel [B, B]."""

    def build(_):
        def measure(evidence: Evidence) -> Score:
            kernel = tangent_kernel(evidence)
            values = jnp.linalg.eigvalsh(kernel)
            regular = values[0] > 0
            return Score(jnp.where(regular, -values[-1] / jnp.where(regular, values[0], 1), -jnp.inf), kernel)

        return measure

    return build


def tangent_kernel(evidence: Evidence) -> jax.Array:
    """[B, B], in float64 where that is enabled; images see each other through norms by the batch."""
    subject, images = evidence.subject, evidence.batch.inputs

    def sums(kernels: Kernels) -> jax.Array:
        weights = unflatten_dict(flatten_dict(evidence.weights) | kernels)
        return read(subject.network.apply(weights, evidence.stats, images, *evidence.mix, train=subject.train)).sum(-1)

    found, back = jax.vjp(sums, evidence.kernels)

    def row(one: jax.Array) -> jax.Array:
        return jnp.concatenate([leaf.reshape(-1) for leaf in jax.tree.leaves(back(one))])

    jacobian = jax.lax.map(row, jnp.eye(len(images), dtype=found.dtype)).astype(float)
    return jacobian @ jacobian.T
