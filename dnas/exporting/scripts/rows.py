"""Answers for rows of a table: python predict.py ROWS.csv, whose columns model.json names."""

import csv
import json
import sys
from pathlib import Path

import jax.export
import numpy as np

jax.config.update("jax_enable_x64", True)  # numbers of tables are float64
HERE = Path(__file__).parent
ABOUT = json.loads((HERE / "model.json").read_text())
CODES = {name: {text: code for code, text in enumerate(known)} for name, known in ABOUT["categories"]}
MODEL = jax.jit(jax.export.deserialize(bytearray((HERE / "model.stablehlo").read_bytes())).call)


def predict(rows):
    """Probabilities float32 [B, classes], or numbers [B], of rows {column: text}, as of csv; "" is a missing value."""
    numbers = np.array([[float(row[name] or "nan") for name in ABOUT["numbers"]] for row in rows], np.float64)
    codes = np.array([[known.get(row[name], -1) for name, known in CODES.items()] for row in rows], np.int32)
    return np.asarray(MODEL(*(part for part in (numbers, codes) if part.shape[1])))


if __name__ == "__main__":
    with open(sys.argv[1], newline="", encoding="utf-8") as file:
        for row in predict(list(csv.DictReader(file))):
            best = {"class": ABOUT["classes"][row.argmax()], "probability": float(row.max())} if row.ndim else None
            print(json.dumps(best or {ABOUT["target"]: float(row)}))
