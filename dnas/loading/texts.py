"""Texts read by a network, piece by piece: what comes next, and how likely the text is; and texts that it writes behind
others, word by word. A network that carries a state remembers the pieces before; a decoder sees the piece that a word
stands in, and keeps what its layers look at there.

Axis letters: B texts, T words of a piece, V vocabulary.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx

from dnas.nets.functional import Functional, forward
from dnas.types import Tree

SIDE_BY_SIDE = 32  # texts


class Reader(NamedTuple):
    """A compiled network. piece(tokens [B, T], targets [B, T], left [B], carry) -> (sum of the log-likelihoods of the
    targets [B], log-probabilities after the last word [B, V], carry), where `left` words are left of every text.
    carry(B): the state before the first word; None: there are none."""

    piece: Any
    carry: Any
    length: int


def reader(functional: Functional, state: tuple[Tree, Tree, tuple], length: int) -> Reader:
    """state: (weights, statistics, what the network takes beside its inputs). length: T."""

    def piece(weights, stats, args, tokens, targets, left, carry):
        outputs, _, carry = forward(functional, weights, stats, tokens, *args, carry=carry, train=False)
        logs = jax.nn.log_softmax(outputs.logits)
        own = jnp.take_along_axis(logs, targets[..., None], -1)[..., 0]
        counted = jnp.arange(length) < left[:, None] - 1
        last = jnp.clip(left - 1, 0, length - 1)
        after = jnp.take_along_axis(logs, last[:, None, None], 1)[:, 0]
        return jnp.where(counted, own, 0).sum(-1), after, carry

    return Reader(partial(jax.jit(piece), *state), functional.carry, length)


def read(reader: Reader, texts: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    """Of every text, int32 of any length above 0, the log-probabilities of the word after it [B, V], and the sum of the
    log-likelihoods of its words but the first [B]."""
    found = [_side_by_side(reader, texts[i : i + SIDE_BY_SIDE]) for i in range(0, len(texts), SIDE_BY_SIDE)]
    after, likelihoods = zip(*found, strict=True)
    return np.concatenate(after), np.concatenate(likelihoods)


class Stepper(NamedTuple):
    """A compiled network that reads word by word. step(word [1], number in its piece, past) -> (log-probabilities after
    it [V], past). begin(): the past before the first word. length: of a piece, behind which the past begins anew; None:
    it never does."""

    step: Any
    begin: Callable[[], Tree]
    length: int | None


def stepper(functional: Functional, state: tuple[Tree, Tree, tuple], network: Any, args: tuple, length: int) -> Stepper:
    """network: the same as a module, with `args` beside its inputs. length: of a piece. state: as of `reader`."""
    if functional.carry is not None:
        alone, carry = reader(functional, state, 1), functional.carry

        def carried(word: np.ndarray, number: int, past: Tree) -> tuple[jax.Array, Tree]:
            _, after, past = alone.piece(word[None], word[None], np.ones(1, np.int32), past)
            return after[0], past

        return Stepper(carried, lambda: carry(1), None)
    layout, leaves = nnx.split(network)

    def step(leaves: Tree, args: tuple, word: jax.Array, number: jax.Array, past: Tree) -> tuple[jax.Array, Tree]:
        tables = jax.tree.map(jnp.asarray, args[0]) if args else None
        logits, past = nnx.merge(layout, leaves).body.step(word, tables, past, number, length)
        return jax.nn.log_softmax(logits[0]), past

    compiled = partial(jax.jit(step), nnx.as_pure(leaves), args)
    return Stepper(compiled, lambda: network.body.past(1, length), length)


def continued(stepper: Stepper, text: np.ndarray, count: int, choose: Callable[[np.ndarray], int]) -> np.ndarray:
    """int32 [`count`]: what is written behind a text, int32 of any length above 0, one word after the other.

    choose(log-probabilities [V] of the next word) -> the word.
    """
    words, past = list(map(int, text)), stepper.begin()
    for number in range(len(text) + count - 1):
        here = number if stepper.length is None else number % stepper.length
        if number and not here:  # the next piece begins
            past = stepper.begin()
        after, past = stepper.step(np.array([words[number]], np.int32), here, past)
        if number + 1 == len(words):
            words.append(choose(np.asarray(after, float)))
    return np.array(words[len(text) :], np.int32)


def _side_by_side(reader: Reader, texts: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    size, lengths = len(texts), np.array(list(map(len, texts)))
    pieces = -(-lengths.max() // reader.length)
    tokens = np.zeros((size, pieces * reader.length + 1), np.int32)  # the last is a target only
    for row, text in zip(tokens, texts, strict=True):
        row[: len(text)] = text
    after, likelihoods = None, np.zeros(size)
    carry = () if reader.carry is None else reader.carry(size)
    for start in range(0, pieces * reader.length, reader.length):
        here, targets = (tokens[:, start + shift : start + shift + reader.length] for shift in (0, 1))
        sums, logs, carry = reader.piece(here, targets, np.maximum(lengths - start, 0), carry)
        likelihoods += np.asarray(sums, float)
        ends = (lengths > start) & (lengths <= start + reader.length)
        after = np.where(ends[:, None], np.asarray(logs), 0 if after is None else after)
    assert after is not None
    return after, likelihoods
