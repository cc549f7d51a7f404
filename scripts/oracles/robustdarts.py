"""RobustDARTS: the Hessian of the validation loss and its eigenvalues, the rule that stops, and the spaces."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from dnas.search import stops
from dnas.spaces import robust
from dnas.tasks.classification import cross_entropy
from oracles.common import Comparison, Oracle, supernet

DECAY = 1e-3  # of the alphas


def compare(oracle: Oracle) -> Iterator[Comparison]:
    network, pairs = supernet(robust.space(name="s3"), oracle.meta, oracle.meta["layers"])
    weights, stats = oracle.weights(pairs, "param/")
    alphas, batch = jax.tree.map(jnp.asarray, oracle.under("alphas/")), oracle.batch("valid/")

    def loss(alphas):
        mix = jax.tree.map(jax.nn.softmax, alphas)
        return cross_entropy(network.apply(weights, stats, batch.inputs, mix, train=True)[0], batch.targets)

    gradient = jax.tree.map(lambda g, a: g + DECAY * a, jax.jit(jax.grad(loss))(alphas), alphas)
    yield from oracle.compare("grad_with_weight_decay", gradient, 1e-6)
    matrix = np.asarray(jax.jit(lambda a: stops.hessian(loss, a, DECAY))(alphas))
    yield from oracle.compare("hessian_with_weight_decay", matrix, 1e-6)
    yield from oracle.compare("eigenvalues_sorted", np.linalg.eigvalsh(matrix), 1e-6)
    yield from oracle.compare("dominant_eigenvalue", np.array(stops.dominant_eigenvalue(matrix)), 1e-6)

    for name, record in oracle.table("early_stop.json").items():
        for i, epoch in enumerate(record["epochs"]):
            if epoch == 49:  # the last epoch is measured and not checked
                continue
            values = record["ev"][: i + 1]
            back = stops.sharpened(values, every=2, factor=1.3, begin=10)
            yield Comparison(f"early_stop/{name}/stop", back is not None, record["stop"][i], 0)
            yield Comparison(
                f"early_stop/{name}/epoch", 49 if back is None else epoch - back, record["stop_epoch"][i], 0
            )
            averages, theirs = stops.local_averages(values), record["local_avg_last"][i]
            if theirs is not None:
                yield Comparison(f"early_stop/{name}/average", averages[-1], theirs, 1e-12)

    for name in ("s1", "s2", "s3", "s4"):
        for kind, key in (("normal", "primitives_normal"), ("reduce", "primitives_reduct")):
            ours = [list(names) for names in robust.space(name=name).cells[kind].operations]
            yield Comparison(f"spaces.json/{name}", str(ours), str(oracle.table("spaces.json")[name][key]), 0)
