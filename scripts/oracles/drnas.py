"""The DrNAS supernet at given samples: gradients through gammas, the divergence, pruning and genotypes."""

from collections.abc import Iterator
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np

from dnas import interop
from dnas.search import penalty, phases, relax, supernets
from dnas.search.discretise import strongest
from dnas.spaces import darts
from dnas.tasks.classification import cross_entropy
from dnas.types import Clock
from oracles.common import Comparison, Oracle, genotype_rows, supernet

KINDS = ("normal", "reduce")
NOW = Clock(jnp.int32(0), jnp.int32(0), 1)


def compare(oracle: Oracle) -> Iterator[Comparison]:
    meta, batch = oracle.meta, oracle.batch()
    space = darts.space(operations="+".join(meta["ops"]))
    network, pairs = supernet(supernets.partial_channels(meta["K"])(space), meta, meta["layers"])
    weights, stats = oracle.weights(pairs, "param/")
    alphas, gammas = (jax.tree.map(jnp.asarray, oracle.under(f"{name}/")) for name in ("alphas", "gamma"))

    def sample(alphas):
        """The mix of `relax.dirichlet`, had it drawn these gammas."""
        return {kind: jax.nn.softmax(log_gamma(c, gammas[kind]), -1) for kind, c in relax.concentration(alphas).items()}

    @jax.jit
    @partial(jax.value_and_grad, argnums=(0, 1), has_aux=True)
    def gradients(weights, mix):
        logits, _ = network.apply(weights, stats, batch.inputs, mix, train=True)
        return cross_entropy(logits, batch.targets), logits

    concentration = relax.concentration(alphas)
    yield from oracle.compare("concentration", concentration, 1e-8)
    mix, pull_back = jax.vjp(sample, alphas)
    yield from oracle.compare("sample", mix, 1e-8)
    (loss, logits), (to_weights, to_mix) = gradients(weights, mix)
    yield from oracle.compare("ce_loss", loss, 1e-8)
    yield from oracle.compare("logits", logits, 1e-8)
    yield from oracle.compare("grad_param", interop.to_torch(to_weights, stats, pairs), 1e-8)
    # theirs let the bypass pass unweighted, ours weighs it by the row's total: rows differ by a constant, which is
    # orthogonal to the simplex
    for kind in KINDS:
        theirs = oracle[f"grad_sample/{kind}"]
        yield Comparison(f"grad_sample/{kind}", centred(to_mix[kind]), centred(theirs), 1e-8)
    slope = {kind: jax.lax.random_gamma_grad(concentration[kind], gammas[kind]) for kind in KINDS}
    yield from oracle.compare("dgamma_dconc", slope, 1e-4)
    yield from oracle.compare("grad_alphas_gamma", pull_back(to_mix)[0], 1e-4)

    divergence = penalty.dirichlet_kl(meta["reg_scale"])
    value, gradient = jax.value_and_grad(divergence)(alphas, mix, NOW)
    yield from oracle.compare("kl/value", value, 1e-8)
    yield from oracle.compare("kl/grad_alphas", gradient, 1e-8)

    tables = oracle.under("genotype/")
    mixes = {kind: jax.nn.softmax(tables[f"alphas_{kind}"]) for kind in KINDS}
    genotypes = [strongest(space, {kind: m[i] for kind, m in mixes.items()}) for i in range(len(mixes["normal"]))]
    for kind in KINDS:
        yield from oracle.compare(f"genotype/{kind}", genotype_rows(genotypes, kind, meta["ops"]), 0)
    yield from _pruned(oracle)


def centred(rows: np.ndarray) -> np.ndarray:
    return np.asarray(rows - rows.mean(-1, keepdims=True))


@jax.custom_jvp
def log_gamma(concentration: jax.Array, gamma: jax.Array) -> jax.Array:
    """The logarithm of a gamma variate that was drawn, as `jax.random.loggamma` differentiates it."""
    return jnp.log(gamma)


@log_gamma.defjvp
def _log_gamma_jvp(primals, tangents):
    concentration, gamma = primals
    return jnp.log(gamma), jax.lax.random_gamma_grad(concentration, gamma) / gamma * tangents[0]


def _pruned(oracle: Oracle) -> Iterator[Comparison]:
    """One table, pruned twice: theirs are masked and keep all columns, of ours the columns are left."""
    before = oracle["prune/alphas_before"]
    space = darts.space(operations="+".join(oracle.meta["ops"]))
    alphas = {kind: before[None] for kind in KINDS}
    places = np.broadcast_to(np.arange(before.shape[1]), before.shape)  # of the columns that are left
    for keep in (4, 2):
        mixes = {kind: np.asarray(jax.nn.softmax(a)) for kind, a in alphas.items()}
        pruned = phases.prune(space, mixes, keep)
        alphas = phases.prune_alphas(alphas, space, pruned.columns)
        space, columns = pruned.space, pruned.columns["normal"]
        places = np.take_along_axis(places, columns, -1)

        def whole(left, places=places):
            table = np.zeros(before.shape, left.dtype)
            np.put_along_axis(table, places, left, -1)
            return table

        left = alphas["normal"][0]
        yield from oracle.compare(f"prune/mask_keep{keep}", whole(np.ones(left.shape, bool)), 0)
        yield from oracle.compare(f"prune/alphas_after_keep{keep}", whole(left), 1e-8)
        if keep == 4:
            yield from oracle.compare("prune/masked_softmax", whole(np.asarray(jax.nn.softmax(left))), 1e-8)
            mask = {"normal": jnp.asarray(oracle["prune/mask_keep4"], float)}
            masked = relax.masked({"normal": jax.nn.softmax(jnp.asarray(before))}, mask)["normal"]
            yield from oracle.compare("prune/masked_softmax", masked, 1e-8)
