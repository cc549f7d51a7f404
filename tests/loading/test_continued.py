"""Texts that are continued: every word follows from all before it that a network sees, wherever pieces end."""

import numpy as np
import pytest

from dnas.loading.texts import Reader, continued

WORDS, LENGTH = 11, 4


def remembers(tokens, targets, left, carry):
    """The next word is the sum of all before."""
    number = int(left[0])
    after = np.zeros((1, WORDS))
    after[0, (carry + tokens[0, :number].sum()) % WORDS] = 1
    return None, after, carry + tokens[0].sum()


def forgets(tokens, targets, left, carry):
    """The next word is the sum of those in its piece, and of how many these are."""
    number = int(left[0])
    after = np.zeros((1, WORDS))
    after[0, (tokens[0, :number].sum() + number) % WORDS] = 1
    return None, after, ()


@pytest.mark.parametrize("given", [[3], [1, 2, 3, 4], [1, 2, 3, 4, 5], [*range(9)]])
def test_words_follow_from_those_before(given):
    found = continued(Reader(remembers, lambda size: np.int64(0), LENGTH), np.array(given), 10, np.argmax)
    words = list(given)
    for _ in range(10):
        words.append(sum(words) % WORDS)
    assert found.tolist() == words[len(given) :] and found.dtype == np.int32


@pytest.mark.parametrize("given", [[3], [1, 2, 3, 4], [*range(9)]])
def test_decoders_see_the_piece_that_a_word_stands_in(given):
    found = continued(Reader(forgets, None, LENGTH), np.array(given), 10, np.argmax)
    words = list(given)
    for _ in range(10):
        piece = words[(len(words) - 1) // LENGTH * LENGTH :]
        words.append((sum(piece) + len(piece)) % WORDS)
    assert found.tolist() == words[len(given) :]
