"""The DARTS supernet: logits, gradients, batch statistics and second order."""

from collections.abc import Iterator
from functools import partial

import jax
import jax.numpy as jnp
import optax

from dnas import interop
from dnas.config import WeightConfig
from dnas.nets.layers import absorb
from dnas.search import hypergrad
from dnas.tasks.classification import cross_entropy
from dnas.training.weights import transformation
from dnas.types import Evaluated
from oracles.common import Comparison, Oracle, darts_supernet


def compare(oracle: Oracle) -> Iterator[Comparison]:
    network, pairs = darts_supernet(oracle.meta["C"], oracle.meta["layers"], oracle.meta["num_classes"])
    weights, stats = oracle.weights(pairs, "param/")
    alphas = jax.tree.map(jnp.asarray, oracle.under("alphas/"))
    train, valid = oracle.batch("train/"), oracle.batch("valid/")

    def objective(batch, weights, alphas):
        mix = jax.tree.map(jax.nn.softmax, alphas)
        logits, moments = network.apply(weights, stats, batch.inputs, mix, train=True)
        return cross_entropy(logits, batch.targets), Evaluated(moments, logits)

    gradients = jax.value_and_grad(objective, (1, 2), has_aux=True)
    (loss, seen), (to_weights, to_alphas) = gradients(train, weights, alphas)
    yield from oracle.compare("train/loss", loss, 1e-8)
    yield from oracle.compare("train/logits", seen.sums, 1e-8)
    yield from oracle.compare("train/grad_param", interop.to_torch(to_weights, stats, pairs), 1e-8)
    yield from oracle.compare("train/grad_param_norm", optax.global_norm(to_weights), 1e-8)
    yield from oracle.compare("train/grad_alphas", to_alphas, 1e-8)
    (loss, seen_valid), (_, to_alphas) = gradients(valid, weights, alphas)
    yield from oracle.compare("valid/loss", loss, 1e-8)
    yield from oracle.compare("valid/logits", seen_valid.sums, 1e-8)
    yield from oracle.compare("valid/grad_alphas", to_alphas, 1e-8)

    running = absorb(stats, seen.moments)
    yield from oracle.compare("bn_after_train_forward", interop.to_torch(weights, running, pairs), 1e-8)
    logits, _ = network.apply(weights, running, valid.inputs, jax.tree.map(jax.nn.softmax, alphas), train=False)
    yield from oracle.compare("valid/logits_eval_mode_after_one_train_forward", logits, 1e-8)

    # second order
    rate, momentum, decay = 0.025, 0.9, 3e-4
    optimiser = transformation(WeightConfig(optimiser=f"sgd:momentum={momentum}", decay=decay), lambda step: rate)
    levels = partial(objective, train), partial(objective, valid)
    for name in ("no_momentum", "with_momentum"):
        prefix, buffer = f"second_order/{name}", jax.tree.map(jnp.zeros_like, weights)
        if name == "with_momentum":
            buffer, _ = interop.from_torch(oracle.under("momentum_buffer/"), pairs)
        state = optax.tree_utils.tree_set(optimiser.init(weights), trace=buffer)

        def update(gradient, state=state):
            return optax.apply_updates(weights, optimiser.update(gradient, state, weights)[0])

        new = update(to_weights)
        (loss, _), (to_new, direct) = gradients(valid, new, alphas)
        yield from oracle.compare(f"{prefix}/unrolled_valid_loss", loss, 1e-8)
        yield from oracle.compare(f"{prefix}/unrolled_valid_grad_param_norm", optax.global_norm(to_new), 1e-8)
        yield from oracle.compare(f"{prefix}/unrolled_param", interop.to_torch(new, stats, pairs), 1e-8)
        yield from oracle.compare(f"{prefix}/direct/grad_alphas", direct, 1e-8)
        exact = hypergrad.unrolled(*levels, weights, alphas, update).gradient
        yield from oracle.compare(f"{prefix}/exact/grad_alphas", exact, 1e-8)
        published = hypergrad.finite_difference(0.01)(*levels, weights, alphas, update).gradient
        yield from oracle.compare(f"{prefix}/fd/grad_alphas", published, 1e-6)
        mixed = jax.tree.map(lambda a, b: (a - b) / rate, direct, published)
        yield from oracle.compare(f"{prefix}/fd/mixed_hvp", mixed, 1e-6)
        close = hypergrad.finite_difference(oracle[f"{prefix}/fd_small_r/r"])(*levels, weights, alphas, update)
        yield from oracle.compare(f"{prefix}/fd_small_r/grad_alphas", close.gradient, 1e-5)
