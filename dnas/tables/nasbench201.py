"""Results that others have measured for every cell of a space: look a found cell up instead of training it.

NAS-Bench-201 (Dong and Yang, ICLR 2020, arXiv:2001.00326): 15,625 cells, each trained for 200 epochs on CIFAR-10,
CIFAR-100 and ImageNet16-120; here as one table, `nasbench201.csv.gz`, of test accuracies averaged over seeds.
"""

import csv
import io
import os
from functools import cache
from pathlib import Path
from typing import NamedTuple

from dnas.architectures.genotype import Genotype, to_text
from dnas.data import data_dir
from dnas.data._archives import inflated
from dnas.data._files import first_existing, reading

FILE = "nasbench201.csv.gz"
MOST_BYTES = 20_000_000  # it has 3,059,508


class Row(NamedTuple):
    """Test accuracies after 200 epochs in percent, and parameters on CIFAR-10."""

    cifar10: float
    cifar100: float
    imagenet16: float
    parameters: int


def locate() -> Path | None:
    """The table: in the data folder, or in $DNAS_SHARED/data/nasbench201."""
    shared = os.environ.get("DNAS_SHARED")
    places = [data_dir() / FILE, *([Path(shared) / "data" / "nasbench201" / FILE] if shared else [])]
    return first_existing(places)


def nasbench201(genotype: Genotype) -> Row | None:
    """What NAS-Bench-201 says of a cell; None without the table, or for a cell of another space."""
    path = locate()
    return _read(path).get(to_text(genotype)) if path is not None and genotype.space == "nasbench201" else None


@cache
def _read(path: Path) -> dict[str, Row]:
    with reading(path, f"get {FILE} again"):
        lines = io.StringIO(inflated(path, MOST_BYTES).decode(), newline="")
        return {row["arch"]: _row(row) for row in csv.DictReader(lines)}


def _row(row: dict[str, str]) -> Row:
    cifar10, cifar100, imagenet16 = (float(row[name]) for name in ("c10_test_200", "c100_test_200", "in16_test_200"))
    return Row(cifar10, cifar100, imagenet16, int(row["params_c10"]))
