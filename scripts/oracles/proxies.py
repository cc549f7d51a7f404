"""Zero-cost proxies of networks of NAS-Bench-201. All cells are paths of one supernet, so that each variant compiles
once."""

from collections.abc import Iterator
from dataclasses import replace
from functools import cache
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from dnas import find, interop
from dnas.architectures.genotype import as_mix, parse
from dnas.architectures.topology import NetworkSize
from dnas.interop.walk import AXES
from dnas.proxies import epe_nas, zen
from dnas.proxies.protocol import Evidence, Kernels, Score, Subject, one_path, scorer
from dnas.spaces import nasbench201
from dnas.types import Batch, Tree
from oracles.common import Comparison, Oracle

SPACE = nasbench201.space()
layout = cache(interop.layout)
GRADIENTS = ("grad_norm", "snip", "grasp", "fisher", "plain", "jacob_cov")
CHOICES = {name: name for name in GRADIENTS} | {
    "synflow": "synflow:logarithm=false",
    "synflow_bn": "synflow:norms=true,logarithm=false",
}
ALSO = {"naswot": "nwot:twice=true", "nwot": "nwot", "epe_nas": "epe_nas", "l2_norm": "l2_norm"}
TOLERANCES = {"synflow_bn": 1e-6}
KERNELS = {"naswot": "naswot_K", "nwot": "nwot_K"}


def compare(oracle: Oracle) -> Iterator[Comparison]:
    config, archs = oracle.meta["config"], oracle.meta["arch_order"]
    subject = one_path(SPACE, NetworkSize(config["N"], config["C"], config["NC"]), config["H"])
    chosen, batch = archs[:: oracle.every], oracle.batch()
    yield from _scores(oracle, subject, chosen, "scalar", CHOICES | ALSO, batch)
    running = replace(subject, train=False)
    choices = {name: CHOICES[name] for name in (CHOICES if oracle.every == 1 else ("fisher", "synflow_bn"))}
    yield from _scores(oracle, running, chosen, "scalar_eval_mode", choices, batch)
    if oracle.every == 1:  # one more program to compile
        few = oracle.meta["split2_arch_order"]
        yield from _scores(oracle, replace(subject, parts=2), few, "scalar_split2", CHOICES, batch)
    yield from _epe(oracle)
    yield from _zen(oracle, subject, chosen)


def _scores(oracle, subject, chosen, prefix, choices, batch) -> Iterator[Comparison]:
    """The scores of one variant; of the first one also what they are made of."""
    proxies = {name: find.resolve("proxy", text) for name, text in choices.items()}
    score = jax.jit(scorer(subject, {"net": lambda _: outputs, **proxies}))
    order = oracle.meta["split2_arch_order" if prefix == "scalar_split2" else "arch_order"]
    for arch in chosen:
        weights, stats, mix = network(oracle, subject, arch, f"net/{arch}/param/", f"net/{arch}/buffer/")
        found = score(weights, stats, batch, jax.random.key(0), mix)
        net = found.pop("net")
        for name, one in found.items():
            theirs = oracle[f"{prefix}/{name}"][order.index(arch)]
            yield from _same(f"{prefix}/{name}", one.value, theirs, TOLERANCES.get(name, 1e-9))
        if prefix != "scalar":
            continue
        yield Comparison("net/*/loss", net.value, oracle[f"net/{arch}/loss"], 1e-9)
        yield Comparison("net/*/logits_train", net.parts, oracle[f"net/{arch}/logits_train"], 1e-9)
        for name, key in KERNELS.items():
            yield Comparison(f"{key}/*", found[name].parts, oracle[f"{key}/{arch}"], 0)
        yield from _layers(oracle, subject, arch, {name: found[name].parts for name in CHOICES if name != "jacob_cov"})


def outputs(evidence: Evidence) -> Score:
    """The loss, made of the logits."""
    return Score(evidence.loss(evidence.kernels, evidence.batch), evidence.logits(evidence.batch.inputs))


def _layers(oracle: Oracle, subject: Subject, arch: str, parts: dict[str, Kernels]) -> Iterator[Comparison]:
    """What layers are worth, summed, and of some networks entry by entry."""
    places = named(subject, arch, oracle)
    for name, kernels in parts.items():
        tolerance, sums = TOLERANCES.get(name, 1e-9), []
        for layer in oracle.meta["layer_names"][arch]:
            pair = places[f"{layer}.weight"]
            ours = np.asarray(kernels[pair.path])[pair.at]
            fan = np.prod(pair.shape[1:]) if name == "fisher" else 1
            sums.append(fan * ours.sum())
            if arch in oracle.meta["layer_archs"] and name != "synflow_bn":
                order = AXES[len(pair.shape)] if ours.ndim == len(pair.shape) else range(ours.ndim)
                key = f"layers/{arch}/{name}/{layer}"
                yield Comparison(f"layers/*/{name}", ours.transpose(*order), oracle[key], tolerance)
        yield Comparison(f"layer_sums/*/{name}", np.array(sums), oracle[f"layer_sums/{arch}/{name}"], tolerance)


