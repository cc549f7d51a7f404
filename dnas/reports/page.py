"""Run folders to one HTML page each, and to a table. Every number comes from a file of the run folder."""

import base64
import json
import re
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from rich import markup
from rich.table import Table

from dnas import config as configs
from dnas.architectures.genotype import Genotype, from_json
from dnas.config import Config
from dnas.errors import StorageError, UserError
from dnas.paths import content_of
from dnas.reports import charts, costs, drawing, graphs, grids, html, mistakes, scores, sentences, why
from dnas.reports.plots import Measure, Rows, mix_histories, plot_alphas, plot_curves, series_of, values_of
from dnas.reports.scores import measure_of, plain
from dnas.runs import diverged
from dnas.runs.records import config_of, read_description, read_genotypes, read_metrics, read_mix

__all__ = ["draw", "genotypes_of", "measure_of", "of_study", "page", "picture", "table"]

LAST = 10  # rows of metrics on a page
REDRAWN = "a run draws its own anew with --resume"
DRAWN = re.compile(r"(curves|cells(_seed_\d+)?|mix(_seed_\d+)?|confusion)\.png")  # what a page draws itself
WEIGHED = "Of every operation its last mixing weight"
BROAD = {
    True: "an arrow is as broad as what the supernet loses without it",
    False: "which is also how broad its arrow is",
}


def draw(folder: str | Path) -> list[Path]:
    """Draw what the rows of a run folder hold, into it: curves.png and mix.png (mix_seed_3.png, ...)."""
    folder = Path(folder)
    config, rows, drawn = config_of(folder), scores.sound(read_metrics(folder)), []
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
    """Write report.html, one self-contained page, into a run folder, and its pictures for papers. Errors: `UserError`
    if it is none."""
    folder = Path(folder)
    config_of(folder)
    draw(folder)
    return html.write("page.html.jinja", folder / "report.html", described(folder))


def described(folder: Path, state: str = "") -> dict[str, Any]:
    """What the template shows of a run. state: "running" and the like, where that is known. Errors: as of `page`."""
    config, rows, measure = config_of(folder), read_metrics(folder), measure_of(folder)
    mix, genotypes, last = read_mix(folder), _genotypes(folder), rows[-LAST:]
    data, best = read_description(folder, "data.json"), scores.best_seed(rows, measure, config.seeds)
    readable, gone = genotypes_of(genotypes), diverged.of_rows(rows)
    chosen = readable[min(best, len(readable) - 1)] if readable else None
    asked = why.found(folder)
    cells = [cell for cell in _cells(readable, mix, config, best, asked) if cell["seed"] not in gone]
    return {
        "title": f"{config.method} on {config.data}, space {config.space}",
        "heading": f"{sentences.named(config.method)} on {sentences.named(config.data)}",
        "subtitle": f"{folder.resolve().name}: {config.method} on {config.data}, space {config.space}",
        "state": state,
        "sentence": sentences.found(config, rows, measure, chosen, data),
        "notes": _notes(config, rows),
        "retrained": _retrained(folder),
        "tiles": _tiles(config, rows, measure),
        "by_value": grids.by_value(config, rows, measure),
        "hints": _hints(folder, rows, data, asked),
        "cells": cells,
        "cells_note": cells[0]["note"] if cells else "",
        "families": charts.legend(drawing.families(chosen)) if chosen else "",
        "why": why.described(asked, folder) if asked else None,
        "curves": graphs.curves(scores.sound(rows), measure),
        "curves_note": "Thin lines are seeds, strong ones their mean." if config.seeds > 1 else "",
        "mixes": _mixes(mix, config, best),
        "costs": costs.of_run(folder, scores.sound(rows), measure, readable, config.seed),
        "examined": mistakes.examined(folder),
        "pictures": [picture(path) for path in sorted(folder.glob("*.png")) if not DRAWN.fullmatch(path.name)],
        "genotypes": [indented(genotype) for genotype in genotypes],
        "columns": list(dict.fromkeys(name for row in last for name in row)),
        "rows": last,
        "rows_are": "Last metrics",
        "data": data or {"data set": config.data},
        "config": plain(configs.to_dict(config)),
        "environment": plain(read_description(folder, "environment.json")),
    }


def nothing() -> dict[str, Any]:
    """What the template takes for whatever is not there; a page of something else than a run begins with it."""
    texts = dict.fromkeys(("sentence", "state", "retrained", "cells_note", "curves_note", "families"), "")
    lists = dict.fromkeys(("notes", "cells", "curves", "hints", "mixes", "costs", "by_value", "data"), ())
    return {**texts, **lists, "why": None, "examined": None}


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
    shown = nothing() | {
        "title": title,
        "heading": title,
        "subtitle": folder.resolve().name,
        "tiles": tiles,
        "pictures": [picture(path) for path in pictures],
        "genotypes": genotypes,
        "columns": [*rows[0]] if rows else [],
        "rows": rows,
        "rows_are": "Best trials",
        "config": plain(config),
        "environment": plain(read_description(folder, "environment.json")),
    }
    return html.write("page.html.jinja", folder / "report.html", shown)


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
        seeds = str(config.seed) if config.seeds == 1 else f"{config.seed}-{config.seed + config.seeds - 1}"
        for point, own in (grids.by_point(config, rows) or {"": rows}).items():
            epoch = scores.last_epoch(own)
            shown.add_row(
                *map(markup.escape, (f"{name}, {point}" if point else name, config.method, config.space, config.data)),
                grids.seeds_of(own) if point else seeds,
                "-" if epoch is None else str(epoch),
                _with_unit(scores.summary(scores.best(own, measure), measure.scale), unit) + _lost(own),
                _with_unit(scores.summary(scores.last(own, f"test_{measure.name}"), measure.scale), unit),
                scores.summary(scores.last(own, "parameters"), 1, "{:,.0f}"),
            )
    return shown


