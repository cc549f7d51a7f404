"""One search from a config to a run folder: data, task, space, supernet, method, bilevel steps, genotypes, pictures."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import jax

from dnas import data as datasets
from dnas import find
from dnas.config import Config
from dnas.runs import loop, records, weights
from dnas.search.job import Job
from dnas.search.result import Result
from dnas.tasks import binding


def run(
    config: Config,
    out: str | Path | None = None,
    *,
    data: Any = None,
    resume: bool = False,
    quiet: bool = False,
    profile: str | Path | None = None,
    until: float = math.inf,
    report: bool = True,
) -> Result:
    """Search as the config says, in the folder `out` (default: runs/ and a name made of the config and the time).

    data: a data set or arrays (x, y) or (x, y, test_x, test_y) instead of the config's data set.
    profile: a folder for a trace of a few steps. until: of `time.monotonic`, when it is told to stop as by Ctrl-C.
    report: draw pictures and the page at the end.
    Errors: `UserError` for anything wrong with the input; `loop.Interrupted` when told to stop.
    """
    loop.prepare_process()
    records.check(out, resume)
    if isinstance(data, (tuple, list)):  # which no name stands for
        config = dataclasses.replace(config, data=datasets.ARRAYS)
    with jax.enable_x64(config.dtype == "float64"):
        # before the folder: what cannot be built leaves none
        job = build(config, data=data, resume=resume, quiet=quiet)
        task, folder = job.task, Path(out) if out is not None else default_folder(config)
        grows = "search" if len(job.phases) == 1 else ""
        with records.opened(folder, config, loop.typed_command(), resume, grows) as record:
            record.data(task.described() | {"score": task.score._asdict()})
            loop.say(f"Data: {task.note}.", quiet or not task.note)
            return job.go(record, resume, None if profile is None else Path(profile), until, report)


def build(config: Config, *, data: Any = None, resume: bool = False, quiet: bool = True) -> Job:
    """A search that is put together and not begun; nothing is compiled. Errors: `UserError` for what cannot be."""
    space, method = find.resolve("space", config.space), find.resolve("method", config.method)
    dataset = datasets.load(config.data if data is None else data)
    task, plan = binding.bind(dataset, config, "search", space)
    points = binding.points_of(config, plan, "search")
    with jax.enable_x64(config.dtype == "float64"):
        job = Job(dataclasses.replace(config, search=plan), space, method, task, quiet, points)
        if config.weights_from and not resume:
            weights.check(config.weights_from, job.stage.shapes)
    return job


def default_folder(config: Config) -> Path:
    """runs/darts-darts-digits-0-20260131-120000, say: a new folder."""
    return records.default_folder(config.method, config.space, config.data, str(config.seed))
