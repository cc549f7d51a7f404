"""Our side of the benchmark: the same works as `torch_baseline`, by the functions that `dnas search` runs."""

import re
import time
from argparse import Namespace
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from cost import bytes_accessed, flops
from sides import CLASSES, DISTANCE, FEED_FORWARDS, MIXERS, NORMS, TEXTS, VOCABULARY, transformer_sizes

from dnas.architectures.topology import NetworkSize, Space
from dnas.architectures.zoo import entry
from dnas.config import RetrainConfig, SearchConfig
from dnas.kernels import native
from dnas.methods import darts as darts_method
from dnas.methods import once_for_all
from dnas.nets.functional import Functional, functionalize
from dnas.nets.network import Network
from dnas.runs import devices, loop
from dnas.search.bilevel import make_search
from dnas.search.levels import Levels
from dnas.search.method import Method, adapted
from dnas.spaces import darts, fbnet, layers, nasbench201, ofa, rnn, transformer
from dnas.tasks.classification import Classification
from dnas.tasks.language import LanguageSteps
from dnas.training.step import make_training
from dnas.types import Batch


class Job(NamedTuple):
    """A compiled work. step(): one step, waits for its end and returns the loss. device_bytes(): the accelerator's
    largest memory so far, or None on the CPU."""

    step: Callable[[], float]
    parameters: int
    trace_seconds: float
    compile_seconds: float
    facts: dict
    device_bytes: Callable[[], int | None]


def prepare(options: Namespace) -> Job:
    """Build, trace and compile the work for `options.seeds` seeds, as one program."""
    native.one_heap()
    if options.cache:
        loop.use_compilation_cache()
    init, step = (training if options.work == "derived" else search)(options)
    keys = jax.random.split(jax.random.key(0), options.seeds)
    layout = devices.layout(options.seeds, options.batch)
    state = layout.jit(layout.over_seeds(init))(keys)
    levels = jax.tree.map(jnp.asarray, Levels(*batches(options)))
    losses = jnp.zeros(options.seeds)

    @partial(jax.jit, donate_argnums=0)
    def advance(carry, count, levels):
        def one(carry, count, levels):
            return jax.lax.fori_loop(0, count, lambda _, carry: step(carry[0], levels), carry)

        return layout.over_seeds(one)(carry, count, levels)

    began = time.perf_counter()
    trace = advance.trace((state, losses), jnp.int32(1), levels)
    lowered = trace.lower()
    traced = time.perf_counter()
    compiled = lowered.compile()
    ended = time.perf_counter()
    native.keep_memory()
    carry = [(state, losses)]

    def run() -> float:
        carry[0] = compiled(carry[0], jnp.int32(1), levels)
        return float(carry[0][1].sum())

    parameters = sum(leaf.size for leaf in jax.tree.leaves(state.weights)) // options.seeds
    memory = compiled.memory_analysis()
    buffers = round((memory.temp_size_in_bytes + memory.argument_size_in_bytes) / 2**20, 1)
    facts: dict = {"backend": jax.default_backend(), "buffers_mb": buffers}
    if options.count:  # what happens inside our own CPU kernels is in neither
        facts |= {"step_flops": flops(trace.jaxpr.jaxpr), "step_bytes": bytes_accessed(compiled.as_text())}
    return Job(run, parameters, traced - began, ended - traced, facts, device_bytes)


