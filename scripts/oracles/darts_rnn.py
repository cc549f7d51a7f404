"""DARTS' recurrent cell: published cells, dropout with given masks, the supernet, its second order, 100 genotypes."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dnas.architectures.genotype import parse
from dnas.architectures.topology import NetworkSize
from dnas.nets.functional import Functional, functionalize
from dnas.nets.layers import absorb
from dnas.nets.recurrent import Masks, RecurrentOutputs
from dnas.search import hypergrad
from dnas.search.discretise import strongest
from dnas.spaces import rnn
from dnas.tasks.language import Language
from dnas.types import Batch, Evaluated, Tree
from oracles.common import Comparison, Oracle, genotype_rows

NAMES = {"embedding": "encoder.weight", "bias": "decoder.bias", "first": "rnns.0._W0"}
DECAY, RADIUS = 5e-7, 0.01


def compare(oracle: Oracle) -> Iterator[Comparison]:
    meta = oracle.meta
    space, size = rnn.space(), NetworkSize(1, meta["nhid"], meta["vocab"], vocabulary=meta["vocab"])
    for name, record in meta["genotypes"].items():
        entries = [tuple(entry) for entry in record["recurrent"]]
        genotype = parse(f"Genotype(recurrent={entries}, concat={record['concat']})")
        network = functionalize(partial(_build, space.network, genotype, space, size))
        yield from _derived(oracle, f"eval/{name}", network)
    yield from _searched(oracle, functionalize(partial(_build, space.supernet, space, size)))
    exponents = oracle["genotype/alphas"]
    mixes = np.exp(exponents) / np.exp(exponents).sum(-1, keepdims=True)
    genotypes = [strongest(space, {"recurrent": mix}) for mix in mixes]
    yield from oracle.compare("genotype/recurrent", genotype_rows(genotypes, "recurrent", meta["ops"]), 0)


def _build(factory: Any, *settings: Any) -> Any:
    *settings, rngs = settings
    return factory(*settings, rngs=rngs)


def _batch(oracle: Oracle, part: str) -> tuple[Batch, jax.Array]:
    """Their tokens [T, B] as ours, and the state before them."""
    return Batch(oracle[f"{part}/input"].T, oracle[f"{part}/target"].T), jnp.asarray(oracle[f"{part}/hidden0"][0])


def _weights(oracle: Oracle, prefix: str) -> Tree:
    arrays = oracle.under(prefix)
    nodes = jnp.stack([arrays[f"rnns.0._Ws.{i}"] for i in range(len(arrays) - len(NAMES))])
    return {"backbone": {**{ours: jnp.asarray(arrays[n]) for ours, n in NAMES.items()}, "cell": {"weights": nodes}}}


def _named(weights: Tree) -> dict[str, np.ndarray]:
    """Our weights, or gradients for them, under their names."""
    ours = weights["backbone"]
    nodes = {f"rnns.0._Ws.{i}": node for i, node in enumerate(ours["cell"]["weights"])}
    return {name: ours[key] for key, name in NAMES.items()} | nodes


def _shown(outputs: RecurrentOutputs) -> dict[str, jax.Array]:
    """Their outputs, the time first."""
    log_probs, states = jax.nn.log_softmax(outputs.logits), outputs.states
    return {"log_probs": log_probs.swapaxes(0, 1), "hiddens": states.swapaxes(0, 1)}


def _regularisers(outputs: RecurrentOutputs, batch: Batch) -> dict[str, jax.Array]:
    """Each is what it adds to the loss with a factor of 1."""
    plain, activation, temporal = (
        Language(text=None, bptt=0, ar=ar, tar=tar).loss(outputs, batch)[0] for ar, tar in ((0, 0), (1, 0), (0, 1))
    )
    return {"activation_reg": activation - plain, "temporal_reg": temporal - plain}


def _loss(outputs: RecurrentOutputs, batch: Batch) -> jax.Array:
    return Language(text=None, bptt=0, ar=0.0, tar=0.0).loss(outputs, batch)[0]


def _derived(oracle: Oracle, prefix: str, network: Functional) -> Iterator[Comparison]:
    batch, state = _batch(oracle, "train")
    weights = _weights(oracle, f"{prefix}/param/")

    def loss(weights):
        (outputs, carry), _ = network.apply(weights, {}, batch.inputs, train=True, carry=state)
        return _loss(outputs, batch), (outputs, carry)

    (value, (outputs, carry)), gradient = jax.jit(jax.value_and_grad(loss, has_aux=True))(weights)
    found = {"loss": value, "hidden_last": carry[None], **_shown(outputs), **_regularisers(outputs, batch)}
    for key, ours in found.items():
        yield from oracle.compare(f"{prefix}/{key}", ours, 1e-9)
    yield from oracle.compare(f"{prefix}/grad_param", _named(gradient), 1e-8)
    if f"{prefix}/dropout/output" not in oracle.arrays:
        return
    given = {key: oracle[f"{prefix}/dropout/mask_{key}"] for key in ("emb", "in", "x", "h", "out")}
    masks = Masks(*(mask.swapaxes(0, 1) if mask.ndim == 3 else mask for mask in given.values()))
    (outputs, _), _ = network.apply(weights, {}, batch.inputs, noise=masks, train=True, carry=state)
    found = {**_shown(outputs), "output": outputs.dropped.swapaxes(0, 1), **_regularisers(outputs, batch)}
    for key, ours in found.items():
        yield from oracle.compare(f"{prefix}/dropout/{key}", ours, 1e-9)


def _searched(oracle: Oracle, network: Functional) -> Iterator[Comparison]:
    weights, alphas = _weights(oracle, "search/param/"), jnp.asarray(oracle["search/alphas"])
    _, stats = network.init(jax.random.key(0))
    apply = jax.jit(network.apply, static_argnames="train")

    def objective(part):
        batch, state = _batch(oracle, part)

        def loss(weights, alphas):
            mix = {"recurrent": jax.nn.softmax(alphas)}
            (outputs, carry), moments = apply(weights, stats, batch.inputs, mix, train=True, carry=state)
            return _loss(outputs, batch), Evaluated(moments, outputs, carry=carry)

        return loss

    levels = objective("train"), objective("valid")
    (loss, seen), (to_weights, to_alphas) = jax.value_and_grad(levels[0], (0, 1), has_aux=True)(weights, alphas)
    yield from oracle.compare("search/train/loss", loss, 1e-9)
    for key, ours in _shown(seen.sums).items():
        yield from oracle.compare(f"search/train/{key}", ours, 1e-9)
    yield from oracle.compare("search/train/grad_param", _named(to_weights), 1e-8)
    yield from oracle.compare("search/train/grad_alphas", to_alphas, 1e-8)
    running = absorb(stats, seen.moments)
    norm = running["backbone"]["cell"]["norm"]
    kept = {"running_mean": norm["mean"], "running_var": norm["var"]}
    yield from oracle.compare("search/bn_after_train_forward", kept, 1e-9)

    (loss, seen), to_alphas = jax.value_and_grad(levels[1], 1, has_aux=True)(weights, alphas)
    for key, ours in {"loss": loss, "grad_alphas": to_alphas, "hidden_last": seen.carry[None]}.items():
        yield from oracle.compare(f"search/valid/{key}", ours, 1e-8)
    batch, state = _batch(oracle, "valid")
    mix = {"recurrent": jax.nn.softmax(alphas)}
    (outputs, _), _ = apply(weights, running, batch.inputs, mix, train=False, carry=state)
    after = _shown(outputs)["log_probs"]
    yield from oracle.compare("search/valid/log_probs_eval_mode_after_one_train_forward", after, 1e-9)
    yield from _second_order(oracle, levels, weights, alphas, to_weights)


def _second_order(oracle, levels, weights, alphas, gradient) -> Iterator[Comparison]:
    def update_at(rate, frozen=False):
        def update(gradient):
            new = jax.tree.map(lambda w, g: w - rate * (g + DECAY * w), weights, gradient)
            embedding = (weights if frozen else new)["backbone"]["embedding"]
            return {"backbone": {**new["backbone"], "embedding": embedding}}

        return update

    for rate, clip in ((20, 0.25), (1, 0.25), (1, 1000)):
        prefix = f"search/second_order/fd_eta{rate}_clip{clip}"
        estimator = hypergrad.clipped_finite_difference(clip, RADIUS, ("embedding",))
        ours = estimator(*levels, weights, alphas, update_at(float(rate)))
        yield from oracle.compare(f"{prefix}/grad_alphas", ours.gradient, 1e-5)
        yield from oracle.compare(f"{prefix}/unrolled_valid_loss", ours.loss, 1e-8)
        factor = clip / (optax.global_norm(gradient) + 1e-6)
        yield from oracle.compare(f"{prefix}/returned_clip_coef", factor, 1e-8)
        clipped = jax.tree.map(lambda g, f=factor: g * jnp.minimum(f, 1), gradient)
        unrolled = update_at(rate, frozen=True)(clipped)
        yield from oracle.compare(f"{prefix}/unrolled_W0", unrolled["backbone"]["first"], 1e-8)
        direct = jax.grad(levels[1], 1, has_aux=True)(unrolled, alphas)[0]
        yield from oracle.compare(f"{prefix}/direct", direct, 1e-8)
    for name, frozen in (("exact_eta1_noclip", False), ("exact_eta1_noclip_embedding_frozen", True)):
        exact = hypergrad.unrolled(*levels, weights, alphas, update_at(1.0, frozen))
        yield from oracle.compare(f"search/second_order/{name}/grad_alphas", exact.gradient, 1e-8)
        yield from oracle.compare(f"search/second_order/{name}/unrolled_valid_loss", exact.loss, 1e-8)
