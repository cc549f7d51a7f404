"""Rules for stopping, judged on 67 recorded searches of RobustDARTS: what cells do they end with, and when?

    python scripts/robustdarts_stops.py [--out benchmarks/results]

Hardware: one CPU core, seconds. Needs robustdarts.tar.xz (`dnas/tables/robustdarts.py`): second-order DARTS on S1
(CIFAR-10) and S3 (SVHN), with eigenvalues of the Hessian. Rules: none, all 50 epochs; `eigenvalue`, that of R-DARTS(ES)
(Zela et al. 2020, arXiv:1909.09656), as in `dnas/methods/robust_darts.py`; `skips`, that of DARTS+ (Liang et al. 2019,
arXiv:1909.06035), as in `dnas/methods/darts_plus.py`, which stops at two skip connections in the normal cell.

The runs do not say what their cells came to after retraining. What is judged is how far the cell has collapsed: its
skip connections in the normal cell (of 8 edges), and its operations with weights in both cells (of 16). Expected: no
published numbers of these; the paper has test errors, on S1 and CIFAR-10 3.84 % without a stop and 3.01 % with it.
What came out: benchmarks/results/robustdarts_stops.json and .png.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dnas.architectures.genotype import Genotype
from dnas.files import atomic_write
from dnas.reports.figures import dress, new_figure, save
from dnas.search import stops
from dnas.tables.robustdarts import Search, searches, stopped

EVERY, FACTOR, BEGIN = 2, 1.3, 10  # as `robust_darts` has them
SKIPS = 2
WEAK = 3e-4  # the usual weight decay; below it stand the runs as published, above it regularised ones
COLOURS = {"none": "#8a9bb0", "eigenvalue": "#d95f02", "skips": "#238b45"}


def eigenvalue(search: Search) -> int | None:
    """R-DARTS(ES): of measurements on the grid, the last of them now."""
    epoch = len(search.genotypes) - 1
    if epoch % EVERY or not len(search.measured) or search.measured[-1] != epoch:
        return None
    return stops.sharpened(search.eigenvalues.tolist(), EVERY, FACTOR, BEGIN)


def skips(search: Search) -> int | None:
    """DARTS+: at so many skip connections in the normal cell."""
    return 0 if stops.skips(search.genotypes[-1]) >= SKIPS else None


RULES: dict[str, Callable[[Search], int | None]] = {"none": lambda _: None, "eigenvalue": eigenvalue, "skips": skips}


def with_weights(genotype: Genotype) -> int:
    """How many operations of all its cells have weights."""
    return sum(edge.operation not in stops.WITHOUT_WEIGHTS for _, cell in genotype.cells for edge in cell.edges)


def judged(runs: Sequence[Search]) -> dict[str, dict[str, Any]]:
    """Of each rule: how many runs it stops early and, in means over runs, after which epoch and with what cells they
    end; fewer, more: how many cells have fewer or more skip connections than the last one of their run."""
    found, last = {}, np.array([stops.skips(run.genotypes[-1]) for run in runs])
    for name, rule in RULES.items():
        ends = [stopped(run, rule) for run in runs]
        cells = [run.genotypes[end] for run, end in zip(runs, ends, strict=True)]
        counts = np.array([stops.skips(cell) for cell in cells])
        found[name] = {
            "epochs": float(np.mean(ends)) + 1,
            "stopped": sum(end < len(run.genotypes) - 1 for run, end in zip(runs, ends, strict=True)),
            "skips": float(counts.mean()),
            "fewer": int((counts < last).sum()),
            "more": int((counts > last).sum()),
            "with_weights": float(np.mean([with_weights(cell) for cell in cells])),
        }
    return found


def groups(runs: Sequence[Search]) -> dict[str, list[Search]]:
    """Those with eigenvalues: of each space, as published and with more regularisation."""
    measured = [run for run in runs if len(run.measured)]
    found: dict[str, list[Search]] = {}
    for run in measured:
        usual = run.probability == 0 and run.decay <= WEAK
        found.setdefault(f"{run.space}, {'as published' if usual else 'regularised'}", []).append(run)
    return dict(sorted(found.items()))


def plot(runs: dict[str, list[Search]], path: Path) -> None:
    """A panel a group: skip connections of the normal cell against epochs, and where the rules end."""
    figure = new_figure(4.2 * len(runs), 3.6)
    for axis, (name, group) in zip(figure.subplots(1, len(runs), squeeze=False)[0], runs.items(), strict=True):
        counts = np.array([[stops.skips(cell) for cell in run.genotypes] for run in group])
        epochs = np.arange(1, counts.shape[1] + 1)
        axis.plot(epochs, counts.T, color="#c8d0da", linewidth=0.7)
        axis.plot(epochs, counts.mean(0), color="#333333", linewidth=1.8, label="mean")
        for rule in ("eigenvalue", "skips"):
            ends = [stopped(run, RULES[rule]) for run in group]
            at = [counts[i, end] for i, end in enumerate(ends)]
            axis.scatter(np.array(ends) + 1, at, s=18, color=COLOURS[rule], label=f"ends by {rule}", zorder=3)
        axis.set_title(f"{name} ({len(group)} runs)", fontsize=10, loc="left")
        axis.set_xlabel("epoch", fontsize=9)
        axis.set_ylim(-0.3, 8.3)
        dress(axis)
    figure.axes[0].set_ylabel("skip connections of 8 edges", fontsize=9)
    figure.axes[0].legend(frameon=False, fontsize=8, loc="upper left")
    save(figure, path)


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results"), help="where the two files go")
    out = parser.parse_args(arguments).out
    runs = groups(searches())
    found = {name: {"runs": len(group), "rules": judged(group)} for name, group in runs.items()}
    for name, group in found.items():
        print(f"{name}, {group['runs']} runs")
        for rule, row in group["rules"].items():
            print(f"  {rule:<10}", ", ".join(f"{what} {value:.4g}" for what, value in row.items()))
    atomic_write(out / "robustdarts_stops.json", json.dumps(found, indent=1) + "\n")
    plot(runs, out / "robustdarts_stops.png")


if __name__ == "__main__":
    from dnas.errors import run_script

    run_script(main)
