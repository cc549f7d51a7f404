"""How well latencies of devices are learned: from many networks of a device, and from ten.

    python scripts/latency_predictors.py experiments/latency_predictors.py --out benchmarks/results/latency_predictors

Results are written as they come; a run that was cut off goes on from there.
"""

import argparse
import json
import time
from pathlib import Path
from typing import Any

import numpy as np
from rich.console import Console
from rich.table import Table

from dnas import config as configs
from dnas import keys
from dnas.costs import predictors, published
from dnas.costs.predictors import accuracy
from dnas.reports.figures import GRID, new_figure, save
from dnas.runs import environment, loop
from dnas.tables.nasbench201 import OPERATIONS

COUNTS, TESTED = (100, 900), 3000  # networks to learn from, and to be judged by
FEW, REPETITIONS = 10, 10
LEARNERS = {
    "table": predictors.least_squares,
    "gaussian_process": predictors.gaussian_process,
    "mlp": predictors.multilayer_perceptron,
}
TRANSFERS = {"ridge": predictors.ridge, "mixture": predictors.mixture}
NAMES = {"nasbench201": OPERATIONS, "fbnet": published.FBNET}
ABOUT = ("command", "commit", "versions")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", type=Path, help="a file with predictors()")
    parser.add_argument("--out", type=Path, required=True, help="where the results go, .json and .png")
    options = parser.parse_args()
    loop.prepare_process()
    known = configs.called(options.experiment, "predictors", None)
    path = options.out.with_suffix(".json")
    found = json.loads(path.read_text())["spaces"] if path.exists() else {}
    about = {name: value for name, value in environment.described(loop.typed_command()).items() if name in ABOUT}
    settings = {"networks": COUNTS, "tested": TESTED, "few": FEW, "repetitions": REPETITIONS}
    for name in LEARNERS:  # the dearest comes last
        for space, devices in known.items():
            rows = found.setdefault(space, {"held_out": {}, "transfer": {}})
            if name not in rows["held_out"]:
                rows["held_out"][name] = held_out(space, name)
            if name == "gaussian_process" and not rows["transfer"]:
                rows["transfer"] = transfer(space, devices)
            path.write_text(json.dumps(about | {"settings": settings, "spaces": found}, indent=1) + "\n")
    show(found)
    plot(found, options.out.with_suffix(".png"))


def data(space: str) -> tuple[np.ndarray, published.Latencies, np.ndarray]:
    """Features [N, F], latencies, and a random order of the networks, whose end judges."""
    latencies = published.help_latencies(space)
    features = published.one_hot(latencies.operations, tuple(NAMES[space]))
    return features, latencies, keys.generator(0, "latency").permutation(len(features))


def held_out(space: str, name: str) -> dict[str, Any]:
    """By number of networks and device, correlation and error; and the seconds that all devices took."""
    features, latencies, order = data(space)
    judged = order[-TESTED:]
    found: dict[str, Any] = {}
    for count in COUNTS:
        rows, began = order[:count], time.perf_counter()
        predicted = LEARNERS[name](features[rows], latencies.milliseconds[rows])(features[judged])
        seconds = time.perf_counter() - began
        scores = [accuracy(*both) for both in zip(predicted.T, latencies.milliseconds[judged].T, strict=True)]
        devices = {device: rounded(score) for device, score in zip(latencies.devices, scores, strict=True)}
        found[str(count)] = {"devices": devices, "mean": rounded(np.mean(scores, 0)), "seconds": round(seconds, 1)}
    return found


