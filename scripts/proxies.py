"""How well zero-cost proxies rank the cells of NAS-Bench-201, in two correlations with the accuracy on CIFAR-10.

    python scripts/proxies.py experiments/nasbench201_proxies.py --out benchmarks/results/nasbench201_proxies

All cells pass through one compiled program: a supernet in which they are paths, with new weights for each. Scores are
kept in a CSV file (--scores) as they come; a run that was cut off goes on from there.
"""

import argparse
import csv
import gzip
import json
import time
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table
from scipy import stats

from dnas import config as configs
from dnas import data, find, keys
from dnas.architectures.encoding import decode, encode
from dnas.architectures.genotype import as_mix, parse
from dnas.architectures.topology import NetworkSize
from dnas.data.augment import normalise
from dnas.proxies.protocol import of_new_weights, one_path
from dnas.reports.figures import GRID, new_figure, save
from dnas.runs import environment, loop
from dnas.tables import nasbench201
from dnas.tables.protocol import at, place
from dnas.types import Batch

SPACE = find.resolve("space", "nasbench201")
TABLE = nasbench201.table()
TRUTHS = {"test": TABLE.column("cifar10", "test_200"), "single": TABLE.column("cifar10", "single_200")}
CHUNK = 4  # cells of one call of the program
VOTE = ("synflow", "jacob_cov", "snip")
ABOUT = ("command", "commit", "versions")
LOWEST = -1e30  # the score of what has none, as in NASLib


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", type=Path, help="a file with proxies()")
    parser.add_argument("--out", type=Path, help="where the results go, .json and .png")
    parser.add_argument("--scores", type=Path, default=Path("proxies.csv"), help="the scores of every cell")
    parser.add_argument(
        "--others",
        type=Path,
        nargs="*",
        default=[],
        help="NASLib's scores (.csv.gz); first the first one's cells",
    )
    parser.add_argument("--beside", type=Path, help="other results (.json), which the figure shows as well")
    parser.add_argument("--only", nargs="*", help="only these proxies")
    parser.add_argument("--count", type=int, default=724, help="cells that the dear proxies score")
    parser.add_argument("--cells", type=int, default=1, help="cells of a stage; NAS-Bench-201 has 5")
    parser.add_argument("--channels", type=int, default=16)
    parser.add_argument("--images", type=int, default=32, help="of the batch")
    parser.add_argument("--data", default="cifar10_jpeg")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    loop.prepare_process()
    jax.config.update("jax_enable_x64", True)  # for matrices of images; networks stay in float32
    known = configs.called(options.experiment, "proxies", None)
    known = {name: found for name, found in known.items() if not options.only or name in options.only}
    others = {name: scores for path in options.others for name, scores in read_others(path).items()}
    chosen = places(options.count, options.seed, others)
    dear = {name: choice for name, (choice, everywhere, *_) in known.items() if not everywhere}
    seconds = score(options, dear, chosen)
    scores = kept(options.scores) | {name: everywhere(choice) for name, (choice, yes, *_) in known.items() if yes}
    rows = {name: row(scores[name], chosen, others.get(name, {})) for name in known}
    if {*VOTE} <= {*known}:
        rows[f"ranks of {'+'.join(VOTE)}"] = row(averaged([scores[name] for name in VOTE], chosen), chosen, {})
    published = {name: {"NAS-Bench-Suite-Zero": a, "zero-cost-nas": b} for name, (_, _, a, b) in known.items()}
    show(rows, published)
    if options.out:
        names = ("count", "cells", "channels", "images", "data", "seed")
        about = {name: value for name, value in environment.described(loop.typed_command()).items() if name in ABOUT}
        about |= {"settings": {name: getattr(options, name) for name in names}, "seconds_per_cell": seconds}
        text = json.dumps(about | {"published": published, "rows": rows}, indent=1)
        options.out.with_suffix(".json").write_text(text + "\n")
        more = json.loads(options.beside.read_text()) if options.beside else None
        plot(rows, published, options.out.with_suffix(".png"), more)


