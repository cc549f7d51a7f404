"""The journal of a search on the host, trials.jsonl: a line when a trial begins and one when it ends, in their order.

    {"run": 0, "trial": 7, "architecture": [3, 0, 1], "fidelity": 1.0}
    {"run": 0, "trial": 7, "values": {"accuracy": 0.91}, "seconds": 12.5, "failed": ""}

From these lines a search goes on as if it had not been interrupted: its searchers are asked and told again what they
were, and what had begun and not ended is evaluated anew. A half-written last line is cut.
"""

import json
import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dnas.blackbox.searcher import Proposal
from dnas.errors import StorageError
from dnas.files import append, parsed, storage
from dnas.paths import content_of
from dnas.runs.rows import plain

FILE = "trials.jsonl"
SYNC_SECONDS = 1.0  # between waits for the disk: what a power cut may cost


class Outcome(NamedTuple):
    """What an evaluation gave. failed: why it gave no values, in a sentence."""

    values: Mapping[str, float]
    seconds: float
    failed: str = ""


class Began(NamedTuple):
    """A trial of a run, both counted from 0."""

    run: int
    trial: int
    proposal: Proposal


class Ended(NamedTuple):
    """Its end."""

    run: int
    trial: int
    outcome: Outcome


Event = Began | Ended


def read(folder: Path) -> list[Event]:
    """What happened so far. Errors: `StorageError` that names a line that is damaged."""
    path = folder / FILE
    with storage(folder):
        if not path.exists():
            return []
        rows, damaged = parsed(content_of(path), lambda row: _event(row) is not None)
    if damaged:
        raise StorageError(
            f"Line {damaged} of {path} is damaged: remove it and all that follow, and the search goes on from there."
        )
    return [event for row in rows if (event := _event(row)) is not None]


def writer(folder: Path) -> Callable[[Event], None]:
    """What appends an event, whole or not at all."""
    path, synced = folder / FILE, 0.0

    def write(event: Event) -> None:
        nonlocal synced
        append(path, _line(event))
        if time.monotonic() - synced > SYNC_SECONDS:
            with storage(folder), open(path, "rb") as file:
                os.fsync(file.fileno())
            synced = time.monotonic()

    return write


def _line(event: Event) -> str:
    if isinstance(event, Began):
        architecture, fidelity = event.proposal
        about = {"architecture": np.asarray(architecture).tolist(), "fidelity": float(fidelity)}
    else:
        values = {name: float(value) for name, value in event.outcome.values.items()}
        about = {"values": values, "seconds": float(event.outcome.seconds), "failed": event.outcome.failed}
    return json.dumps(plain({"run": event.run, "trial": event.trial} | about)) + "\n"


def _event(row: Any) -> Event | None:
    """The event of a line; None for what is none."""
    match row:
        case {"run": int(run), "trial": int(trial), "architecture": list(options), "fidelity": float(fidelity)}:
            if all(isinstance(option, int) for option in options):
                return Began(run, trial, Proposal(np.array(options, np.int32), fidelity))
        case {"run": int(run), "trial": int(trial), "values": dict(values), "seconds": float(s), "failed": str(failed)}:
            if all(isinstance(value, (int, float)) for value in values.values() if value is not None):
                numbers = {name: float("nan") if value is None else float(value) for name, value in values.items()}
                return Ended(run, trial, Outcome(numbers, s, failed))
    return None
