"""Texts that are continued: every word follows from all before it that a network sees, wherever pieces end."""

import numpy as np
import pytest

from dnas.loading.texts import Stepper, continued

WORDS, LENGTH = 11, 4


def said(word):
    after = np.zeros(WORDS)
    after[word % WORDS] = 1
    return after


def remembers(word, number, total):
    """The next word is the sum of all before."""
    return said(total + word[0]), total + word[0]


def forgets(word, number, total):
    """The next word is the sum of those in its piece, and of how many these are."""
    return said(total + word[0] + number + 1), total + word[0]


@pytest.mark.parametrize("given", [[3], [1, 2, 3, 4], [1, 2, 3, 4, 5], [*range(9)]])
def test_words_follow_from_those_before(given):
    found = continued(Stepper(remembers, lambda: 0, None), np.array(given), 10, np.argmax)
    words = list(given)
    for _ in range(10):
        words.append(sum(words) % WORDS)
    assert found.tolist() == words[len(given) :] and found.dtype == np.int32


@pytest.mark.parametrize("given", [[3], [1, 2, 3, 4], [*range(9)]])
def test_decoders_see_the_piece_that_a_word_stands_in(given):
    found = continued(Stepper(forgets, lambda: 0, LENGTH), np.array(given), 10, np.argmax)
    words = list(given)
    for _ in range(10):
        piece = words[(len(words) - 1) // LENGTH * LENGTH :]
        words.append((sum(piece) + len(piece)) % WORDS)
    assert found.tolist() == words[len(given) :]
