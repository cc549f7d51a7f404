"""ProxylessNAS: binary gates. Weights see one sampled operation per edge, alphas two, of which one is active.

    dL/dalpha_i = sum_j dL/dg_j p_j ([i = j] - p_i)   over the two sampled, p their softmax

Cai, Zhu and Han, "ProxylessNAS: Direct Neural Architecture Search on Target Task and Hardware", ICLR 2019,
arXiv:1812.00332 (equation 4 and section 3.2.1). Reference code: mit-han-lab/proxylessnas, mode "two". After a step the
two alphas are shifted together so that the probabilities of the others stay; for the same reason Adam has no first
moment, whatever `search.alphas.beta1` says. All operations are computed here, so the memory is that of DARTS.
"""

from dataclasses import replace

import jax
import jax.numpy as jnp
import optax

from dnas.search import relax
from dnas.search.method import Method, adam_with_l2


def pairwise_adam(config) -> optax.GradientTransformation:
    """Adam without first moment, and a shift of the alphas with a gradient that keeps their total probability."""
    adam = adam_with_l2(replace(config, beta1=0.0))

    def update(gradient, state, alphas):
        updates, state = adam.update(gradient, state, alphas)

        def shifted(g, u, a):
            total = lambda logits: jax.nn.logsumexp(jnp.where(g != 0, logits, -jnp.inf), -1, keepdims=True)  # noqa: E731
            moved = (g != 0).any(-1, keepdims=True)
            return u - jnp.where((g != 0) & moved, jnp.where(moved, total(a + u) - total(a), 0), 0)

        return jax.tree.map(shifted, gradient, updates, alphas), state

    return optax.GradientTransformation(adam.init, update)


def method() -> Method:
    """Two-path sampling."""
    return Method(
        relax=relax.two_paths,
        weight_relax=relax.sampled,
        evaluation_mix=relax.keyless(relax.softmax),
        alpha_tx=pairwise_adam,
        single_path=True,
    )