def _epe(oracle: Oracle) -> Iterator[Comparison]:
    """EPE-NAS of a given Jacobian: numbers of classes, and classes of one image."""
    jacobian = jnp.asarray(oracle["epe_unit/jacob"])
    for kind in ("", "singletons_"):
        labels = jnp.asarray(oracle[f"epe_unit/labels{'_singletons' if kind else ''}"])
        for classes in (10, 100, 120):
            ours = epe_nas.expressiveness(jacobian, labels, classes).value
            yield from oracle.compare(f"epe_unit/score_{kind}{classes}_classes", ours, 1e-9)


def _zen(oracle: Oracle, subject: Subject, chosen: list[str]) -> Iterator[Comparison]:
    """With the weights and draws of the original."""
    features, gamma = subject.changed(zen.HEADLESS), oracle.meta["zen"]["gamma"]

    @jax.jit
    def expressivity(weights, stats, x, noise, mix):
        evidence = Evidence(subject, weights, stats, Batch(x, None), jax.random.key(0), (mix,))
        return zen.expressivity(features, evidence, stats, (weights, x, noise), gamma)

    def drawn(prefix: str, arch: str, draw: int, stats: Tree = None) -> tuple[Any, Any, Any]:
        weights, new, mix = network(oracle, subject, arch, prefix)
        x, noise = (jnp.asarray(oracle[f"zen/draw/{draw + i}"].transpose(0, 2, 3, 1)) for i in range(2))
        return expressivity(weights, new if stats is None else stats, x, noise, mix)

    for arch in chosen:
        _, value, norms = drawn(f"zen/weights/{arch}/", arch, 0)
        yield from _same("scalar/zen", value, oracle["scalar/zen"][oracle.meta["arch_order"].index(arch)], 1e-9)
        yield Comparison("zen/log_bn_sum", norms, oracle[f"zen/log_bn_sum/{arch}"], 1e-9)
    arch, stats, values = oracle.meta["zen_repeat3_arch"], None, []
    for repeat in range(3):
        stats, value, _ = drawn(f"zen_repeat3/{repeat}/weights/", arch, 2 * repeat, stats)
        values.append(value)
    yield from oracle.compare("zen_repeat3/avg", np.mean(values), 1e-9)
    yield from oracle.compare("zen_repeat3/std", np.std(values), 1e-9)
    yield from oracle.compare("zen_repeat3/avg_precision", 1.96 * np.std(values) / np.sqrt(3), 1e-9)


def network(oracle: Oracle, subject: Subject, arch: str, *prefixes: str) -> tuple[Tree, Tree, Tree]:
    """(weights, stats, mix): the supernet with an oracle's arrays on the path of a cell, else those of new norms."""
    places = named(subject, arch, oracle)
    arrays = {name: a for prefix in prefixes for name, a in oracle.under(prefix).items()}
    given = {places[name].name: array for name, array in arrays.items() if name in places}
    pairs = layout(subject.build)
    whole = {p.name: np.full(p.shape, p.path[-1] in ("scale", "var"), np.float64) for p in pairs} | given
    genotype = parse(oracle.meta["archs"][arch])
    return *interop.from_torch(whole, pairs), jax.tree.map(jnp.asarray, as_mix(genotype, SPACE))


def named(subject: Subject, arch: str, oracle: Oracle) -> dict[str, interop.Pair]:
    """The places of the arrays of a cell's network by their names there, where an edge is `layers.E`."""
    edges, found = SPACE.cells["cell"].edges, {}
    operations = [e.operation for e in parse(oracle.meta["archs"][arch]).cell("cell").edges]
    names = SPACE.cells["cell"].operations[0]
    for pair in layout(subject.build):
        name = pair.name
        for e, (node, source) in enumerate(edges):
            column = names.index(operations[e])
            name = name.replace(f"edges.{node}<-{source}.{column}.", f"layers.{e}.")
        found[name] = pair
    return found


def _same(key: str, ours: Any, theirs: Any, tolerance: float) -> Iterator[Comparison]:
    """Of what is not finite, which it is."""
    if np.isfinite(theirs):
        yield Comparison(key, ours, theirs, tolerance)
    else:
        yield Comparison(f"{key} not finite", str(float(ours)), str(float(theirs)), 0)