def device_bytes() -> int | None:
    """Largest memory of the accelerator so far, as JAX counts it."""
    return (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")


def batches(options: Namespace) -> tuple[Batch, Batch]:
    """Two batches of noise with labels, of a language model with the words that follow."""
    rng = np.random.default_rng(0)
    if options.work in TEXTS:
        size, whole = (options.batch, options.tokens), options.work == "transformer"
        classes, shape, weights = (CLASSES, size[:1], None) if whole else (VOCABULARY, size, np.ones(size, bool))
        pairs = [(rng.integers(1, VOCABULARY, size), rng.integers(0, classes, shape)) for _ in "ab"]
        return tuple(Batch(*(of.astype(np.int32) for of in pair), weights) for pair in pairs)
    shape, dtype = (options.batch, 32, 32, 3), jnp.dtype(options.dtype)
    return tuple(
        Batch(rng.standard_normal(shape, np.float32).astype(dtype), rng.integers(0, 10, options.batch)) for _ in "ab"
    )


def search(options: Namespace):
    """(init, step) of a search."""
    method = darts_method.method(order="second" if options.work == "darts-second" else "first")
    space, network, task = searched(options)
    if options.work == "ofa":
        method = last_of_shrinking(space)
    built = make_search(network, space, method, SearchConfig(batch_size=options.batch), steps=1000, task=task)

    def step(state, levels):
        state, metrics = built.step(state, levels)
        return state, metrics.train["loss"][0].astype(jnp.float32)

    return built.init, step


def searched(options: Namespace) -> tuple[Space, Functional, Any]:
    """The space of a work, its supernet and its task."""
    space, task = searched_space(options), Classification()
    size = NetworkSize(options.cells, options.channels, 10, remat=options.remat, unroll=options.unroll)
    if options.work in TEXTS:
        size = replace(size, classes=CLASSES if options.work == "transformer" else VOCABULARY, vocabulary=VOCABULARY)
        task = task if options.work == "transformer" else LanguageSteps(tar=1e-3 if options.work == "rnn" else 0.0)
    return space, functionalize(lambda rngs: space.supernet(space, size, rngs=rngs)), task


def searched_space(options: Namespace) -> Space:
    """The space of a work, as its method has its supernet computed. Of FBNet and OFA, which have no cells, they are the
    layers of stages that have several."""
    match options.work:
        case "nasbench201":
            return nasbench201.space()
        case "fbnet":
            return fbnet_space(options.channels, options.cells)
        case "ofa":
            return once_for_all.method().supernet(ofa_space(options.channels, options.cells))
        case "rnn":
            return rnn.space(nodes=options.nodes)
        case "transformer":
            return transformer_space(options, reads="encoder", distance=DISTANCE)
        case "transformer-lm":
            return transformer_space(options, reads="decoder", distance=0)
    return darts.space(nodes=options.nodes)


def fbnet_space(channels: int, cells: int) -> Space:
    """FBNet for images of 32 pixels, as published with 16 channels and 4 cells. channels: of the stem; all others in
    proportion. cells: layers of every stage that has several."""

    def widths(text: str, before: str) -> str:
        return re.sub(rf"(?<={before})\d+", lambda found: str(int(found[0]) * channels // 16), text)

    stem, stages, head = fbnet.SIZES["cifar"]
    stages = re.sub(r"x4", f"x{cells}", widths(stages, r"\b"))
    rows = layers.rows_of(stages, fbnet.BLOCKS, channels)
    return layers.space_of("fbnet", rows, before=[widths(stem, "_c")], after=[widths(head, "_c")])


def ofa_space(channels: int, cells: int) -> Space:
    """Once-for-all for images of 32 pixels, as published with 16 channels and 4 cells, at one resolution. channels: of
    the stem; all others in proportion. cells: the largest depth of a stage, the others are one and two less."""
    depths = "+".join(map(str, range(max(1, cells - 2), cells + 1)))
    return ofa.space(size="cifar", width=channels / 16, depths=depths, resolutions="none")


def last_of_shrinking(space: Space) -> Method:
    """Once-for-all in its last phase: two sampled sub-networks a step, which the largest one teaches."""
    method = adapted(once_for_all.method(), space, SearchConfig())
    return method.phases(space, SearchConfig())[-1].method(method)


def transformer_space(options: Namespace, **settings: Any) -> Space:
    """Transformers whose largest embedding has all the channels, and the deepest all the layers (`--cells`)."""
    sizes = transformer_sizes(options.channels, options.cells)
    texts = {name: "+".join(map(str, getattr(sizes, name))) for name in ("widths", "depths", "heads", "ratios")}
    words = {"feed_forwards": "+".join(FEED_FORWARDS), "mixers": "+".join(MIXERS), "norms": "+".join(NORMS)}
    return transformer.space(**texts, **words, head=sizes.head, **settings)


def training(options: Namespace):
    """(init, step) of training DARTS_V2 with auxiliary head and drop-path, as in a run of many steps."""
    plan = RetrainConfig(epochs=2)
    size = NetworkSize(options.cells, options.channels, 10, auxiliary=True, remat=options.remat, unroll=True)
    network = functionalize(lambda rngs: Network(entry("DARTS_V2").genotype, darts.space(), size, rngs=rngs))
    built = make_training(network, Classification(auxiliary=plan.auxiliary), plan, 1000, (options.cells, 8))

    def step(state, levels):
        state, sums = built.step(state, levels.train)
        return state, sums["loss"][0]

    return built.init, step
