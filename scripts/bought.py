"""What search bought on each task: scores of found architectures beside one that was made by hand, from comparisons.

    python scripts/bought.py runs/sequences_trec runs/sequences_ptb --out docs/bought.png

Reads the comparison.json of each folder (`dnas compare`) and runs nothing. Of every row it shows how far its mean is
from that of the first baseline, with a 95 % interval of the difference by Welch's t, over the scores of both: searches
of a method, random architectures, trainings of the baseline. A task is a panel in the unit of its measure; more is
better everywhere, so of perplexity it is what is saved.
"""

import argparse
import json
from pathlib import Path
from typing import NamedTuple

import numpy as np
from rich.console import Console
from rich.table import Table

CONFIDENCE = 0.95
COLUMNS = 3  # panels beside each other
UNITS = {"accuracy": "points of accuracy", "perplexity": "perplexity saved"}


class Gain(NamedTuple):
    """Of a row against the baseline, such that more is better. low, high: of the interval; nan of single scores."""

    name: str
    random: bool
    scores: list[float]
    mean: float
    low: float
    high: float


class Task(NamedTuple):
    """A comparison. baseline: name and scores; scores are shown as one reads them, shares in percent."""

    name: str
    unit: str
    baseline: tuple[str, list[float]]
    gains: list[Gain]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("comparisons", nargs="+", type=Path, metavar="COMPARISON", help="a folder of dnas compare")
    parser.add_argument("--out", type=Path, required=True, help="the picture, a .png")
    options = parser.parse_args()
    tasks = []
    for folder in options.comparisons:
        try:
            tasks.append(read(folder))
        except (OSError, ValueError, KeyError) as error:
            parser.error(f"{folder} is no comparison with trained networks and a baseline: {error}")
    show(tasks)
    plot(tasks, options.out)
    print(f"Open {options.out}")


def read(folder: Path) -> Task:
    """Of a finished comparison. Errors: `ValueError` where there is no baseline, or none of the others was trained."""
    from dnas.compare.rows import is_random
    from dnas.reports.plots import Measure

    rows = [row for row in json.loads((folder / "comparison.json").read_text()) if row["trained"]]
    by_hand = [row for row in rows if "genotype" in row["config"]]
    others = [row for row in rows if row not in by_hand[:1]]
    searched = [row["config"] for row in others if "space" in row["config"]]
    if not by_hand or not searched:
        raise ValueError(f"it has {len(by_hand)} trained baselines and {len(searched)} searches or random rows")
    measure = Measure(**rows[0]["measure"])
    scores = {row["name"]: [measure.scale * score for score in row["trained"]] for row in rows}
    name = by_hand[0]["name"]
    gains = [
        gain(row["name"], is_random(row["name"]), scores[row["name"]], scores[name], measure.sign) for row in others
    ]
    gains.sort(key=lambda one: (one.random, -one.mean))
    unit = UNITS.get(measure.name, measure.name.upper())
    return Task(f"{searched[0]['data']}, {searched[0]['space'].partition(':')[0]}", unit, (name, scores[name]), gains)


def gain(name: str, random: bool, scores: list[float], baseline: list[float], sign: int) -> Gain:
    """sign: 1 where more is better, else -1."""
    from scipy.stats import ttest_ind

    mean = sign * (np.mean(scores) - np.mean(baseline))
    low = high = np.nan
    if min(len(scores), len(baseline)) > 1 and np.var(scores) + np.var(baseline) > 0:
        test = ttest_ind(sign * np.array(scores), sign * np.array(baseline), equal_var=False)
        low, high = test.confidence_interval(CONFIDENCE)
    return Gain(name, random, scores, float(mean), float(low), float(high))


def show(tasks: list[Task]) -> None:
    table = Table("task", "row", "scores", "gain", "95 % interval", box=None, pad_edge=False)
    for task in tasks:
        name, scores = task.baseline
        table.add_row(task.name, f"{name}, by hand", spread(scores), "", "")
        for number, one in enumerate(task.gains):
            interval = "-" if np.isnan(one.low) else f"{one.low:+.2f} to {one.high:+.2f}"
            table.add_row("" if number else task.unit, one.name, spread(one.scores), f"{one.mean:+.2f}", interval)
    Console().print(table)


def spread(scores: list[float]) -> str:
    """With how many they are."""
    from dnas.compare.columns import spread

    return f"{spread(scores)} of {len(scores)}"


def plot(tasks: list[Task], path: Path) -> None:
    """A panel a task, a line a row; the vertical line is the baseline."""
    from dnas.compare import RANDOM
    from dnas.reports.figures import GRID, new_figure, save
    from dnas.reports.marks import GREY, INK

    columns = min(COLUMNS, len(tasks))
    rows = -(-len(tasks) // columns)
    most = max(len(task.gains) for task in tasks)
    figure = new_figure(4.2 * columns, rows * (1.25 + 0.3 * most))
    axes = figure.subplots(rows, columns, squeeze=False).flat
    for task, axis in zip(tasks, axes, strict=False):
        for place, one in enumerate(task.gains):
            colour = GREY if one.random else "#0072B2"
            if not np.isnan(one.low):
                axis.plot([one.low, one.high], [place, place], color=colour, linewidth=2, solid_capstyle="butt")
            axis.plot(one.mean, place, "o", color=colour, markersize=6)
        name, scores = task.baseline
        axis.axvline(0, color=INK, linewidth=1)
        axis.set_title(f"{task.name}\nby hand, {name}: {spread(scores)}", fontsize=9, loc="left")
        axis.set_xlabel(f"{task.unit}, more is better", fontsize=8.5)
        axis.set_yticks(
            range(len(task.gains)), [RANDOM if one.random else one.name for one in task.gains], fontsize=8.5
        )
        axis.set_ylim(most - 0.5, -0.5)
        axis.tick_params(labelsize=8, length=2)
        axis.grid(True, axis="x", **GRID)
        axis.set_axisbelow(True)
        axis.spines[["top", "right", "left"]].set_visible(False)
    for axis in [*axes]:  # what is left of the grid
        axis.set_visible(False)
    save(figure, path)


if __name__ == "__main__":
    from dnas.errors import run_script

    run_script(main)
