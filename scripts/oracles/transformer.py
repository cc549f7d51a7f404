"""AutoFormer's supernets: logits, features and gradients of sub-networks; parameters of published ones."""

from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from flax.traverse_util import flatten_dict, unflatten_dict

from dnas.architectures.genotype import CellGenotype, Edge, Genotype, as_mix
from dnas.architectures.topology import NetworkSize, Space
from dnas.nets.count import count
from dnas.nets.functional import Deferred
from dnas.nets.transformer import LAYERED
from dnas.spaces import vision_transformer
from dnas.tasks.classification import cross_entropy
from oracles.common import Comparison, Oracle

VALUES, GRADIENTS = 1e-11, 1e-9
FIXED = {"feed_forward": "gelu", "mixer": "attention"}


class Pair(NamedTuple):
    """theirs: the name. ours: the path in weights. form: how axes stand."""

    theirs: str
    ours: tuple
    form: str


def compare(oracle: Oracle) -> Iterator[Comparison]:
    for name, meta in oracle.meta["supernets"].items():
        yield from _supernet(oracle, name, meta)
    rows = oracle.table("subnets.json")
    for row in rows[:: oracle.every]:
        yield Comparison(f"subnets/{row['space']}/{row['name']}", parameters(row), row["params"], 0)
    for name in ("T", "S", "B"):
        whole = next(row["supernet"] for row in rows if row["space"] == name)
        depth, heads = whole["DEPTH"], whole["NUM_HEADS"]
        largest = {
            "space": name,
            "layer_num": depth,
            "embed_dim": [whole["EMBED_DIM"]] * depth,
            "num_heads": [heads] * depth,
            "mlp_ratio": [whole["MLP_RATIO"]] * depth,
        }
        yield Comparison(f"subnets/{name}/supernet", parameters(largest), whole["params"], 0)


def parameters(row: dict) -> int:
    space = vision_transformer.space(size=f"autoformer_{row['space'].lower()}")
    return count(genotype(row, row["layer_num"], "pre"), space, NetworkSize(1, 1, 1000), 224).parameters


def genotype(config: dict, layers: int, norm: str) -> Genotype:
    """Of a config as they write it; layers that it does not have repeat its last."""

    def cell(options: list) -> CellGenotype:
        texts = [option if isinstance(option, str) else f"{option:g}" for option in options]
        return CellGenotype(tuple(Edge(i + 1, i, text) for i, text in enumerate(texts)))

    missing = layers - config["layer_num"]
    lists = {name: config[key] + config[key][-1:] * missing for name, key in
             {"heads": "num_heads", "ratio": "mlp_ratio"}.items()}  # fmt: skip
    lists |= {name: [word] * layers for name, word in {**FIXED, "norm": norm}.items()}
    once = {"width": [config["embed_dim"][0]], "depth": [config["layer_num"]]}
    cells = once | {kind: lists[kind] for kind in LAYERED}
    return Genotype("vision_transformer", tuple((kind, cell(options)) for kind, options in cells.items()))


def pairs_of(meta: dict) -> list[Pair]:
    found = [Pair("cls_token", ("front", "token"), "first"), Pair("head.weight", ("classifier", "kernel"), "linear")]
    found += [Pair("patch_embed_super.proj.weight", ("front", "kernel"), "conv")]
    found += [Pair("patch_embed_super.proj.bias", ("front", "bias"), "same")]
    found += [Pair("head.bias", ("classifier", "bias"), "same")]
    if meta["abs_pos"]:
        found += [Pair("pos_embed", ("front", "positions"), "first")]
    if meta["pre_norm"]:
        found += norm_pairs("norm", ("norm",))
    for number in range(meta["depth"]):
        prefix, path = f"blocks.{number}.", ("layers", number)
        attention, forward = (*path, "attention"), (*path, "feed_forward")
        found += [Pair(f"{prefix}attn.qkv.weight", (*attention, "qkv"), "mixed" if meta["change_qkv"] else "thirds")]
        found += [Pair(f"{prefix}attn.qkv.bias", (*attention, "bias"), "same")]
        found += linear_pairs(f"{prefix}attn.proj", (*attention, "project"))
        found += linear_pairs(f"{prefix}fc1", (*forward, "enter")) + linear_pairs(f"{prefix}fc2", (*forward, "leave"))
        found += norm_pairs(f"{prefix}attn_layer_norm", (*path, "mixer_norm"))
        found += norm_pairs(f"{prefix}ffn_layer_norm", (*path, "feed_forward_norm"))
        for theirs, ours in {"k": "keys", "v": "values"}.items() if meta["relative_position"] else ():
            for place, axis in enumerate("vh"):
                table = f"{prefix}attn.rel_pos_embed_{theirs}.embeddings_table_{axis}"
                found += [Pair(table, (*attention, ours, "tables", place), "same")]
    return [pair._replace(ours=("body", *pair.ours)) for pair in found]


def linear_pairs(name: str, path: tuple) -> list[Pair]:
    return [Pair(f"{name}.weight", (*path, "kernel"), "linear"), Pair(f"{name}.bias", (*path, "bias"), "same")]


