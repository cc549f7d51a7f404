"""NAS-Bench-201: derived networks, supernets with softmax and with GDAS, genotypes."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp

from dnas import interop
from dnas.architectures.genotype import parse, to_text
from dnas.architectures.topology import NetworkSize, Norm, Space
from dnas.nets.count import count
from dnas.nets.functional import Functional
from dnas.nets.network import Network
from dnas.search import relax
from dnas.search.discretise import strongest
from dnas.spaces import nasbench201
from dnas.tasks.classification import cross_entropy
from dnas.types import Batch
from oracles.common import Comparison, Oracle, prepared, supernet


def compare(oracle: Oracle) -> Iterator[Comparison]:
    space, meta, batch = nasbench201.space(), oracle.meta, oracle.batch()
    table = oracle.table("archs.json")
    size = NetworkSize(meta["N"], meta["C"], meta["num_classes"])
    trained = [name for name in table["archs"] if f"infer/{name}/eval/logits" in oracle.arrays]
    for name in trained[:: oracle.every]:
        record = table["archs"][name]
        genotype = parse(record["arch"])
        yield from _derived(oracle, f"infer/{name}", batch, *prepared(Network, genotype, space, size))
        small, full = count(genotype, space, size, 16), count(genotype, space, NetworkSize(5, 16, 10), 32)
        yield Comparison("archs.json", small.parameters, record["params"], 0)
        yield Comparison("archs.json", full.parameters, record["params_C16_N5_cifar10"], 0)

    for affine in (False, True):
        prefix = f"search/darts_affine{affine:d}"
        affine_space = replace(space, search_norm=Norm(affine=affine, pools=False))
        yield from _nb201_search(oracle, affine_space, prefix, batch)
    yield from _gdas(oracle, space, batch)
    for alphas, text in zip(oracle["genotype/alphas"], table["random_genotypes"], strict=True):
        yield Comparison("random_genotypes", to_text(strongest(space, {"cell": alphas})), text, 0)


def _derived(oracle: Oracle, prefix: str, batch: Batch, network: Functional, pairs) -> Iterator[Comparison]:
    weights, stats = oracle.weights(pairs, f"{prefix}/param/", f"{prefix}/buffer/")

    @jax.jit
    def evaluated(weights):
        """Logits and, as further outputs of the head, its inputs."""
        classifier = weights["backbone"]["classifier"]
        width, classes = classifier["kernel"].shape
        kernel = jnp.concatenate([classifier["kernel"], jnp.eye(width)], 1)
        both = {"kernel": kernel, "bias": jnp.append(classifier["bias"], jnp.zeros(width))}
        wider = {"backbone": weights["backbone"] | {"classifier": both}}
        return jnp.split(network.apply(wider, stats, batch.inputs, train=False)[0].logits, [classes], 1)

    @jax.jit
    @partial(jax.value_and_grad, has_aux=True)
    def gradients(weights):
        outputs, _ = network.apply(weights, stats, batch.inputs, train=True)
        return cross_entropy(outputs.logits, batch.targets), outputs.logits

    for key, ours in zip(("logits", "features"), evaluated(weights), strict=True):
        yield from oracle.compare(f"{prefix}/eval/{key}", ours, 1e-9)
    (value, logits), to_weights = gradients(weights)
    yield from oracle.compare(f"{prefix}/train/logits", logits, 1e-9)
    yield from oracle.compare(f"{prefix}/train/loss", value, 1e-9)
    gradient = interop.to_torch(to_weights, stats, pairs)
    yield from oracle.compare(f"{prefix}/train/grad_param", gradient, 1e-9)


def _nb201_search(oracle: Oracle, space: Space, prefix: str, batch: Batch) -> Iterator[Comparison]:
    network, pairs = supernet(space, oracle.meta, oracle.meta["N"])
    weights, stats = oracle.weights(pairs, f"{prefix}/param/", f"{prefix}/buffer/")
    alphas = {"cell": jnp.asarray(oracle[f"{prefix}/alphas"])}

    @jax.jit
    @partial(jax.value_and_grad, argnums=(0, 1), has_aux=True)
    def gradients(weights, alphas):
        logits, _ = network.apply(weights, stats, batch.inputs, jax.tree.map(jax.nn.softmax, alphas), train=True)
        return cross_entropy(logits, batch.targets), logits

    (value, logits), (to_weights, to_alphas) = gradients(weights, alphas)
    yield from oracle.compare(f"{prefix}/train/logits", logits, 1e-9)
    yield from oracle.compare(f"{prefix}/train/loss", value, 1e-9)
    yield from oracle.compare(f"{prefix}/train/grad_alphas", to_alphas["cell"], 1e-9)
    yield from oracle.compare(f"{prefix}/train/grad_param", interop.to_torch(to_weights, stats, pairs), 1e-9)
    yield from oracle.compare(f"{prefix}/genotype_argmax", alphas["cell"].argmax(-1), 0)
    text = oracle.meta["info"][prefix]["genotype"]
    yield Comparison("genotype", to_text(strongest(space, alphas)), text, 0)
    if f"{prefix}/eval/logits" in oracle.arrays:
        mix = jax.tree.map(jax.nn.softmax, alphas)
        logits, _ = jax.jit(partial(network.apply, train=False))(weights, stats, batch.inputs, mix)
        yield from oracle.compare(f"{prefix}/eval/logits", logits, 1e-9)


def _gdas(oracle: Oracle, space: Space, batch: Batch) -> Iterator[Comparison]:
    """One path, with both variants of the gradient, at three temperatures and with the original's Gumbel noise."""
    alphas = jnp.asarray(oracle["search/darts_affine0/alphas"])
    for variant, paths in (("v0", "one_with_scalars"), ("v1", "one")):
        network, pairs = supernet(replace(space, paths=paths), oracle.meta, oracle.meta["N"])
        weights, stats = oracle.weights(pairs, "search/darts_affine0/param/", "search/darts_affine0/buffer/")

        @jax.jit
        def gradients(weights, alphas, gumbels, temperature, network=network, stats=stats):
            def loss(weights, alphas):
                soft = jax.nn.softmax((jax.nn.log_softmax(alphas) + gumbels) / temperature)
                mix = relax.straight_through(soft)
                logits, _ = network.apply(weights, stats, batch.inputs, {"cell": mix}, train=True)
                return cross_entropy(logits, batch.targets), (logits, soft, mix)

            return jax.value_and_grad(loss, (0, 1), has_aux=True)(weights, alphas)

        for i, temperature in enumerate(oracle.meta["gdas_tau"]):
            prefix = f"search/gdas/{i}"
            found, (to_weights, to_alphas) = gradients(weights, alphas, oracle[f"{prefix}/gumbels"], temperature)
            value, (logits, soft, mix) = found
            yield from oracle.compare(f"{prefix}/logits", logits, 1e-9)
            yield from oracle.compare(f"{prefix}/loss", value, 1e-9)
            yield from oracle.compare(f"{prefix}/soft_probs", soft, 1e-9)
            yield from oracle.compare(f"{prefix}/index", mix.argmax(-1), 0)
            yield from oracle.compare(f"{prefix}/grad_param", interop.to_torch(to_weights, stats, pairs), 1e-9)
            yield from oracle.compare(f"{prefix}/{variant}/grad_alphas", to_alphas, 1e-9)
