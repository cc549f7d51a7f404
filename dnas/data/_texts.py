"""Texts of words, or of characters, as numbers: a stream of tokens for each part, and the vocabulary of the train
part."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from dnas.data._files import check_memory, decoded
from dnas.errors import UserError, unknown

PARTS = ("train", "valid", "test")
END, UNKNOWN = "<eos>", "<unk>"
TOKENS = ("words", "characters")
LEAST = 2  # tokens of a part: one to read, one to predict
WORD_BYTES = 60  # of memory for one word while a text is read, more than Python takes for a short one


@dataclass(frozen=True, eq=False)
class Text:
    """train, valid, test: int32 [tokens], numbers of words of the vocabulary. The note says what a reader of a result
    must know; task: what such data are for. characters: whether words are single characters."""

    name: str
    train: np.ndarray
    valid: np.ndarray
    test: np.ndarray
    vocabulary: tuple[str, ...]
    note: str = ""
    task: str = "language"
    characters: bool = False

    @property
    def unit(self) -> str:
        """What the tokens are."""
        return TOKENS[self.characters]

    def __post_init__(self) -> None:
        if len(set(self.vocabulary)) < len(self.vocabulary):
            raise UserError(f"The vocabulary of '{self.name}' has a word twice: give every word once.")
        for part in PARTS:
            tokens, what = getattr(self, part), f"The {part} part of the text '{self.name}'"
            if tokens.ndim != 1 or tokens.dtype != np.int32:
                raise UserError(f"{what} must be int32 [tokens], not {tokens.dtype} {list(tokens.shape)}.")
            if len(tokens) < LEAST:
                raise UserError(f"{what} has {len(tokens)} token(s): at least {LEAST} are needed.")
            if tokens.min() < 0 or tokens.max() >= len(self.vocabulary):
                raise UserError(
                    f"{what} has tokens from {tokens.min()} to {tokens.max()}, "
                    f"but {len(self.vocabulary):,} words allow 0 to {len(self.vocabulary) - 1}."
                )


def from_contents(
    name: str,
    contents: Mapping[str, bytes],
    remedy: str,
    limit: int = 0,
    tokens: str = "words",
    files: Mapping[str, str] | None = None,
) -> Text:
    """The text of three files {part: content in UTF-8}. tokens: "words" between blanks, and `<eos>` for the end of
    every line; or "characters", blanks and ends of lines among them. files: what each is called, if it has a name.

    The vocabulary is that of the train part, in the order in which its words appear; other words of other parts are
    `<unk>`. limit: that many tokens of the train part and a fifth as many of the others, from the start; 0: all.
    Errors: `UserError` for what is not text, or has no words.
    """
    if tokens not in TOKENS:
        raise unknown(f"value of setting 'tokens' of data set '{name}':", tokens, TOKENS)
    characters = tokens == "characters"
    if limit < 0:
        raise UserError(f"The setting 'limit' of data set '{name}' must be 0 or more, not {limit}.")
    size = sum(map(len, contents.values()))
    check_memory(size // 4 * WORD_BYTES, f"The words of '{name}'", "give a shorter text")
    split = _characters if characters else _words
    places = files or {part: f"the {part} part of '{name}'" for part in PARTS}
    words = {part: split(contents[part], places[part], remedy) for part in PARTS}
    total, note = len(words["train"]), ""
    if 0 < limit < total:
        fifth = max(LEAST, limit // 5)
        words = {part: found[: max(LEAST, limit) if part == "train" else fifth] for part, found in words.items()}
        note = f"only the first {len(words['train']):,} of {total:,} train tokens, a fifth as many of the other parts"
    vocabulary: dict[str, int] = {}
    for word in words["train"]:
        vocabulary.setdefault(word, len(vocabulary))
    if any(word not in vocabulary for part in PARTS for word in words[part]):
        vocabulary.setdefault(UNKNOWN, len(vocabulary))
    numbers = {part: _numbers(words[part], vocabulary) for part in PARTS}
    return Text(
        name, numbers["train"], numbers["valid"], numbers["test"], tuple(vocabulary), note, characters=characters
    )


def with_vocabulary(text: Text, vocabulary: Sequence[str]) -> Text:
    """A text in the numbers of another vocabulary, whose words the others are unknown to. Errors: `UserError` where
    it has no `<unk>` for them."""
    if tuple(vocabulary) == text.vocabulary:
        return text
    numbers = numbered(text.vocabulary, vocabulary, f"the text '{text.name}'", lines=False)
    return replace(text, **{part: numbers[getattr(text, part)] for part in PARTS}, vocabulary=tuple(vocabulary))


def numbered(words: Iterable[str], vocabulary: Sequence[str], where: str, *, lines: bool = True) -> np.ndarray:
    """int32: what these words are in a vocabulary, or `<unk>`. lines: whether ends of lines among them tell a word's
    line. Errors: `UserError` where it has neither."""
    known = {word: number for number, word in enumerate(vocabulary)}
    words = list(words)
    if UNKNOWN not in known and (strange := strangers(words, vocabulary)):
        place = place_of(words, strange[0], where) if lines else where
        raise UserError(
            f"The word {words[strange[0]][:40]!r} of {place} is none of the {len(known):,} words of the vocabulary, "
            f"which has no '{UNKNOWN}' for others: leave it out."
        )
    return _numbers(words, known)


def strangers(words: Sequence[str], vocabulary: Iterable[str]) -> list[int]:
    """Which of these words are none of a vocabulary."""
    known = frozenset(vocabulary)
    return [number for number, word in enumerate(words) if word not in known]


def place_of(words: Sequence[str], number: int, where: str) -> str:
    """Where one of the words of a text stands: its line, where there are several."""
    ends = [i for i, word in enumerate(words) if word in (END, "\n")]
    return f"line {1 + sum(end < number for end in ends):,} of {where}" if ends else where


def words_of(given: object, where: str, characters: bool = False) -> list[str]:
    """The words of a string or of bytes in UTF-8, in which the end of a line is `<eos>`, or its characters; or those of
    a list of words.

    Errors: `UserError` for anything else, and where there are none.
    """
    remedy = "give texts in UTF-8"
    if isinstance(given, str | bytes):
        text = decoded(given, where, remedy) if isinstance(given, bytes) else given
        words = list(_with_ends(text)) if characters else text.replace("\n", f" {END} ").split()
    elif isinstance(given, list | tuple) and all(isinstance(word, str) for word in given):
        words = list(given)
    else:
        raise UserError(f"A text is a string or a list of words, and {where} is of type {type(given).__name__}.")
    if not words:
        raise UserError(f"Cannot read {where}: it has no words.")
    return words


def _words(content: bytes, where: str, remedy: str) -> list[str]:
    text = decoded(content, where, remedy)
    lines = text.split("\n")
    if not lines[-1]:
        lines.pop()
    words = f" {END} ".join([*lines, ""]).split()
    if len(words) == len(lines):
        raise UserError(f"Cannot read {where}: it has no words: {remedy}.")
    return words


def _characters(content: bytes, where: str, remedy: str) -> list[str]:
    text = _with_ends(decoded(content, where, remedy))
    if not text.strip():
        raise UserError(f"Cannot read {where}: it has no words: {remedy}.")
    return list(text)


def _with_ends(text: str) -> str:
    """With one sign for the end of a line, whatever system wrote it."""
    return text.replace("\r\n", "\n")


def _numbers(words: list[str], vocabulary: Mapping[str, int]) -> np.ndarray:
    unknown = vocabulary.get(UNKNOWN, -1)
    return np.fromiter((vocabulary.get(word, unknown) for word in words), np.int32, len(words))