def indented(genotype: dict[str, Any]) -> str:
    """JSON whose innermost lists are a line each."""
    return re.sub(r"\[[^][{}]*\]", lambda m: re.sub(r"\s+", " ", m[0]), json.dumps(genotype, indent=2))


def _with_unit(text: str, unit: str) -> str:
    return text if text == "-" else text + unit


def _notes(config: Config, rows: Rows) -> list[str]:
    """What else is to be known of the numbers on top."""
    spread = [f"Mean ± standard deviation over {config.seeds} seeds."] if config.seeds > 1 else []
    diverged = [text] if (text := sentences.diverged(config, rows)) else []
    patience = config.retrain.patience if any(v[-1] for v in values_of(rows, "stopped")) else 0
    early = [f"Stopped early: {patience} epochs were no better on the validation part."] if patience else []
    return spread + diverged + early


def _lost(rows: Rows) -> str:
    """How many of the seeds of these rows diverged, behind what the others are worth."""
    gone = diverged.of_rows(rows)
    return f" ({len(gone)} diverged)" if gone else ""


def _tiles(config: Config, rows: Rows, measure: Measure) -> dict[str, str]:
    """The numbers on top of a page."""
    last = scores.last_epoch(rows)
    return {
        f"best valid {measure.label}": scores.summary(scores.best(rows, measure), measure.scale),
        f"test {measure.label}": scores.summary(scores.last(rows, f"test_{measure.name}"), measure.scale),
        "last train loss": scores.summary(scores.last(rows, "train_loss"), 1, "{:.3f}"),
        "parameters": scores.summary(scores.last(rows, "parameters"), 1, "{:,.0f}"),
        "best epoch": scores.summary(scores.last(rows, "best_epoch"), 1, "{:.0f}"),
        "last epoch": "-" if last is None else str(last),
        "seeds": str(config.seeds),
    }


def _retrained(folder: Path) -> str:
    """What the found network is worth by itself, where it was trained in the folder of its search; else empty."""
    own = folder / "retrain"
    try:
        rows, measure = read_metrics(own), measure_of(own)
    except UserError:  # the page of that training says so
        return ""
    found = scores.last(rows, f"test_{measure.name}")
    unit = "% test accuracy" if measure.name == "accuracy" else f"test {measure.name}"
    return f"Trained by itself, the found network has {scores.summary(found, measure.scale)} {unit}" if found else ""


def _hints(folder: Path, rows: Rows, data: dict[str, Any], asked: Any) -> list[dict[str, str]]:
    """What else could stand on the page of a run that has measured something."""
    hints = []
    if scores.is_training(rows) and data.get("classes") and not (folder / mistakes.FILE).exists():
        hints.append({"text": "What was taken for what, and the worst mistakes", "command": f"dnas test {folder.name}"})
    if rows and not scores.is_training(rows):
        retrained = folder / "retrain"
        if not asked or why.is_old(asked, rows):
            since = " since: it has gone on" if asked else ""
            hints.append({"text": f"Why it found this{since}", "command": f"dnas why {folder.name}"})
        if not (retrained / "config.json").exists():
            hints.append({"text": "What it is worth by itself", "command": f"dnas retrain {folder.name}"})
    return hints


def _genotypes(folder: Path) -> list[dict[str, Any]]:
    """None where the run has not come so far."""
    try:
        return read_genotypes(folder)
    except StorageError:
        raise
    except UserError:
        return []


def genotypes_of(records: Sequence[dict[str, Any]]) -> list[Genotype]:
    """Of their JSON; none where one is none, as what another version wrote may be."""
    try:
        return [from_json(record) for record in records]
    except UserError:
        return []


def _cells(genotypes: Sequence[Genotype], mix: Rows, config: Config, best: int, asked: Any) -> list[dict[str, Any]]:
    """Drawings of what every seed found, the best first and open. asked: what why.json holds."""
    order = sorted(range(len(genotypes)), key=lambda i: i != best)
    found = list[dict[str, Any]]()
    for i in order:
        weights = graphs.last_weights(mix, config.seed + i)
        about = {
            (kind, edge): weight
            for kind, cell in genotypes[i].cells
            for edge in cell.edges
            if (weight := weights.get((kind, f"{edge.node}<-{edge.source}", edge.operation))) is not None
        }
        lost = why.importance(asked, genotypes[i], config.seed + i)
        drawings = drawing.drawn(genotypes[i], about, lost)
        note = f"{WEIGHED}, {BROAD[bool(lost)]}." if about else ""
        seed = config.seed + i
        found.append({"seed": seed, "name": f"seed {seed}", "open": i == order[0], "drawings": drawings, "note": note})
    return found


def _mixes(mix: Rows, config: Config, best: int) -> list[dict[str, Any]]:
    """Small charts of every seed, those of the best first and open."""
    histories = mix_histories(mix)
    order = sorted(histories, key=lambda seed: seed != config.seed + best)
    return [
        {"name": f"seed {seed}", "open": seed == order[0], "kinds": graphs.mixes(histories[seed])} for seed in order
    ]


def picture(path: Path) -> dict[str, str]:
    """What the template shows of a picture. Errors: `StorageError` for what is none."""
    try:
        picture = content_of(path)
    except OSError as error:
        raise StorageError(f"Cannot read {path} ({error.strerror}): remove it; {REDRAWN}.") from error
    if not _is_png(picture):
        raise StorageError(f"{path} is damaged, it is no PNG: remove it; {REDRAWN}.")
    return {"name": path.stem, "data": base64.b64encode(picture).decode()}


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
