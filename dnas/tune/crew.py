"""Who does trials: this process, or several of this machine. Each takes one at a time from the study, as others do.

A process that dies is replaced; what becomes of its trial, `study.revive` says.
"""

import functools
import json
import math
import os
import shutil
import signal
import threading
import time
import traceback
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from multiprocessing.connection import Connection, wait
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from dnas import paths
from dnas.architectures.genotype import to_json
from dnas.blackbox.optuna_study import library
from dnas.blackbox.workers import Process, end_with_parent, take_share
from dnas.errors import StorageError
from dnas.runs import loop
from dnas.tune import study as studies
from dnas.tune import trials
from dnas.tune.plan import Plan

FORGET = 10  # trials between which compiled programs pile up
Told = Callable[[str], None]


class Place(NamedTuple):
    """Where a study is. url: of its storage, empty for a file of the folder. alone: whether one process at a time
    is meant to work on it."""

    folder: Path
    url: str
    name: str
    alone: bool


class Limits(NamedTuple):
    """When trials are given up. until: of `time.monotonic`. each: seconds that one may take."""

    until: float = math.inf
    each: float = math.inf

    @property
    def end(self) -> float:
        """Of a trial that begins now."""
        return min(self.until, time.monotonic() + self.each)


class Crew(Protocol):
    """Those who do trials, `size` at a time, `busy` of them now; names: what they write at their trials."""

    size: int

    @property
    def busy(self) -> int: ...

    @property
    def names(self) -> set[str]: ...

    def begin(self) -> None:
        """Let one that is idle do a trial."""
        ...

    def look(self, seconds: float) -> None:
        """Wait for the end of any trial, at most so long. Errors: `StorageError` of a trial."""
        ...

    def close(self) -> None:
        """End them all."""
        ...


class Worker:
    """One that does trials. name: of a folder whose lock it holds. told: hears how a trial goes."""

    def __init__(self, plan: Plan, place: Place, name: str, limits: Limits, told: Told = lambda text: None):
        self.plan, self.place, self.name, self.limits, self.told = plan, place, name, limits, told
        self.study, self.done = studies.opened(plan, place.folder, place.url, place.name), 0

    def one(self) -> None:
        """One trial. Errors: `StorageError`; `KeyboardInterrupt` and `loop.Interrupted`, after which it waits to be run
        again."""
        optuna, number = library("optuna"), len(self.study.get_trials(deepcopy=False))
        alone = self.place.alone and not studies.running(self.study, but=set())
        self.study.sampler = studies.sampler_of(self.plan, number, "" if alone else self.name)
        self.study.pruner, self.begun = studies.pruner_of(self.plan), -1
        try:
            self.study.optimize(self.objective, n_trials=1, catch=(trials.Failed,))
        except optuna.exceptions.UpdateFinishedTrialError:
            pass  # it gave no sign of life for long, as on a machine that slept, and was given to another
        except (KeyboardInterrupt, loop.Interrupted):
            if self.begun >= 0:
                studies.again(self.study, self.study.get_trials(deepcopy=False)[self.begun], died=False)
            raise
        self.done += 1
        if self.done % FORGET == 0:
            loop.forget_programs()

    def objective(self, trial: Any) -> float:
        """As Optuna calls it."""
        trial.set_user_attr(studies.WORKER, self.name)
        self.begun = trial.number
        values = {axis.path: studies.suggested(trial, axis) for axis in self.plan.axes}
        number = trial.user_attrs.get(studies.PLACE, trial.number)
        folder = self.place.folder / "trials" / f"{number:05d}"
        self.told(f"trial {trial.number}, {'search' if self.plan.searches else 'training'}")
        try:
            end = self.limits.end
            watch = functools.partial(self._watch, trial, end)
            watched = self.plan.pruner != "none" or math.isfinite(end)
            found = trials.evaluated(self.plan, values, folder, watch if watched else None)
        except trials.Failed as error:
            trial.set_user_attr(studies.FAILED, str(error))
            shutil.rmtree(folder, ignore_errors=True)
            raise
        except library("optuna").TrialPruned:
            shutil.rmtree(folder, ignore_errors=True)
            raise
        except (KeyboardInterrupt, loop.Interrupted):
            trial.set_user_attr(studies.STOPPED, True)
            raise
        trial.set_user_attr("genotype", json.dumps(to_json(found.genotype)))
        trial.set_user_attr("network", found.parameters)
        if len(found.scores) > 1:
            trial.set_user_attr("scores", list(found.scores))
        return found.score

    def _watch(self, trial: Any, end: float, epoch: int, score: float) -> None:
        self.told(f"trial {trial.number}, epoch {epoch}")
        if self.plan.pruner != "none":
            trial.report(score, epoch)
        if trial.should_prune() or time.monotonic() > end:
            raise library("optuna").TrialPruned


