"""Five whole bilevel steps of DARTS in several settings."""

from collections.abc import Iterator
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from dnas import interop
from dnas.architectures.genotype import to_text
from dnas.config import AlphaConfig, SearchConfig, WeightConfig
from dnas.search import hypergrad
from dnas.search.bilevel import make_search
from dnas.search.discretise import strongest
from dnas.search.levels import Levels
from dnas.search.method import Method
from dnas.spaces import darts
from dnas.tasks.classification import Classification
from dnas.types import SearchState
from oracles.common import Comparison, Oracle, darts_genotype_of, darts_supernet


def compare(oracle: Oracle) -> Iterator[Comparison]:
    meta, space = oracle.meta, darts.space()
    network, pairs = darts_supernet(meta["C"], meta["layers"], meta["num_classes"])
    weights, stats = oracle.weights(pairs, "init/param/")
    alphas = jax.tree.map(jnp.asarray, oracle.under("init/alphas/"))
    orders = {
        "first": hypergrad.first_order,
        "second_fd": hypergrad.finite_difference(),
        "second_exact": hypergrad.unrolled,
    }
    levels = [
        Levels(oracle.batch(f"batch/{i}/train/"), oracle.batch(f"batch/{i}/valid/")) for i in range(meta["steps"])
    ]

    @partial(jax.jit, static_argnums=(0, 1))  # whole: a loop outside of jit would compile its body at every step
    def step_in_turns(order, clip, alpha_rate, state, level):
        return search(order, clip, alpha_rate).step(state, level)

    def search(order, clip, alpha_rate):
        rate, adam = meta["eta"], meta["adam"]
        config = SearchConfig(
            weights=WeightConfig(
                rate, f"sgd:momentum={meta['momentum']}", "constant", decay=meta["weight_decay"], clip=clip
            ),
            alphas=AlphaConfig(alpha_rate, *adam["betas"], decay=adam["weight_decay"]),
        )
        return make_search(network, space, Method(hypergrad=orders[order]), config, steps=1000, task=Classification())

    for tag, variant in list(meta["variants"].items())[:: -oracle.every]:  # from the last, which is exact second order
        order, clip, alpha_rate = variant["order"], float(variant["clip"]), variant["arch_lr"]
        built = search(order, clip, alpha_rate)
        step = built.step if order == "second_fd" else partial(step_in_turns, order, clip, alpha_rate)
        like = jax.eval_shape(built.init, jax.random.key(0))
        zeros = jax.tree.map(lambda leaf: jnp.zeros(leaf.shape, _wide(leaf.dtype)), like._replace(key=like.step))
        state = zeros._replace(key=jax.random.key(0), weights=weights, stats=stats, alphas=alphas)
        states, metrics = [state], []
        for level in levels:
            state, seen = step(state, level)
            states.append(state)
            metrics.append(seen)
        tolerance = 1e-5 if order == "second_fd" else 1e-7
        yield from _steps(oracle, tag, pairs, states, metrics, tolerance)
        mix = jax.tree.map(jax.nn.softmax, state.alphas)
        logits, _ = network.apply(state.weights, state.stats, levels[-1].valid.inputs, mix, train=False)
        yield from _end(oracle, tag, pairs, state, logits, tolerance)


def _wide(dtype: Any) -> Any:
    return jnp.float64 if dtype == jnp.float32 else dtype


def _steps(
    oracle: Oracle, tag: str, pairs, states: list[SearchState], metrics, tolerance: float
) -> Iterator[Comparison]:
    """Compare what the states before and after every step show."""
    adam, variant = oracle.meta["adam"], oracle.meta["variants"][tag]
    theirs = oracle.under(f"{tag}/")

    def made(key: str, ours: Any, tolerance: float = tolerance) -> Comparison:
        return Comparison(f"{tag}/{key}", np.asarray(ours), theirs[key], tolerance)

    yield made("train_loss", jnp.stack([m.train["loss"][0] for m in metrics]))
    yield made("valid_loss", jnp.stack([m.valid["loss"][0] for m in metrics]))
    for kind in states[0].alphas:
        alphas = np.stack([s.alphas[kind] for s in states])
        yield made(f"alphas/{kind}", alphas[1:], max(tolerance, 1e-8 * variant["arch_lr"] / 3e-4))
        mean = np.stack([optax.tree_utils.tree_get(s.alpha_opt, "mu")[kind] for s in states])
        gradient = (mean[1:] - adam["betas"][0] * mean[:-1]) / (1 - adam["betas"][0])
        # Adam averages the gradient with its L2 term
        yield made(f"grad_alphas/{kind}", gradient - adam["weight_decay"] * alphas[:-1])
    named = [interop.to_torch(s.weights, s.stats, pairs) for s in states]
    for key in theirs:
        if key.startswith("param/"):
            yield made(key, np.stack([arrays[key.removeprefix("param/")] for arrays in named[1:]]))

    def clipped_norm(before: SearchState, after: SearchState) -> jax.Array:
        """Of the gradient that entered the momentum buffer."""
        old, new = (optax.tree_utils.tree_get(s.weight_opt, "trace") for s in (before, after))
        momentum, decay = oracle.meta["momentum"], oracle.meta["weight_decay"]
        return optax.global_norm(jax.tree.map(lambda n, o, w: n - momentum * o - decay * w, new, old, before.weights))

    norms = jnp.stack([clipped_norm(*pair) for pair in zip(states, states[1:], strict=False)])
    norm = theirs["grad_norm_before_clip"]
    theirs["grad_norm_before_clip"] = norm * np.minimum(variant["clip"] / (norm + 1e-6), 1)
    yield made("grad_norm_before_clip", norms)


def _end(oracle: Oracle, tag: str, pairs, state: SearchState, logits, tolerance: float) -> Iterator[Comparison]:
    """Compare the last state."""
    named = interop.to_torch(state.weights, state.stats, pairs)
    norms = np.array([np.linalg.norm(named[name].ravel()) for name in oracle.meta["param_order"]])
    yield from oracle.compare(f"{tag}/final_param_l2", norms, tolerance)
    chosen = np.concatenate([state.alphas[kind].argmax(-1) for kind in ("normal", "reduce")])
    yield from oracle.compare(f"{tag}/final_genotype_argmax", chosen, 0)
    ours = to_text(strongest(darts.space(), jax.tree.map(jax.nn.softmax, state.alphas)))
    theirs = to_text(darts_genotype_of(oracle.meta["variants"][tag]["genotype"]))
    yield Comparison(f"{tag}/genotype", ours, theirs, 0)
    if f"{tag}/final_eval_logits" in oracle.arrays:
        yield from oracle.compare(f"{tag}/final_bn", named, tolerance)
        yield from oracle.compare(f"{tag}/final_eval_logits", logits, tolerance)
