"""Run a study until so many of its trials have ended, whoever does them. A folder keeps it.

tune.json: the study. study.db: its trials, of Optuna, where no other storage is named. environment.json: what it ran
with. trials.csv: a row for every trial, for pandas. best.json, cell.json: config and genotype of the best one.
summary.json: the best values, what matters, how many trials. report.html, and its pictures. trials/: searches under
way. workers/: who works here.
"""

import json
import math
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from dnas.blackbox import pools
from dnas.errors import StorageError, UserError
from dnas.files import atomic_write, storage
from dnas.runs import environment, loop
from dnas.tune import crew as crews
from dnas.tune import outcome
from dnas.tune import study as studies
from dnas.tune.outcome import Result
from dnas.tune.plan import Plan

LOOK = 0.5  # seconds between looks at the study while others work
MOST_TRIALS = 100_000
SLOW = 24 * 3600.0  # seconds over which the time that is left is estimated: trials are few and long


def run(
    plan: Plan,
    out: str | Path,
    *,
    trials: int = 40,
    url: str = "",
    name: str = "",
    workers: int = 0,
    quiet: bool = True,
    until: float = math.inf,
    each: float = math.inf,
) -> Result:
    """Do trials until so many have ended, those of earlier calls and of others who share the study counting.

    url: of a database, as `sqlite:///FILE`, `postgresql://...`, whose study any number of machines share; empty: a file
    of the folder. name: of the study there; empty: that of the folder. workers: processes of this machine; 0: this one.
    until: of `time.monotonic`, when a trial that is under way is given up; none begins that is not likely to end until
    then. each: seconds after which a trial is given up.
    Errors: `UserError` for what cannot be run; `loop.Interrupted` by Ctrl-C: another call goes on.
    """
    if not 1 <= trials <= MOST_TRIALS:
        raise UserError(f"--trials must be at least 1 and at most {MOST_TRIALS:,}, not {trials}.")
    if not 0 <= workers <= pools.MOST_WORKERS:
        raise UserError(f"--workers must be at least 0 and at most {pools.MOST_WORKERS:,}, not {workers}.")
    pools.Crew(workers).prepare()
    loop.prepare_process()
    folder = Path(out)
    _prepare(folder, url)
    place = crews.Place(folder, url, name or folder.resolve().name, alone=not url and not workers)
    study = studies.opened(plan, folder, url, place.name)
    atomic_write(folder / "tune.json", json.dumps(plan.described(), indent=1))
    command = studies.hidden(loop.typed_command())
    atomic_write(folder / "environment.json", json.dumps(environment.described(command), indent=1))
    try:
        with _bar(plan, study, trials, quiet) as (moved, told):
            limits = crews.Limits(until, each)
            crew = crews.Processes(plan, place, limits, workers) if workers else crews.Here(plan, place, limits, told)
            try:
                with closing(crew):
                    _drive(study, folder, crew, trials, until, moved)
            finally:
                studies.revive(study, folder, ended=crew.names)
                crews.tidy(folder)
    except (KeyboardInterrupt, loop.Interrupted):
        if any(trial.state.name == "COMPLETE" for trial in studies.ended(study)):
            outcome.written(plan, study, folder)
        done = len(studies.ended(study))
        raise loop.Interrupted(
            f"Stopped after {done} of {trials} trials, which are in {folder}: the same command goes on."
        ) from None
    return outcome.written(plan, study, folder)


def _prepare(folder: Path, url: str) -> None:
    """Make the folder. Errors: `UserError` where it holds something else, `StorageError` where it cannot be."""
    with storage(folder):
        names = {file.name for file in folder.iterdir() if not file.name.startswith(".")} if folder.is_dir() else set()
        if names and not names & {"tune.json", "study.db", studies.WORKERS}:
            raise UserError(f"{folder} is not empty and holds no study: choose another --out.")
        if "tune.json" in names and not url and "study.db" not in names:
            raise StorageError(
                f"{folder} has no study.db: name the --storage that it was made with, or choose another --out."
            )
        folder.mkdir(parents=True, exist_ok=True)


def _drive(study: Any, folder: Path, crew: crews.Crew, trials: int, until: float, moved: Any) -> None:
    """Trials until enough have ended; what others have begun is waited for, and done here if they die."""
    began, before = time.monotonic(), len(studies.ended(study))
    while True:
        studies.revive(study, folder)
        done = len(studies.ended(study))
        moved()
        now, here = time.monotonic(), done - before
        fits = now + ((now - began) / here if here else 0.0) * crew.size < until
        if done >= trials or now >= until or not (fits or crew.busy):
            return
        under_way = crew.busy + studies.running(study, but=crew.names)
        if fits and crew.busy < crew.size and done + under_way < trials:
            crew.begin()
        else:
            crew.look(LOOK)


@contextmanager
def _bar(plan: Plan, study: Any, trials: int, quiet: bool) -> Iterator[tuple[Any, Any]]:
    """Trials that have ended, time left, the best so far, and what this process does."""
    columns = (
        TextColumn("tune"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("trials"),
        TimeElapsedColumn(),
        TextColumn("left"),
        TimeRemainingColumn(),
        TextColumn("{task.fields[best]}"),
        TextColumn("{task.fields[note]}"),
    )
    hidden = quiet or not loop.console.is_terminal
    with Progress(*columns, console=loop.console, disable=hidden, speed_estimate_period=SLOW) as bar:
        task = bar.add_task("tune", total=trials, completed=len(studies.ended(study)), best="", note="")

        def moved() -> None:
            ended = studies.ended(study)
            whole = [trial.value for trial in ended if trial.state.name == "COMPLETE"]
            best = f"best {plan.score.shown(plan.score.best(whole))}" if whole else ""
            bar.update(task, completed=min(len(ended), trials), best=best)

        yield moved, lambda text: bar.update(task, note=text)
