"""Looking at data before anything is learnt: what they are, how much, what is wrong with them.

`look("flowers/")` guesses what the data are from what is in them and says the choice that all commands take, as
`image_folder:path=flowers,size=32`, and what the checks of `checks/` find.
"""

from dataclasses import dataclass
from pathlib import Path

from dnas.automl.checks.protocol import Finding
from dnas.data import load
from dnas.errors import UserError

__all__ = ["Finding", "Look", "look"]


@dataclass(frozen=True)
class Look:
    """data: the choice that all commands take. task: by name, as `dnas list` has them. sizes: examples of each part
    ("train", "valid", "test"), and how large an example is. classes: none where a number is predicted; counts: how many
    examples each has."""

    data: str
    task: str
    sizes: dict[str, int]
    classes: tuple[str, ...]
    counts: tuple[int, ...]
    findings: tuple[Finding, ...]

    @property
    def fatal(self) -> tuple[Finding, ...]:
        """Those of the findings after which nothing can be learnt."""
        return tuple(finding for finding in self.findings if finding.severity == "fatal")

    def require(self) -> None:
        """Errors: `UserError` with the sentence of the first fatal finding, if there is one."""
        if self.fatal:
            raise UserError(self.fatal[0].sentence)


def look(data: str | Path, *, target: str | None = None, keep: tuple[str, ...] = ()) -> Look:
    """data: a folder, a file, or a data set by name. target: of a table, the column to predict; None: guessed. keep:
    columns of a table that stay although a check would leave them out.

    Errors: `UserError` for what is no data, or of which no part can be read.
    """
    loaded = load(str(data))
    sizes = {part: len(getattr(loaded, f"{part}_y")) for part in ("train", "test")}
    return Look(str(data), loaded.task, sizes, loaded.classes, (), ())
