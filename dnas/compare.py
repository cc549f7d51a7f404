"""Methods under one protocol: each searches with several seeds, and every found cell is trained alike.

A comparison is a folder: `<name>/` is the run folder of a search, `cells/<hash>/` that of a training, comparison.json
holds what is known so far. Started again with the same --out it goes on with what is missing.
"""

import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Annotated, NamedTuple

import numpy as np
from rich.table import Table

from dnas import find, paths, ranges, retrain, search
from dnas.architectures.genotype import Genotype, from_json, random, to_json
from dnas.architectures.genotype_data import shown
from dnas.config import Config, SearchConfig, differences, from_dict, to_dict
from dnas.errors import StorageError, UserError
from dnas.files import atomic_write, read_sealed, sealed, storage, warn
from dnas.ranges import Range
from dnas.reports import statistics, tables
from dnas.reports.plots import ACCURACY, Measure
from dnas.runs import loop, records
from dnas.tables import nasbench201 as tabular

RANDOM = "random cells"
NAME = re.compile(r"\w[^/\\\x00-\x1f\x7f]{0,99}")
RandomCells = Annotated[int, Range(0, 10_000)]
AGAIN = "it is written anew"


class Row(NamedTuple):
    """What is known of one method. genotypes: one per seed. trained: test scores of their networks, and which measure
    that is. tabulated: what NAS-Bench-201 says of them on CIFAR-10, in percent, where it does. failed: why there is no
    result."""

    name: str
    config: Config
    genotypes: list[Genotype]
    seconds: float
    trained: list[float]
    tabulated: list[float]
    failed: str = ""
    measure: Measure = ACCURACY

    @property
    def judged(self) -> list[float]:
        """The scores that it is judged by, such that more is better."""
        return [self.measure.sign * score for score in self.trained] or self.tabulated

    @property
    def score(self) -> float:
        """The mean to rank by."""
        return float(np.mean(self.judged)) if self.judged else -np.inf


def run(
    configs: Mapping[str, Config],
    out: str | Path,
    *,
    random_cells: int = 8,
    train: bool = True,
    quiet: bool = False,
) -> list[Row]:
    """Search with every config, look up and train what was found; best first.

    configs: by name; all of one space and data set. random_cells: that many cells, drawn at random, join in.
    train: train the networks of all cells by each config's `retrain` (else only look them up).
    Errors: `UserError` for configs that cannot be compared, and for a folder that cannot be used or in which another
    comparison runs; a method that refuses its config is a row that says so.
    """
    folder = Path(out)
    ranges.check(random_cells, RandomCells, "random_cells")
    check(configs, folder, train)
    with ExitStack() as lock:
        with storage(folder):
            folder.mkdir(parents=True, exist_ok=True)
            lock.enter_context(paths.locked(folder, "a comparison"))
            if not (folder / "comparison.json").exists():
                atomic_write(folder / "comparison.json", "[]")
        return _compared(configs, folder, random_cells, train, quiet)


def _compared(configs: Mapping[str, Config], folder: Path, random_cells: int, train: bool, quiet: bool) -> list[Row]:
    rows = []
    for number, (name, config) in enumerate(configs.items(), 1):
        loop.say(f"Search {number} of {len(configs)}: {name}", quiet)
        rows.append(_searched(name, config, folder, quiet))
        loop.forget_programs()
    first = next(iter(configs.values()))
    if random_cells:
        space = find.resolve("space", first.space)
        cells = [random(space, first.seed + i) for i in range(random_cells)]
        rows.append(Row(RANDOM, first, cells, 0.0, [], []))
    looked_up = [[tabular.nasbench201(genotype) for genotype in row.genotypes] for row in rows]
    rows = [
        row._replace(tabulated=[r.cifar10 for r in found if r is not None])
        for row, found in zip(rows, looked_up, strict=True)
    ]
    if train:
        score, measure = _trainings(rows, folder, quiet)
        rows = [
            row._replace(trained=[s for genotype in row.genotypes if (s := score(row, genotype)) is not None])
            for row in rows
        ]
        rows = [row._replace(measure=measure) for row in rows]
    rows.sort(key=lambda row: -row.score)
    _write(rows, folder)
    return rows


