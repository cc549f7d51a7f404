"""How alike a network sees the images of a batch: the correlation of the rows of its Jacobian."""

import jax
import jax.numpy as jnp

NOISE = 1e-5  # added to what is near zero, in the proxies of both papers


def correlations(jacobian: jax.Array) -> jax.Array:
    """Rows [B, N] -> [B, B], as `numpy.corrcoef`."""
    centred = jacobian - jacobian.mean(1, keepdims=True)
    covariance = centred @ centred.T
    deviations = jnp.sqrt(jnp.diag(covariance))
    return jnp.clip(covariance / deviations[:, None] / deviations, -1, 1)
