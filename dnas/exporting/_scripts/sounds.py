"""Classes of recordings: python predict.py A.wav B.wav, 16 bits, one channel, the rate in model.json."""

import json
import sys
import wave
from pathlib import Path

import jax.export
import numpy as np

HERE = Path(__file__).parent
ABOUT = json.loads((HERE / "model.json").read_text())
MODEL = jax.jit(jax.export.deserialize(bytearray((HERE / "model.stablehlo").read_bytes())).call)


def predict(sounds):
    """Probabilities float32 [B, classes] of waveforms int16 [S] each; longer ones are cut, shorter ones filled up."""
    cut = [np.asarray(sound, np.int16)[: ABOUT["samples"]] for sound in sounds]
    filled = np.stack([np.pad(one, (0, ABOUT["samples"] - len(one))) for one in cut])
    return np.asarray(MODEL(filled, np.array(list(map(len, cut)), np.int32)))


if __name__ == "__main__":
    sounds = []
    for path in sys.argv[1:]:
        with wave.open(path) as file:
            assert file.getparams()[:3] == (1, 2, ABOUT["sample_rate"]), f"{path}: not 16 bits, mono, of this rate"
            sounds.append(np.frombuffer(file.readframes(file.getnframes()), "<i2"))
    for row in predict(sounds):
        print(json.dumps({"class": ABOUT["classes"][row.argmax()], "probability": float(row.max())}))
