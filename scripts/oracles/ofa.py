"""Once-for-all: elastic kernels and blocks, sorted channels, calibrated norms, sub-network counts."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from flax.traverse_util import flatten_dict, unflatten_dict

from dnas.architectures.blocks import parse
from dnas.architectures.genotype import CellGenotype, Edge, Genotype, as_mix
from dnas.architectures.topology import NetworkSize, Norm
from dnas.nets import blocks, elastic, elastic_blocks
from dnas.nets.calibration import calibrated, calibrating
from dnas.nets.count import count
from dnas.nets.functional import Deferred, Functional, functionalize
from dnas.nets.layers import absorb
from dnas.spaces import ofa
from dnas.tasks.classification import cross_entropy
from oracles.common import Comparison, Oracle

VALUES, GRADIENTS = 1e-11, 1e-9
AFFINE = Norm(affine=True, pools=False)


class Pair(NamedTuple):
    """theirs: the name. ours: the path in weights or statistics. form: how axes stand."""

    theirs: str
    ours: tuple
    form: str


def compare(oracle: Oracle) -> Iterator[Comparison]:
    yield from _kernels(oracle)
    yield from _blocks(oracle)
    yield from _sorted(oracle)
    yield from _supernet(oracle)
    for row in oracle.table("subnets.json")[:: oracle.every]:
        space = ofa.space(width=row["width_mult"], resolutions="none")
        found = count(genotype(row), space, NetworkSize(1, 1, 1000), row["resolution"])
        where = f"subnets/{row['width_mult']}/{row['resolution']}"
        yield Comparison(f"{where}/params", found.parameters, row["params"], 0)
        yield Comparison(f"{where}/multiply_adds", found.multiply_adds, row["multiply_adds"], 0)


def genotype(row: dict) -> Genotype:
    """Of kernels, ratios and depths as they write them."""
    cells = {"kernel": row["ks"], "depth": row["d"], "expansion": row["e"]}
    return Genotype("ofa", tuple((kind, CellGenotype(edges(values))) for kind, values in cells.items()))


def edges(values: list[int]) -> tuple[Edge, ...]:
    return tuple(Edge(i + 1, i, str(value)) for i, value in enumerate(values))


# Names and axes


def norm_pairs(name: str, path: tuple) -> list[Pair]:
    parts = {"weight": "scale", "bias": "bias", "running_mean": "mean", "running_var": "var"}
    return [Pair(f"{name}.{theirs}", (*path, ours), "same") for theirs, ours in parts.items()]


def kernel_pairs(sizes: list[int], path: tuple, prefix: str = "") -> list[Pair]:
    names = [f"{prefix}{large}to{small}_matrix" for small, large in zip(sizes[-2::-1], sizes[:0:-1], strict=True)]
    matrices = [Pair(name, (*path, "matrices", i), "same") for i, name in enumerate(names)]
    return [Pair(f"{prefix}conv.weight", (*path, "kernel"), "depth"), *matrices]


def block_pairs(sizes: list[int], squeeze: bool, expand: bool, prefix: str = "", path: tuple = ()) -> list[Pair]:
    depth = f"{prefix}depth_conv."
    found = kernel_pairs(sizes, (*path, "depthwise"), f"{depth}conv.")
    found += norm_pairs(f"{depth}bn.bn", (*path, "depthwise_norm"))
    found += [Pair(f"{prefix}point_linear.conv.conv.weight", (*path, "project", "kernel"), "conv")]
    found += norm_pairs(f"{prefix}point_linear.bn.bn", (*path, "project_norm"))
    if expand:
        found += [Pair(f"{prefix}inverted_bottleneck.conv.conv.weight", (*path, "expand", "kernel"), "conv")]
        found += norm_pairs(f"{prefix}inverted_bottleneck.bn.bn", (*path, "expand_norm"))
    for part in ("reduce", "expand") if squeeze else ():
        found += [Pair(f"{depth}se.fc.{part}.weight", (*path, "squeeze", part, "kernel"), "linear")]
        found += [Pair(f"{depth}se.fc.{part}.bias", (*path, "squeeze", part, "bias"), "same")]
    return found


def to_ours(array: np.ndarray, form: str) -> jax.Array:
    if form == "conv":
        array = array.transpose(2, 3, 1, 0)
    elif form == "linear":
        array = array.reshape(array.shape[:2]).T
    elif form == "depth":
        array = array[:, 0].transpose(1, 2, 0)
    return jnp.asarray(array)


def to_theirs(array: Any, form: str, shape: tuple[int, ...]) -> np.ndarray:
    """With zeros beyond what there is of a larger one."""
    array = np.asarray(array)
    if form == "conv":
        array = array.transpose(3, 2, 0, 1)
    elif form == "linear":
        array = array.T.reshape(*array.T.shape, *[1] * (len(shape) - 2))
    elif form == "depth":
        array = array.transpose(2, 0, 1)[:, None]
    return np.pad(array, [(0, whole - part) for whole, part in zip(shape, array.shape, strict=True)])


def trees(arrays: dict[str, np.ndarray], pairs: list[Pair]) -> tuple[Any, Any]:
    """(weights, stats)."""
    flat: tuple[dict, dict] = ({}, {})
    for pair in pairs:
        flat["running" in pair.theirs][pair.ours] = to_ours(arrays[pair.theirs], pair.form)
    return unflatten_dict(flat[0]), unflatten_dict(flat[1])


def against(oracle: Oracle, prefix: str, tree: Any, pairs: list[Pair], tolerance: float) -> Iterator[Comparison]:
    """Everything of theirs under a prefix that is called as one of the pairs."""
    flat = flatten_dict(tree)
    for pair in pairs:
        if (key := f"{prefix}/{pair.theirs}") in oracle.arrays and pair.ours in flat:
            theirs = oracle[key]
            yield Comparison(key, to_theirs(flat[pair.ours], pair.form, theirs.shape), theirs, tolerance)


def nhwc(x: np.ndarray) -> jax.Array:
    return jnp.asarray(x.transpose(0, 2, 3, 1))


def nchw(x: Any) -> np.ndarray:
    return np.asarray(x).transpose(0, 3, 1, 2)


def functionalized(module: Callable[..., Any], *settings: Any) -> Functional:
    return functionalize(lambda rngs: module(*settings, rngs=rngs))


# The parts


def _kernels(oracle: Oracle) -> Iterator[Comparison]:
    for name, meta in [*oracle.meta["sepconv"].items()][:: oracle.every]:
        sizes, prefix = meta["kernel_size_list"], f"sepconv/{name}"
        pairs = kernel_pairs(sizes, ())
        arrays = oracle.under(f"{prefix}/param/")
        for channels in meta["channels_used"]:
            build = partial(elastic_blocks.Depthwise, channels, sizes, meta["stride"])
            network = functionalized(build)
            weights, _ = trees(arrays | {"conv.weight": arrays["conv.weight"][:channels]}, pairs)
            x = nhwc(oracle[f"{prefix}/c{channels}/x"])
            for number, size in enumerate(sizes):
                where, row = f"{prefix}/c{channels}/k{size}", jax.nn.one_hot(number, len(sizes), dtype=float)
                y, pull = jax.vjp(lambda w, x: network.apply(w, {}, x, row, train=True)[0], weights, x)  # noqa: B023
                to_weights, to_x = pull(nhwc(oracle[f"{where}/cotangent"]))
                yield Comparison(f"{where}/y", nchw(y), oracle[f"{where}/y"], VALUES)
                yield Comparison(f"{where}/grad_x", nchw(to_x), oracle[f"{where}/grad_x"], GRADIENTS)
                yield from against(oracle, f"{where}/grad", to_weights, pairs, GRADIENTS)
                module = nnx.merge(nnx.graphdef(build(rngs=nnx.Rngs(0))), nnx.State(weights))
                theirs = oracle[f"{where}/active_filter"]
                yield Comparison(
                    f"{where}/active_filter", to_theirs(module.kernels()[number], "depth", theirs.shape), theirs, VALUES
                )
                if (key := f"{where}/y_without_transform") in oracle.arrays:
                    identities = jax.tree.map(lambda matrix: jnp.eye(len(matrix)), weights["matrices"])
                    y, _ = network.apply(weights | {"matrices": identities}, {}, x, row, train=True)
                    yield Comparison(key, nchw(y), oracle[key], VALUES)


def block_of(meta: dict, outputs: int) -> Any:
    words = ["mb3_e1", f"c{outputs}", *["s2"] * (meta["stride"] == 2), *["se4h"] * meta["use_se"]]
    return parse("_".join([*words, *["hswish"] * (meta["act_func"] == "h_swish"), "nores"]))


def cut(arrays: dict[str, np.ndarray], inputs: int, outputs: int) -> dict[str, np.ndarray]:
    """The first channels that a block reads and gives."""

    def one(name: str, array: np.ndarray) -> np.ndarray:
        if name.startswith("inverted_bottleneck.conv"):
            return array[:, :inputs]
        return array[:outputs] if name.startswith("point_linear") and array.ndim else array

    return {name: one(name, array) for name, array in arrays.items()}


def _blocks(oracle: Oracle) -> Iterator[Comparison]:
    for name, meta in oracle.meta["mbconv"].items():
        sizes, prefix, largest = meta["kernel_size_list"], f"mbconv/{name}", meta["choices"][0]["middle"]
        arrays = oracle.under(f"{prefix}/param/") | oracle.under(f"{prefix}/buffer/")
        pairs = block_pairs(sizes, meta["use_se"], "inverted_bottleneck.conv.conv.weight" in arrays)
        for choice in meta["choices"][:: oracle.every]:
            inputs, outputs = choice["in_channels"], choice["out"]
            where = f"{prefix}/in{inputs}_k{choice['kernel']}_e{choice['expand']}_o{outputs}"
            widths, block = sorted({choice["middle"], largest}), block_of(meta, outputs)
            network = functionalized(elastic_blocks.ElasticBlock, block, inputs, sizes, widths, AFFINE)
            weights, stats = trees(cut(arrays, inputs, outputs), pairs)
            rows = jnp.eye(len(sizes))[sizes.index(choice["kernel"])], jnp.eye(len(widths))[0], jnp.bool_(True)
            x = nhwc(oracle[f"{where}/x"])
            y, _ = network.apply(weights, stats, x, *rows, train=False)
            yield Comparison(f"{where}/y_eval", nchw(y), oracle[f"{where}/y_eval"], VALUES)
            run = lambda w, x: network.apply(w, stats, x, *rows, train=True)  # noqa: B023, E731
            y, pull, moments = jax.vjp(run, weights, x, has_aux=True)
            to_weights, to_x = pull(nhwc(oracle[f"{where}/cotangent"]))
            yield Comparison(f"{where}/y_train", nchw(y), oracle[f"{where}/y_train"], VALUES)
            yield Comparison(f"{where}/grad_x", nchw(to_x), oracle[f"{where}/grad_x"], GRADIENTS)
            yield from against(oracle, f"{where}/grad", to_weights, pairs, GRADIENTS)
            moved = cut(oracle.under(f"{where}/buffer_after/"), inputs, outputs)
            for pair in pairs:
                if "running" in pair.theirs:
                    ours = flatten_dict(absorb(stats, moments))[pair.ours]
                    yield Comparison(f"{where}/buffer_after/{pair.theirs}", ours, moved[pair.theirs], VALUES)
            narrow = replace(block, kernel=choice["kernel"], hidden=choice["middle"])
            module = blocks.build(narrow, inputs, 1, AFFINE, rngs=Deferred(params=jax.random.key(0)))
            found = sum(leaf.size for leaf in jax.tree.leaves(nnx.as_pure(nnx.state(module, nnx.Param))))
            yield Comparison(f"{where}/subnet_param_count", found, oracle[f"{where}/subnet_param_count"], 0)


def _sorted(oracle: Oracle) -> Iterator[Comparison]:
    for name, record in [*oracle.meta["reorganize"].items()][:: oracle.every]:
        first, stage = name.split("/")
        meta, prefix, widths = oracle.meta["mbconv"][first], f"reorganize/{name}", record["widths_descending"]
        sizes, ratios = meta["kernel_size_list"], sorted(meta["expand_ratio_list"], reverse=True)
        arrays = oracle.under(f"mbconv/{first}/param/") | oracle.under(f"mbconv/{first}/buffer/")
        pairs = block_pairs(sizes, meta["use_se"], True)
        weights, stats = trees(arrays, pairs)
        importance = jnp.abs(weights["project"]["kernel"]).sum((0, 1, 3))
        limits = widths[: int(stage.removeprefix("stage")) + 1]
        order = elastic.by_importance(importance, limits)
        yield Comparison(f"{prefix}/order", order, oracle[f"{prefix}/order"], 0)
        if meta["use_se"]:
            kernel = weights["squeeze"]["expand"]["kernel"][:, order]
            inner = elastic.by_importance(jnp.abs(kernel).sum(1), [len(kernel)])
            yield Comparison(f"{prefix}/se_order", inner, oracle[f"{prefix}/se_order"], 0)
        elastic.sort_block(weights, stats, limits)
        yield from against(oracle, f"{prefix}/after", weights, pairs, 0)
        yield from against(oracle, f"{prefix}/after", stats, pairs, 0)
        inputs, outputs = max(meta["in_channel_list"]), max(meta["out_channel_list"])
        block = block_of(meta, outputs)
        network = functionalized(elastic_blocks.ElasticBlock, block, inputs, sizes, widths[::-1], AFFINE)
        x, kernel = nhwc(oracle[f"{prefix}/x"]), jnp.eye(len(sizes))[-1]
        for number, ratio in enumerate(ratios):
            key = f"{prefix}/y_eval_e{ratio}" if number else f"{prefix}/y_full_eval"
            width = jnp.eye(len(widths))[len(widths) - 1 - number]
            y, _ = network.apply(weights, stats, x, kernel, width, jnp.bool_(True), train=False)
            yield Comparison(key, nchw(y), oracle[key], VALUES)


def supernet_pairs(meta: dict) -> list[Pair]:
    found = [Pair("first_conv.conv.weight", ("before", 0, "layers", 0, "kernel"), "conv")]
    found += norm_pairs("first_conv.bn", ("before", 0, "layers", 1))
    first = ("before", 1, "layers", "layers")
    found += [Pair("blocks.0.conv.depth_conv.conv.weight", (*first, 0, "kernel"), "depth")]
    found += norm_pairs("blocks.0.conv.depth_conv.bn", (*first, 1))
    found += [Pair("blocks.0.conv.point_linear.conv.weight", (*first, 3, "kernel"), "conv")]
    found += norm_pairs("blocks.0.conv.point_linear.bn", (*first, 4))
    for stage, numbers in enumerate(meta["block_group_info"]):
        for place, number in enumerate(numbers):
            path = ("stages", stage, place)
            squeeze = meta["blocks"][number]["use_se"]
            found += block_pairs(meta["ks_list"], squeeze, True, f"blocks.{number}.conv.", path)
    found += [Pair("final_expand_layer.conv.weight", ("after", 0, "layers", 0, "kernel"), "conv")]
    found += norm_pairs("final_expand_layer.bn", ("after", 0, "layers", 1))
    found += [Pair("feature_mix_layer.conv.weight", ("after", 2, "linear", "kernel"), "linear")]
    found += [Pair("classifier.linear.weight", ("after", 3, "kernel"), "linear")]
    return [*found, Pair("classifier.linear.bias", ("after", 3, "bias"), "same")]


def _supernet(oracle: Oracle) -> Iterator[Comparison]:
    meta, pairs = oracle.meta["supernet"], supernet_pairs(oracle.meta["supernet"])
    options = {"kernels": meta["ks_list"], "expansions": meta["expand_ratio_list"], "depths": meta["depth_list"]}
    written = {name: "+".join(map(str, values)) for name, values in options.items()}
    space = replace(ofa.space(width=meta["width_mult"], resolutions="none", **written), paths="one")  # as it is trained
    size = NetworkSize(1, 1, meta["n_classes"])
    assert space.supernet is not None and space.reorder is not None
    build = lambda rngs: space.supernet(space, size, rngs=rngs)  # noqa: E731
    network, keeping = functionalize(build), calibrating(build)
    apply = jax.jit(network.apply, static_argnames="train")
    weights, stats = trees(oracle.under("supernet/param/") | oracle.under("supernet/buffer/"), pairs)
    sorted_weights, sorted_stats = space.reorder(weights, stats, "expansion", 1)
    batch = oracle.batch("supernet/")
    batches = [nhwc(oracle[f"supernet/calib/{i}"]) for i in range(2)]
    keeping = keeping._replace(apply=jax.jit(keeping.apply, static_argnames="train"))

    @jax.jit
    def gradients(weights, mix):
        def loss(weights):
            logits, _ = network.apply(weights, stats, batch.inputs, mix, train=True)
            return cross_entropy(logits, batch.targets), logits

        return jax.value_and_grad(loss, has_aux=True)(weights)

    for name, selection in [*meta["selections"].items()][:: oracle.every]:
        where, found = f"supernet/{name}", genotype(selection)
        mix = {kind: jnp.asarray(table, float) for kind, table in as_mix(found, space).items()}
        logits, _ = apply(weights, stats, batch.inputs, mix, train=False)
        yield from oracle.compare(f"{where}/logits_eval", logits, VALUES)
        (loss, logits), gradient = gradients(weights, mix)
        yield from oracle.compare(f"{where}/logits_train", logits, VALUES)
        yield from oracle.compare(f"{where}/loss", loss, VALUES)
        flat = flatten_dict(gradient)
        norms = {pair.theirs: jnp.sqrt(jnp.square(flat[pair.ours]).sum()) for pair in pairs if pair.ours in flat}
        ordered = jnp.stack([norms[key] for key in meta["grad_norms_order"]])
        yield from oracle.compare(f"{where}/grad_norms", ordered, GRADIENTS)
        # where a norm takes a shift away again its gradient is zero but for rounding: that is no number to compare
        rounded = jax.tree.map(lambda leaf: jnp.round(leaf, 14), gradient)
        for key, ours, theirs, tolerance in against(oracle, f"{where}/grad", rounded, pairs, GRADIENTS):
            yield Comparison(key, ours, np.round(theirs, 14), tolerance)
        anew = calibrated(keeping, weights, stats, batches, mix)
        yield from against(oracle, f"{where}/recalibrated", anew, pairs, VALUES)
        logits, _ = apply(weights, anew, batch.inputs, mix, train=False)
        yield from oracle.compare(f"{where}/recalibrated_logits_eval", logits, VALUES)
        if (key := f"{where}/logits_eval_after_reorganize") in oracle.arrays:
            logits, _ = apply(sorted_weights, sorted_stats, batch.inputs, mix, train=False)
            yield from oracle.compare(key, logits, VALUES)
        total = count(found, space, size, meta["image"][1]).parameters
        yield Comparison(f"{where}/params", total, meta["subnet_params"][name], 0)
