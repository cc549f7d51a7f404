"""Accuracy against latency: a comparison of `dnas compare`, and what every found network takes on this machine.

    python scripts/accuracy_latency.py experiments/small_latency.py --out runs/small_latency

Searches and trains as `dnas compare` does, and goes on where it stopped. Then all networks are timed in turns on one
core, by a process of its own, as those of `dnas latency --check` are; random networks keep the budget of the searches.
DIR/latencies.json has every network, DIR/latencies.png the picture.
"""

import argparse
import json
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

import dnas
from dnas.architectures.genotype import to_text
from dnas.files import atomic_write
from dnas.runs import environment, loop

BATCH, CALLS = 512, 100
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#6F4E9C")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", help="a file with configs()")
    parser.add_argument("--out", type=Path, required=True, help="the folder of the comparison")
    parser.add_argument("--random-cells", type=int, default=16, help="networks drawn at random")
    options = parser.parse_args()
    configs, protocol = dnas.compare.load(options.experiment)
    rows = dnas.compare.run(configs, options.out, random_cells=options.random_cells, protocol=protocol)
    config = next(iter(configs.values()))
    genotypes = list(dict.fromkeys(genotype for row in rows for genotype in row.genotypes))
    with ProcessPoolExecutor(1, get_context("spawn")) as process:  # one that nothing has computed in
        milliseconds = dict(zip(genotypes, process.submit(timed, genotypes, config).result(), strict=True))
    about = {name: value for name, value in environment.described(loop.typed_command()).items() if name != "packages"}
    found = {
        row.name: [
            {"genotype": to_text(genotype), "accuracy": round(score, 5), "ms": round(milliseconds[genotype], 4)}
            for genotype, score in zip(row.genotypes, row.trained, strict=True)
        ]
        for row in rows
        if row.trained
    }
    about |= {"experiment": options.experiment, "batch": BATCH, "calls": CALLS, "rows": found}
    atomic_write(options.out / "latencies.json", json.dumps(about, indent=1) + "\n")
    show(found)
    plot(found, f"{config.space} on {config.data}", options.out / "latencies.png")


def timed(genotypes: list[Any], config: Any) -> list[float]:
    """Milliseconds of a batch for each network, in turns, on one core."""
    from dnas.costs import measured

    measured.pinned(1)
    space, data = dnas.find.resolve("space", config.space), dnas.data.load(config.data)
    plan = config.retrain
    size = dnas.architectures.topology.NetworkSize(plan.cells, plan.channels, len(data.classes))
    pixels = data.train_x.shape[1]
    return [timing.median for timing in measured.of_networks(genotypes, space, size, pixels, BATCH, CALLS)]


def show(found: dict[str, list[dict[str, Any]]]) -> None:
    table = Table("method", "test accuracy [%]", "ms of a batch", "networks", box=None, pad_edge=False)
    for name, networks in found.items():
        scores, times = ([one[key] for one in networks] for key in ("accuracy", "ms"))
        spread = [f"{np.mean(values):.2f} ± {np.std(values):.2f}" for values in (100 * np.array(scores), times)]
        table.add_row(name, *spread, str(len(networks)))
    Console().print(table)


def plot(found: dict[str, list[dict[str, Any]]], title: str, path: Path) -> None:
    """A point a network; the line joins what no other network of the picture is better and faster than."""
    from dnas.compare.rows import is_random
    from dnas.reports.figures import GRID, new_figure, save
    from dnas.reports.front import nondominated
    from dnas.reports.marks import GREY

    figure = new_figure(7, 4.5)
    axis = figure.add_subplot()
    colours = iter(COLOURS)
    for name, networks in found.items():
        random = is_random(name)
        label = dnas.compare.RANDOM if random else name  # without its budget, a long text
        style = {"color": GREY, "marker": "x"} if random else {"color": next(colours), "marker": "o"}
        axis.scatter(
            [one["ms"] for one in networks], [100 * one["accuracy"] for one in networks], s=36, label=label, **style
        )
    points = np.array([[100 * one["accuracy"], -one["ms"]] for networks in found.values() for one in networks])
    front = points[nondominated(points)]
    front = front[np.argsort(-front[:, 1])]
    axis.plot(-front[:, 1], front[:, 0], color="#222222", lw=0.8, zorder=0)
    axis.set_xlabel(f"measured latency of a batch of {BATCH} images on one core [ms]")
    axis.set_ylabel("test accuracy [%]")
    axis.set_title(title, fontsize=10)
    axis.grid(True, **GRID)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    figure.legend(frameon=False, fontsize=9, loc="outside lower center", ncols=len(found))
    save(figure, path)


if __name__ == "__main__":
    from dnas.errors import run_script

    run_script(main)