def check(configs: Mapping[str, Config], folder: Path, train: bool = True) -> None:
    """Refuse what cannot be compared; train: whether cells are trained."""
    if not configs:
        raise UserError("There is nothing to compare: configs() gave no config.")
    first = next(iter(configs.values()))
    for name, config in configs.items():
        if not NAME.fullmatch(name) or name in (RANDOM, "cells") or name.startswith("comparison."):
            raise UserError(
                f"{shown(name)} cannot name a method of a comparison, as it names a folder in that of the comparison: "
                "choose up to 100 letters, digits, blanks and signs as in 'darts, 2nd order'."
            )
        for field in ("space", "data", "task", "dtype", "retrain"):
            if getattr(config, field) != getattr(first, field):
                raise UserError(
                    f"Compared are methods, so all configs share their {field}, but that of '{name}' differs from that "
                    f"of '{next(iter(configs))}'."
                )
        space = find.resolve("space", config.space)
        lacking = {*space.contained(config.retrain.cells)} - {*space.contained(config.search.cells)}
        if train and lacking:
            raise UserError(
                f"The networks that are trained contain {min(lacking)} cells, and the supernet of '{name}' does not: "
                "choose more search.cells, or fewer retrain.cells."
            )
    with storage(folder):
        free = not folder.exists() or (folder.is_dir() and all(file.name.startswith(".") for file in folder.iterdir()))
    if not free and not (folder / "comparison.json").is_file():
        raise UserError(f"{folder} is not empty and holds no comparison: choose another --out.")


def _searched(name: str, config: Config, folder: Path, quiet: bool) -> Row:
    """One search: read where it is finished, else run or go on with."""
    out = folder / name
    if known := _known(out / "found.json"):
        if changed := differences(known[0], config):
            raise UserError(f"{out} was made with another config ({'; '.join(changed)}): choose another --out.")
        return Row(name, config, known[1], known[2], [], [])
    try:
        with _timed(out / "seconds.json") as spent:
            result = search.run(config, out, resume=records.holds_run(out), quiet=quiet)
    except StorageError:  # full, damaged or in use: says nothing about the method
        raise
    except UserError as error:
        loop.say(f"{name}: {error}", quiet)
        return Row(name, config, [], 0.0, [], [], str(error))
    seconds, genotypes = spent(), list(result.genotypes)
    found = {"config": to_dict(config), "genotypes": [to_json(g) for g in genotypes], "seconds": seconds}
    atomic_write(out / "found.json", sealed(found))
    return Row(name, config, genotypes, seconds, [], [])


def _known(file: Path) -> tuple[Config, list[Genotype], float] | None:
    """The config, the genotypes and the seconds of a search that is finished; else None. If the file is damaged too:
    the search, gone on with, ends at once and says them again."""
    try:
        if (known := read_sealed(file, AGAIN)) is None:
            return None
        config, genotypes = from_dict(known["config"]), [from_json(g) for g in known["genotypes"]]
        if len(genotypes) == config.seeds:
            return config, genotypes, float(known["seconds"])
    except (UserError, KeyError, TypeError, ValueError):
        pass
    warn(f"{file} is damaged: {AGAIN}.")
    return None


@contextmanager
def _timed(file: Path) -> Iterator[Callable[[], float]]:
    """Gives the seconds spent inside, now and before an interruption, which the file keeps."""
    hint = 'write {"seconds": 3600} into it, or how many the search has taken, or remove it to count from now on'
    known, began, ours = read_sealed(file, hint) or {"seconds": 0.0}, time.perf_counter(), True
    before = known.get("seconds")
    if not isinstance(before, (int, float)):
        raise StorageError(f"{file} is damaged, it holds no seconds: {hint}.")

    def spent() -> float:
        return before + time.perf_counter() - began

    try:
        yield spent
    except StorageError:  # the disk is full, or the folder is another's
        ours = False
        raise
    finally:
        if ours and (file.parent / "config.json").exists():
            atomic_write(file, sealed({"seconds": spent()}))


def _trainings(rows: list[Row], folder: Path, quiet: bool) -> tuple[Callable[[Row, Genotype], float | None], Measure]:
    """Train every cell once, whoever found it; gives (row, genotype) -> test score, None where its training failed, and
    what is measured."""
    cells = {_place(genotype, row.config): (genotype, row.config) for row in rows for genotype in row.genotypes}
    scores: dict[str, float | None] = {}
    measure = ACCURACY
    for number, (place, (genotype, config)) in enumerate(cells.items(), 1):
        out = folder / "cells" / place
        known = _score(out / "score.json", place)
        if known is None:
            loop.say(f"Training cell {number} of {len(cells)}", quiet)
            # whoever found it
            plain = replace(config, method="darts", seeds=1, checkpoint_epochs=1, search=SearchConfig())
            try:
                # a cell through which nothing flows counts as what it is worth, else who finds it would gain by it
                result = retrain.run(
                    plain, genotype, out, resume=records.holds_run(out), quiet=True, allow_constant=True
                )
            except StorageError:  # says nothing about the cell
                raise
            except UserError as error:
                loop.say(f"Cell {number}: {error}", quiet)
            else:
                known = result.score, Measure(*result.measure)
                said = {"cell": place, "test_score": known[0], "measure": known[1]._asdict()}
                atomic_write(out / "score.json", sealed(said))
            loop.forget_programs()
        scores[place], measure = (None, measure) if known is None else known
    return lambda row, genotype: scores[_place(genotype, row.config)], measure


