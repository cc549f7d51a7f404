"""Tables: searched networks, networks drawn at random, and gradient boosting, on the same rows.

    .venv/bin/python scripts/tables.py --data wine breast_cancer diabetes --seeds 3 --out runs/tables

Each row that is printed is a data set: the test scores of the networks that searches of `--method` find, one a seed, of
as many networks drawn at random, and that of scikit-learn's gradient boosting. All networks are trained alike, as in
`dnas compare`; "±" is the standard deviation over them. The test part selects nothing.
"""

import argparse
from dataclasses import replace
from pathlib import Path

import numpy as np

import dnas
from dnas import data as datasets
from dnas import find
from dnas.automl import learners
from dnas.config import load
from dnas.tasks import binding

EXPERIMENT = Path(__file__).parents[1] / "experiments" / "small_tables.py"


def compare(data: str, method: str, seeds: int, out: Path) -> list[str]:
    """The cells of one row: data set and measure, searched, random, gradient boosting."""
    run = replace(load(EXPERIMENT), data=data, method=method, seeds=seeds)
    folder = out / "".join(letter if letter.isalnum() else "_" for letter in data)
    rows = {row.name: row for row in dnas.compare.run({"searched": run}, folder, random_cells=seeds, quiet=True)}
    task, _ = binding.bind(datasets.load(data), run, "retrain", find.resolve("space", run.space))
    measure = task.score
    shown = [written(rows[name].trained) for name in ("searched", dnas.compare.RANDOM)]
    better = "more is better" if measure.more else "less is better"
    return [f"{data}, {measure.name} ({better})", *shown, f"{learners.boosted(task)[measure.name]:.4g}"]


def written(scores: list[float]) -> str:
    """Mean and standard deviation."""
    return f"{np.mean(scores):.4g} ± {np.std(scores):.2g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", nargs="+", default=["wine", "breast_cancer", "diabetes"])
    parser.add_argument("--method", default="darts")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    rows = [["data set", "searched networks", "random networks", "gradient boosting"]]
    rows += [compare(data, options.method, options.seeds, options.out) for data in options.data]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    for row in rows:
        print(" | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)))


if __name__ == "__main__":
    from dnas.errors import run_script

    run_script(main)
