"""Proxy: zero-cost scores of a network with new weights (`dnas.proxies`); nothing is trained. Seconds are measured.

Of several proxies `votes` is one number: the share of random architectures that score lower, averaged over the proxies.
"""

import time
from functools import cache, partial
from typing import Annotated, Any

import jax
import jax.numpy as jnp
import numpy as np

from dnas import data as datasets
from dnas import find, keys
from dnas.architectures.choices import decode
from dnas.architectures.genotype import Genotype, as_mix, random
from dnas.architectures.topology import NetworkSize, Space
from dnas.config import Config
from dnas.data.augment import normalise
from dnas.errors import UserError
from dnas.evaluators import truths
from dnas.evaluators.protocol import HostEvaluator
from dnas.nets.work import multiply_adds
from dnas.proxies.protocol import named, of_new_weights, one_path
from dnas.ranges import Depth, Range, Seed, Width
from dnas.types import Batch, Mix

VOTES = "votes"


def evaluator(
    *,
    proxy: str = "nwot",
    space: str = "nasbench201",
    data: str = "",
    images: Annotated[int, Range(2, 4096)] = 32,
    cells: Depth = 1,
    channels: Width = 16,
    voters: Annotated[int, Range(1, 10_000)] = 20,
    seed: Seed = 0,
) -> HostEvaluator:
    """`proxy`, or several, `nwot+synflow`; of the networks of a `space` of `cells` and `channels`; on so many training
    `images` of `data`, empty: the default, not augmented, chosen by `seed`; `voters`: architectures that votes compare
    with.

    Errors: `UserError` for what proxies cannot score.
    """
    built, written = find.resolve("space", space), data or Config().data
    chosen = named(proxy)
    several = len(chosen) > 1
    batch, classes = _images(written, images, seed)
    _, side, _, depth = batch.inputs.shape
    size = NetworkSize(cells, channels, classes, depth)
    subject = one_path(built, size, side)
    program, priced = jax.jit(of_new_weights(subject, chosen)), jax.jit(subject.costs)

    mix_of, scored = partial(_mix_of, built), partial(_scored, program, built, batch)

    @cache
    def compared() -> list[dict[str, float]]:
        """Others' scores, if only that of one, which compiles the programs."""
        generator = keys.generator(seed, "voters")
        others = [random(built, generator) for _ in range(voters if several else 1)]
        priced(mix_of(others[0]))
        return [scored(genotype, seed) for genotype in others]

    def evaluate(architecture: np.ndarray, fidelity: float, own: int) -> tuple[dict[str, float], float]:
        others, began = compared(), time.perf_counter()
        genotype = decode(architecture, built)
        values = scored(genotype, own)
        if not all(map(np.isfinite, values.values())):
            raise UserError(f"A proxy of '{proxy}' gives no number for this architecture: nothing flows through it.")
        known = priced(mix_of(genotype))
        costs = {"parameters": float(known.parameters), "mflops": float(known.multiply_adds) / 1e6}
        votes = {VOTES: float(np.mean([[o[name] < values[name] for o in others] for name in values]))}
        return (votes if several else {}) | values | costs, time.perf_counter() - began

    once = cache(lambda: _computed(program, batch, mix_of(random(built, 0))))
    measures = {name: True for name in ((VOTES, *chosen) if several else chosen)}
    name, _ = find.parse_choice(written)
    return HostEvaluator(
        built,
        measures | {"parameters": False, "mflops": False},
        evaluate,
        **truths.of_space(built, name),
        multiply_adds=lambda architectures, fidelities: np.full(len(architectures), once()),
        data=written,
        network=(size, side),
    )


def _images(written: str, count: int, seed: int) -> tuple[Batch, int]:
    """So many training images of a data set, normalised, chosen by a seed; and the number of its classes."""
    splits = datasets.split(datasets.load(written), 0.0, 0)
    rows = keys.generator(seed, "images").permutation(len(splits.train_x))[:count]
    moments = jnp.asarray(splits.mean), jnp.asarray(splits.std)
    inputs = normalise(jnp.asarray(splits.train_x[rows]), *moments)
    return Batch(inputs, jnp.asarray(splits.train_y[rows])), len(splits.classes)


def _mix_of(space: Space, genotype: Genotype) -> Mix:
    return jax.tree.map(jnp.asarray, as_mix(genotype, space))


def _scored(program: Any, space: Space, batch: Batch, genotype: Genotype, seed: int) -> dict[str, float]:
    """The scores by name, of weights that a seed draws."""
    mix = _mix_of(space, genotype)
    with jax.enable_x64(True):  # for matrices of images; the network stays in float32
        found = program(jax.random.key(seed), batch, mix)
    return {name: float(value) for name, value in found.items()}


def _computed(program: Any, batch: Batch, mix: Mix) -> float:
    """The multiply-adds of a score, read off its program."""
    with jax.enable_x64(True):
        return float(multiply_adds(jax.make_jaxpr(program)(jax.random.key(0), batch, mix).jaxpr))
