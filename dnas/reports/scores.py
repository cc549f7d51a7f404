"""What the rows of a run say of its score: the best, the last, of which seed."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dnas.reports.plots import Measure, Rows, values_of
from dnas.runs import diverged
from dnas.runs.records import read_description


def measure_of(folder: str | Path) -> Measure:
    """The score of a run; of one that does not say, accuracy."""
    found = read_description(folder, "data.json").get("score")
    match found:
        case {"name": str(name), "more": bool(more)}:
            return Measure(name, more)
    return Measure()


def best(rows: Rows, measure: Measure) -> list[float]:
    """The best validation score of every seed that did not diverge."""
    choose = max if measure.more else min
    return [choose(values) for values in values_of(sound(rows), f"valid_{measure.name}")]


def last(rows: Rows, name: str) -> list[float]:
    """The last value of a field, of every seed that did not diverge."""
    return [values[-1] for values in values_of(sound(rows), name)]


def sound(rows: Rows) -> Rows:
    """Those of seeds that did not diverge."""
    gone = diverged.of_rows(rows)
    return [row for row in rows if row.get("seed") not in gone]


def best_seed(rows: Rows, measure: Measure, seeds: int) -> int:
    """Which of the seeds has the best score, of all that their last rows say; the first if they say too little."""
    found, everyone = dict[int, float](), sorted({row["seed"] for row in rows if "seed" in row})
    for row in sound(rows):
        for part in ("valid", "selected"):
            if (value := row.get(f"{part}_{measure.name}")) is not None:
                found[row["seed"]] = measure.sign * value
    known = len(everyone) == seeds and len(found) == seeds - len(diverged.of_rows(rows))
    return everyone.index(max(sorted(found), key=found.__getitem__)) if known and found else 0


def summary(values: Sequence[float], scale: float = 1, form: str = "{:.2f}") -> str:
    """Mean and, of several that differ, standard deviation; `-` for none."""
    if not values:
        return "-"
    mean = form.format(scale * float(np.mean(values)))
    spread = scale * float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return mean + (f" ± {form.format(spread)}" if spread else "")


def last_epoch(rows: Rows) -> int | None:
    """None where none is finished."""
    return max((row["epoch"] for row in rows if row.get("epoch") is not None), default=None)


def is_training(rows: Rows) -> bool:
    """Whether a network of a found cell was trained; else a supernet was searched, or nobody can say yet."""
    return any(name.startswith("test_") for row in rows for name in row)


def plain(values: dict[str, Any], path: str = "") -> dict[str, Any]:
    """Nested dictionaries as one, with dotted names; empty lists are left out."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            found |= plain(value, f"{path}{key}.")
        elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
            for number, item in enumerate(value, 1):
                found |= plain(item, f"{path}{key} {number}.") if isinstance(item, dict) else {f"{path}{key}": item}
        elif value != []:
            found[f"{path}{key}"] = value
    return found
