"""Tokenisers: known answers, what no train text has, and that they are read as they were written."""

import numpy as np
import pytest

from dnas.data import _tokeniser
from dnas.data._tokeniser import PADDING, UNKNOWN, padded, read, trained
from dnas.errors import UserError

TEXTS = ("The cat sat.", "the cat ran", "a dog ran")
WORDS = {"kind": "words", "size": 100, "least": 1, "lower": True}


def test_words_are_numbered_by_how_often_they_are_there():
    made = trained(TEXTS, **WORDS)
    assert made.size == 2 + 7  # the cat ran . a dog sat
    first, second, strange = made(["The CAT", "ran the", "purple cat"])
    assert first.tolist() == second.tolist()[::-1][:1] + first.tolist()[1:]
    assert strange[0] == UNKNOWN and strange[1] == first[1]
    assert first.dtype == np.int32 and min(map(min, made(TEXTS))) > UNKNOWN
    assert sorted({*np.concatenate(made(TEXTS))}) == list(range(2, 9))


def test_what_is_rare_is_unknown():
    assert trained(TEXTS, **WORDS | {"least": 2}).size == 2 + 3  # the cat ran
    assert trained(TEXTS, **WORDS | {"size": 4}).size == 4


def test_letters_may_count():
    made = trained(TEXTS, **WORDS | {"lower": False})
    one, other = made(["The", "the"])
    assert one[0] != other[0] and made(["THE"])[0].tolist() == [UNKNOWN]


def test_pieces_of_words():
    made = trained(TEXTS, **WORDS | {"kind": "bpe"})
    pieces = made(["the cat sat ran", "tac", "q"])
    assert len(pieces[0]) < 12 and UNKNOWN not in pieces[0]
    assert len(pieces[1]) > 1 and UNKNOWN not in pieces[1]  # of letters that are known
    assert pieces[2][-1] == UNKNOWN
    assert made(["sat"])[0].tolist() != made(["s at"])[0].tolist()  # words begin somewhere
    again = trained(TEXTS, **WORDS | {"kind": "bpe"})
    assert again.written() == made.written()


@pytest.mark.parametrize("kind", _tokeniser.KINDS)
def test_it_is_read_as_it_was_written(kind):
    made = trained(TEXTS, **WORDS | {"kind": kind})
    again = read(made.written())
    for ours, theirs in zip(again([*TEXTS, "other cat"]), made([*TEXTS, "other cat"]), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_nobody_writes_padding():
    made = trained([*TEXTS, "<pad> b"], **WORDS)
    assert all(PADDING not in tokens for tokens in made(["<pad> cat <unk>", "cat<pad>"]))


def test_halves_of_letters_are_read_as_something():
    made = trained([*TEXTS, "\ud800 x"], **WORDS)
    assert [len(tokens) for tokens in made(["\udcff", "a \ud800"])] == [1, 2]


def test_texts_are_filled_up_or_cut():
    tokens = [np.array([2, 3, 4], np.int32), np.array([5], np.int32)]
    assert padded(tokens, 2).tolist() == [[2, 3], [5, 0]] and padded(tokens, 2).dtype == np.int32
    assert padded(tokens, 4).tolist() == [[2, 3, 4, 0], [5, 0, 0, 0]]


def test_what_cannot_be_read_is_refused():
    other = trained(TEXTS, **WORDS).written().replace("<pad>", "<bos>")
    for text in ("", "{", '{"version": "1.0"}', other):
        with pytest.raises(UserError, match="data.json is damaged"):
            read(text)
    with pytest.raises(UserError, match="Unknown kind of tokens: 'letters'"):
        trained(TEXTS, **WORDS | {"kind": "letters"})


@pytest.mark.parametrize("kind", ["words", "bpe"])
def test_what_stands_between_blanks_is_written_again(kind):
    texts = ["don't go , ok ?", "a cat's hat ."]
    made = trained(texts, **WORDS | {"kind": kind}, blanks=True, special=("<s>", "</s>"))
    again = read(made.written())
    for one in (made, again):
        assert [one.text(tokens) for tokens in one(texts)] == texts
        assert one.text(one(["go   cat's"])[0]) == "go cat's"
    assert [made.made.id_to_token(number) for number in range(4)] == ["<pad>", "<unk>", "<s>", "</s>"]
    assert min(map(min, made(texts))) >= 4


def test_what_is_made_of_many_texts_is_kept_until_they_change(data_folder, monkeypatch):
    monkeypatch.setattr(_tokeniser, "KEPT_FROM", 20)
    made = trained(TEXTS, **WORDS)
    tokens = made(TEXTS)
    files = sorted(file.name.partition("_")[0] for file in (data_folder / "kept").iterdir())
    assert files == ["tokeniser", "tokens"]
    with monkeypatch.context() as patch:
        patch.setattr(_tokeniser, "_made", None)  # nothing is made again
        patch.setattr(_tokeniser.Tokeniser, "_tokens", None)
        again = trained(TEXTS, **WORDS)
        assert again.written() == made.written()
        for ours, theirs in zip(again(TEXTS), tokens, strict=True):
            np.testing.assert_array_equal(ours, theirs)
    changed = (*TEXTS[:2], "a dog sat")
    assert trained(changed, **WORDS).written() != made.written()
    assert trained(TEXTS, **WORDS | {"lower": False}).written() != made.written()
    assert made(changed)[2][2] == tokens[0][2] != tokens[2][2]
    assert [one.tolist() for one in made(("the cat", "sat down again"))] == [
        one.tolist() for one in made._tokens(("the cat", "sat down again"))
    ]


def test_what_is_kept_and_damaged_is_made_again(data_folder, monkeypatch):
    monkeypatch.setattr(_tokeniser, "KEPT_FROM", 20)
    made = trained(TEXTS, **WORDS)
    for file in (data_folder / "kept").iterdir():
        file.write_bytes(b"damaged")
    assert trained(TEXTS, **WORDS).written() == made.written()


def test_what_cannot_be_kept_is_said(data_folder, monkeypatch, capsys):
    monkeypatch.setattr(_tokeniser, "KEPT_FROM", 20)
    (data_folder / "kept").write_bytes(b"no folder")
    assert len(trained(TEXTS, **WORDS)(TEXTS)) == 3
    assert "cannot keep tokens at" in capsys.readouterr().err