class Here:
    """This process: a trial ends before `begin` does."""

    size, busy = 1, 0

    def __init__(self, plan: Plan, place: Place, limits: Limits, told: Told):
        self.name, self.lock = uuid.uuid4().hex, ExitStack()
        self.lock.enter_context(held(place.folder, self.name))
        self.worker = Worker(plan, place, self.name, limits, told)

    @property
    def names(self) -> set[str]:
        return {self.name}

    def begin(self) -> None:
        self.worker.one()

    def look(self, seconds: float) -> None:
        time.sleep(seconds)

    def close(self) -> None:
        self.lock.close()


class Processes:
    """So many processes of this machine, each with a share of the cores or a GPU."""

    def __init__(self, plan: Plan, place: Place, limits: Limits, size: int):
        self.plan, self.place, self.limits, self.size = plan, place, limits, size
        self.workers = [self._started(i) for i in range(size)]
        self.at_work = set[int]()

    @property
    def busy(self) -> int:
        return len(self.at_work)

    @property
    def names(self) -> set[str]:
        return {worker.name for worker in self.workers}

    def begin(self) -> None:
        i = next(i for i in range(self.size) if i not in self.at_work)
        self.at_work.add(i)
        with suppress(OSError):  # it is dead, which `look` notices
            self.workers[i].connection.send(None)

    def look(self, seconds: float) -> None:
        if not self.at_work:
            time.sleep(seconds)
        for ready in wait([self.workers[i].connection for i in self.at_work], seconds):
            i = next(i for i in self.at_work if self.workers[i].connection is ready)
            self.at_work.remove(i)
            try:
                kind, answer = self.workers[i].connection.recv()
            except (EOFError, OSError):
                self.workers[i].end()
                self.workers[i] = self._started(i)
                continue
            if kind == "storage":
                raise StorageError(answer)
            if kind == "crash":
                raise RuntimeError(f"A trial crashed in worker {i}:\n{answer}")

    def close(self) -> None:
        for worker in self.workers:
            worker.end()

    def _started(self, number: int) -> "_Process":
        return _Process(self.plan, self.place, self.limits, number, self.size)


class _Process(Process):
    """A process with a name, that of the folder whose lock it holds."""

    def __init__(self, plan: Plan, place: Place, limits: Limits, number: int, size: int):
        self.name = uuid.uuid4().hex
        super().__init__(_serve, plan, place, limits, self.name, number, size)


def _serve(connection: Connection, plan: Plan, place: Place, limits: Limits, name: str, number: int, size: int) -> None:
    """What a worker does until it is ended."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the process that started it decides
    threading.Thread(target=end_with_parent, daemon=True).start()
    take_share(number, size)
    worker: Worker | None = None
    with held(place.folder, name):
        loop.prepare_process()
        while True:
            connection.recv()
            try:
                worker = worker or Worker(plan, place, name, limits)
                worker.one()
                answer = "done", ""
            except StorageError as error:
                answer = "storage", str(error)
            except loop.Interrupted:  # it alone was told to end: another takes its place
                return
            except Exception:
                answer = "crash", traceback.format_exc()
            connection.send(answer)


@contextmanager
def held(folder: Path, name: str) -> Iterator[None]:
    """Hold the lock of a worker's own folder."""
    own = folder / studies.WORKERS / name
    own.mkdir(parents=True)
    with paths.locked(own, "a worker"):
        yield


def tidy(folder: Path) -> None:
    """Remove the folders of workers that have ended, whose trials are given up by now."""
    for own in (folder / studies.WORKERS).glob("*"):
        if paths.abandoned(own):
            shutil.rmtree(own, ignore_errors=True)
    with suppress(OSError):  # others work
        os.rmdir(folder / studies.WORKERS)
