"""Several black-box searches beside each other: a table, a figure, one file of numbers.

The folder has one of each search (`run.py`), results.json and accuracy.png.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from rich.table import Table

from dnas.architectures.genotype_data import shown
from dnas.blackbox import pools
from dnas.blackbox import run as single
from dnas.blackbox.config import BlackboxConfig, parse_budget
from dnas.blackbox.run import Result
from dnas.config import to_dict
from dnas.errors import UserError
from dnas.files import atomic_write
from dnas.runs import environment, loop


def run(
    configs: Mapping[str, BlackboxConfig],
    out: str | Path,
    say: Callable[[str], None] = lambda _: None,
    *,
    workers: str = "",
    quiet: bool = True,
) -> dict[str, Result]:
    """Search with every config; what is finished in the folder is read. workers, quiet: as of `run.run`.

    Errors: `UserError` for the first config that cannot be run, before any is.
    """
    for name, config in configs.items():
        if not name or name.startswith(".") or set(name) & {"/", "\\", "\0"} or name == "results.json":
            raise UserError(f"{shown(name)} cannot name a search, as it names a folder: choose letters and digits.")
        pools.check(pools.parse(workers), single.build(config))
    folder, results = Path(out), {}
    for number, (name, config) in enumerate(configs.items(), 1):
        say(f"Search {number} of {len(configs)}: {name}")
        results[name] = single.run(config, folder / name, workers=workers, quiet=quiet)
    numbers = {
        name: {"config": to_dict(result.config), **{k: v for k, v in result.summary.items() if k not in single.LONG}}
        for name, result in results.items()
    }
    here = environment.described(loop.typed_command())
    made = {"searches": numbers} | {name: here[name] for name in ("command", "commit", "cpus", "versions")}
    atomic_write(folder / "results.json", json.dumps(made, indent=1))
    _draw(results, folder / "accuracy.png")
    return results


def table(results: Mapping[str, Result]) -> Table:
    """A line for each search: mean and deviation of every truth over the runs, median of the rank, mean evaluations."""
    quantity = next((result.summary["quantity"] for result in results.values() if result.summary["quantity"]), "")
    ranked = "; median of its rank" * any("rank" in _columns(result.summary) for result in results.values())
    caption = f"{quantity} of what the runs found, mean ± deviation{ranked}" if quantity else None
    shown = Table(box=None, pad_edge=False, header_style="bold", caption=caption, caption_justify="left")
    shown.add_column("search", overflow="fold")
    columns: dict[str, Callable[[dict[str, Any]], str]] = {}
    for result in results.values():
        columns |= _columns(result.summary)
    columns["evaluations"] = lambda found: f"{found['evaluations']['mean']:,.0f}"
    for name in columns:
        shown.add_column(name, justify="right", no_wrap=True)
    for name, result in results.items():
        shown.add_row(name, *(column(result.summary) for column in columns.values()))
    return shown


def _columns(found: dict[str, Any]) -> dict[str, Callable[[dict[str, Any]], str]]:
    """What can be said of a search: its truths or, where there are none, its objective; of several objectives how much
    lies below the front (`trials.volumes`), how many are on it, and the first truth about the best by the first."""

    def of(kind: str, name: str) -> Callable[[dict[str, Any]], str]:
        return lambda found: spread(found[kind].get(name))

    columns = {title: of("truths", truth) for truth, title in found["titles"].items()}
    if "hypervolume" in found:
        front = {"volume": lambda found: spread(found.get("hypervolume")), "front": _front}
        return front | dict(list(columns.items())[:1])
    if not columns:
        columns |= {name: of("objectives", name) for name in found["objectives"]}
    if found["rank"] is not None:
        columns["rank"] = lambda found: "-" if found["rank"] is None else f"{found['rank']['median']:,.0f}"
    return columns


def _front(found: dict[str, Any]) -> str:
    """How many architectures the fronts have."""
    return f"{found['front']['mean']:.1f}" if "front" in found else "-"


def spread(values: Mapping[str, float] | None) -> str:
    """`94.02 ± 0.31`."""
    return "-" if values is None else "{:.2f} ± {:.2f}".format(*(values[name] for name in ("mean", "std")))


def _draw(results: Mapping[str, Result], path: Path) -> None:
    """A panel for each evaluator and unit of budget; of one searcher's searches there, the one with the most
    of it; one that is warmed up is another."""
    from dnas.reports.budgets import Panel, plot_budgets

    panels: dict[tuple[str, str, str], dict[str, Result]] = {}
    for result in results.values():
        config, budget = result.config, parse_budget(result.config.budget)
        quantity = f"{single.quantity_of(config, result.summary)}\n{config.evaluator}"
        beside = panels.setdefault((quantity, budget.unit, config.past_budget), {})
        known = beside.get(config.label)
        if known is None or parse_budget(known.config.budget).amount < budget.amount:
            beside[config.label] = result
    drawn: dict[str, Panel] = {}
    for (title, unit, past_budget), beside in panels.items():
        curves = {name: np.array(result.summary["curve"]) for name, result in beside.items()}
        drawn[f"{title}{', interpolated' if past_budget == 'interpolated' else ''}"] = unit, curves
    plot_budgets(drawn, path)


def with_fields(configs: Mapping[str, BlackboxConfig], typed: BlackboxConfig) -> dict[str, BlackboxConfig]:
    """The configs with the runs and seeds that were typed, over the defaults that the first of them is.

    Errors: `UserError` for any other field, which would make all searches alike.
    """
    first = to_dict(next(iter(configs.values())))
    changed = {k: v for k, v in to_dict(typed).items() if v != first[k]}
    if fixed := [name for name in changed if name not in ("runs", "seed")]:
        raise UserError(
            f"--{fixed[0]} would make all {len(configs)} searches of the file alike: give --runs and --seed only, or "
            "name one search, FILE.py:NAME."
        )
    return {name: replace(config, **changed) for name, config in configs.items()}