def read_others(path: Path) -> dict[str, dict[int, float]]:
    """NASLib's scores on CIFAR-10, by proxy and place of the cell."""
    with gzip.open(path, "rt", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get("dataset", "cifar10") == "cifar10"]
    names = {"jacov": "jacob_cov", "c10_zen": "zen"} | {name: name for name in find.described("proxy")}
    cells = [int(place(encode(parse(row["arch"]), SPACE), TABLE.options)) for row in rows]
    columns = {names[column]: [float(row[column]) for row in rows] for column in rows[0] if column in names}
    return {name: dict(zip(cells, column, strict=True)) for name, column in columns.items()}


def places(count: int, seed: int, others: dict[str, dict[int, float]]) -> list[int]:
    """The places of so many cells: those that another code has scored, then random ones; the order is random."""
    random = keys.generator(seed, "proxies")
    first = random.permutation(sorted(next(iter(others.values()), {}))).tolist()
    rest = [cell for cell in random.permutation(TABLE.size).tolist() if cell not in set(first)]
    return [*first, *rest][:count]


def score(options: argparse.Namespace, proxies: dict[str, str], chosen: list[int]) -> float | None:
    """Score what is not yet in the file, and append it; seconds per cell, None where all was there."""
    size = NetworkSize(options.cells, options.channels, 10, remat=options.cells > 1)  # compiles a stage, not each cell
    subject = one_path(SPACE, size, 32)
    measure = of_new_weights(subject, {name: find.resolve("proxy", choice) for name, choice in proxies.items()})
    batch, key = first_images(options), jax.random.key(options.seed)

    def one(cell: Any) -> dict[str, jax.Array]:
        number, mix = cell
        return measure(keys.stream(key, "cell", number), batch, mix)

    program = jax.jit(lambda cells: jax.lax.map(one, cells))
    done = kept(options.scores)
    left = [cell for cell in chosen if any(cell not in done.get(name, {}) for name in proxies)]
    if not options.scores.exists():
        options.scores.write_text(",".join(["cell", *proxies]) + "\n")
    began, seconds = 0.0, 0.0
    for start in track(range(0, len(left), CHUNK), "scoring", console=Console(stderr=True)):
        part = np.resize(left[start : start + CHUNK], CHUNK)
        mixes = [as_mix(decode(row, SPACE), SPACE) for row in at(part, TABLE.options)]
        found = program((jnp.asarray(part), jax.tree.map(lambda *rows: np.stack(rows), *mixes)))
        lines = zip(part.tolist(), *(np.asarray(found[name]).tolist() for name in proxies), strict=True)
        with options.scores.open("a") as file:
            file.writelines(",".join(map(repr, line)) + "\n" for line in lines)
        began = began or time.perf_counter()  # after the first call, which compiles
        seconds = (time.perf_counter() - began) / max(start, 1)
    return round(seconds, 3) or None


def first_images(options: argparse.Namespace) -> Batch:
    """Random training images, normalised, not augmented."""
    images = data.split(data.load(options.data), 0.0, 0)
    rows = keys.generator(options.seed, "images").permutation(len(images.train_x))[: options.images]
    x = normalise(jnp.asarray(images.train_x[rows]), images.mean, images.std)
    return Batch(x, jnp.asarray(images.train_y[rows]))


def kept(path: Path) -> dict[str, dict[int, float]]:
    """Scores by proxy and cell."""
    if not path.exists():
        return {}
    with path.open(newline="") as file:
        rows = list(csv.DictReader(file))
    return {
        name: {int(r["cell"]): float(r[name]) for r in rows} for name in (rows[0] if rows else ()) if name != "cell"
    }


def everywhere(choice: str) -> dict[int, float]:
    """What follows from the size of a cell, of all cells; of NAS-Bench-201's networks, whatever was scored."""
    column = TABLE.column("cifar10", {"params": "parameters", "flops": "mflops"}[choice])
    return dict(enumerate(column.tolist()))


