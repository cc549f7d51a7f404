"""EPE-NAS: how differently a network sees the images of one class.

For every class the sum of log(|correlation| + k) over pairs of its images' Jacobians. Up to 100 classes: the sum of
their absolute values; more: their mean differences. Lopes et al., ICANN 2021, arXiv:2102.08099.
"""

import jax
import jax.numpy as jnp

from dnas.proxies.jacobian import NOISE, correlations
from dnas.proxies.protocol import Proxy, Score

MANY = 100  # classes, above which classes are compared with each other


def proxy() -> Proxy:
    """It has no settings. Parts: of every image the sum of its class, or the mean [B]."""

    def build(_):
        def measure(evidence) -> Score:
            classes = evidence.logits(evidence.batch.inputs).shape[-1]
            return expressiveness(evidence.jacobian, evidence.batch.targets, classes)

        return measure

    return build


def expressiveness(jacobian: jax.Array, labels: jax.Array, classes: int) -> Score:
    """Of a Jacobian [B, N] and labels [B]. Above `MANY` classes those of one image do not count."""
    alike = labels[:, None] == labels
    logs = jnp.where(alike, jnp.log(jnp.abs(correlations(jacobian)) + NOISE), 0)
    sizes, sums = alike.sum(1), alike.astype(logs.dtype) @ logs.sum(1)  # of the class of each image
    first = ~jnp.tril(alike, -1).any(1)
    if classes <= MANY:
        return Score(jnp.where(first, jnp.abs(sums), 0).sum(), sums)
    counted, means = first & (sizes > 1), sums / sizes
    pairs = jnp.where(counted[:, None] & counted, jnp.abs(means[:, None] - means), 0)
    return Score(pairs.sum() / jnp.maximum(counted.sum(), 1), means)
