"""beta-DARTS: the penalty, its gradient and its schedule, and three steps of Adam with it."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dnas.config import AlphaConfig
from dnas.search.method import adam_with_l2
from dnas.search.penalty import beta_decay
from dnas.types import Clock
from oracles.common import Comparison, Oracle

EPOCHS = 100


def compare(oracle: Oracle) -> Iterator[Comparison]:
    def penalty(alphas, epoch, weight=50.0):
        return beta_decay(weight)({"cell": alphas}, {}, Clock(jnp.int32(0), epoch, EPOCHS))

    for name in ("nb201", "darts", "large"):
        alphas = jnp.asarray(oracle[f"{name}/alphas"])
        value, gradient = jax.value_and_grad(penalty)(alphas, EPOCHS, 1.0)
        yield from oracle.compare(f"{name}/value", value, 1e-12)
        yield from oracle.compare(f"{name}/grad", gradient, 1e-12)
    parts = {"normal": jnp.asarray(oracle["darts/alphas"][:14]), "reduce": jnp.asarray(oracle["darts/alphas"][14:])}
    value = beta_decay(1.0)(parts, {}, Clock(jnp.int32(0), jnp.int32(EPOCHS), EPOCHS))
    yield from oracle.compare("darts/value", value, 1e-12)
    flat = jnp.zeros((1, 1))  # the log-sum-exp of a single 0 is 0, that of a single 1 is 1
    weights = [float(penalty(flat + 1, epoch)) for epoch in oracle["weight_schedule/epoch"]]
    yield from oracle.compare("weight_schedule/w", np.array(weights), 1e-12)

    optimiser = adam_with_l2(AlphaConfig())
    alphas, data = jnp.asarray(oracle["step/alphas_init"]), jnp.asarray(oracle["step/data_grad"])
    state, seen = optimiser.init(alphas), []
    for epoch in (0, 10, 50):
        gradient = jax.grad(lambda a, e=epoch: (data * a).sum() + penalty(a, e))(alphas)
        updates, state = optimiser.update(gradient, state, alphas)
        alphas = optax.apply_updates(alphas, updates)
        seen.append(alphas)
    yield from oracle.compare("step/alphas_after_epochs_0_10_50", np.stack(seen), 1e-12)