def averaged(scores: list[dict[int, float]], chosen: list[int]) -> dict[int, float]:
    """The mean of the ranks by several proxies."""
    ranks = [stats.rankdata(finite([one[cell] for cell in chosen])) for one in scores]
    return dict(zip(chosen, np.mean(ranks, 0).tolist(), strict=True))


def row(scores: dict[int, float], chosen: list[int], theirs: dict[int, float]) -> dict[str, Any]:
    """Correlations of the chosen cells, and of all where all have scores; with another code's scores of the same."""
    found: dict[str, Any] = {"cells": len(chosen), "not_finite": 0}
    for title, cells in {"": chosen, "all_": sorted(scores) if len(scores) == TABLE.size else []}.items():
        for truth, column in TRUTHS.items() if cells else ():
            found[f"{title}spearman_{truth}"], found[f"{title}kendall_{truth}"] = correlations(scores, column, cells)
    found["not_finite"] = int(sum(not np.isfinite(scores[cell]) for cell in chosen))
    both = [cell for cell in chosen if cell in theirs]
    if both:  # how alike the two codes' scores are, and how well theirs rank the same cells
        column = np.array([theirs.get(cell, 0.0) for cell in range(TABLE.size)])
        found["spearman_naslib"], _ = correlations(scores, column, both)
        found["naslib_spearman_single"], _ = correlations(theirs, TRUTHS["single"], both)
    return found


def correlations(scores: dict[int, float], truth: np.ndarray, cells: list[int]) -> tuple[float, float]:
    """Spearman's and Kendall's."""
    values = finite([scores[cell] for cell in cells])
    both = stats.spearmanr(values, truth[cells]), stats.kendalltau(values, truth[cells])
    spearman, kendall = (round(float(one.statistic), 4) for one in both)
    return spearman, kendall


def finite(values: list[float]) -> np.ndarray:
    array = np.array(values)
    return np.where(np.isfinite(array), array, LOWEST)


def show(rows: dict[str, Any], published: dict[str, dict[str, float | None]]) -> None:
    table = Table("proxy", box=None, pad_edge=False, header_style="bold")
    names = ("spearman_test", "kendall_test", "spearman_single", "naslib_spearman_single", "spearman_naslib")
    for name in (*names, *next(iter(published.values()))):
        table.add_column(name.replace("_", " "), justify="right")
    for name, found in rows.items():
        numbers = [*(found.get(n) for n in names), *published.get(name, {}).values()]
        table.add_row(name, *("" if n is None else f"{n:.3f}" for n in numbers))
    Console(width=160).print(table)


def plot(rows: dict[str, Any], published: dict[str, dict[str, float | None]], path: Path, more: Any) -> None:
    """Bars: our correlation with the accuracy of one training, as NASLib's; marks: the published ones, and `more` of
    ours, other results."""
    order = sorted(rows, key=lambda name: rows[name]["spearman_single"])
    figure = new_figure(7.2, 0.36 * len(order) + 1)
    axis = figure.subplots()
    axis.barh(order, [rows[name]["spearman_single"] for name in order], color="#1f77b4", height=0.6, label="dnas")
    for title, mark in (("NAS-Bench-Suite-Zero", "D"), ("zero-cost-nas", "o")):
        marks = [(published[n][title], n) for n in order if n in published and published[n][title] is not None]
        axis.plot(*zip(*marks, strict=True), mark, color="#d95f02" if mark == "D" else "#222222", label=title)
    if more:
        found = {name: one["spearman_single"] for name, one in more["rows"].items()}
        label = f"dnas, {more['settings']['cells']} cells a stage, {more['settings']['count']} cells"
        axis.plot(list(found.values()), list(found), "s", color="#238b45", label=label)
    axis.set_xlabel("Spearman's correlation with accuracy after 200 epochs, CIFAR-10")
    axis.grid(True, axis="x", **GRID)
    axis.set_axisbelow(True)
    axis.spines[["top", "right"]].set_visible(False)
    figure.legend(frameon=False, fontsize=8, loc="outside lower center", ncols=2)
    save(figure, path)


if __name__ == "__main__":
    from dnas.errors import run_script

    run_script(main)
