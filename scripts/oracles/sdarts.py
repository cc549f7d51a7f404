"""SDARTS: the random perturbation, two whole attacks, and the weights' step at the perturbed mix."""

from collections.abc import Iterator
from dataclasses import replace

import jax
import jax.numpy as jnp

from dnas import interop
from dnas.search import perturb
from dnas.spaces import darts
from dnas.tasks.classification import cross_entropy
from oracles.common import Comparison, Oracle, supernet


def compare(oracle: Oracle) -> Iterator[Comparison]:
    meta, batch = oracle.meta, oracle.batch()
    # their statistics differ between equal pools on one node, which are one here unless they count as random
    apart = replace(darts.space(), random=frozenset({"max_pool_3x3", "avg_pool_3x3", "skip_connect"}))
    network, pairs = supernet(apart, meta, meta["layers"])
    weights, stats = oracle.weights(pairs, "param/", "buffer/")
    mix = jax.tree.map(lambda a: jax.nn.softmax(jnp.asarray(a)), oracle.under("alphas/"))
    yield from oracle.compare("softmaxed", mix, 1e-9)
    yield from oracle.compare("clip/out", perturb.normalised(jnp.asarray(oracle["clip/in"])), 1e-9)

    @jax.jit
    def trained(mix):
        def loss(weights):
            logits, _ = network.apply(weights, stats, batch.inputs, mix, train=True)
            return cross_entropy(logits, batch.targets), logits

        return jax.value_and_grad(loss, has_aux=True)(weights)

    @jax.jit
    def attacked(start, radius):
        def loss(mix):
            logits, _ = network.apply(weights, stats, batch.inputs, mix, train=False)
            return cross_entropy(logits, batch.targets)

        return perturb.attack(mix, loss, start, radius, meta["pgd_steps"])

    moved = perturb.shifted(mix, oracle.under("noise/"))
    yield from oracle.compare("rs/perturbed", moved, 1e-9)
    (value, logits), to_weights = trained(moved)
    yield from oracle.compare("rs/logits_train_mode", logits, 1e-9)
    yield from oracle.compare("rs/loss", value, 1e-9)
    yield from oracle.compare("rs/grad_param", interop.to_torch(to_weights, stats, pairs), 1e-9)

    for tag, noise, radius in (("adv", "noise/", meta["eps"]), ("adv_small", "noise_small/", 0.03)):
        found = attacked(jax.tree.map(jnp.asarray, oracle.under(noise)), radius)
        yield from oracle.compare(f"{tag}/trajectory", found.path, 1e-9)
        yield from oracle.compare(f"{tag}/final", found.mix, 1e-9)
        yield from oracle.compare(f"{tag}/losses_eval_mode", found.losses, 1e-9)
        (value, logits), _ = trained(found.mix)
        yield from oracle.compare(f"{tag}/logits_train_mode", logits, 1e-9)
        yield from oracle.compare(f"{tag}/loss_train_mode", value, 1e-9)
