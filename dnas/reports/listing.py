"""All runs below a folder, with what one wants to see of each: state, how far it is, main numbers, a small curve."""

import hashlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import quote

from dnas.config import Config
from dnas.errors import UserError
from dnas.reports import blackbox, charts, comparison, scores, states
from dnas.reports.plots import Measure, Rows, series_of
from dnas.reports.sentences import named
from dnas.runs.records import config_of, read_metrics

DEEPEST = 4  # folders below the one that is listed
MOST = 500  # runs of a list
OWN = {"checkpoints", "events", "genotypes", "damaged", "workers"}  # folders of a run that hold no other
STRAIGHT = 2  # points of a curve at least


class Entry(NamedTuple):
    """name: its folder, below the one that is listed. changed: when, in seconds of the epoch."""

    name: str
    folder: Path
    kind: str
    state: str
    changed: float


def found(root: Path) -> list[Entry]:
    """Everything below a folder that has a page: what runs first, then by when it was changed last. Links are not
    followed."""
    entries = [entry for folder in _folders(root, 0) if (entry := _entry(root, folder)) is not None][:MOST]
    return sorted(entries, key=lambda entry: (entry.state != states.RUNNING, -entry.changed, entry.name))


def signature(entries: list[Entry]) -> str:
    """Which changes when the list would."""
    return hashlib.sha256(repr(entries).encode()).hexdigest()[:16]


def shown(entry: Entry) -> dict[str, Any]:
    """For the template."""
    about: dict[str, Any] = {
        "name": entry.name,
        "address": f"/run/{quote(entry.name)}/",
        "kind": entry.kind,
        "state": entry.state,
        "changed": _ago(time.time() - entry.changed),
        "text": "",
        "numbers": {},
        "spark": "",
        "progress": None,
    }
    try:
        if entry.kind == "run":
            return about | _of_run(entry.folder)
        if entry.kind == "blackbox":
            return about | {"text": blackbox.text(entry.folder)}
        if entry.kind == "comparison":
            names = comparison.names_of(entry.folder)
            return about | {"text": f"comparison of {', '.join(names)}" if names else "comparison"}
    except UserError as error:  # one that is damaged must not hide the others
        return about | {"text": str(error)}
    return about | {"text": {"study": "study of hyperparameters"}.get(entry.kind, "")}


def _of_run(folder: Path) -> dict[str, Any]:
    config, rows = config_of(folder), read_metrics(folder)
    measure, training = scores.measure_of(folder), scores.is_training(rows)
    epochs, done = _epochs(config, training), scores.last_epoch(rows) or 0
    numbers = {
        f"valid {measure.label}": scores.summary(scores.best(rows, measure), measure.scale),
        f"test {measure.label}": scores.summary(scores.last(rows, f"test_{measure.name}"), measure.scale),
        "parameters": scores.summary(scores.last(rows, "parameters"), 1, "{:,.0f}"),
    }
    what = "training" if training else "search"
    return {
        "text": f"{what}: {named(config.method)} on {named(config.data)}, space {named(config.space)}",
        "numbers": {name: value for name, value in numbers.items() if value != "-"},
        "spark": _spark(rows, measure, training),
        "progress": (done, max(epochs, done)) if rows else None,
    }


def _epochs(config: Config, training: bool) -> int:
    return config.retrain.epochs if training else config.search.epochs


def _spark(rows: Rows, measure: Measure, training: bool) -> Any:
    """The score of the first seed over epochs."""
    for name in (f"{'test' if training else 'valid'}_{measure.name}", "train_loss"):
        for _, values in series_of(rows, name).values():
            if len(values) >= STRAIGHT:
                return charts.spark([float(value) for value in values])
    return ""


def _folders(folder: Path, depth: int) -> Iterator[Path]:
    try:
        entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        if entry.is_dir(follow_symlinks=False) and entry.name not in OWN and not entry.name.startswith("."):
            yield folder / entry.name
            if depth + 1 < DEEPEST:
                yield from _folders(folder / entry.name, depth + 1)


def _entry(root: Path, folder: Path) -> Entry | None:
    kind = states.kind_of(folder)
    if not kind:
        return None
    times = [folder.stat().st_mtime]
    for name in ("metrics.jsonl", "comparison.json", "study.db", "trials.jsonl"):
        try:
            times.append((folder / name).stat().st_mtime)
        except OSError:
            continue
    return Entry(folder.relative_to(root).as_posix(), folder, kind, states.state_of(folder), max(times))


def _ago(seconds: float) -> str:
    for unit, name in ((86400, "day"), (3600, "hour"), (60, "minute")):
        if seconds >= unit:
            count = int(seconds // unit)
            return f"{count} {name}{'s' if count > 1 else ''} ago"
    return "just now"
