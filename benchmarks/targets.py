"""The table of the benchmark, and for each target whether it is met."""

from collections.abc import Iterator
from typing import NamedTuple

from rich.console import Console
from rich.table import Table
from turns import TWICE

COLUMNS = (
    "work",
    "side",
    "median s",
    "spread",
    "ratio",
    "cold s",
    "cold start s",
    "warm start s",
    "peak MiB",
    "img, tok/s",
)


class Verdict(NamedTuple):
    """A target is an upper bound; `said`: "met", or by how much it is missed."""

    what: str
    value: float
    target: float
    said: str


def verdict(what: str, value: float, target: float) -> Verdict:
    """Compare a measured value with the largest wanted."""
    said = "met" if value <= target else f"missed by {100 * (value / target - 1):.0f} %"
    return Verdict(what, round(value, 3), round(target, 3), said)


def verdicts(rows: list[dict]) -> Iterator[Verdict]:
    """What rows of `turns.compare` say of their settings' targets, and of the memory."""
    for row in rows:
        ours = row["sides"].get("ours")
        if ours is None:
            continue
        doubled = row["sides"].get(TWICE)
        found = {
            "twice": (
                "step with twice the tokens, to the step",
                doubled and doubled["median_seconds"] / ours["median_seconds"],
            ),
            "ratio": ("step, ratio to the best of PyTorch", row["ratio"]),
            "cold_seconds": ("trace + compile, seconds", ours["cold_seconds"]),
            "start_seconds": ("command to first step, warm, seconds", ours.get("warm_start_seconds")),
        }
        for key, (what, value) in found.items():
            target = row["targets"][key]
            if target is not None and value is not None:
                yield verdict(f"{row['title']}: {what}", value, target)
        theirs = row["sides"].get(row["best"])
        if theirs is not None:
            which = "device_peak_mb" if "device_peak_mb" in ours and "device_peak_mb" in theirs else "peak_mb"
            yield verdict(f"{row['title']}: peak memory, MiB, to PyTorch's", ours[which], theirs[which])


def show(rows: list[dict]) -> None:
    """Print the rows; a star marks the best of PyTorch's variants."""
    table = Table(title="step seconds (smallest to largest), ratio to the best PyTorch variant", title_justify="left")
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in ("work", "side") else "right")
    for row in rows:
        for number, (name, side) in enumerate(row["sides"].items()):
            low, high = side["spread"]
            cold = side["cold_seconds"] if name.startswith("ours") or name == "torch-compile" else None
            table.add_row(
                row["title"] if number == 0 else "",
                name + (" *" if name == row["best"] else ""),
                f"{side['median_seconds']:.3g}",
                f"{low:.3g}-{high:.3g}",
                _text(row["ratio"], ".2f") if name == "ours" else "",
                _text(cold, ".1f"),
                _text(side.get("cold_start_seconds"), ".1f"),
                _text(side.get("warm_start_seconds"), ".1f"),
                _text(side.get("device_peak_mb", side["peak_mb"]), ".0f"),
                _text(side.get("images_per_second", side.get("tokens_per_second")), ".0f"),
            )
        table.add_section()
    Console(width=150).print(table)


def show_verdicts(found: list[Verdict]) -> None:
    """Print targets and what became of them."""
    table = Table(title="targets", title_justify="left")
    for name in ("what", "measured", "target", ""):
        table.add_column(name, justify="left" if name in ("what", "") else "right")
    for what, value, target, said in found:
        table.add_row(what, f"{value:g}", f"{target:g}", said)
    Console(width=150).print(table)


def _text(value: float | None, form: str) -> str:
    return "" if value is None else format(value, form)
