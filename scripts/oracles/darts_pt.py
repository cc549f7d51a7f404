"""DARTS-PT: the selection of a whole architecture on a trained supernet, by loss and by accuracy."""

from collections.abc import Iterator

import jax
import jax.numpy as jnp
import numpy as np

from dnas.architectures.genotype import to_text
from dnas.search import projection, relax
from dnas.spaces import darts
from dnas.tasks.classification import cross_entropy
from oracles.common import Comparison, Oracle, darts_genotype_of, supernet

COLUMNS = {"acc": 0, "loss": 1}


def compare(oracle: Oracle) -> Iterator[Comparison]:
    space, meta = darts.space(), oracle.meta
    network, pairs = supernet(space, meta, meta["layers"])
    weights, stats = oracle.weights(pairs, "param/")
    scores = jax.tree.map(lambda a: np.asarray(jax.nn.softmax(a)), oracle.under("alphas/"))
    batches = jax.tree.map(lambda *leaves: jnp.stack(leaves), oracle.batch("valid/0/"), oracle.batch("valid/1/"))

    @jax.jit
    def seen(mix):
        def one(batch):
            logits, _ = network.apply(weights, stats, batch.inputs, mix, train=True)
            return logits, (logits.argmax(-1) == batch.targets).sum(), cross_entropy(logits, batch.targets)

        logits, hits, losses = jax.lax.map(one, batches)  # hits are counted: of means, equal ones could round apart
        return logits, jnp.stack([100 * hits.sum() / batches.targets.size, losses.mean()])

    for criterion, column in COLUMNS.items():
        known, table = oracle.table("projection.json")[criterion], []

        def damage(mix, column=column, table=table):
            table.append(np.asarray(seen(mix)[1]))
            return -table[-1][0] if column == 0 else table[-1][1]

        mask = {kind: np.ones(shape) for kind, shape in space.mix_shapes.items()}
        tables, nodes = {kind: [] for kind in mask}, {kind: [] for kind in mask}
        for t in range(14 + 3):
            for kind, cell in space.cells.items():
                if t < 14:
                    decision = "edge", int(oracle[f"edge_order/{kind}"][t])
                else:
                    decision = "node", 3 + int(oracle[f"node_order/{kind}"][t - 14])
                table.clear()
                mask = projection.project(relax.masked(scores, mask), mask, kind, cell, decision, damage)
                (tables if t < 14 else nodes)[kind].append(np.stack(table))

        for kind, cell in space.cells.items():
            order = oracle[f"edge_order/{kind}"]
            yield from oracle.compare(f"{criterion}/{kind}/acc_loss_when_removed", np.stack(tables[kind]), 1e-9)
            # a row that a node later dropped has lost its operation: the picks are read off the tables
            picked = [(-t[:, 0] if column == 0 else t[:, 1]).argmax() for t in tables[kind]]
            yield from oracle.compare(f"{criterion}/{kind}/op_picked", np.array(picked), 0)
            left = mask[kind][order]
            yield Comparison("picks", np.array(picked)[left.any(-1)], left.argmax(-1)[left.any(-1)], 0)
            for ours, theirs in zip(nodes[kind], known["edge_evaluations"][kind], strict=True):
                # theirs repeat the same evaluations in every pass; the first pass has each edge once
                yield Comparison("edge_evaluations", ours, np.array(theirs[: len(ours)]), 1e-9)
            for node, kept in known["kept_edges"][kind].items():
                ours = [e for e in cell.incoming(int(node)) if mask[kind][e].any()]
                yield Comparison("kept_edges", np.array(ours), np.array(kept), 0)
        final = relax.masked(scores, mask)
        yield from oracle.compare(f"{criterion}/final_logits_train_mode_batch0", seen(final)[0][0], 1e-9)
        ours = to_text(projection.remaining(space, final))
        yield Comparison("genotype", ours, to_text(darts_genotype_of(known["genotype"])), 0)
