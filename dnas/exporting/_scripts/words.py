"""Classes of texts: python predict.py "a text" "another"."""

import itertools
import json
import sys
import unicodedata
from pathlib import Path

import jax.export
import numpy as np

HERE = Path(__file__).parent
ABOUT = json.loads((HERE / "model.json").read_text())
CODES = {token: code for code, token in enumerate(json.loads((HERE / "vocabulary.json").read_text())) if code}
MODEL = jax.jit(jax.export.deserialize(bytearray((HERE / "model.stablehlo").read_bytes())).call)


def words(text):
    """Runs of letters and digits, or of other signs."""
    text = unicodedata.normalize("NFC", text)
    text = "".join(map(str.lower, text)) if ABOUT["lower"] else text
    kinds = itertools.groupby(text, lambda one: one.isspace() + 2 * _in_word(unicodedata.category(one)))
    return ["".join(run) for kind, run in kinds if kind != 1]


def _in_word(category):
    return category[0] in "LM" or category in ("Nd", "Nl", "Pc")


def predict(texts):
    """Probabilities float32 [B, classes]. Token 0 fills texts up, token 1 is any unknown word; long texts are cut, or
    refused."""
    tokens = np.zeros((len(texts), ABOUT["length"]), np.int32)
    for row, text in zip(tokens, texts, strict=True):
        known = [CODES.get(word, 1) for word in words(text)]
        if len(known) > len(row) and not ABOUT["cut"]:
            raise SystemExit(f"A text has {len(known)} tokens, and the model reads {len(row)}: shorten it.")
        row[: len(known)] = known[: len(row)]
    return np.asarray(MODEL(tokens))


if __name__ == "__main__":
    for row in predict(sys.argv[1:]):
        print(json.dumps({"class": ABOUT["classes"][row.argmax()], "probability": float(row.max())}))
