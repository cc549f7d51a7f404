"""A whole comparison: searches, look-ups, trainings, tables, pictures."""

import json
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

from dnas import paths, ranges
from dnas.architectures.genotype import random
from dnas.compare import early, equal_cost, pairs, searches, within
from dnas.compare.check import base_of, check, space_of
from dnas.compare.columns import cells
from dnas.compare.experiment import AnyConfig, Baseline, budget_of
from dnas.compare.protocol import Protocol
from dnas.compare.rows import Row, by_seed, looked_up, random_name
from dnas.compare.trainings import Trained, trainings
from dnas.compare.truths import draw_truths
from dnas.config import Config
from dnas.costs.budget import Limits
from dnas.files import atomic_write, storage
from dnas.ranges import Range
from dnas.reports import comparison, tables
from dnas.reports.plots import ACCURACY
from dnas.runs import environment, loop

RandomCells = Annotated[int, Range(0, 10_000)]


def run(
    configs: Mapping[str, AnyConfig],
    out: str | Path,
    *,
    random_cells: int = 8,
    train: bool = True,
    protocol: Protocol | None = None,
    quiet: bool = False,
) -> list[Row]:
    """Search with every config, look up and train what was found; best first.

    configs: by name; all of one space and data set, searches with gradients or by searchers, and baselines.
    random_cells: that many cells, drawn at random, join in, as many for each budget of networks that methods have, and
    within it. train: train the networks of all cells by the configs' `retrain` (else only look them up). protocol: how
    they are judged.
    Errors: `UserError` for configs that cannot be compared or run, before anything runs, and for a folder that cannot
    be used or in which another comparison runs; a search that fails later is a row that says so.
    """
    folder, protocol = Path(out), protocol or Protocol()
    ranges.check(random_cells, RandomCells, "random_cells")
    check(configs, folder, train, protocol)
    early.check(configs, folder, train, protocol)
    budgets = within.limits(configs)
    drawn = _random(configs, random_cells, budgets) if random_cells else []
    with ExitStack() as lock:
        with storage(folder):
            folder.mkdir(parents=True, exist_ok=True)
            lock.enter_context(paths.locked(folder, "a comparison"))
            if not (folder / "comparison.json").exists():
                atomic_write(folder / "comparison.json", "[]")
        rows = [*_searched(configs, folder, protocol, quiet), *drawn]
        rows = [row._replace(tabulated=looked_up(row.genotypes)) for row in rows]
        rows = _with_references(rows, budgets)
        base = base_of(configs)
        if train and base is not None:
            score = trainings(rows, base, protocol, folder, quiet)
            rows = _scored(rows, [score(row) for row in rows])
        rows.sort(key=lambda row: -row.score)
        about = {"protocol": asdict(protocol), "random_cells": random_cells, "train": train}
        about |= environment.described(loop.typed_command())
        atomic_write(folder / "comparison.environment.json", json.dumps(about, indent=1))
        _write(rows, folder)
        return rows


def _scored(rows: list[Row], scores: list[list[Trained | None]]) -> list[Row]:
    """With the scores of their cells, of those whose training did not fail."""
    trained = [[score for score in each if score is not None] for each in scores]
    measure = next((score.measure for each in trained for score in each), ACCURACY)
    return [
        row._replace(
            trained=[score.test for score in each],
            settings=tuple(score.setting for score in each),
            measure=measure,
            failed=row.failed or ("" if each else "none of its cells could be trained"),
        )
        for row, each in zip(rows, trained, strict=True)
    ]


def _searched(configs: Mapping[str, AnyConfig], folder: Path, protocol: Protocol, quiet: bool) -> list[Row]:
    rows = []
    for number, (name, config) in enumerate(configs.items(), 1):
        if isinstance(config, Baseline):
            rows.append(Row(name, config, config.genotypes, 0.0, [], []))
            continue
        loop.say(f"Search {number} of {len(configs)}: {name}", quiet)
        if isinstance(config, Config):
            row = searches.searched(name, config, folder, protocol, quiet)
        else:
            row = searches.tried(name, config, folder, quiet)
        rows.append(row._replace(tuning=protocol.tuning.get(name, 0)))
        loop.forget_programs()
    return rows


def _random(configs: Mapping[str, AnyConfig], count: int, budgets: Mapping[str, Limits]) -> list[Row]:
    """Cells drawn at random, which cost no search: a row for each budget, and one for methods without."""
    searched = [config for config in configs.values() if not isinstance(config, Baseline)]
    first, space, rows = base_of(configs) or searched[0], space_of(configs), list[Row]()
    for text in dict.fromkeys(map(budget_of, searched)):
        seeds, limits = range(first.seed, first.seed + count), budgets.get(text)
        cells = [random(space, s) if limits is None else within.drawn(space, limits, text, s) for s in seeds]
        rows.append(Row(random_name(text), first, cells, 0.0, [], []))
    return rows


def _with_references(rows: list[Row], budgets: Mapping[str, Limits]) -> list[Row]:
    """With what random search finds at equal cost, where a table knows all cells, within the budget of the row."""
    tables = {text: within.of_table(limits, text) for text, limits in budgets.items()}
    able = [row for row in rows if row.cost and len(row.tabulated) == len(row.genotypes) > 0]
    able = [row for row in able if row.budget not in tables or tables[row.budget] is not None]
    found = equal_cost.references([row.cost for row in able], [tables.get(row.budget) for row in able])
    by_name = {row.name: references for row, references in zip(able, found, strict=True)}
    return [row._replace(equal=by_name.get(row.name, {})) for row in rows]


def _write(rows: list[Row], folder: Path) -> None:
    atomic_write(folder / "comparison.json", json.dumps([row.plain() for row in rows], indent=1))
    header, lines = cells(rows)
    for ending, written in {"csv": tables.as_csv, "md": tables.as_markdown, "tex": tables.as_latex}.items():
        atomic_write(folder / f"comparison.{ending}", written(header, lines))
    atomic_write(folder / "comparison.seeds.csv", tables.as_csv(*by_seed(rows)))
    atomic_write(folder / "comparison.tests.csv", tables.as_csv(*pairs.tests(rows)))
    _draw(rows, folder)


def _draw(rows: list[Row], folder: Path) -> None:
    from dnas.reports import plots

    measure = rows[0].measure
    configs = {row.name: row.config for row in rows}
    base = base_of(configs)
    title = f"{space_of(configs).name if base is None else f'{base.space}, {base.data}'}: every dot is a search"
    better = "" if measure.more else ", less is better"
    trained = [[measure.scale * score for score in row.trained] for row in rows]
    panels = {f"test {measure.label}, retrained{better}": trained}
    panels["NAS-Bench-201, CIFAR-10 test [%]"] = [row.tabulated for row in rows]
    shown = {quantity: values for quantity, values in panels.items() if any(values)}
    if shown:
        plots.plot_comparison([row.name for row in rows], shown, folder / "comparison.png", title)
    pairs.draw_ranks(rows, folder / "comparison.ranks.png")
    draw_truths(rows, folder)
    comparison.page(folder)
