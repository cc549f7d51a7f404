"""Classes of images: python predict.py IMAGES.npy, uint8 [B, H, W, C] of the size in model.json."""

import json
import sys
from pathlib import Path

import jax.export
import numpy as np

HERE = Path(__file__).parent
ABOUT = json.loads((HERE / "model.json").read_text())
MODEL = jax.jit(jax.export.deserialize(bytearray((HERE / "model.stablehlo").read_bytes())).call)


def predict(images):
    """Probabilities float32 [B, classes]."""
    return np.asarray(MODEL(np.asarray(images, np.uint8)))


if __name__ == "__main__":
    for row in predict(np.load(sys.argv[1], allow_pickle=False)):
        print(json.dumps({"class": ABOUT["classes"][row.argmax()], "probability": float(row.max())}))
