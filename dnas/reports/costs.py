"""Cost against accuracy: where what was found stands among other networks, as charts of a page."""

import csv
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from markupsafe import Markup

from dnas.architectures.genotype import Genotype, from_json
from dnas.errors import UserError
from dnas.paths import content_of
from dnas.reports import charts
from dnas.reports.charts import PALETTE, Point
from dnas.reports.plots import Measure, Rows, series_of
from dnas.runs.copies import genotype_epochs, genotype_name

COSTS = {"parameters": "parameters", "multiply_adds": "multiply-adds", "latency": "latency [ms]"}
SHOWN = 3000  # points


def of_run(folder: Path, rows: Rows, measure: Measure, genotypes: Sequence[Genotype], seed: int) -> list[Markup]:
    """The seeds of a run by what its rows know of their costs; a front that it left; and of NAS-Bench-201 all cells."""
    drawn = [*_seeds(rows, measure), *_front(folder)]
    if genotypes and genotypes[0].space == "nasbench201":
        drawn += _among_all(folder, genotypes, seed)
    return drawn


def _seeds(rows: Rows, measure: Measure) -> list[Markup]:
    """Last values of every seed; nothing where all cost the same."""
    part = "test" if series_of(rows, f"test_{measure.name}") else "valid"
    scores = {seed: values[-1] for seed, (_, values) in series_of(rows, f"{part}_{measure.name}").items()}
    drawn = list[Markup]()
    for name, title in COSTS.items():
        costs = {seed: values[-1] for seed, (_, values) in series_of(rows, name).items()}
        common = [seed for seed in scores if seed in costs]
        if len({costs[seed] for seed in common}) > 1:
            points = [
                Point(f"seed {seed}", costs[seed], measure.scale * scores[seed], PALETTE[place % len(PALETTE)])
                for place, seed in enumerate(common)
            ]
            label = f"{part} {measure.label}"
            drawn.append(charts.scatter(f"{label} against {title}", points, x_label=title, y_label=label))
    return drawn


def _front(folder: Path) -> list[Markup]:
    """All networks of a search with a weighted cost, by its front.csv; nothing where there is none such."""
    try:
        rows = [*csv.DictReader(io.StringIO(content_of(folder / "front.csv").decode()))]
        columns = [*rows[0]][-3:]
        score, cost, front = ([float(row[name]) for row in rows] for name in columns)
    except (OSError, ValueError, IndexError, KeyError, TypeError):
        return []
    names = ("other networks", "front")
    order = sorted(range(len(rows)), key=front.__getitem__)
    points = [Point(names[front[i] > 0], cost[i], score[i], (PALETTE[7], PALETTE[1])[front[i] > 0]) for i in order]
    y, x = columns[0].replace("_", " "), COSTS.get(columns[1], columns[1].replace("_", " "))
    return [charts.scatter(f"{y} against {x}", points, x_label=x, y_label=y)]


def _among_all(folder: Path, genotypes: Sequence[Genotype], first_seed: int) -> list[Markup]:
    """CIFAR-10 accuracies of all cells of the table, the way of a single search, and where the seeds end."""
    from dnas.tables import nasbench201  # the space is built of networks, which take a second to import

    columns = nasbench201.table().columns
    sizes, scores = columns["cifar10_mflops"], columns["cifar10_test_200"]
    shown = np.random.default_rng(0).permutation(len(sizes))[:SHOWN]
    ways = [_point(cell, "after each epoch", PALETTE[5], f"epoch {epoch}") for epoch, cell in _epochs(folder)]
    ends = [
        _point(cell, "found", PALETTE[1], f"seed {first_seed + number}", size=6.0)
        for number, cell in enumerate(genotypes)
    ]
    points = [point for point in (*ways, *ends) if point is not None]
    if not points:
        return []
    low = min(float(np.percentile(scores, 5)), *(point.y for point in points))
    cloud = [(float(sizes[i]), float(scores[i])) for i in shown if scores[i] >= low]
    title, name = "CIFAR-10, among the cells of NAS-Bench-201", f"{len(cloud):,} of {len(sizes):,} cells"
    labels: dict[str, Any] = {"x_label": "multiply-adds [M]", "y_label": "test accuracy [%]"}
    return [charts.scatter(title, points, **labels, cloud=(name, cloud))]


def _point(cell: Genotype, name: str, colour: str, text: str, size: float = 3.5) -> Point | None:
    from dnas.tables import nasbench201

    place = nasbench201.place_of(cell)
    if place is None:
        return None
    columns = nasbench201.table().columns
    cost, score = (float(columns[column][place]) for column in ("cifar10_mflops", "cifar10_test_200"))
    return Point(name, cost, score, colour, (text, f"{score:.2f} % test accuracy", f"{cost:.4g} M multiply-adds"), size)


def _epochs(folder: Path) -> list[tuple[int, Genotype]]:
    """The cells that a search of one seed passed through; a damaged file is left out, as nothing rests on it."""
    found = list[tuple[int, Genotype]]()
    names = (f"genotypes/{path.name}" for path in (folder / "genotypes").glob("*.json"))
    for epoch in genotype_epochs(names):
        try:
            record = json.loads(content_of(folder / genotype_name(epoch)))
            if isinstance(record, list):
                return []
            found.append((epoch, from_json(record)))
        except (OSError, ValueError, UserError):
            continue
    return found
