"""Compare dnas with numbers that the original PyTorch codes produced, in float64.

    python scripts/parity.py ../shared/oracles/darts_cnn_search ...
    python scripts/parity.py --all           # every oracle under $DNAS_SHARED/oracles (default: ../shared/oracles)

An oracle is a folder of meta.json (settings), oracle.npz (inputs and outputs of the original code) and README.md (what
every array is, and the tolerance). Each function below rebuilds one of them and yields comparisons; everything else is
said once. The exit code is 1 if a comparison is over its tolerance.
"""

import argparse
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache, partial
from pathlib import Path
from typing import Any, NamedTuple

if __name__ == "__main__":  # fast compilation; what is computed stays the same
    os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

import jax
import jax.numpy as jnp
import numpy as np
import optax
from rich.console import Console
from rich.table import Table

from dnas import interop
from dnas.config import AlphaConfig, SearchConfig, WeightConfig
from dnas.nets.count import count
from dnas.nets.functional import Functional, functionalize
from dnas.nets.layers import absorb
from dnas.nets.network import Network
from dnas.nets.supernet import Supernet
from dnas.search import hypergrad
from dnas.search.bilevel import Levels, cross_entropy, make_search, weight_optimiser
from dnas.search.discretise import strongest
from dnas.search.method import Method
from dnas.spaces import darts, nasbench201
from dnas.spaces.genotype import Genotype, parse, to_text
from dnas.spaces.topology import Body, Norm, Space
from dnas.types import Batch, Evaluated, SearchState, Tree

SHARED = Path(os.environ.get("DNAS_SHARED") or Path(__file__).resolve().parents[2] / "shared")


class Comparison(NamedTuple):
    """Our value and the original code's, and the largest error allowed, relative to the largest entry."""

    key: str
    ours: Any
    theirs: Any
    tolerance: float


class Check(NamedTuple):
    """A comparison made."""

    key: str
    error: float
    tolerance: float


class Oracle:
    """One folder; remembers which arrays were asked for."""

    def __init__(self, folder: Path):
        self.folder, self.asked = folder, set[str]()
        self.meta = self.table("meta.json")
        self.arrays = interop.load(folder / "oracle.npz")

    def __getitem__(self, key: str) -> np.ndarray:
        self.asked.add(key)
        return self.arrays[key]

    def table(self, name: str) -> Any:
        return json.loads((self.folder / name).read_text(encoding="utf-8"))

    def under(self, prefix: str) -> dict[str, np.ndarray]:
        """All arrays whose names begin with a prefix, without it."""
        return {key.removeprefix(prefix): self[key] for key in self.arrays if key.startswith(prefix)}

    def batch(self, prefix: str = "") -> Batch:
        """Images, as NHWC, and labels."""
        return Batch(jnp.asarray(self[f"{prefix}x"].transpose(0, 2, 3, 1)), jnp.asarray(self[f"{prefix}y"]))

    def weights(self, pairs: tuple[interop.Pair, ...], *prefixes: str) -> tuple[Tree, Tree]:
        """(weights, stats) from the arrays with one of the prefixes."""
        arrays = [self.under(prefix) for prefix in prefixes]
        return interop.from_torch({name: a for group in arrays for name, a in group.items()}, pairs)

    def compare(self, prefix: str, ours: Any, tolerance: float) -> Iterator[Comparison]:
        """One array, or all arrays under `prefix/` with those of the same names in a dictionary."""
        if not isinstance(ours, dict):
            yield Comparison(prefix, ours, self[prefix], tolerance)
        else:
            for name, theirs in self.under(f"{prefix}/").items():
                yield Comparison(f"{prefix}/{name}", ours[name], theirs, tolerance)


def run(folder: Path) -> tuple[list[Check], Counter[str]]:
    """All checks of one oracle, and how many of its arrays were not compared, by group."""
    with jax.enable_x64(True):
        oracle = Oracle(folder)
        checks = [Check(c.key, error(c.ours, c.theirs), c.tolerance) for c in ORACLES[folder.name](oracle)]
    return checks, Counter(group(key) for key in sorted(oracle.arrays) if key not in oracle.asked)


