"""Run a searcher, one or many times, each run until its budget is spent. A folder keeps what was tried, found.

blackbox.json: the search. environment.json: what it ran with. trials.csv: a row for every evaluation, for pandas.
warmup.jsonl: the scores of a warm-up.
summary.json: what the runs found, in numbers. genotype.json: the found architecture with the best score of all runs.
report.html: the page. accuracy.png: the truth about the best so far against the budget. Of several objectives also
the front of all runs, front.json, front.csv and front.png.

Traced searchers of a table take seconds for all their runs, so a search that was cut off is done again, with the same
outcome. All others go through one trial after the other (`host.py`) and go on where they were: trials.jsonl.
"""

import json
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from dnas import paths
from dnas.architectures.choices import decode
from dnas.architectures.genotype import Genotype, to_json
from dnas.blackbox import host, pools, trials, warmup
from dnas.blackbox.config import BlackboxConfig
from dnas.blackbox.jobs import Job, build
from dnas.blackbox.traced import simulated
from dnas.blackbox.trials import Trials
from dnas.config import from_dict, to_dict
from dnas.errors import StorageError, UserError
from dnas.evaluators.protocol import Evaluator
from dnas.fields import differences
from dnas.files import atomic_write, read_sealed, sealed, storage
from dnas.reports import blackbox, tables
from dnas.runs import environment, loop

REMOVE = "remove it, and the search is done again"
LONG = ("titles", "quantity", "curve", "found", "spent")  # what a summary has for figures, and to be read again


class Result(NamedTuple):
    """What is known of a search. summary: see `trials.summary`; and its `curve`, see `trials.curve`.

    found: what each run found, of several objectives the best by the first. seconds: what each run took, by the
    evaluator's account.
    """

    config: BlackboxConfig
    folder: Path | None
    summary: dict[str, Any]
    found: list[Genotype]
    seconds: list[float]


def run(config: BlackboxConfig, out: str | Path | None = None, *, workers: str = "", quiet: bool = True) -> Result:
    """Search, and leave a folder if `out` names one; one that holds this search already is read, or gone on with.

    workers: who evaluates, see `pools.parse`; empty: this process. quiet: no progress bar.
    Errors: `UserError` for a config that cannot be run and for a folder that holds something else;
    `loop.Interrupted` by Ctrl-C, where another call goes on.
    """
    crew = pools.parse(workers)
    crew.prepare()
    loop.prepare_process()
    job = build(config)
    pools.check(crew, job)
    if out is None:
        return _result(job, None, _numbers(job, searched(job, crew)))
    folder = Path(out)
    with ExitStack() as lock:
        with storage(folder):
            folder.mkdir(parents=True, exist_ok=True)
            lock.enter_context(paths.locked(folder, "a search"))
        if (summary := known(folder, config)) is None:
            atomic_write(folder / "blackbox.json", json.dumps(to_dict(config), indent=1))
            here = environment.described(loop.typed_command())
            atomic_write(folder / "environment.json", json.dumps(here, indent=1))
            summary = _written(job, searched(job, crew, folder, quiet), folder)
        if not (folder / "report.html").exists():
            blackbox.page(folder)
    return _result(job, folder, summary)


def searched(job: Job, crew: pools.Crew = pools.NOBODY, folder: Path | None = None, quiet: bool = True) -> Trials:
    """All runs of a job: in one program where its searcher and its evaluator are traced, else one trial at a time.

    Errors: `loop.Interrupted` by Ctrl-C, where a folder keeps what was done.
    """
    try:
        opening = None
        if job.ranks is not None:
            opening = warmup.openings(job.ranks, job.config, job.problem.decisions, folder, quiet, job.allows)
            opening.check(job.config.budget, job.evaluator.seconds[1] if isinstance(job.evaluator, Evaluator) else 0.0)
        traced = isinstance(job.evaluator, Evaluator) and job.strategy.build is not None
        if traced and crew == pools.NOBODY:
            return simulated(job, opening)
        with closing(pools.made(crew, job)) as pool:
            return host.tried(job, pool, folder, quiet, opening)
    except KeyboardInterrupt:
        if folder is None:
            raise
        raise loop.Interrupted(f"Stopped. What has ended is in {folder}: the same command goes on.") from None


