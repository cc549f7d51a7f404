"""Translations: python predict.py "a text" "another". Needs jax, numpy, flatbuffers, tokenizers."""

import itertools
import json
import sys
from pathlib import Path

import jax.export
import numpy as np

HERE = Path(__file__).parent
ABOUT = json.loads((HERE / "model.json").read_text())
TOKENS = json.loads((HERE / "vocabulary.json").read_text())
MODEL = jax.jit(jax.export.deserialize(bytearray((HERE / "model.stablehlo").read_bytes())).call)
PADDING, UNKNOWN, BEGIN, END = range(4)


def predict(texts):
    """The translation of each text, found by beam search, and its score; of long texts the beginning is read, or they
    are refused."""
    from tokenizers import Tokenizer

    tokeniser = Tokenizer.from_file(str(HERE / "tokeniser.json"))
    x = np.zeros((len(texts), ABOUT["length"]), np.int32)  # padding
    for row, text in zip(x, texts, strict=True):
        known = [UNKNOWN if token in (PADDING, BEGIN, END) else token for token in tokeniser.encode(text).ids]
        if len(known) > len(row) and not ABOUT["cut"]:
            raise SystemExit(f"A text has {len(known)} tokens, and the model reads {len(row)}: shorten it.")
        row[: len(known)] = known[: len(row)]
    tokens, scores = map(np.asarray, MODEL(x))
    return list(zip(map(_text, tokens), scores.tolist(), strict=True))


def _text(tokens):
    words = [TOKENS[token] for token in itertools.takewhile(lambda token: token not in (PADDING, END), tokens)]
    return "".join(words).replace("\u2581", " ").strip() if ABOUT["pieces"] else " ".join(words)


if __name__ == "__main__":
    for translation, score in predict(sys.argv[1:]):
        print(json.dumps({"translation": translation, "score": score}))
