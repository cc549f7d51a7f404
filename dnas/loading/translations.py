"""Texts written behind others by a network of an encoder and a decoder, by beam search.

The encoder reads a source once, and the decoder every token once: its layers keep what later ones look at. Sources of
like length are written side by side, as a batch is as slow as its longest.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dnas.data._tokeniser import PADDING
from dnas.nets.beam import Found, beam_search
from dnas.nets.transformer_pairs import PairNetwork, PairSupernet, parted
from dnas.tasks.task import Writing
from dnas.training.buckets import shortened
from dnas.types import Tree

SIDE_BY_SIDE = 32  # sources


class Translation(NamedTuple):
    """A text, and its score: log-likelihood over the length penalty."""

    text: str
    score: float


class Likelihood(NamedTuple):
    """Of a translation that was given: the sum of the log-likelihoods of its tokens, its end among them, and how many
    they are."""

    log: float
    tokens: int

    @property
    def perplexity(self) -> float:
        """Of its tokens."""
        with np.errstate(over="ignore"):
            return float(np.exp(-self.log / self.tokens))


def judged(logits_of: Callable[..., jax.Array], source: np.ndarray, target: np.ndarray) -> list[Likelihood]:
    """How likely are targets [N, T + 1] behind sources [N, S]. logits_of: compiled, see `Loaded`."""
    size, found = min(SIDE_BY_SIDE, len(source)), list[Likelihood]()
    for start in range(0, len(source), max(size, 1)):
        rows = np.arange(start, start + size) % len(source)  # the last batch is filled up
        logs = np.asarray(jax.nn.log_softmax(logits_of((source[rows], target[rows], np.ones(size, bool)), ())), float)
        words = target[rows][:, 1:]
        own = np.take_along_axis(logs, words[..., None], -1)[..., 0]
        found += [
            Likelihood(float(one[there].sum()), int(there.sum()))
            for one, there in zip(own, words != PADDING, strict=True)
        ]
    return found[: len(source)]


def searched(network: PairNetwork | PairSupernet, args: tuple, task: Writing, source: jax.Array) -> Found:
    """Traced: what is written behind sources int32 [B, S]. args: what the network takes beside its inputs."""
    body, beam, longest, (begin, end) = network.body, task.beam, task.longest, task.ends
    own, other = parted(jax.tree.map(jnp.asarray, args[0])) if args else (None, None)
    memory, shown = body.encoded(source, own)
    looked = body.decoder.keys_and_values(memory, other), shown  # nothing may be shown
    across, shown = jax.tree.map(lambda one: jnp.repeat(one, beam, 0), looked)

    def step(tokens: jax.Array, number: jax.Array, past: Tree) -> tuple[jax.Array, Tree]:
        return body.decoder.step(tokens, other, past, number, longest, across, shown)

    return beam_search(
        step,
        body.decoder.past(beam * source.shape[0], longest),
        source.shape[0],
        beam=beam,
        length=longest,
        begin=begin,
        end=end,
        fill=PADDING,
        penalty=task.penalty,
        dtype=memory.dtype,
    )


def writer(network: PairNetwork | PairSupernet, args: tuple, task: Writing) -> Callable[[np.ndarray], Found]:
    """Compiled: sources int32 [B, S] -> what is written behind them. args: what the network takes beside its inputs."""
    layout, state = nnx.split(network)

    def write(state: Tree, args: tuple, source: jax.Array) -> Found:
        return searched(nnx.merge(layout, state), args, task, source)

    compiled = jax.jit(write)
    return lambda source: compiled(nnx.as_pure(state), args, source)


def written(write: Any, source: np.ndarray, task: Writing) -> list[Translation]:
    """What is written behind sources [N, S], of any number. write: see `writer`."""
    order = np.argsort((source != PADDING).sum(1), kind="stable")
    size, found = min(SIDE_BY_SIDE, len(source)), dict[int, Translation]()
    for start in range(0, len(source), max(size, 1)):
        rows = order[np.arange(start, start + size) % len(source)]  # the last batch is filled up
        tokens, _, scores = jax.device_get(write(shortened(task, source[rows])))
        for row, one, score in zip(rows, tokens, scores, strict=True):
            found[int(row)] = Translation(task.text(one), float(score))
    return [found[number] for number in range(len(source))]
