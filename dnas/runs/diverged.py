"""Seeds of a run whose loss became NaN or infinite while others go on.

They stay in the program, where what they compute is no number, and touch no other seed. The row of the epoch in which
it happened says at which step, {"seed": 3, "diverged": 120}, and nothing else; later epochs have none of them.
"""

from collections.abc import Container, Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from dnas.errors import UserError
from dnas.runs import records

NAME = "diverged"  # of the step in a row


def of_rows(rows: Iterable[Mapping[str, Any]]) -> dict[int, int]:
    """At which step which seeds diverged, by what metrics.jsonl says."""
    return {row["seed"]: row[NAME] for row in rows if row.get(NAME) is not None}


def since(bad_step: np.ndarray, known: Container[int], ended: Container[int] = ()) -> dict[int, int]:
    """The same of those that are not known yet, by their numbers. bad_step: as of `loop.Progress` [S]. ended: whose
    result stands, whatever becomes of them now."""
    return {i: int(step) for i, step in enumerate(bad_step) if step >= 0 and i not in known and i not in ended}


def refuse_any(found: Mapping[int, int]) -> None:
    """For who needs all seeds of a run. Errors: `UserError`."""
    if found:
        seeds = ", ".join(f"{seed} at step {step}" for seed, step in found.items())
        raise UserError(f"The loss became NaN or infinite in seed{'s' * (len(found) > 1)} {seeds}; the others ended.")


def refuse_weights(folder: Path, seeds: Iterable[int]) -> None:
    """For who needs the weights of these seeds of a run. Errors: `UserError`."""
    gone = of_rows(records.read_metrics(folder))
    for seed in seeds:
        if seed in gone:
            raise UserError(
                f"Seed {seed} of {folder} diverged at step {gone[seed]}, so its weights are no numbers: name another "
                "seed."
            )
