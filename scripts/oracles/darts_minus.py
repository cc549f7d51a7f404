"""DARTS-: the supernet with its auxiliary skips at three coefficients, and the schedules of the coefficient."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp

from dnas import interop
from dnas.methods.darts_minus import SCHEDULES
from dnas.search import relax
from dnas.search.supernets import with_auxiliary_skip
from dnas.spaces import darts
from dnas.tasks.classification import cross_entropy
from dnas.types import Clock
from oracles.common import Comparison, Oracle, supernet


def compare(oracle: Oracle) -> Iterator[Comparison]:
    meta = oracle.meta
    network, pairs = supernet(with_auxiliary_skip(darts.space()), meta, meta["layers"])
    weights, stats = oracle.weights(pairs, "param/")
    alphas, batch = jax.tree.map(jnp.asarray, oracle.under("alphas/")), oracle.batch()

    @jax.jit
    def gradients(beta):
        def loss(weights, alphas):
            mix = relax.with_auxiliary(relax.softmax, lambda _: beta)(alphas, jax.random.key(0), None)
            logits, _ = network.apply(weights, stats, batch.inputs, mix, train=True)
            return cross_entropy(logits, batch.targets), logits

        return jax.value_and_grad(loss, (0, 1), has_aux=True)(weights, alphas)

    for beta in (1.0, 0.4, 0.0):
        (value, logits), (to_weights, to_alphas) = gradients(beta)
        yield from oracle.compare(f"beta_{beta}/logits", logits, 1e-9)
        yield from oracle.compare(f"beta_{beta}/loss", value, 1e-9)
        yield from oracle.compare(f"beta_{beta}/grad_alphas", to_alphas, 1e-9)
        yield from oracle.compare(f"beta_{beta}/grad_param", interop.to_torch(to_weights, stats, pairs), 1e-9)
    # the other two schedules are linear in the oracle as well: their scheduler is a singleton, made as linear first
    values = jax.vmap(lambda epoch: SCHEDULES["linear"](Clock(epoch, epoch, 50)))(jnp.arange(50))
    yield from oracle.compare("beta_schedule/linear", values, 1e-9)
