"""FairDARTS: sigmoid mixing, the zero-one loss in both forms, and 60 pairs of alphas with three rules of genotypes."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from dnas import interop
from dnas.architectures.genotype import Edge
from dnas.search import penalty, relax
from dnas.search.discretise import above_edge, above_sparse, ranked
from dnas.spaces import darts
from dnas.tasks.classification import cross_entropy
from dnas.types import Clock
from oracles.common import Comparison, Oracle, supernet

NOW = Clock(jnp.int32(0), jnp.int32(0), 50)


def compare(oracle: Oracle) -> Iterator[Comparison]:
    meta = oracle.meta
    space = darts.space(operations="+".join(meta["ops"]))
    network, pairs = supernet(space, meta, meta["layers"])
    weights, stats = oracle.weights(pairs, "param/")
    alphas, batch = jax.tree.map(jnp.asarray, oracle.under("alphas/")), oracle.batch()

    def mix(alphas):
        return relax.sigmoid(alphas, jax.random.key(0), NOW)

    @jax.jit
    @jax.value_and_grad
    def loss(both):
        weights, alphas = both
        logits, _ = network.apply(weights, stats, batch.inputs, mix(alphas), train=True)
        return cross_entropy(logits, batch.targets)

    logits, _ = jax.jit(lambda w: network.apply(w, stats, batch.inputs, mix(alphas), train=True))(weights)
    yield from oracle.compare("logits", logits, 1e-8)
    value, (to_weights, to_alphas) = loss((weights, alphas))
    yield from oracle.compare("grad_param", interop.to_torch(to_weights, stats, pairs), 1e-8)
    for distance in ("l2", "l1"):
        added, of_added = jax.value_and_grad(lambda a, d=distance: penalty.zero_one(1.0, d)(a, mix(a), NOW))(alphas)
        total = jax.tree.map(lambda g, h: g + meta["aux_weight"] * h, to_alphas, of_added)
        yield from oracle.compare(f"{distance}/ce", value, 1e-8)
        yield from oracle.compare(f"{distance}/zero_one_loss", added, 1e-8)
        yield from oracle.compare(f"{distance}/total_loss", value + meta["aux_weight"] * added, 1e-8)
        yield from oracle.compare(f"{distance}/grad_alphas_zero_one", of_added, 1e-8)
        yield from oracle.compare(f"{distance}/grad_alphas_total", total, 1e-8)

    threshold = meta["op_threshold"]
    rules = {
        "darts": lambda cell, rows: tuple(ranked(cell, rows)),
        "threshold_sparse": lambda cell, rows: above_sparse(cell, rows, threshold),
        "threshold_edge": lambda cell, rows: above_edge(cell, rows, threshold),
    }
    for tables, record in zip(oracle["genotype/alphas"], oracle.table("genotypes.json"), strict=True):
        for table, (kind, cell) in zip(tables, space.cells.items(), strict=True):
            rows = np.asarray(jax.nn.sigmoid(table))
            for rule, edges_of in rules.items():
                edges = edges_of(cell, rows)
                theirs = record[rule][kind]
                yield Comparison(f"genotypes.json/{rule}", written(edges, rule), str(list(map(tuple, theirs))), 0)


def written(edges: tuple[Edge, ...], rule: str) -> str:
    """The edges as the reference lists them."""
    return str([(e.operation, e.source) if rule == "darts" else (e.operation, e.node, e.source) for e in edges])
