"""Compare dnas with numbers that the original PyTorch codes produced, in float64.

    python scripts/parity.py ../shared/oracles/darts_cnn_search ...
    python scripts/parity.py --all           # every oracle under $DNAS_SHARED/oracles (default: ../shared/oracles)

An oracle is a folder of meta.json (settings), oracle.npz (inputs and outputs of the original code) and README.md (what
every array is, and the tolerance). The module of the same name in scripts/oracles rebuilds it and yields
comparisons. The exit code is 1 if a comparison is over its tolerance.
"""

import argparse
import os
import sys
import time
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

if __name__ == "__main__":  # fast compilation; what is computed stays the same
    os.environ.setdefault("XLA_FLAGS", "--xla_backend_optimization_level=0")

import importlib
import pkgutil

import jax
import numpy as np
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).parent))

import oracles
from oracles.common import SHARED, Oracle

ORACLES = [module.name for module in pkgutil.iter_modules(oracles.__path__) if module.name != "common"]


class Check(NamedTuple):
    """A comparison made."""

    key: str
    error: float
    tolerance: float


def run(folder: Path, every: int = 1) -> tuple[list[Check], Counter[str]]:
    """All checks of one oracle, and how many of its arrays were not compared, by group. every: see `Oracle`."""
    with jax.enable_x64(True):
        oracle = Oracle(folder, every)
        comparisons = importlib.import_module(f"oracles.{folder.name}").compare(oracle)
        checks = [Check(c.key, error(c.ours, c.theirs), c.tolerance) for c in comparisons]
    return checks, Counter(group(key) for key in sorted(oracle.arrays) if key not in oracle.asked)


def error(ours: Any, theirs: Any) -> float:
    """Largest difference, relative to the largest entry; for anything but floats, the number of differences."""
    ours, theirs = np.asarray(ours), np.asarray(theirs)
    if ours.shape != theirs.shape:
        return float("inf")
    if theirs.dtype.kind != "f":
        return float((ours != theirs).sum())
    return float(np.abs(ours - theirs).max() / max(np.abs(theirs).max(), 1e-12))


def group(key: str) -> str:
    """The group of a key: names of parameters and of architectures as stars."""
    first, *parts = key.split("/")
    if first == "infer":
        parts[0] = "*"
    return "/".join([first, *("*" if "." in part else part for part in parts)])


def show(name: str, checks: list[Check], rest: Counter[str], seconds: float) -> None:
    """One table: the largest error of every group, and what was left out."""
    table = Table(
        "arrays", "compared", "largest error", "allowed", title=f"{name} ({seconds:.0f} s)", title_justify="left"
    )
    groups: dict[str, list[Check]] = {}
    for check in checks:
        groups.setdefault(group(check.key), []).append(check)
    for key, members in groups.items():
        worst = max(members, key=lambda c: c.error - c.tolerance)
        wrong = any(c.error > c.tolerance for c in members)
        row = key, str(len(members)), f"{worst.error:.1e}", f"{worst.tolerance:.0e}" if worst.tolerance else "equal"
        table.add_row(*row, style="red" if wrong else None)
    for key, number in rest.items():
        table.add_row(key, "", f"{number} not compared", "", style="dim")
    Console(width=100).print(table)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="*", type=Path, metavar="DIR", help="folders of oracles")
    parser.add_argument("--all", action="store_true", help="every known oracle under $DNAS_SHARED/oracles")
    options = parser.parse_args()
    folders = [SHARED / "oracles" / name for name in ORACLES] if options.all else options.folders
    for folder in folders:
        if folder.name not in ORACLES or not (folder / "oracle.npz").is_file():
            parser.error(f"'{folder}' is no oracle; known: {', '.join(ORACLES)}, under {SHARED / 'oracles'}")
    if not folders:
        parser.error("name folders of oracles, or --all")
    failed = 0
    for folder in folders:
        start = time.perf_counter()
        checks, rest = run(folder)
        show(folder.name, checks, rest, time.perf_counter() - start)
        failed += sum(not check.error <= check.tolerance for check in checks)
    return int(failed > 0)


if __name__ == "__main__":
    from dnas.errors import run_script

    run_script(main)
