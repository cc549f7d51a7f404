"""What an automatic run has done, piece by piece, and the time that it has left.

`auto.json` is written whole after every piece of work, so that a run that was interrupted, or killed, loses only the
piece that was under way. Seconds count while the run works: an interruption costs none.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from dnas.errors import UserError
from dnas.files import atomic_write, read_json

FILE = "auto.json"
MINUTE, MINUTES = 60.0, 30.0


class Journal:
    """order: what was asked for, which does not change. pieces: what is done, by name. told: of every stage its name,
    what was said, and the commands that do the same."""

    def __init__(self, folder: Path, order: dict[str, Any], minutes: float | None = None):
        """order: of one that goes on, what is not said of it is as it was. minutes: None, as it was, else `MINUTES`.
        Errors: `UserError` for another order."""
        known = read_json(folder / FILE) or {}
        self.folder, self.order = folder, order
        self.pieces: dict[str, Any] = known.get("pieces", {})
        self.told: list[dict[str, Any]] = known.get("told", [])
        for name, before in known.get("order", {}).items():
            if order[name] and order[name] != before:
                raise UserError(
                    f"{folder} was begun with {name} {before!r}, not {order[name]!r}: repeat its command, or choose "
                    "another --out."
                )
            order[name] = before
        self.minutes: float = minutes or known.get("minutes", MINUTES)
        self.began = time.monotonic() - known.get("seconds", 0.0)
        self.end = self.began + MINUTE * self.minutes
        self.write()

    @property
    def seconds(self) -> float:
        """That the run has worked for."""
        return time.monotonic() - self.began

    @property
    def left(self) -> float:
        """Seconds until its time is up; below 0 where it was."""
        return self.end - time.monotonic()

    def once(self, name: str, work: Callable[[], Any]) -> Any:
        """What a piece of work gives, ready for JSON; where it is done already, what it gave."""
        if name not in self.pieces:
            began = time.monotonic()
            value = work()
            self.pieces[name] = {"value": value, "seconds": round(time.monotonic() - began, 2)}
            self.write()
        return self.pieces[name]["value"]

    def tell(self, stage: str, said: str, commands: tuple[str, ...]) -> None:
        """Keep what is said of a stage, once."""
        if stage not in [one["name"] for one in self.told]:
            self.told.append({"name": stage, "said": [], "commands": []})
        place = next(one for one in self.told if one["name"] == stage)
        place["said"] += [said] * (said not in place["said"])
        place["commands"] += [command for command in commands if command not in place["commands"]]

    def write(self) -> None:
        """Keep what is done, and the seconds."""
        about = {"order": self.order, "minutes": self.minutes, "seconds": round(self.seconds, 2)}
        about |= {"pieces": self.pieces, "told": self.told}
        atomic_write(self.folder / FILE, json.dumps(about, indent=1))