def transfer(space: str, devices: dict[str, Any]) -> dict[str, Any]:
    """By way and unseen device, mean and deviation of the correlation over repetitions, and the mean error."""
    features, latencies, order = data(space)
    rows, judged = order[: COUNTS[-1]], order[-TESTED:]
    times = np.stack([latencies.on(device) for device in devices["known"]], 1)
    known = predictors.gaussian_process(features[rows], times[rows])(features)
    known = np.maximum(known, times[rows].min(0))  # of the cheapest networks a regression may predict less than nothing
    found: dict[str, Any] = {name: {} for name in (*TRANSFERS, "alone")}
    for device, theirs in zip(devices["unseen"], devices["published"], strict=True):
        true = latencies.on(device)
        scores: dict[str, list[Any]] = {name: [] for name in found}
        for repetition in range(REPETITIONS):
            few = keys.generator(repetition, "few").choice(order[:-TESTED], FEW, replace=False)
            for name, way in TRANSFERS.items():
                scores[name].append(accuracy(way(known, few, true[few])[judged], true[judged]))
            alone = predictors.gaussian_process(features[few], true[few, None])(features[judged])[:, 0]
            scores["alone"].append(accuracy(alone, true[judged]))
        for name, those in scores.items():
            spread = round(float(np.std([score.correlation for score in those])), 4)
            found[name][device] = rounded(np.mean(those, 0)) | {"deviation": spread, "help": theirs}
    return found


def rounded(score: Any) -> dict[str, float]:
    correlation, error = score
    return {"spearman": round(float(correlation), 4), "error": float(f"{error:.3g}")}


def show(found: dict[str, Any]) -> None:
    for space, parts in found.items():
        table = Table(f"{space}, networks of a device", box=None, pad_edge=False, header_style="bold")
        for column in ("Spearman", "lowest", "median error", "seconds"):
            table.add_column(column, justify="right")
        for name, counts in parts["held_out"].items():
            for count, one in counts.items():
                lowest = min(device["spearman"] for device in one["devices"].values())
                mean = one["mean"]
                table.add_row(
                    f"{name}, {count}",
                    f"{mean['spearman']:.3f}",
                    f"{lowest:.3f}",
                    f"{100 * mean['error']:.2f} %",
                    f"{one['seconds']:.1f}",
                )
        Console().print(table, "")
        unseen = list(parts["transfer"]["ridge"])
        table = Table(f"{space}, {FEW} networks", *unseen, "mean", box=None, pad_edge=False, header_style="bold")
        for name, devices in parts["transfer"].items():
            numbers = [device["spearman"] for device in devices.values()]
            table.add_row(name, *(f"{number:.3f}" for number in (*numbers, np.mean(numbers))))
        theirs = [device["help"] for device in parts["transfer"]["ridge"].values()]
        table.add_row("HELP", *(f"{number:.3f}" for number in (*theirs, np.mean(theirs))))
        Console().print(table, "")


def plot(found: dict[str, Any], path: Path) -> None:
    """A panel a space: the rank correlation of every device, by learner; and on unseen ones that of HELP and ours."""
    figure = new_figure(10, 6)
    colours = {"table": "#1f77b4", "gaussian_process": "#d95f02", "mlp": "#238b45"}
    for number, (space, parts) in enumerate(found.items()):
        axis = figure.add_subplot(1, len(found), number + 1)
        reference = parts["held_out"]["table"][str(COUNTS[-1])]["devices"]
        order = sorted(reference, key=lambda device: reference[device]["spearman"])
        for name, counts in parts["held_out"].items():
            values = [counts[str(COUNTS[-1])]["devices"][device]["spearman"] for device in order]
            label = f"{name.replace('_', ' ')}, {COUNTS[-1]} networks"
            axis.plot(values, order, "o", ms=4, color=colours[name], label=label if not number else None)
        unseen = parts["transfer"]["ridge"]
        ours = [device["spearman"] for device in unseen.values()]
        theirs = [device["help"] for device in unseen.values()]
        axis.plot(ours, list(unseen), "s", ms=7, mfc="none", color="#222222", label=None if number else "ridge, 10")
        axis.plot(theirs, list(unseen), "x", ms=7, color="#c51b7d", label=None if number else "HELP, 10 (published)")
        axis.set_title(space, fontsize=10)
        axis.set_xlabel("Spearman's correlation with the measured latency")
        axis.grid(True, axis="x", **GRID)
        axis.tick_params(labelsize=7)
        axis.spines[["top", "right"]].set_visible(False)
    figure.legend(frameon=False, fontsize=8, loc="outside lower center", ncols=5)
    save(figure, path)


if __name__ == "__main__":
    from dnas.errors import run_script

    run_script(main)
