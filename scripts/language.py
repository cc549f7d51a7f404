"""Recurrent cells: searched ones, cells drawn at random, and a unigram model, on the same words.

    .venv/bin/python scripts/language.py --seeds 4 --out runs/language

Every seed searches a cell; these and as many random cells are trained alike, as in `dnas compare`. Test perplexity,
less is better; "±" is the standard deviation over the cells. The unigram model gives every word its share of the train
part, one more word counted for each. The test part selects nothing.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np
from rich.console import Console

import dnas
from dnas import data as datasets
from dnas.config import load
from dnas.data import Text

EXPERIMENT = Path(__file__).parents[1] / "experiments" / "darts_rnn.py"


def unigram(text: Text) -> float:
    """Test perplexity of the words' shares of the train part."""
    counts = np.bincount(text.train, minlength=len(text.vocabulary)) + 1
    return float(np.exp(-np.log(counts / counts.sum())[text.test].mean()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--experiment", default=f"{EXPERIMENT}:small", help="a config of the space 'rnn'")
    parser.add_argument("--seeds", type=int, default=4)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    config = replace(load(options.experiment), seeds=options.seeds)
    rows = dnas.compare.run({"searched cells": config}, options.out, random_cells=options.seeds)
    Console().print(dnas.compare.table(rows))
    for row in rows:
        print(f"{row.name}:", " ".join(f"{score:.1f}" for score in row.trained))
    print(f"unigram model: {unigram(datasets.load(config.data)):.1f}")


if __name__ == "__main__":
    from dnas.errors import run_script

    run_script(main)
