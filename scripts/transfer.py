"""Transfer: what was found on one task, trained on the others, beside what was found there, chance and what is made by
hand.

    python scripts/transfer.py experiments/transfer.py --out runs/transfer

The experiment has `families()`: by name, the tasks (a `Config` each, of one space or of spaces with the same decisions)
and an architecture made by hand. Every task is a comparison of `dnas compare` in DIR, so the same command goes on where
it stopped. DIR/transfer.md and DIR/transfer.json have the tables: a row is where an architecture is from, a column
where it was trained; mean and standard deviation over the architectures, or over the trainings of the one made by hand.
A family that is not computed now, as with --only, has what DIR/transfer.json says of it.
"""

import argparse
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

import dnas
from dnas.compare import RANDOM, Baseline, Row
from dnas.compare.columns import spread
from dnas.config import Config, called
from dnas.errors import UserError, run_script, unknown
from dnas.files import atomic_write, read_json
from dnas.reports.plots import ACCURACY, Measure
from dnas.reports.tables import as_markdown
from dnas.runs import environment, loop

BY_HAND = "by hand"
Plain = dict[str, Any]  # a row as JSON has it


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("experiment", type=Path, help="a file with families()")
    parser.add_argument("--out", type=Path, required=True, help="the folder of all comparisons, and of the tables")
    parser.add_argument("--random-cells", type=int, default=3, help="architectures drawn at random for each task")
    parser.add_argument("--seeds", type=int, default=0, help="searches on each task; 0: as in the file")
    parser.add_argument("--only", nargs="+", default=(), metavar="FAMILY", help="compute only these")
    options = parser.parse_args()
    run(options)


def run(options: argparse.Namespace) -> None:
    families = called(options.experiment, "families", None)
    if missing := [name for name in options.only if name not in families]:
        raise unknown(f"family of {options.experiment}:", missing[0], families)
    path = options.out / "transfer.json"
    known = _known(path) if path.exists() else {}
    for family in options.only or families:
        tasks, made = families[family]
        tasks = {task: replace(config, seeds=options.seeds or config.seeds) for task, config in tasks.items()}
        found = transferred(tasks, made, options.out, options.random_cells)
        known[family] = {task: [row.plain() for row in rows] for task, rows in found.items()}
        show(family, *cells(known[family]))
        done = {name: known[name] for name in families if name in known}
        about = {"experiment": str(options.experiment), "families": done}
        about["environment"] = environment.described(loop.typed_command())
        atomic_write(path, json.dumps(about, indent=1) + "\n")
        tables = (f"## {name}\n\n{as_markdown(*cells(rows))}" for name, rows in done.items())
        atomic_write(path.with_suffix(".md"), "\n".join(tables))


def _known(path: Path) -> dict[str, dict[str, list[Plain]]]:
    """The rows of every family that were found before. Errors: `UserError` for a file that says none."""
    read = read_json(path, hint="move it away to begin anew")
    try:
        known = read["families"]
        for found in known.values():
            cells(found)
    except (LookupError, TypeError, AttributeError) as error:
        raise UserError(f"{path} has no tables of families ({error}): move it away to begin anew.") from error
    return known


def transferred(tasks: dict[str, Config], made: str, out: Path, random_cells: int) -> dict[str, list[Row]]:
    """All rows of every task. made: by hand."""
    for number, (task, config) in enumerate(tasks.items(), 1):
        loop.say(f"Task {number} of {len(tasks)}, the search: {task}")
        dnas.compare.run({found_on(task): config}, out / task, random_cells=0, train=False)
    rows = {}
    for number, (task, config) in enumerate(tasks.items(), 1):
        loop.say(f"Task {number} of {len(tasks)}, all trainings: {task}")
        configs: dict[str, Config | Baseline] = {found_on(task): config}
        for other in tasks:
            if other != task:
                configs[found_on(other)] = Baseline(str(out / other / found_on(other)), seed=config.seed)
        configs[BY_HAND] = Baseline(made, config.seeds, config.seed)
        rows[task] = dnas.compare.run(configs, out / task, random_cells=random_cells)
    return rows


def found_on(task: str) -> str:
    return f"found on {task}"


def cells(found: dict[str, list[Plain]]) -> tuple[list[str], list[list[str]]]:
    """A line for each origin, a column for each task; what was found where it is trained has a star."""
    header, scores = ["trained on"], dict[str, dict[str, str]]()
    for task, rows in found.items():
        measure = Measure(**rows[0].get("measure", ACCURACY._asdict()))
        header.append(f"{task} [%]" if measure.scale == 100 else f"{task} [{measure.name}]")
        for row in rows:
            star = " *" if row["name"] == found_on(task) else ""
            scores.setdefault(row["name"], {})[task] = spread([measure.scale * one for one in row["trained"]]) + star
    order = [*map(found_on, found), RANDOM, BY_HAND]
    names = [name for name in order if name in scores]
    return header, [[name, *(scores[name].get(task, "-") for task in found)] for name in names]


def show(title: str, header: list[str], lines: list[list[str]]) -> None:
    table = Table(title=title, box=None, pad_edge=False, title_justify="left")
    for number, name in enumerate(header):
        table.add_column(name.replace("[", r"\["), justify="right" if number else "left")
    for line in lines:
        table.add_row(*line)
    Console().print(table)


if __name__ == "__main__":
    run_script(main)
