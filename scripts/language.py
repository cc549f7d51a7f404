"""Recurrent cells: searched ones, cells drawn at random, and a unigram model, on the same words.

    .venv/bin/python scripts/language.py --seeds 4 --out runs/language

Every seed searches a cell, and trains it from scratch; as many random cells are trained alike. Test perplexity, less is
better; "±" is the standard deviation over the seeds. The unigram model gives every word its share of the train part,
one more word counted for each. The test part selects nothing.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

import dnas
from dnas import data as datasets
from dnas import find
from dnas.architectures.genotype import random
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
    config = load(options.experiment)
    space, text = find.resolve("space", config.space), datasets.load(config.data)
    found = dnas.search.run(replace(config, seeds=options.seeds), options.out / "search")
    scores: dict[str, list[float]] = {"searched cells": [], "random cells": []}
    for seed in range(options.seeds):
        for name, genotype in (("searched cells", found.genotypes[seed]), ("random cells", random(space, seed))):
            folder = options.out / f"{name.partition(' ')[0]}_{seed}"
            trained = dnas.retrain.run(replace(config, seed=seed), genotype, folder)
            scores[name].append(trained.score)
    for name, values in scores.items():
        each = " ".join(f"{value:.1f}" for value in values)
        print(f"{name}: {np.mean(values):.1f} ± {np.std(values):.1f} ({each})")
    print(f"unigram model: {unigram(text):.1f}")


if __name__ == "__main__":
    main()