def _score(file: Path, cell: str) -> tuple[float, Measure] | None:
    """That of a cell, by its place, whose training is finished; else None. If the file is damaged or that of another
    cell too: the training then says it again."""
    try:
        if (known := read_sealed(file, AGAIN)) is None:
            return None
        if known["cell"] != cell:
            warn(f"{file} is of another cell, {known['cell']}: {AGAIN}.")
            return None
        return float(known["test_score"]), Measure(str(known["measure"]["name"]), bool(known["measure"]["more"]))
    except (UserError, KeyError, TypeError, ValueError):
        warn(f"{file} is damaged: {AGAIN}.")
        return None


def _place(genotype: Genotype, config: Config) -> str:
    what = [to_json(genotype), to_dict(config)["retrain"], config.data, config.task, config.seed, config.dtype]
    return hashlib.sha256(json.dumps(what).encode()).hexdigest()[:12]


def _write(rows: list[Row], folder: Path) -> None:
    from dnas.reports import plots

    plain = [
        row._asdict()
        | {"config": to_dict(row.config), "genotypes": [to_json(g) for g in row.genotypes]}
        | {"measure": row.measure._asdict()}
        for row in rows
    ]
    atomic_write(folder / "comparison.json", json.dumps(plain, indent=1))
    for ending, written in {"csv": tables.as_csv, "md": tables.as_markdown, "tex": tables.as_latex}.items():
        atomic_write(folder / f"comparison.{ending}", written(*cells(rows)))
    first, measure = rows[0].config, rows[0].measure
    title = f"{first.space}, {first.data}: every dot is a search"
    better = "" if measure.more else ", less is better"
    panels = {f"test {measure.label}, retrained{better}": [_shown(row.trained, measure) for row in rows]}
    panels["NAS-Bench-201, CIFAR-10 test [%]"] = [row.tabulated for row in rows]
    shown = {quantity: values for quantity, values in panels.items() if any(values)}
    if shown:
        plots.plot_comparison([row.name for row in rows], shown, folder / "comparison.png", title)


def table(rows: list[Row]) -> Table:
    """One line per method, best first, see `cells`."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    (first, *others), lines = cells(rows)
    shown.add_column(first, overflow="fold")
    for name in others:
        shown.add_column(name, justify="right", no_wrap=True)
    for line in lines:
        shown.add_row(*line)
    return shown


def cells(rows: list[Row]) -> tuple[list[str], list[list[str]]]:
    """Names of columns, a line a method, best first: mean and standard deviation over the seeds, median; and where
    random cells joined in, how far the method differs from them, see `statistics.Difference`."""
    measure = rows[0].measure if rows else ACCURACY
    found = {row.name: row.judged for row in rows}
    differences = statistics.differences(
        {name: values for name, values in found.items() if name != RANDOM}, found.get(RANDOM, [])
    )
    header = ["method", "seeds", f"retrained {'%' if measure == ACCURACY else measure.name}", "median"]
    header += ["NAS-Bench-201 %", "distinct cells", "search s"]
    header += ["better than random", "p"] * bool(differences)
    lines = []
    for row in rows:
        if row.failed:
            lines.append([row.name, *["-"] * (len(header) - 2), row.failed.partition(":")[0][:40]])
            continue
        trained = _shown(row.trained, measure)
        line = [row.name, str(len(row.genotypes)), _spread(trained), f"{np.median(trained):.2f}" if trained else "-"]
        line += [_spread(row.tabulated), str(len(set(row.genotypes))), f"{row.seconds:.0f}" if row.seconds else "-"]
        if differences:
            own = differences.get(row.name)
            line += ["-", "-"] if own is None else [f"{own.superiority:.0%}", f"{own.p:.3f}"]
        lines.append(line)
    return header, lines


def _shown(scores: list[float], measure: Measure) -> list[float]:
    """As one reads them: shares in percent."""
    return [measure.scale * score for score in scores]


def _spread(values: list[float]) -> str:
    if not values:
        return "-"
    return f"{np.mean(values):.2f}" + (f" ± {np.std(values, ddof=1):.2f}" if len(values) > 1 else "")
