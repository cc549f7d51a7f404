"""Classes of texts: python predict.py "a text". Needs jax, numpy, flatbuffers, tokenizers."""

import json
import sys
from pathlib import Path

import jax.export
import numpy as np

HERE = Path(__file__).parent
ABOUT = json.loads((HERE / "model.json").read_text())
MODEL = jax.jit(jax.export.deserialize(bytearray((HERE / "model.stablehlo").read_bytes())).call)


def predict(tokens):
    """Probabilities float32 [B, classes] of lists of tokens each, numbered as in vocabulary.json; long ones are cut, or
    refused."""
    x = np.zeros((len(tokens), ABOUT["length"]), np.int32)  # 0 fills up what is shorter
    for row, known in zip(x, tokens, strict=True):
        if len(known) > len(row) and not ABOUT["cut"]:
            raise SystemExit(f"A text has {len(known)} tokens, and the model reads {len(row)}: shorten it.")
        row[: len(known)] = known[: len(row)]
    return np.asarray(MODEL(x))


if __name__ == "__main__":
    from tokenizers import Tokenizer

    tokeniser = Tokenizer.from_file(str(HERE / "tokeniser.json"))
    for row in predict([[token or 1 for token in tokeniser.encode(text).ids] for text in sys.argv[1:]]):
        print(json.dumps({"class": ABOUT["classes"][row.argmax()], "probability": float(row.max())}))
