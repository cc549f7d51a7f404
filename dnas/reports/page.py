"""Run folders to one HTML page each, and to a table. Every number comes from a file of the run folder."""

import base64
import json
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import jinja2
import numpy as np
from rich import markup
from rich.table import Table

from dnas import config as configs
from dnas.errors import StorageError, UserError
from dnas.files import atomic_write
from dnas.paths import content_of
from dnas.reports import grids
from dnas.reports.plots import Measure, Rows, mix_histories, plot_alphas, plot_curves, series_of, values_of
from dnas.runs.records import config_of, read_description, read_genotypes, read_metrics, read_mix

LAST = 10  # rows of metrics on a page
LONGEST = 500  # characters of a value on a page, of a vocabulary say
REDRAWN = "a run draws its own anew with --resume"


def draw(folder: str | Path) -> list[Path]:
    """Draw what the rows of a run folder hold, into it: curves.png and mix.png (mix_seed_3.png, ...)."""
    folder = Path(folder)
    config, rows, drawn = config_of(folder), read_metrics(folder), []
    if any(series_of(rows, name) for name in ("train_loss", "valid_loss", "test_loss")):
        plot_curves(rows, folder / "curves.png", measure=measure_of(folder))
        drawn.append(folder / "curves.png")
    histories = mix_histories(read_mix(folder))
    for seed, history in histories.items():
        path = folder / ("mix.png" if len(histories) == 1 else f"mix_seed_{seed}.png")
        plot_alphas(history, path, f"mixing weights, {config.method} on {config.data}, seed {seed}")
        drawn.append(path)
    return drawn


def page(folder: str | Path) -> Path:
    """Write report.html, one self-contained page, into a run folder. Errors: `UserError` if it is none."""
    folder = Path(folder)
    config, rows = config_of(folder), read_metrics(folder)
    draw(folder)
    last = rows[-LAST:]
    shown = {
        "title": f"{config.method} on {config.data}, space {config.space}",
        "name": folder.resolve().name,
        "seeds": config.seeds,
        "tiles": _tiles(config, rows, measure_of(folder)),
        "by_value": _by_value(config, rows, measure_of(folder)),
        "stopped_after": config.retrain.patience if any(v[-1] for v in values_of(rows, "stopped")) else 0,
        "pictures": [_picture(path) for path in _pictures(folder)],
        "genotypes": _genotypes(folder),
        "columns": list(dict.fromkeys(name for row in last for name in row)),
        "rows": last,
        "data": read_description(folder, "data.json") or {"data set": config.data},
        "config": _flat(configs.to_dict(config)),
        "environment": _flat(read_description(folder, "environment.json")),
    }
    return write(folder, shown)


def of_study(
    folder: Path,
    title: str,
    tiles: dict[str, str],
    pictures: Sequence[Path],
    genotypes: list[str],
    rows: Sequence[dict[str, Any]],
    config: dict[str, Any],
) -> Path:
    """Write report.html of a study of hyperparameters into its folder. rows: of its best trials."""
    shown = {
        "title": title,
        "name": folder.resolve().name,
        "seeds": 1,
        "tiles": tiles,
        "stopped_after": 0,
        "pictures": [_picture(path) for path in pictures],
        "genotypes": genotypes,
        "columns": [*rows[0]] if rows else [],
        "rows": rows,
        "rows_are": "Best trials",
        "data": {},
        "config": _flat(config),
        "environment": _flat(read_description(folder, "environment.json")),
    }
    return write(folder, shown)


def write(folder: Path, shown: dict[str, Any]) -> Path:
    """What the template shows, as report.html of a folder."""
    templates = jinja2.Environment(
        loader=jinja2.PackageLoader("dnas.reports", "."), autoescape=True, undefined=jinja2.StrictUndefined
    )
    templates.filters["shown"] = _shown
    atomic_write(folder / "report.html", templates.get_template("page.html.jinja").render(shown))
    return folder / "report.html"


def table(folders: Sequence[str | Path]) -> Table:
    """Run folders side by side; with several seeds, mean and standard deviation of each seed's value."""
    shown = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("run", "method", "space", "data", "seed"):
        shown.add_column(name, overflow="fold")
    measures = {Path(folder): measure_of(folder) for folder in folders}
    alike = {measure.name for measure in measures.values()} <= {"accuracy"}
    for name in ("epoch", "best valid %" if alike else "best valid", "test %" if alike else "test", "parameters"):
        shown.add_column(name, justify="right", no_wrap=True)
    for folder, measure in measures.items():
        config, rows = config_of(folder), read_metrics(folder)
        unit, name = "" if alike else f" {measure.label}", folder.resolve().name
        for point, own in (grids.by_point(config, rows) or {"": rows}).items():
            shown.add_row(
                *map(markup.escape, (f"{name}, {point}" if point else name, config.method, config.space, config.data)),
                _seeds(config, own if point else []),
                str(max((row["epoch"] for row in own if row.get("epoch") is not None), default="-")),
                _with_unit(_best(own, measure), unit),
                _with_unit(_last(own, measure), unit),
                _summary([values[-1] for values in values_of(own, "parameters")], 1, "{:,.0f}"),
            )
    return shown


