"""Answers for rows of a table: python predict.py ROWS.csv, whose columns model.json names."""

import csv
import io
import json
import sys
from pathlib import Path

import jax.export
import numpy as np

jax.config.update("jax_enable_x64", True)  # numbers of tables are float64
HERE = Path(__file__).parent
ABOUT = json.loads((HERE / "model.json").read_text())
MISSING = ("na", "nan", "null", "?")
CODES = {name: {text: code for code, text in enumerate(known)} for name, known in ABOUT["categories"]}
MODEL = jax.jit(jax.export.deserialize(bytearray((HERE / "model.stablehlo").read_bytes())).call)


def predict(rows):
    """Probabilities float32 [B, classes], or numbers [B], of rows {column: text}, as of csv. "", NA, NaN, null and ?
    are missing values."""
    numbers = np.array([[float(_cell(row[name]) or "nan") for name in ABOUT["numbers"]] for row in rows], np.float64)
    codes = np.array([[known.get(_cell(row[name]), -1) for name, known in CODES.items()] for row in rows], np.int32)
    return np.asarray(MODEL(*(part for part in (numbers, codes) if part.shape[1])))


def _delimiter(text):
    return max(",;\t|", key=text.lstrip("\r\n").partition("\n")[0].count)


def _cell(text):
    text = text.strip()
    return "" if text.lower() in MISSING else text


if __name__ == "__main__":
    text = Path(sys.argv[1]).read_bytes().decode("utf-8-sig")
    names, *lines = filter(None, csv.reader(io.StringIO(text, newline=""), delimiter=_delimiter(text)))
    for row in predict([dict(zip(map(str.strip, names), line, strict=True)) for line in lines]):
        best = {"class": ABOUT["classes"][row.argmax()], "probability": float(row.max())} if row.ndim else None
        print(json.dumps(best or {ABOUT["target"]: float(row)}))