def error(ours: Any, theirs: Any) -> float:
    """Largest difference, relative to the largest entry; for anything but floats, the number of differences."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    if ours.shape != theirs.shape:
        return float("inf")
    if theirs.dtype.kind != "f":
        return float((ours != theirs).sum())
    return float(np.abs(ours - theirs).max() / max(np.abs(theirs).max(), 1e-12))


def group(key: str) -> str:
    """The group of a key: names of parameters and of architectures as stars."""
    first, *parts = key.split("/")
    if first == "infer":
        parts[0] = "*"
    return "/".join([first, *("*" if "." in part else part for part in parts)])


# The oracles.


def prepared(module: Callable[..., Any], *settings: Any) -> tuple[Functional, tuple[interop.Pair, ...]]:
    """A network and the names of its weights."""

    def build(rngs):
        return module(*settings, rngs=rngs)

    return functionalize(build), interop.layout(build)


def supernet(space: Space, meta: dict, cells: int, loop: bool = False) -> tuple[Functional, tuple[interop.Pair, ...]]:
    """The supernet of an oracle."""
    return prepared(Supernet, space, Body(cells, meta["C"], meta["num_classes"], loop=loop))


@cache
def darts_supernet(channels: int, cells: int, classes: int) -> tuple[Functional, tuple[interop.Pair, ...]]:
    """The supernet of the two DARTS search oracles. Its jitted `apply` is differentiated in several ways, each of which
    compiles once for all that follows."""
    network, pairs = supernet(darts.space(), {"C": channels, "num_classes": classes}, cells)
    return network._replace(apply=jax.jit(network.apply, static_argnames="train")), pairs


def darts_cnn_search(oracle: Oracle) -> Iterator[Comparison]:
    network, pairs = darts_supernet(oracle.meta["C"], oracle.meta["layers"], oracle.meta["num_classes"])
    weights, stats = oracle.weights(pairs, "param/")
    alphas = jax.tree.map(jnp.asarray, oracle.under("alphas/"))
    train, valid = oracle.batch("train/"), oracle.batch("valid/")

    def objective(batch, weights, alphas):
        mix = jax.tree.map(jax.nn.softmax, alphas)
        logits, moments = network.apply(weights, stats, batch.x, mix, train=True)
        return cross_entropy(logits, batch.y), Evaluated(moments, logits)

    gradients = jax.value_and_grad(objective, (1, 2), has_aux=True)
    (loss, seen), (to_weights, to_alphas) = gradients(train, weights, alphas)
    yield from oracle.compare("train/loss", loss, 1e-8)
    yield from oracle.compare("train/logits", seen.logits, 1e-8)
    yield from oracle.compare("train/grad_param", interop.to_torch(to_weights, stats, pairs), 1e-8)
    yield from oracle.compare("train/grad_param_norm", optax.global_norm(to_weights), 1e-8)
    yield from oracle.compare("train/grad_alphas", to_alphas, 1e-8)
    (loss, seen_valid), (_, to_alphas) = gradients(valid, weights, alphas)
    yield from oracle.compare("valid/loss", loss, 1e-8)
    yield from oracle.compare("valid/logits", seen_valid.logits, 1e-8)
    yield from oracle.compare("valid/grad_alphas", to_alphas, 1e-8)

    running = absorb(stats, seen.moments)
    yield from oracle.compare("bn_after_train_forward", interop.to_torch(weights, running, pairs), 1e-8)
    logits, _ = network.apply(weights, running, valid.x, jax.tree.map(jax.nn.softmax, alphas), train=False)
    yield from oracle.compare("valid/logits_eval_mode_after_one_train_forward", logits, 1e-8)

    # second order
    rate, momentum, decay = 0.025, 0.9, 3e-4
    optimiser = weight_optimiser(WeightConfig(rate, rate, momentum, decay=decay), lambda step: rate)
    levels = partial(objective, train), partial(objective, valid)
    for name in ("no_momentum", "with_momentum"):
        prefix, buffer = f"second_order/{name}", jax.tree.map(jnp.zeros_like, weights)
        if name == "with_momentum":
            buffer, _ = interop.from_torch(oracle.under("momentum_buffer/"), pairs)
        state = optax.tree_utils.tree_set(optimiser.init(weights), trace=buffer)

        def update(gradient, state=state):
            return optax.apply_updates(weights, optimiser.update(gradient, state, weights)[0])

        new = update(to_weights)
        (loss, _), (to_new, direct) = gradients(valid, new, alphas)
        yield from oracle.compare(f"{prefix}/unrolled_valid_loss", loss, 1e-8)
        yield from oracle.compare(f"{prefix}/unrolled_valid_grad_param_norm", optax.global_norm(to_new), 1e-8)
        yield from oracle.compare(f"{prefix}/unrolled_param", interop.to_torch(new, stats, pairs), 1e-8)
        yield from oracle.compare(f"{prefix}/direct/grad_alphas", direct, 1e-8)
        exact = hypergrad.unrolled(*levels, weights, alphas, update).gradient
        yield from oracle.compare(f"{prefix}/exact/grad_alphas", exact, 1e-8)
        published = hypergrad.finite_difference(0.01)(*levels, weights, alphas, update).gradient
        yield from oracle.compare(f"{prefix}/fd/grad_alphas", published, 1e-6)
        mixed = jax.tree.map(lambda a, b: (a - b) / rate, direct, published)
        yield from oracle.compare(f"{prefix}/fd/mixed_hvp", mixed, 1e-6)
        close = hypergrad.finite_difference(oracle[f"{prefix}/fd_small_r/r"])(*levels, weights, alphas, update)
        yield from oracle.compare(f"{prefix}/fd_small_r/grad_alphas", close.gradient, 1e-5)


def darts_cnn_trace(oracle: Oracle) -> Iterator[Comparison]:
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

    @partial(jax.jit, static_argnums=0)  # whole: a scan outside of jit would compile its body at every step
    def first_order_step(clip, alpha_rate, state, level):
        return search("first", clip, alpha_rate).step(state, level)

    def search(order, clip, alpha_rate):
        rate, adam = meta["eta"], meta["adam"]
        config = SearchConfig(
            weights=WeightConfig(rate, rate, meta["momentum"], decay=meta["weight_decay"], clip=clip),
            alphas=AlphaConfig(alpha_rate, *adam["betas"], decay=adam["weight_decay"]),
        )
        return make_search(network, space, Method(hypergrad=orders[order]), config, steps=1000)

    for tag, variant in meta["variants"].items():
        order, clip, alpha_rate = variant["order"], float(variant["clip"]), variant["arch_lr"]
        built = search(order, clip, alpha_rate)
        step = partial(first_order_step, clip, alpha_rate) if order == "first" else built.step
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
        logits, _ = network.apply(state.weights, state.stats, levels[-1].valid.x, mix, train=False)
        yield from _end(oracle, tag, pairs, state, logits, tolerance)


def _wide(dtype: Any) -> Any:
    return jnp.float64 if dtype == jnp.float32 else dtype


def _steps(
    oracle: Oracle, tag: str, pairs, states: list[SearchState], metrics, tolerance: float
) -> Iterator[Comparison]:
    """Compare what the states before and after every step show."""
    adam, variant = oracle.meta["adam"], oracle.meta["variants"][tag]
    theirs = oracle.under(f"{tag}/")

    def compare(key: str, ours: Any, tolerance: float = tolerance) -> Comparison:
        return Comparison(f"{tag}/{key}", np.asarray(ours), theirs[key], tolerance)

    yield compare("train_loss", jnp.stack([m.train_loss for m in metrics]))
    yield compare("valid_loss", jnp.stack([m.valid_loss for m in metrics]))
    for kind in states[0].alphas:
        alphas = np.stack([s.alphas[kind] for s in states])
        yield compare(f"alphas/{kind}", alphas[1:], max(tolerance, 1e-8 * variant["arch_lr"] / 3e-4))
        mean = np.stack([optax.tree_utils.tree_get(s.alpha_opt, "mu")[kind] for s in states])
        gradient = (mean[1:] - adam["betas"][0] * mean[:-1]) / (1 - adam["betas"][0])
        # Adam averages the gradient with its L2 term
        yield compare(f"grad_alphas/{kind}", gradient - adam["weight_decay"] * alphas[:-1])
    named = [interop.to_torch(s.weights, s.stats, pairs) for s in states]
    for key in theirs:
        if key.startswith("param/"):
            yield compare(key, np.stack([arrays[key.removeprefix("param/")] for arrays in named[1:]]))

    def clipped_norm(before: SearchState, after: SearchState) -> jax.Array:
        """Of the gradient that entered the momentum buffer."""
        old, new = (optax.tree_utils.tree_get(s.weight_opt, "trace") for s in (before, after))
        momentum, decay = oracle.meta["momentum"], oracle.meta["weight_decay"]
        return optax.global_norm(jax.tree.map(lambda n, o, w: n - momentum * o - decay * w, new, old, before.weights))

    norms = jnp.stack([clipped_norm(*pair) for pair in zip(states, states[1:], strict=False)])
    norm = theirs["grad_norm_before_clip"]
    theirs["grad_norm_before_clip"] = norm * np.minimum(variant["clip"] / (norm + 1e-6), 1)
    yield compare("grad_norm_before_clip", norms)


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


def darts_genotype(oracle: Oracle) -> Iterator[Comparison]:
    space, operations = darts.space(), oracle.meta["ops"]
    alphas = oracle.under("alphas/")
    shifted = {kind: np.exp(a - a.max(-1, keepdims=True)) for kind, a in alphas.items()}
    mixes = {kind: e / e.sum(-1, keepdims=True) for kind, e in shifted.items()}
    genotypes = [strongest(space, {kind: m[i] for kind, m in mixes.items()}) for i in range(len(mixes["normal"]))]
    for kind in mixes:
        cells = [genotype.cell(kind).edges for genotype in genotypes]
        ours = np.array([[(operations.index(e.operation), e.source) for e in edges] for edges in cells])
        yield from oracle.compare(f"genotype/{kind}", ours, 0)
    for ours, record in zip(genotypes, oracle.table("genotypes.json")["genotypes"], strict=True):
        yield Comparison("genotypes.json", to_text(ours), to_text(darts_genotype_of(record)), 0)


def darts_genotype_of(record: dict) -> Genotype:
    """A genotype from the lists of a JSON record."""
    fields = ("normal", "normal_concat", "reduce", "reduce_concat")
    entries = {field: [tuple(e) if isinstance(e, list) else e for e in record[field]] for field in fields}
    return parse(f"Genotype({', '.join(f'{field}={value!r}' for field, value in entries.items())})")


def darts_cnn_eval(oracle: Oracle, stem: str = "cifar") -> Iterator[Comparison]:
    meta = oracle.meta
    body = Body(meta["layers"], meta["C"], meta["num_classes"], stem=stem, auxiliary=True)
    genotype = darts_genotype_of(meta["genotype"])
    network, pairs = prepared(Network, genotype, darts.space(), body)
    weights, stats = oracle.weights(pairs, "param/", "buffer/")
    batch = oracle.batch()
    logits = jax.jit(lambda w: network.apply(w, stats, batch.x, train=False)[0].logits)(weights)
    yield from oracle.compare("eval/logits", logits, 1e-9)

    def loss(weights, factors):
        outputs, moments = network.apply(weights, stats, batch.x, factors, train=True)
        total = cross_entropy(outputs.logits, batch.y)
        return total + meta["aux_weight"] * cross_entropy(outputs.auxiliary, batch.y), (outputs, moments)

    gradients = jax.jit(jax.value_and_grad(loss, has_aux=True))
    factors = np.ones((meta["layers"], len(genotype.cells[0][1].edges), len(batch.y)))
    (value, (outputs, moments)), to_weights = gradients(weights, factors)
    yield from oracle.compare("train/logits", outputs.logits, 1e-9)
    yield from oracle.compare("train/logits_aux", outputs.auxiliary, 1e-9)
    yield from oracle.compare("train/loss", value, 1e-9)
    yield from oracle.compare("train/grad_param", interop.to_torch(to_weights, stats, pairs), 1e-8)
    yield from oracle.compare("train/grad_norm", optax.global_norm(to_weights), 1e-8)
    running = interop.to_torch(weights, absorb(stats, moments), pairs)
    yield from oracle.compare("train/bn_after_one_forward", running, 1e-9)

    for (cell, step, operand), mask in zip(meta["drop_path_sites"], oracle["drop_path/masks"], strict=True):
        factors[cell, 2 * step + operand] = mask / (1 - 0.3)
    (_, (outputs, _)), _ = gradients(weights, factors)
    yield from oracle.compare("drop_path/logits", outputs.logits, 1e-9)
    yield from oracle.compare("drop_path/logits_aux", outputs.auxiliary, 1e-9)


def darts_genotype_params(oracle: Oracle) -> Iterator[Comparison]:
    bodies = {"cifar10": Body(20, 36, 10), "imagenet": Body(14, 48, 1000, stem="imagenet")}
    sizes = {"cifar10": 32, "imagenet": 224}
    table = oracle.table("table.json")
    for i, record in enumerate(table):
        genotype = darts_genotype_of(record["genotype"])
        for name, body in bodies.items():
            ours = count(genotype, darts.space(), body, sizes[name])
            for key, value in zip(("params", "params_with_aux", "macs"), ours, strict=True):
                yield Comparison(f"{name}/{key}", value, oracle[f"{name}/{key}"][i], 0)


def nb201(oracle: Oracle) -> Iterator[Comparison]:
    space, meta, batch = nasbench201.space(), oracle.meta, oracle.batch()
    table = oracle.table("archs.json")
    body = Body(meta["N"], meta["C"], meta["num_classes"], loop=True)  # run op by op: equal operations compile once
    for name, record in table["archs"].items():
        if f"infer/{name}/eval/logits" not in oracle.arrays:  # other facts stand in the same table
            continue
        genotype = parse(record["arch"])
        network, pairs = prepared(Network, genotype, space, body)
        weights, stats = oracle.weights(pairs, f"infer/{name}/param/", f"infer/{name}/buffer/")
        outputs, _ = network.apply(weights, stats, batch.x, train=False)
        yield from oracle.compare(f"infer/{name}/eval/logits", outputs.logits, 1e-9)
        width = weights["backbone"]["classifier"]["kernel"].shape[0]
        identity = {"kernel": jnp.eye(width), "bias": jnp.zeros(width)}
        outputs, _ = network.apply(
            {"backbone": weights["backbone"] | {"classifier": identity}}, stats, batch.x, train=False
        )
        yield from oracle.compare(f"infer/{name}/eval/features", outputs.logits, 1e-9)

        def loss(weights, network=network, stats=stats):
            outputs, _ = network.apply(weights, stats, batch.x, train=True)
            return cross_entropy(outputs.logits, batch.y), outputs.logits

        (value, logits), to_weights = jax.value_and_grad(loss, has_aux=True)(weights)
        yield from oracle.compare(f"infer/{name}/train/logits", logits, 1e-9)
        yield from oracle.compare(f"infer/{name}/train/loss", value, 1e-9)
        gradient = interop.to_torch(to_weights, stats, pairs)
        yield from oracle.compare(f"infer/{name}/train/grad_param", gradient, 1e-9)
        small, full = count(genotype, space, body, 16), count(genotype, space, Body(5, 16, 10), 32)
        yield Comparison("archs.json", small.parameters, record["params"], 0)
        yield Comparison("archs.json", full.parameters, record["params_C16_N5_cifar10"], 0)

    for affine in (False, True):
        prefix = f"search/darts_affine{affine:d}"
        affine_space = replace(space, search_norm=Norm(affine=affine, pools=False))
        yield from _nb201_search(oracle, affine_space, prefix, batch)
    for alphas, text in zip(oracle["genotype/alphas"], table["random_genotypes"], strict=True):
        yield Comparison("random_genotypes", to_text(strongest(space, {"cell": alphas})), text, 0)


def _nb201_search(oracle: Oracle, space: Space, prefix: str, batch: Batch) -> Iterator[Comparison]:
    network, pairs = supernet(space, oracle.meta, oracle.meta["N"], loop=True)
    weights, stats = oracle.weights(pairs, f"{prefix}/param/", f"{prefix}/buffer/")
    alphas = {"cell": jnp.asarray(oracle[f"{prefix}/alphas"])}

    def loss(weights, alphas):
        logits, _ = network.apply(weights, stats, batch.x, jax.tree.map(jax.nn.softmax, alphas), train=True)
        return cross_entropy(logits, batch.y), logits

    (value, logits), (to_weights, to_alphas) = jax.value_and_grad(loss, (0, 1), has_aux=True)(weights, alphas)
    yield from oracle.compare(f"{prefix}/train/logits", logits, 1e-9)
    yield from oracle.compare(f"{prefix}/train/loss", value, 1e-9)
    yield from oracle.compare(f"{prefix}/train/grad_alphas", to_alphas["cell"], 1e-9)
    yield from oracle.compare(f"{prefix}/train/grad_param", interop.to_torch(to_weights, stats, pairs), 1e-9)
    yield from oracle.compare(f"{prefix}/genotype_argmax", alphas["cell"].argmax(-1), 0)
    text = oracle.meta["info"][prefix]["genotype"]
    yield Comparison("genotype", to_text(strongest(space, alphas)), text, 0)
    if f"{prefix}/eval/logits" in oracle.arrays:
        logits, _ = network.apply(weights, stats, batch.x, jax.tree.map(jax.nn.softmax, alphas), train=False)
        yield from oracle.compare(f"{prefix}/eval/logits", logits, 1e-9)


ORACLES: dict[str, Callable[..., Iterator[Comparison]]] = {
    "darts_cnn_search": darts_cnn_search,
    "darts_cnn_trace": darts_cnn_trace,
    "darts_genotype": darts_genotype,
    "darts_cnn_eval": darts_cnn_eval,
    "darts_cnn_eval_imagenet": partial(darts_cnn_eval, stem="imagenet"),
    "darts_genotype_params": darts_genotype_params,
    "nb201": nb201,
}


def show(name: str, checks: list[Check], rest: Counter[str], seconds: float) -> None:
    """One table: the largest error of every group, and what was left out."""
    table = Table(
        "arrays", "compared", "largest error", "allowed", title=f"{name} ({seconds:.0f} s)", title_justify="left"
    )
    groups: dict[str, list[Check]] = {}
    for check in checks:
        groups.setdefault(group(check.key), []).append(check)
    for key, members in groups.items():
        worst = max(members, key=lambda c: c.error - c.tolerance)
        wrong = any(c.error > c.tolerance for c in members)
        row = key, str(len(members)), f"{worst.error:.1e}", f"{worst.tolerance:.0e}" if worst.tolerance else "equal"
        table.add_row(*row, style="red" if wrong else None)
    for key, number in rest.items():
        table.add_row(key, "", f"{number} not compared", "", style="dim")
    Console(width=100).print(table)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, metavar="DIR", help="folders of oracles")
    parser.add_argument("--all", action="store_true", help="every known oracle under $DNAS_SHARED/oracles")
    options = parser.parse_args()
    folders = [SHARED / "oracles" / name for name in ORACLES] if options.all else options.folders
    for folder in folders:
        if folder.name not in ORACLES or not (folder / "oracle.npz").is_file():
            parser.error(f"'{folder}' is no oracle; known: {', '.join(ORACLES)}, under {SHARED / 'oracles'}")
    if not folders:
        parser.error("name folders of oracles, or --all")
    failed = 0
    for folder in folders:
        start = time.perf_counter()
        checks, rest = run(folder)
        show(folder.name, checks, rest, time.perf_counter() - start)
        failed += sum(not check.error <= check.tolerance for check in checks)
    return int(failed > 0)


if __name__ == "__main__":
    sys.exit(main())