def _seeds(config: configs.Config, rows: Rows) -> str:
    """Those of a run, or of some of its rows."""
    if rows:
        return ", ".join(str(seed) for seed in dict.fromkeys(row["seed"] for row in rows))
    return str(config.seed) if config.seeds == 1 else f"{config.seed}-{config.seed + config.seeds - 1}"


def _by_value(config: configs.Config, rows: Rows, measure: Measure) -> dict[str, str]:
    """What the values of a grid are worth."""
    found = {}
    for point, own in grids.by_point(config, rows).items():
        parts = {"best valid": _best(own, measure), "test": _last(own, measure)}
        said = [f"{part} {measure.label} {value}" for part, value in parts.items() if value != "-"]
        found[point] = f"{', '.join(said)} (seeds {_seeds(config, own)})"
    return found


def _summary(values: list[float], scale: float, form: str = "{:.2f}") -> str:
    if not values:
        return "-"
    mean = form.format(scale * float(np.mean(values)))
    spread = scale * float(np.std(values, ddof=1)) if len(values) > 1 else 0.0
    return mean + (f" ± {form.format(spread)}" if spread else "")


def measure_of(folder: str | Path) -> Measure:
    """The score of a run; of one that does not say, accuracy."""
    found = read_description(folder, "data.json").get("score")
    match found:
        case {"name": str(name), "more": bool(more)}:
            return Measure(name, more)
    return Measure()


def _best(rows: Rows, measure: Measure) -> str:
    best = max if measure.more else min
    return _summary([best(values) for values in values_of(rows, f"valid_{measure.name}")], measure.scale)


def _last(rows: Rows, measure: Measure) -> str:
    return _summary([values[-1] for values in values_of(rows, f"test_{measure.name}")], measure.scale)


def _with_unit(text: str, unit: str) -> str:
    return text if text == "-" else text + unit


def _tiles(config: configs.Config, rows: Rows, measure: Measure) -> dict[str, str]:
    """The numbers on top of a page."""
    last = max((row["epoch"] for row in rows if row.get("epoch") is not None), default=None)
    return {
        f"best valid {measure.label}": _best(rows, measure),
        f"test {measure.label}": _last(rows, measure),
        "last train loss": _summary([v[-1] for v in values_of(rows, "train_loss")], 1, "{:.3f}"),
        "parameters": _summary([v[-1] for v in values_of(rows, "parameters")], 1, "{:,.0f}"),
        "best epoch": _summary([v[-1] for v in values_of(rows, "best_epoch")], 1, "{:.0f}"),
        "last epoch": "-" if last is None else str(last),
        "seeds": str(config.seeds),
    }


def _genotypes(folder: Path) -> list[str]:
    """None where the run has not come so far."""
    try:
        genotypes = read_genotypes(folder)
    except StorageError:
        raise
    except UserError:
        return []
    return [indented(genotype) for genotype in genotypes]


def indented(genotype: dict[str, Any]) -> str:
    """JSON whose innermost lists are a line each."""
    return re.sub(r"\[[^][{}]*\]", lambda m: re.sub(r"\s+", " ", m[0]), json.dumps(genotype, indent=2))


def _shown(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.5g}"
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]} ... ({len(text):,} characters)"


def _flat(values: dict[str, Any], path: str = "") -> dict[str, Any]:
    """Nested dictionaries as one, with dotted names."""
    flat: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{path}{key}.")
        elif isinstance(value, list) and any(isinstance(item, dict) for item in value):
            for number, item in enumerate(value, 1):
                flat |= _flat(item, f"{path}{key} {number}.")
        elif value != []:
            flat[f"{path}{key}"] = value
    return flat


def _pictures(folder: Path) -> list[Path]:
    """Those of a run folder: curves first, then mixes, then cells."""
    return sorted(folder.glob("*.png"), key=lambda p: (p.stem != "curves", not p.stem.startswith("mix"), p.name))


def _picture(path: Path) -> dict[str, str]:
    """What the template shows of a picture. Errors: `StorageError` for what is none."""
    try:
        picture = content_of(path)
    except OSError as error:
        raise StorageError(f"Cannot read {path} ({error.strerror}): remove it; {REDRAWN}.") from error
    if not _is_png(picture):
        raise StorageError(f"{path} is damaged, it is no PNG: remove it; {REDRAWN}.")
    width = "half" if path.stem.startswith("mix_seed") else "whole"
    return {"name": path.stem, "width": width, "data": base64.b64encode(picture).decode()}


def _is_png(data: bytes) -> bool:
    """Whether all chunks, [size, type, content, checksum], are there and whole."""
    begin, kind = 8, b""
    while kind != b"IEND" and begin + 12 <= len(data):
        end = begin + 8 + int.from_bytes(data[begin : begin + 4])
        kind = data[begin + 4 : begin + 8]
        if zlib.crc32(data[begin + 4 : end]) != int.from_bytes(data[end : end + 4]):
            return False
        begin = end + 4
    return data.startswith(b"\x89PNG\r\n\x1a\n") and kind == b"IEND" and begin == len(data)
