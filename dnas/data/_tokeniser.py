"""Texts as numbers of tokens, by the library `tokenizers`: words, or pieces of words by byte-pair encoding.

Words are runs of letters and digits, or of other signs; or what stands between blanks, so that tokens can be written as
the text again. Byte-pair encoding (Sennrich, Haddow and Birch 2016,
arXiv:1508.07909) joins the most frequent pairs of pieces until there are as many tokens as wanted. Token 0 fills up
what is shorter than others, token 1 stands for all that is not in the vocabulary.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from dnas.data._kept import kept
from dnas.errors import UserError, unknown

PADDING, UNKNOWN = 0, 1
SPECIAL = ("<pad>", "<unk>")
KINDS = ("words", "bpe")
KEPT_FROM = 1_000_000  # characters of texts: what is made of so many takes seconds, and is kept in the data folder
START = "\u2581"  # of a word, in byte-pair encoding: a mark behind words would be numbered by chance

# The library warns of threads wherever a process is forked after it was used, and these texts need none.
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


@dataclass(frozen=True, eq=False)
class Tokeniser:
    """made: of the library."""

    made: Any

    @property
    def size(self) -> int:
        """How many tokens there are."""
        return self.made.get_vocab_size()

    def __call__(self, texts: Sequence[str]) -> list[np.ndarray]:
        """The tokens of each text, int32, none of them padding; of many texts as they are kept, see `KEPT_FROM`."""
        if not _many(texts):
            return self._tokens(texts)

        def make() -> dict[str, np.ndarray]:
            found = self._tokens(texts)
            return {"tokens": np.concatenate(found), "lengths": np.array(list(map(len, found)))}

        arrays = kept("tokens", [_version(), self.written(), *texts], make, ("tokens", "lengths"))
        return np.split(arrays["tokens"], np.cumsum(arrays["lengths"])[:-1])

    def _tokens(self, texts: Sequence[str]) -> list[np.ndarray]:
        found = (np.array(one.ids, np.int32) for one in self.made.encode_batch(_readable(texts)))
        return [np.where(ids == PADDING, UNKNOWN, ids) for ids in found]  # whoever writes <pad> means a word

    def strangers(self, text: str) -> list[str]:
        """What of a text is not in the vocabulary."""
        (readable,) = _readable([text])
        found = self.made.encode(readable)
        return [readable[slice(*at)] for number, at in zip(found.ids, found.offsets, strict=True) if number == UNKNOWN]

    def text(self, tokens: np.ndarray) -> str:
        """What tokens stand for, of a tokeniser of what stands between blanks."""
        words = [self.made.id_to_token(int(token)) for token in tokens]
        pieces = self.made.model.__class__.__name__ == "BPE"
        return "".join(words).replace(START, " ").strip() if pieces else " ".join(words)

    def written(self) -> str:
        """All of it, as `read` takes it."""
        return self.made.to_str()


def trained(
    texts: Sequence[str],
    *,
    kind: str,
    size: int,
    least: int,
    lower: bool,
    blanks: bool = False,
    special: Sequence[str] = (),
) -> Tokeniser:
    """The tokeniser of these texts alone. kind: "words" or "bpe". size: tokens at most, the most frequent. least: how
    often a token is there at least. lower: whether letters are made small. blanks: whether words are what stands
    between blanks. special: tokens that stand for no text, numbered from 2 on. One of many texts is kept, see
    `KEPT_FROM`. Errors: `UserError` for an unknown kind."""
    if kind not in KINDS:
        raise unknown("kind of tokens:", kind, KINDS)
    settings: dict[str, Any] = {
        "kind": kind,
        "size": size,
        "least": least,
        "lower": lower,
        "blanks": blanks,
        "special": tuple(special),
    }
    if not _many(texts):
        return _made(texts, **settings)

    def make() -> dict[str, np.ndarray]:
        return {"written": np.frombuffer(_made(texts, **settings).written().encode(), np.uint8)}

    arrays = kept("tokeniser", [_version(), repr(settings), *texts], make, ("written",))
    return read(arrays["written"].tobytes().decode())


def _many(texts: Sequence[str]) -> bool:
    return sum(map(len, texts)) >= KEPT_FROM


def _version() -> str:
    """Of the library: another one may cut texts otherwise."""
    import tokenizers

    return tokenizers.__version__


def _made(
    texts: Sequence[str], *, kind: str, size: int, least: int, lower: bool, blanks: bool, special: Sequence[str]
) -> Tokeniser:
    """See `trained`."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers

    settings: dict[str, Any] = {"vocab_size": size, "min_frequency": least, "show_progress": False}
    settings["special_tokens"] = [*SPECIAL, *special]
    model: Any
    trainer: Any
    if kind == "words":
        model, trainer = models.WordLevel(unk_token=SPECIAL[UNKNOWN]), trainers.WordLevelTrainer(**settings)
    else:
        model, trainer = models.BPE(unk_token=SPECIAL[UNKNOWN]), trainers.BpeTrainer(**settings)
    made = Tokenizer(model)
    steps = [normalizers.NFC(), *[normalizers.Lowercase()] * lower]
    made.normalizer = normalizers.Sequence(steps)
    marks = [pre_tokenizers.Metaspace(replacement=START, prepend_scheme="always")] * (kind == "bpe")
    words = pre_tokenizers.WhitespaceSplit() if blanks else pre_tokenizers.Whitespace()
    made.pre_tokenizer = pre_tokenizers.Sequence([words, *marks])
    made.train_from_iterator(_readable(texts), trainer)
    return Tokeniser(made)


def _readable(texts: Sequence[str]) -> list[str]:
    """Without halves of letters, which JSON and command lines can hold and the library does not take."""
    return [text.encode(errors="replace").decode() for text in texts]


def read(text: str) -> Tokeniser:
    """The tokeniser that was written so. Errors: `UserError` for any other text."""
    from tokenizers import Tokenizer

    try:
        made = Tokenizer.from_str(text)
        if any(made.token_to_id(token) != number for number, token in enumerate(SPECIAL)):
            raise ValueError("other tokens come first")
    except Exception as error:  # the library's own exceptions have no class of their own
        raise UserError(
            f"The tokeniser of this run cannot be read ({str(error)[:80]}): data.json is damaged."
        ) from error
    return Tokeniser(made)


def padded(tokens: Sequence[np.ndarray], length: int) -> np.ndarray:
    """int32 [N, length]: the first tokens of each text, filled up with padding."""
    found = np.full((len(tokens), length), PADDING, np.int32)
    for row, one in zip(found, tokens, strict=True):
        row[: len(one)] = one[:length]
    return found
