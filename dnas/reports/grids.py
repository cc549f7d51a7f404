"""What the values of a grid are worth: files, a picture, and the rows of a run by their values."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from dnas import fields, grid
from dnas.architectures.genotype import Genotype, to_json
from dnas.config import Config
from dnas.files import atomic_write
from dnas.reports import scores, tables
from dnas.reports.figures import dress, new_figure, save
from dnas.reports.plots import SPLITS, Measure, Rows
from dnas.runs.rows import plain
from dnas.tasks.task import Score

FILES = "grid.csv", "grid.json", "grid.png"


def by_point(config: Config, rows: Rows) -> dict[str, Rows]:
    """The rows of a run by their values of its grid, as people read them; nothing where they have none."""
    found = dict[str, Rows]()
    for row in rows if config.grid else ():
        values = {path: row[path] for path in grid.axes(config) if path in row}
        if values:
            found.setdefault(grid.text(values), []).append(row)
    return found


def by_value(config: Config, rows: Rows, measure: Measure) -> dict[str, str]:
    """What each point of the grid of a run is worth, in words."""
    found = {}
    for point, own in by_point(config, rows).items():
        parts = {"best valid": scores.best(own, measure), "test": scores.last(own, f"test_{measure.name}")}
        said = [f"{part} {measure.label} {scores.summary(v, measure.scale)}" for part, v in parts.items() if v]
        sound = scores.sound(own)
        lost = [row for row in own if row not in sound]
        worth = [f"{', '.join(said)} ({_named(sound)})"] if sound else []
        found[point] = "; ".join(worth + ([f"{_named(lost)} diverged"] if lost else []))
    return found


def _named(rows: Rows) -> str:
    seeds = seeds_of(rows)
    return f"seed{'s' * (',' in seeds)} {seeds}"


def seeds_of(rows: Rows) -> str:
    """Those that rows are of."""
    return ", ".join(str(seed) for seed in dict.fromkeys(row["seed"] for row in rows))


def write(
    folder: Path, config: Config, stage: str, found: Sequence[float], score: Score, genotypes: Sequence[Genotype] = ()
) -> None:
    """`FILES`: all replicas, the mean of every point, the best first, behind them those in which a seed diverged, and a
    picture. found: the score of every seed, NaN where it diverged; genotypes: what it found, if that is not one for
    all."""
    known = grid.points(config, stage)
    lines = [
        {"seed": config.seed + i, **known[i % len(known)], score.name: float(value)} for i, value in enumerate(found)
    ]
    atomic_write(folder / FILES[0], tables.as_csv([*lines[0]], [[f"{v:.7g}" for v in line.values()] for line in lines]))
    of_points = [_summary(point, found[g :: len(known)], score) for g, point in enumerate(known)]
    of_points.sort(key=lambda one: (one["diverged"], -score.signed(one[f"mean_{score.name}"])))
    replicas = [line | {"genotype": to_json(one)} for line, one in zip(lines, genotypes, strict=False)] or lines
    said = {"grid": config.grid, "points": of_points, "replicas": replicas}
    atomic_write(folder / FILES[1], json.dumps(plain(said), indent=1))
    part = "supernet's validation" if stage == "search" else "test"
    plot(known, np.asarray(found, float), Measure(score.name, score.more), folder / FILES[2], part)


def _summary(point: Mapping[str, float], found: Sequence[float], score: Score) -> dict[str, Any]:
    """Mean and deviation are those of the seeds that did not diverge."""
    sound = [value for value in found if not np.isnan(value)]
    spread = {f"std_{score.name}": float(np.std(sound, ddof=1))} if len(sound) > 1 else {}
    mean = float(np.mean(sound)) if sound else np.nan
    return {**point, f"mean_{score.name}": mean, **spread, "seeds": len(found), "diverged": len(found) - len(sound)}


def plot(
    points: Sequence[Mapping[str, float]], found: np.ndarray, measure: Measure, path: str | Path, part: str
) -> None:
    """Scores found [N] by replicas, which have the points in turn, against the first field: a dot each, and a line
    through the means for all values of the others, and a cross at the bottom where a seed diverged. part: of the data,
    for the title."""
    first, *others = points[0]
    figure = new_figure(7.0, 3.8)
    axis, shown = figure.subplots(), measure.scale * found
    lines = dict[str, list[int]]()
    for g, point in enumerate(points):
        lines.setdefault(grid.text({name: point[name] for name in others}), []).append(g)
    values = sorted({point[first] for point in points})
    colours = (SPLITS["train"], SPLITS["valid"], SPLITS["test"], "#7b3294", "#5c6b7d")
    for n, (label, numbers) in enumerate(lines.items()):
        numbers, colour = sorted(numbers, key=lambda g: points[g][first]), colours[n % len(colours)]
        places = [values.index(points[g][first]) for g in numbers]
        own = [shown[g :: len(points)] for g in numbers]
        for place, dots in zip(places, own, strict=True):
            axis.scatter([place] * len(dots), dots, s=20, color=colour, alpha=0.55, linewidth=0)
            if np.isnan(dots).any():
                axis.scatter([place], [0.04], s=30, marker="x", color=colour, transform=axis.get_xaxis_transform())
        sound = [dots[~np.isnan(dots)] for dots in own]
        axis.plot(
            places, [dots.mean() if len(dots) else np.nan for dots in sound], color=colour, linewidth=1.6, label=label
        )
    crosses = ", crosses diverged" if np.isnan(found).any() else ""
    axis.set_title(f"{part} {measure.label}: dots are seeds, lines their means{crosses}", fontsize=10, loc="left")
    axis.set_xlabel(first, fontsize=9)
    if others:
        axis.legend(frameon=False, fontsize=8)
    dress(axis)
    axis.set_xticks(range(len(values)), [fields.shown(value) for value in values])
    save(figure, path)
