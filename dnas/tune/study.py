"""Optuna's side of a study: its storage, its samplers and pruners, and what becomes of trials whose workers died.

A trial that a worker has begun and not ended is noticed in two ways. A worker holds the lock of a folder of its own,
which the system gives back when it ends, however it ends: so those of this folder are found at once. Those of other
machines tell the storage every few seconds that they live (Optuna's heartbeat), and are given up when they do not.
What was given up waits to be run again, with the same values.
"""

import contextlib
import random
import re
import time
import warnings
import zlib
from collections.abc import Collection, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote

from dnas import paths
from dnas.blackbox.optuna_study import SEEDS, library
from dnas.blackbox.workers import ATTEMPTS
from dnas.errors import StorageError, UserError
from dnas.tune.axes import Axis
from dnas.tune.plan import Plan

HEARTBEAT, GRACE = 15, 90  # seconds between signs of life, and until a worker without any counts as dead
SETTINGS = "dnas"  # the attribute of a study with what must not change
WORKER, PLACE, DEATHS, FAILED, STOPPED = "worker", "place", "deaths", "failed", "stopped"  # attributes of trials
WORKERS = "workers"  # the folder of the workers' folders
EARLY = 4  # of such a part of the epochs too little is known to be worse than the median
DRIVERS = {  # module: what it is installed by
    "psycopg": "'psycopg[binary]'",
    "psycopg2": "psycopg2-binary",
    "MySQLdb": "mysqlclient",
}
RACES = 5  # to make tables that others make, too
TRIES, PAUSE = 300, 0.2  # to get the folder for a moment


def opened(plan: Plan, folder: Path, url: str, name: str) -> Any:
    """The study of this name in a storage, made if there is none. url: empty, a file of the folder.

    Errors: `UserError` for a storage that cannot be reached and for a study of something else.
    """
    with _alone(folder):
        direction = "maximize" if plan.score.more else "minimize"
        with _reached(url, folder / "study.db"):
            study = _made(folder, url, study_name=name, direction=direction)
            study.pruner = pruner_of(plan)
            begun = bool(study.get_trials(deepcopy=False))  # by somebody who has said before what it is
            known = study.user_attrs.get(SETTINGS)
            if known is None and not begun:
                study.set_user_attr(SETTINGS, plan.described())
                return study
    if known is None:
        raise UserError(f"The study '{name}' was not made by dnas tune: choose another --study.")
    if changed := _changed(known, plan.described()):
        raise UserError(
            f"The study '{name}' is of another tuning ({'; '.join(changed)}): repeat its command, or choose another "
            "--out, or --study in a storage of your own."
        )
    return study


def sampler_of(plan: Plan, number: int, worker: str) -> Any:
    """What proposes the values of a trial. It is made anew for each, so that what it draws follows from the config's
    seed and the number of trials before; of workers side by side also from their names."""
    samplers = library("optuna", *["cmaes"] * (plan.searcher == "cmaes")).samplers
    seed = zlib.crc32(f"{plan.config.seed} {number} {worker}".encode()) % SEEDS
    match plan.searcher:
        case "tpe":
            return samplers.TPESampler(seed=seed, constant_liar=True)
        case "cmaes":
            return samplers.CmaEsSampler(seed=seed, warn_independent_sampling=False)
        case _:
            return samplers.RandomSampler(seed=seed)


def pruner_of(plan: Plan) -> Any:
    """What gives trainings up, after epochs of the training."""
    pruners = library("optuna").pruners
    match plan.pruner:
        case "median":
            return pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=plan.config.retrain.epochs // EARLY)
        case "halving":
            return pruners.SuccessiveHalvingPruner(min_resource=1, reduction_factor=3)
        case "hyperband":
            return pruners.HyperbandPruner(
                min_resource=1, max_resource=plan.config.retrain.epochs * plan.folds, reduction_factor=3
            )
        case _:
            return pruners.NopPruner()


def suggested(trial: Any, axis: Axis) -> Any:
    """The value of an axis in a trial."""
    if axis.listed:
        return trial.suggest_categorical(axis.path, axis.values)
    suggest = trial.suggest_int if axis.whole else trial.suggest_float
    return suggest(axis.path, *axis.values, log=axis.log)


def ended(study: Any) -> list[Any]:
    """The trials that count: done, given up, or failed for good; by their numbers."""
    return [trial for trial in study.get_trials(deepcopy=False) if _counts(trial)]


def running(study: Any, but: set[str]) -> int:
    """How many trials are under way, but those of some workers."""
    states = [library("optuna").trial.TrialState.RUNNING]
    return sum(trial.user_attrs.get(WORKER) not in but for trial in study.get_trials(deepcopy=False, states=states))


def again(study: Any, trial: Any, died: bool = True) -> None:
    """Let a trial that did not end wait to be run, with the same values, unless its workers die of it."""
    deaths = trial.user_attrs.get(DEATHS, 0) + died
    values = trial.system_attrs.get("fixed_params", {}) | trial.params  # it may have died before it took all of them
    if deaths < ATTEMPTS and values:
        kept = {DEATHS: deaths, PLACE: trial.user_attrs.get(PLACE, trial.number)}
        study.enqueue_trial(values, user_attrs=kept)


