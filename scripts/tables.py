"""Tables: a searched network, networks drawn at random, and gradient boosting, on the same rows.

    .venv/bin/python scripts/tables.py --data wine breast_cancer diabetes --seeds 3 --out runs/tables

Each row that is printed is a data set: the test score of the network that a search of `--method` finds, the mean over
as many networks drawn at random as there are seeds, and scikit-learn's gradient boosting. Networks are trained alike,
with every seed of `--seeds`; "±" is the standard deviation over them. The test part selects nothing.
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
from dnas.tasks import binding, tabular

EXPERIMENT = Path(__file__).parents[1] / "experiments" / "small_tables.py"


def compare(data: str, method: str, seeds: int, out: Path) -> list[str]:
    """The cells of one row: data set and measure, searched, random, gradient boosting."""
    run = replace(load(str(EXPERIMENT)), data=data, method=method, seeds=seeds)
    folder = out / "".join(letter if letter.isalnum() else "_" for letter in data)
    found = dnas.search.run(run, folder / "search", quiet=True)
    searched = dnas.retrain.run(run, found.genotype, folder / "searched", quiet=True)
    space, drawn = find.resolve("space", run.space), list[float]()
    for seed in range(seeds):
        genotype = random(space, seed)
        drawn += dnas.retrain.run(run, genotype, folder / f"random_{seed}", quiet=True).scores
    task, _ = binding.bind(datasets.load(data), run, "retrain", space)
    measure = searched.measure.name
    forest = tabular.baseline(task)[measure]
    more = "more is better" if searched.measure.more else "less is better"
    return [f"{data}, {measure} ({more})", written(searched.scores), written(drawn), f"{forest:.4g}"]


def written(scores: list[float] | tuple[float, ...]) -> str:
    """Mean and standard deviation."""
    return f"{np.mean(scores):.4g} ± {np.std(scores):.2g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["wine", "breast_cancer", "diabetes"])
    parser.add_argument("--method", default="darts")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows = [["data set", "searched network", "random networks", "gradient boosting"]]
    rows += [compare(data, options.method, options.seeds, options.out) for data in options.data]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print(" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))


if __name__ == "__main__":
    main()
