"""Five exponentiated-gradient steps of GAEA at given gradients, in four variants."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from dnas.config import AlphaConfig
from dnas.search.alpha_tx import euclidean, exponentiated, gradient_descent, relative_entropy
from dnas.search.relax import uniform_with_edges
from dnas.spaces import darts
from oracles.common import Comparison, Oracle

KINDS = ("normal", "reduce")
VARIANTS = {  # learning rate of operations, clip, how an update moves the alphas
    "default": (0.1, 0.0, exponentiated),
    "grad_clip": (0.1, 0.5, exponentiated),
    "big_lr_clamp": (20.0, 0.0, exponentiated),
    "euclidean": (0.1, 0.0, euclidean),
}


def compare(oracle: Oracle) -> Iterator[Comparison]:
    meta = oracle.meta
    for tag, (rate, clip, move) in VARIANTS.items():
        tx = gradient_descent(AlphaConfig(learning_rate=rate, clip=clip, decay=0.0), meta["edge_lr"])
        tables = {name: {kind: oracle[f"{tag}/{name}/{kind}"] for kind in KINDS} for name in ("alphas", "edges")}
        slopes = {name: {kind: oracle[f"{tag}/grad_{name}/{kind}"] for kind in KINDS} for name in ("alphas", "edges")}
        p = of_torch(meta, tables, 0)
        if tag == "default":
            start = uniform_with_edges(darts.space(), jax.random.key(0), None)
            yield from table_comparisons(tag, start, tables, 0)
        state = tx.init(p)
        for step in range(len(slopes["alphas"]["normal"])):
            updates, state = tx.update(of_torch(meta, slopes, step), state, p)
            p = move(p, updates)
            yield from table_comparisons(tag, p, tables, step + 1)

    p = {"normal": jnp.asarray(oracle["entropic_reg/p"])}
    value, gradient = jax.value_and_grad(relative_entropy)(p)
    yield from oracle.compare("entropic_reg/value", value, 1e-12)
    yield from oracle.compare("entropic_reg/grad", gradient["normal"], 1e-12)


def of_torch(meta: dict, tables: dict[str, dict[str, np.ndarray]], step: int) -> dict:
    """Their tables of all steps as our alphas of one."""
    edges = {kind: tuple(tables["edges"][kind][step, a:b] for a, b in meta["edge_groups"]) for kind in KINDS}
    return jax.tree.map(
        jnp.asarray, {"operations": {kind: tables["alphas"][kind][step] for kind in KINDS}, "edges": edges}
    )


def table_comparisons(tag: str, p: dict, tables: dict[str, dict[str, np.ndarray]], step: int) -> Iterator[Comparison]:
    for kind in KINDS:
        yield Comparison(f"{tag}/alphas/{kind}", p["operations"][kind], tables["alphas"][kind][step], 1e-12)
        yield Comparison(f"{tag}/edges/{kind}", np.concatenate(p["edges"][kind]), tables["edges"][kind][step], 1e-12)
