"""Derived DARTS networks: auxiliary head, drop-path and gradients."""

from collections.abc import Iterator

import jax
import numpy as np
import optax

from dnas import interop
from dnas.architectures.topology import NetworkSize
from dnas.nets.layers import absorb
from dnas.nets.network import Network
from dnas.spaces import darts
from dnas.tasks.classification import cross_entropy
from oracles.common import Comparison, Oracle, darts_genotype_of, prepared


def compare(oracle: Oracle, stem: str = "cifar") -> Iterator[Comparison]:
    meta = oracle.meta
    size = NetworkSize(meta["layers"], meta["C"], meta["num_classes"], stem=stem, auxiliary=True)
    genotype = darts_genotype_of(meta["genotype"])
    network, pairs = prepared(Network, genotype, darts.space(), size)
    weights, stats = oracle.weights(pairs, "param/", "buffer/")
    batch = oracle.batch()
    logits = jax.jit(lambda w: network.apply(w, stats, batch.inputs, train=False)[0].logits)(weights)
    yield from oracle.compare("eval/logits", logits, 1e-9)

    def loss(weights, factors):
        outputs, moments = network.apply(weights, stats, batch.inputs, factors, train=True)
        total = cross_entropy(outputs.logits, batch.targets)
        return total + meta["aux_weight"] * cross_entropy(outputs.auxiliary, batch.targets), (outputs, moments)

    gradients = jax.jit(jax.value_and_grad(loss, has_aux=True))
    factors = np.ones((meta["layers"], len(genotype.cells[0][1].edges), len(batch.targets)))
    (value, (outputs, moments)), to_weights = gradients(weights, factors)
    yield from oracle.compare("train/logits", outputs.logits, 1e-9)
    yield from oracle.compare("train/logits_aux", outputs.auxiliary, 1e-9)
    yield from oracle.compare("train/loss", value, 1e-9)
    yield from oracle.compare("train/grad_param", interop.to_torch(to_weights, stats, pairs), 1e-8)
    yield from oracle.compare("train/grad_norm", optax.global_norm(to_weights), 1e-8)
    running = interop.to_torch(weights, absorb(stats, moments), pairs)
    yield from oracle.compare("train/bn_after_one_forward", running, 1e-9)

    for (cell, step, operand), mask in zip(meta["drop_path_sites"], oracle["drop_path/masks"], strict=True):
        factors[cell, 2 * step + operand] = mask / (1 - 0.3)
    (_, (outputs, _)), _ = gradients(weights, factors)
    yield from oracle.compare("drop_path/logits", outputs.logits, 1e-9)
    yield from oracle.compare("drop_path/logits_aux", outputs.auxiliary, 1e-9)