def revive(study: Any, folder: Path, ended: Collection[str] = ()) -> None:
    """Give up trials whose workers died, and let them be run again. ended: workers that did not die of their own."""
    optuna = library("optuna")
    states = [optuna.trial.TrialState.RUNNING]
    if study.get_trials(deepcopy=False, states=states):
        with _alone(folder), warnings.catch_warnings():
            warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
            for trial in study.get_trials(deepcopy=False, states=states):
                worker = trial.user_attrs.get(WORKER, "")
                if _dead(folder, worker) or _nameless(trial):
                    if worker in ended:
                        optuna.trial.Trial(study, trial._trial_id).set_user_attr(STOPPED, True)
                    study.tell(trial.number, state=optuna.trial.TrialState.FAIL)
                    again(study, trial, died=worker not in ended)
            optuna.storages.fail_stale_trials(study)


def reason(trial: Any) -> str:
    """Why a trial failed for good."""
    return trial.user_attrs.get(FAILED) or f"Its worker died {ATTEMPTS} times, perhaps for want of memory."


def hidden(url: str) -> str:
    """A URL as it may be shown, without its password."""
    return re.sub(r"(://[^:/@\s]*):\S*@", r"\1:***@", url)


def _counts(trial: Any) -> bool:
    state, known = trial.state.name, trial.user_attrs
    failed = FAILED in known or (known.get(DEATHS, 0) + 1 >= ATTEMPTS and STOPPED not in known)
    return state in ("COMPLETE", "PRUNED") or (state == "FAIL" and failed)


def _dead(folder: Path, worker: str) -> bool:
    return re.fullmatch(r"[0-9a-f]{32}", worker) is not None and paths.abandoned(folder / WORKERS / worker)


def _nameless(trial: Any) -> bool:
    """Whether nobody has written a name at a trial for long: its worker died at once, before any sign of life."""
    return WORKER not in trial.user_attrs and datetime.now() - trial.datetime_start > timedelta(seconds=GRACE)


def _storage(folder: Path, url: str) -> Any:
    optuna = library("optuna")
    waits = {"connect_args": {"timeout": 100}} if not url or url.startswith("sqlite") else {"pool_pre_ping": True}
    optuna.logging.set_verbosity(optuna.logging.CRITICAL)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", optuna.exceptions.ExperimentalWarning)
        return optuna.storages.RDBStorage(
            url.replace("{", "{{").replace("}", "}}") or _own(folder),  # in which Optuna would fill in names
            engine_kwargs=waits,
            heartbeat_interval=HEARTBEAT,
            grace_period=GRACE,
            heartbeat_stale_trial_callback=again,
        )


def _own(folder: Path) -> str:
    """The URL of the file of a folder, whatever that is called."""
    name = f"file:{quote(str(folder / 'study.db'))}"
    return library("sqlalchemy").URL.create("sqlite", database=name, query={"uri": "true"}).render_as_string()


def _made(folder: Path, url: str, **settings: Any) -> Any:
    """A study in a storage whose tables may be in the making, by another machine at this very moment."""
    for left in reversed(range(RACES)):
        try:
            return library("optuna").create_study(storage=_storage(folder, url), load_if_exists=True, **settings)
        except Exception as error:
            cause = _cause(error)
            if not left or (type(cause).__name__ != "IntegrityError" and "already exists" not in str(cause)):
                raise
            time.sleep(random.random())


def _cause(error: Exception) -> BaseException:
    """What Optuna says that another library has said."""
    return error.__cause__ if type(error).__module__.startswith("optuna") and error.__cause__ else error


@contextlib.contextmanager
def _reached(url: str, own: Path) -> Iterator[None]:
    """One sentence for what SQLAlchemy, and the drivers below it, have against a storage; own: the file of the folder,
    where there is no URL."""
    try:
        yield
    except UserError:
        raise
    except Exception as error:
        if not type(error).__module__.startswith(("sqlalchemy", "optuna")) and not isinstance(error, ImportError):
            raise
        cause = _cause(error)
        if missing := _missing(cause):
            raise StorageError(
                f"Cannot use the storage {hidden(url)}, whose driver {missing} is not installed: pip install "
                f"{DRIVERS.get(missing, missing)}."
            ) from error
        detail = hidden(str(getattr(cause, "orig", None) or cause).partition("\n")[0]).removesuffix(".")
        if not url:
            raise StorageError(f"Cannot use {own} ({detail}): restore it, or choose another --out.") from error
        raise StorageError(
            f"Cannot use the storage {hidden(url)} ({detail}): give the URL of a database, as sqlite:///study.db or "
            "postgresql+psycopg://user@host/name, whose driver is installed."
        ) from error


def _missing(error: BaseException | None) -> str:
    """The module without which a storage cannot be reached; empty where nothing is missing."""
    while error is not None and not isinstance(error, ModuleNotFoundError):
        error = error.__cause__ or error.__context__
    return error.name or "" if error is not None else ""


@contextlib.contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Hold the lock of the folder for a moment, when it is free. Errors: `StorageError` after a minute."""
    for left in reversed(range(TRIES)):
        with contextlib.ExitStack() as lock:
            try:
                lock.enter_context(paths.locked(folder, "dnas tune"))
            except StorageError:
                if not left:
                    raise
                time.sleep(PAUSE)
                continue
            yield
            return


def _changed(old: dict[str, Any], new: dict[str, Any], path: str = "") -> list[str]:
    """What differs, as 'name: old -> new'."""
    found = list[str]()
    for key in sorted({*old, *new}):
        a, b = old.get(key), new.get(key)
        if isinstance(a, dict) and isinstance(b, dict):
            found += _changed(a, b, path if key == "config" else f"{path}{key}.")
        elif a != b:
            found.append(f"{path}{key}: {_written(a)} -> {_written(b)}")
    return found


def _written(value: Any) -> str:
    return " ".join(map(str, value)) if isinstance(value, list) else str(value)