def _result(job: Job, folder: Path | None, summary: dict[str, Any]) -> Result:
    found = [decode(np.array(cell, np.int32), job.evaluator.space) for cell in summary["found"]]
    return Result(job.config, folder, summary, found, summary["spent"])


def _numbers(job: Job, done: Trials) -> dict[str, Any]:
    """The summary, and what figures and tables of several searches are made of."""
    return trials.summary(done, job) | {
        "titles": dict(job.evaluator.truths),
        "labels": job.labels,
        "quantity": job.evaluator.quantity,
        "curve": trials.curve(done, job).round(4).tolist(),
        "found": trials.cells_found(done).tolist(),
        "spent": done.spent[np.arange(len(done.counts)), done.counts - 1].tolist(),
    }


def _written(job: Job, done: Trials, folder: Path) -> dict[str, Any]:
    from dnas.reports.budgets import plot_budgets

    atomic_write(folder / "trials.csv", trials.table(done, job))
    best = trials.best_of_all(done)
    atomic_write(folder / "genotype.json", json.dumps(to_json(decode(best, job.evaluator.space))))
    kept = _numbers(job, done)
    title = f"{job.config.runs:,} runs of {job.config.label}, {job.config.evaluator}"
    panel = {quantity_of(job.config, kept): (job.budget.unit, {job.config.label: np.array(kept["curve"])})}
    plot_budgets(panel, folder / "accuracy.png", title)
    if len(job.objectives) > 1:
        _write_front(job, done, folder)
    atomic_write(folder / "summary.json", sealed(kept))
    return kept


def quantity_of(config: BlackboxConfig, summary: dict[str, Any]) -> str:
    """What the curve of a search shows."""
    if "hypervolume" in summary:
        return f"volume below the front of {config.objective}"
    title = next(iter(summary["titles"].values()), None)
    return config.objective if title is None else f"{title} {summary['quantity']}"


def _write_front(job: Job, done: Trials, folder: Path) -> None:
    """The front of all runs together, and its picture."""
    from dnas.reports.budgets import plot_front

    members, everything = trials.front_of_all(done, job)
    rows: list[dict[str, Any]] = [
        {"architecture": "-".join(map(str, cell)), **dict(zip(job.objectives, values, strict=True))}
        for cell, values in members
    ]
    lines = [[f"{v:.7g}" if isinstance(v, float) else v for v in row.values()] for row in rows]
    atomic_write(folder / "front.csv", tables.as_csv([*rows[0]], lines))
    cells = [to_json(decode(np.array(cell, np.int32), job.evaluator.space)) for cell, _ in members]
    known = [row | {"genotype": cell} for row, cell in zip(rows, cells, strict=True)]
    atomic_write(folder / "front.json", json.dumps(known, indent=1))
    front = np.array([values for _, values in members])
    title = f"{job.config.runs:,} runs of {job.config.label}, {job.config.evaluator}"
    plot_front(everything, front, [*job.labels.values()], folder / "front.png", title)


def known(folder: Path, config: BlackboxConfig) -> dict[str, Any] | None:
    """The summary that a folder holds, if it is of this search; None if there is none yet. Errors: `UserError` for
    another search, and for anything else."""
    with storage(folder):
        names = {file.name for file in folder.iterdir() if not file.name.startswith(".")}
    if names and "blackbox.json" not in names:
        raise UserError(f"{folder} is not empty and holds no black-box search: choose another --out.")
    saved = read_sealed(folder / "blackbox.json", REMOVE)
    if saved is not None and (changed := differences(from_dict(saved, BlackboxConfig), config)):
        raise UserError(f"{folder} was made with another config ({'; '.join(changed)}): choose another --out.")
    finished = read_sealed(folder / "summary.json", REMOVE)
    if finished is None:
        return None
    if not {"truths", "rank", *LONG} <= finished.keys():
        raise StorageError(f"{folder / 'summary.json'} is damaged, it holds no summary: {REMOVE}.")
    return finished
