"""The PC-DARTS supernet: partial channels and weights of edges."""

from collections.abc import Iterator
from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
from flax.traverse_util import flatten_dict, unflatten_dict

from dnas import interop
from dnas.architectures.genotype import to_text
from dnas.architectures.topology import Space
from dnas.methods import pc_darts
from dnas.nets.functional import functionalize
from dnas.nets.layers import absorb
from dnas.nets.nodes import shuffle
from dnas.nets.supernet import MixedCell
from dnas.search.discretise import strongest
from dnas.spaces import darts
from dnas.tasks.classification import cross_entropy
from dnas.types import Clock, Weights
from oracles.common import Comparison, Oracle, darts_genotype_of, genotype_rows, supernet

KINDS = ("normal", "reduce")
NOW = Clock(jnp.int32(0), jnp.int32(0), 1)


def compare(oracle: Oracle) -> Iterator[Comparison]:
    meta, method = oracle.meta, pc_darts.method(partial=oracle.meta["K"])
    space = method.supernet(darts.space())
    network, pairs = supernet(space, meta, meta["layers"])
    weights, stats = oracle.weights(pairs, "param/")
    alphas = of_torch(meta, oracle.under("arch/"))
    train, valid = oracle.batch("train/"), oracle.batch("valid/")

    def mixed(alphas):
        return method.relax(alphas, jax.random.key(0), NOW)

    @jax.jit
    @partial(jax.value_and_grad, argnums=(0, 1), has_aux=True)
    def gradients(weights, alphas, batch):
        logits, moments = network.apply(weights, stats, batch.inputs, mixed(alphas), train=True)
        return cross_entropy(logits, batch.targets), (logits, moments)

    for name, batch in (("train", train), ("valid", valid)):
        (loss, (logits, moments)), (to_weights, to_alphas) = gradients(weights, alphas, batch)
        yield from oracle.compare(f"{name}/loss", loss, 1e-8)
        yield from oracle.compare(f"{name}/logits", logits, 1e-8)
        yield from oracle.compare(f"{name}/grad_arch", to_torch(to_alphas), 1e-8)
        if name == "train":
            running, named = absorb(stats, moments), interop.to_torch(to_weights, stats, pairs)
            yield from oracle.compare("train/grad_param", named, 1e-8)
            norms = [np.linalg.norm(named[parameter].ravel()) for parameter in meta["param_order"]]
            yield from oracle.compare("train/grad_param_l2", np.array(norms), 1e-8)
            yield from oracle.compare("train/grad_norm", optax.global_norm(to_weights), 1e-8)
    logits, _ = jax.jit(partial(network.apply, train=False))(weights, running, valid.inputs, mixed(alphas))
    yield from oracle.compare("valid/logits_eval_mode_after_one_train_forward", logits, 1e-8)

    edges = np.concatenate([jax.nn.softmax(group) for group in alphas["edges"]["normal"]])
    yield from oracle.compare("edge_weights/normal", edges, 1e-8)
    yield from oracle.compare("channel_shuffle/y", nchw(shuffle(nhwc(oracle["channel_shuffle/x"]), meta["K"])), 0)
    for kind, stage, key in (
        ("normal", 0, "mixed_op/y_normal_cell0_edge0"),
        ("reduce", 1, "mixed_op_reduce/y_cell1_edge0"),
    ):
        x, mix = oracle[f"{key.partition('/')[0]}/x"], jnp.asarray(oracle["mixed_op/weights"])[None]
        yield from oracle.compare(key, nchw(first_edge(space, kind, stage, weights, nhwc(x), mix)), 1e-8)

    tables = oracle.under("genotype/")
    genotypes = []
    for i in range(len(tables["alphas_normal"])):
        mix = mixed(of_torch(meta, {name: table[i] for name, table in tables.items() if name not in KINDS}))
        genotypes.append(strongest(darts.space(), jax.device_get(mix)))
    for kind in KINDS:
        yield from oracle.compare(f"genotype/{kind}", genotype_rows(genotypes, kind, meta["ops"]), 0)
    for ours, record in zip(genotypes, oracle.table("genotypes.json"), strict=True):
        yield Comparison("genotypes.json", to_text(ours), to_text(darts_genotype_of(record)), 0)


def of_torch(meta: dict, tables: dict[str, np.ndarray]) -> dict:
    """Their alphas [E, O] and betas [E], as ours."""
    groups = {kind: tuple(tables[f"betas_{kind}"][a:b] for a, b in meta["beta_groups"]) for kind in KINDS}
    alphas = {"operations": {kind: tables[f"alphas_{kind}"] for kind in KINDS}, "edges": groups}
    return jax.tree.map(jnp.asarray, alphas)


def to_torch(alphas: dict) -> dict[str, np.ndarray]:
    tables = {f"alphas_{kind}": alphas["operations"][kind] for kind in KINDS}
    return tables | {f"betas_{kind}": np.concatenate(alphas["edges"][kind]) for kind in KINDS}


def first_edge(space: Space, kind: str, stage: int, weights: Weights, x: jax.Array, mix: jax.Array) -> jax.Array:
    """The first edge of a stage's first cell, alone: x [B, H, W, C], mix [1, O]."""
    cell = space.cells[kind]
    alone = replace(cell, inputs=1, nodes=1, edges=((1, 0),), operations=cell.operations[:1], concat=None)
    only = replace(space, cells={kind: alone})
    network = functionalize(lambda rngs: MixedCell(only, kind, x.shape[-1], True, rngs=rngs))
    shapes, stats = network.init(jax.random.key(0))
    core = flatten_dict(weights["backbone"]["stages"][stage]["core"])
    own = {path: core[path][0, :1] for path in flatten_dict(shapes)}  # of the first cell and edge
    y, _ = network.apply(unflatten_dict(own), stats, [x], (mix, None), train=True)
    return y


def nhwc(x: np.ndarray) -> jax.Array:
    return jnp.asarray(x.transpose(0, 2, 3, 1))


def nchw(x: jax.Array) -> np.ndarray:
    return np.asarray(x).transpose(0, 3, 1, 2)
