"""Beam search against all sequences, and against taking the most likely token at every step."""

from itertools import product

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from dnas.nets.beam import beam_search

FILL, BEGIN, END, WORDS = 0, 1, 2, (3, 4, 5)
LENGTH, SENTENCES, VOCABULARY = 4, 3, 6


@pytest.fixture(autouse=True)
def float64():
    with jax.enable_x64(True):
        yield


def tables(seed):
    """A model without a network: what follows depends on the sentence, the place, and the last two tokens."""
    return 2 * np.random.default_rng(seed).normal(size=(SENTENCES, LENGTH, VOCABULARY, VOCABULARY, VOCABULARY))


def searched(table, width, penalty, length=LENGTH):
    def step(tokens, number, before):
        rows = jnp.arange(len(tokens)) // width
        return jnp.asarray(table)[rows, number, before, tokens], tokens

    search = jax.jit(
        lambda: beam_search(
            step,
            jnp.full(SENTENCES * width, BEGIN),
            SENTENCES,
            beam=width,
            length=length,
            begin=BEGIN,
            end=END,
            penalty=penalty,
            dtype=jnp.float64,
        )
    )
    return jax.device_get(search())


def log_softmax(values):
    return values - np.log(np.exp(values).sum())


def score_of(table, sentence, words, penalty):
    total, before, last = 0.0, BEGIN, BEGIN
    for place, word in enumerate(words):
        total += log_softmax(table[sentence, place, before, last])[word]
        before, last = last, word
    return total / ((5 + len(words)) / 6) ** penalty


def every_sequence():
    for count in range(LENGTH):
        yield from ((*words, END) for words in product(WORDS, repeat=count))
    yield from product(WORDS, repeat=LENGTH)  # which have no end


@pytest.mark.parametrize("penalty", [0.0, 1.5])
def test_a_beam_of_all_finds_the_best_of_all(penalty):
    table, sequences = tables(0), list(every_sequence())
    found = searched(table, len(sequences), penalty)
    for sentence in range(SENTENCES):
        scores = {words: score_of(table, sentence, words, penalty) for words in sequences}
        best = max(scores, key=scores.__getitem__)
        assert tuple(found.tokens[sentence][: found.lengths[sentence]]) == best
        assert (found.tokens[sentence][found.lengths[sentence] :] == FILL).all()
        assert found.scores[sentence] == pytest.approx(scores[best], abs=1e-12)


def test_a_beam_of_one_is_greedy_and_a_wider_one_no_worse():
    table = tables(1)
    table[:, :, :, :, END] -= 1
    found = searched(table, 1, 0.0)
    for sentence in range(SENTENCES):
        words, before, last = [], BEGIN, BEGIN
        while len(words) < LENGTH and last != END:
            logits = table[sentence, len(words), before, last].copy()
            logits[[FILL, BEGIN]] = -np.inf
            before, last = last, int(logits.argmax())
            words.append(last)
        assert found.tokens[sentence][: found.lengths[sentence]].tolist() == words
        assert found.scores[sentence] == pytest.approx(score_of(table, sentence, words, 0.0))
    everything = searched(table, len(list(every_sequence())), 0.0)
    assert (everything.scores >= found.scores - 1e-12).all() and (everything.scores > found.scores + 1e-6).any()


def test_the_penalty_makes_texts_longer():
    table = tables(2)
    lengths = [searched(table, 60, penalty).lengths for penalty in (0.0, 5.0)]
    assert (lengths[1] >= lengths[0]).all() and (lengths[1] > lengths[0]).any()