def norm_pairs(name: str, path: tuple) -> list[Pair]:
    return [Pair(f"{name}.weight", (*path, "scale"), "same"), Pair(f"{name}.bias", (*path, "bias"), "same")]


def to_ours(array: np.ndarray, form: str) -> jax.Array:
    if form == "conv":
        array = array.transpose(2, 3, 1, 0)
    elif form == "linear":
        array = array.T
    elif form == "first":
        array = array[0]
    elif form == "mixed":
        array = array.reshape(-1, 3, array.shape[1]).transpose(2, 1, 0)
    elif form == "thirds":
        array = array.reshape(3, -1, array.shape[1]).transpose(2, 0, 1)
    return jnp.asarray(array)


def to_theirs(array: Any, form: str) -> np.ndarray:
    array = np.asarray(array)
    if form == "conv":
        return array.transpose(3, 2, 0, 1)
    if form == "linear":
        return array.T
    if form == "first":
        return array[None]
    if form in ("mixed", "thirds"):
        return array.transpose((2, 1, 0) if form == "mixed" else (1, 2, 0)).reshape(-1, len(array))
    return array


def space_of(meta: dict) -> Space:
    """The space of a supernet of theirs."""
    choices = {kind: "+".join(f"{option:g}" for option in options) for kind, options in meta["choices"].items()}
    return vision_transformer.space(
        size="autoformer_t",
        widths=choices["embed_dim"],
        depths=choices["depth"],
        heads=choices["num_heads"],
        ratios=choices["mlp_ratio"],
        norms="pre" if meta["pre_norm"] else "post",
        head=64 if meta["change_qkv"] else 0,
        distance=meta["max_relative_position"] if meta["relative_position"] else 0,
        pixels=meta["img_size"],
        patch=meta["patch_size"],
        positions=meta["abs_pos"],
        pool="mean" if meta["gp"] else "class",
        rescaled=meta["scale"],
    )


def _supernet(oracle: Oracle, name: str, meta: dict) -> Iterator[Comparison]:
    space, pairs, batch = space_of(meta), pairs_of(meta), oracle.batch(f"{name}/")
    size = NetworkSize(1, 1, meta["num_classes"])
    assert space.supernet is not None
    layout = nnx.graphdef(space.supernet(space, size, rngs=Deferred(params=jax.random.key(0))))
    params = oracle.under(f"{name}/param/")
    weights = unflatten_dict({pair.ours: to_ours(params[pair.theirs], pair.form) for pair in pairs})
    norm = "pre" if meta["pre_norm"] else "post"

    @jax.jit
    def gradients(weights, mix):
        def loss(weights):
            body = nnx.merge(layout, nnx.State(weights)).body
            x, around = body.read(batch.inputs, mix, None)
            logits = body.answer(x, around)
            return cross_entropy(logits, batch.targets), (logits, body.pooled(x, around))

        return jax.value_and_grad(loss, has_aux=True)(weights)

    for number, (which, config) in enumerate(meta["configs"].items()):
        where = f"{name}/{which}"
        found = genotype(config, meta["depth"], norm)
        total = count(found, space, size, meta["img_size"]).parameters
        unused = 0 if meta["abs_pos"] else config["embed_dim"][0] * ((meta["img_size"] // meta["patch_size"]) ** 2 + 1)
        yield Comparison(f"{where}/params", total, meta["params"][which] - unused, 0)  # theirs count positions anyhow
        if number % oracle.every:
            continue
        mix = {kind: jnp.asarray(table, float) for kind, table in as_mix(found, space).items()}
        (loss, (logits, features)), gradient = gradients(weights, mix)
        flat = {pair.theirs: to_theirs(flatten_dict(gradient)[pair.ours], pair.form) for pair in pairs}
        yield from oracle.compare(f"{where}/logits", logits, VALUES)
        theirs = oracle[f"{where}/features"]
        there = np.pad(theirs, ((0, 0), (0, features.shape[1] - theirs.shape[1])))
        yield Comparison(f"{where}/features", features, there, VALUES)
        yield from oracle.compare(f"{where}/loss", loss, VALUES)
        norms = [np.sqrt(np.square(flat[key]).sum()) for key in meta["grad_norm_order"]]
        yield from oracle.compare(f"{where}/grad_norms", np.array(norms), GRADIENTS)
        yield from oracle.compare(f"{where}/grad", flat, GRADIENTS)
        for key, theirs in oracle.under(f"{where}/grad_colsum/").items():
            # what a norm takes away again has sums that are zero but for rounding: these are no numbers to compare
            sums = np.round(flat[key].sum(0), 14)
            yield Comparison(f"{where}/grad_colsum/{key}", sums, np.round(theirs, 14), GRADIENTS)
        for key, theirs in oracle.under(f"{where}/grad_rows/").items():
            rows = flat[key][:: len(flat[key]) // len(theirs)]
            yield Comparison(f"{where}/grad_rows/{key}", rows, theirs, GRADIENTS)
