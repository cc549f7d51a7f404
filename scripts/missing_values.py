"""A table with missing values, made of scikit-learn's diabetes: blanks in a tenth of its cells, and a column of words.

    .venv/bin/python scripts/missing_values.py OUT.csv

442 patients, of whom `progression` is to be predicted, a number. Sex becomes a category, and age one of three groups;
cells are emptied at random, always the same ones, but for those of the target.
"""

import argparse
import csv
from pathlib import Path

import numpy as np

SEED, EMPTY = 0, 0.1
GROUPS = ("young", "middle", "old")


def rows() -> list[dict[str, str]]:
    """One for each patient, "" where a value is missing."""
    from sklearn.datasets import load_diabetes

    data = load_diabetes(scaled=False)
    random = np.random.default_rng(SEED)
    empty = random.random(data.data.shape) < EMPTY
    thirds = np.quantile(data.data[:, 0], (1 / 3, 2 / 3))
    found = []
    for values, blanks, target in zip(data.data, empty, data.target, strict=True):
        row = {}
        for name, value, blank in zip(data.feature_names, values, blanks, strict=True):
            text = f"{value:g}"
            if name == "age":
                text = GROUPS[int(np.searchsorted(thirds, value))]
            elif name == "sex":
                text = f"code {value:g}"
            row[name] = "" if blank else text
        found.append(row | {"progression": f"{target:g}"})
    return found


def write(path: Path) -> None:
    """All rows as a CSV file."""
    table = rows()
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, table[0], lineterminator="\n")
        writer.writeheader()
        writer.writerows(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    write(parser.parse_args().out)


if __name__ == "__main__":
    main()
