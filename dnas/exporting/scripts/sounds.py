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
    return np.asarray(MODEL(np.stack([np.pad(one, (0, ABOUT["samples"] - len(one))) for one in cut])))


if __name__ == "__main__":
    files = [wave.open(path) for path in sys.argv[1:]]
    assert all(f.getparams()[:3] == (1, 2, ABOUT["sample_rate"]) for f in files), "not 16 bits, mono, of this rate"
    for row in predict([np.frombuffer(file.readframes(file.getnframes()), "<i2") for file in files]):
        print(json.dumps({"class": ABOUT["classes"][row.argmax()], "probability": float(row.max())}))
