"""What follows texts: python predict.py "the meaning of" --more 20; --seed 1 draws others."""

import argparse
import json
from pathlib import Path

import jax.export
import numpy as np

HERE = Path(__file__).parent
ABOUT = json.loads((HERE / "model.json").read_text())
TOKENS = json.loads((HERE / "vocabulary.json").read_text())
CODES = {token: code for code, token in enumerate(TOKENS)}
MODEL = jax.jit(jax.export.deserialize(bytearray((HERE / "model.stablehlo").read_bytes())).call)


def codes(text):
    """A text in numbers; <eos> is the end of a line, where tokens are words."""
    split = list(text) if ABOUT["characters"] else text.replace("\n", " <eos> ").split()
    return [CODES[token] if "<unk>" not in CODES else CODES.get(token, CODES["<unk>"]) for token in split]


def predict(texts):
    """Probabilities float32 [B, tokens of vocabulary.json] of what follows each text, of one token or more."""
    lines, found = list(map(codes, texts)), np.zeros(())
    state = [np.zeros((len(lines), *shape), np.float32) for shape in ABOUT["state"]]
    for start in range(0, max(map(len, lines)), ABOUT["length"]):
        answers, *state = _piece([line[start : start + ABOUT["length"]] for line in lines], state)
        ends = [[start < len(line) <= start + ABOUT["length"]] for line in lines]
        found = np.where(ends, answers, found)
    return found


def more(text, count, seed=0):
    """So many tokens behind a text, each drawn by its probability, none <unk>."""
    line, start, random = codes(text), 0, np.random.default_rng(seed)
    written: list[str] = []
    state = [np.zeros((1, *shape), np.float32) for shape in ABOUT["state"]]
    while len(written) < count:
        here = line[start : start + ABOUT["length"]]
        answers, *after = _piece([here], state)
        if start + len(here) == len(line):
            shares = np.where([token != "<unk>" for token in TOKENS], answers[0].astype(float), 0)
            line.append(int(random.choice(len(shares), p=shares / shares.sum())))
            written.append(TOKENS[line[-1]])
        if len(here) == ABOUT["length"]:  # the next piece begins behind it
            start, state = start + len(here), after
    if ABOUT["characters"]:
        return "".join(written)
    return " ".join(written).replace(" <eos>", "\n").replace("<eos>", "\n").replace("\n ", "\n")


def _piece(lines, state):
    tokens = np.zeros((len(lines), ABOUT["length"]), np.int32)
    for row, line in zip(tokens, lines, strict=True):
        row[: len(line)] = line
    return map(np.asarray, MODEL(tokens, np.array([max(1, len(line)) for line in lines], np.int32), *state))


if __name__ == "__main__":
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("texts", nargs="+")
    options.add_argument("--more", type=int, default=0)
    options.add_argument("--seed", type=int, default=0)
    given = options.parse_args()
    for text, row in zip(given.texts, predict(given.texts), strict=True):
        best = {TOKENS[i]: float(row[i]) for i in np.argsort(-row, kind="stable")[:5]}
        print(json.dumps({"next": best} | ({"more": more(text, given.more, given.seed)} if given.more else {})))
