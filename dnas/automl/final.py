"""The end of an automatic run: networks trained on all that is not the test part, and tested, once."""

import math
import shutil
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import jax
import numpy as np

from dnas import data as datasets
from dnas import exporting, find
from dnas.automl import learners, pace
from dnas.automl.networks import Entry, with_epochs
from dnas.automl.pace import Slow, TimeUp
from dnas.config import Config
from dnas.evaluators.cross_validation import Watch, share_error
from dnas.loading import Found, load
from dnas.retrain import run as retrain
from dnas.runs import loop, records
from dnas.tasks import binding
from dnas.tasks.task import Score
from dnas.types import Tree


def whole(config: Config) -> Config:
    """A config that trains on the whole train part, what validated included, unless it says which epoch is the best."""
    plan = config.retrain
    plan = plan if plan.patience else replace(plan, valid_portion=0.0)
    return replace(config, seeds=1, retrain=plan, checkpoint_epochs=max(1, plan.epochs // 4))


def trained(entry: Entry, folder: Path, seconds: float = math.inf) -> dict[str, Any]:
    """Train the network of an entry and test it: measures of the test part, ready for JSON, `error`, the standard error
    of its score, and `ended`, whether its last epoch was reached.

    seconds: that the training may take. Where it would take longer it begins anew with as many epochs as fit; where
    these are no more than it has behind it, it goes on, and stops where it is then.
    """
    end, begun = time.monotonic() + seconds, records.holds_run(folder)
    config = records.config_of(folder) if begun else whole(entry.settings)
    ended = True
    while True:
        watch = _beginning_anew(end, config.retrain.epochs)
        try:
            retrain(config, entry.network, folder, resume=begun, quiet=True, watch=watch, until=end)
        except Slow as slow:
            epochs = min(slow.fitting(end - time.monotonic(), 1), config.retrain.epochs - 1)
            config, begun = with_epochs(config, epochs), False
            shutil.rmtree(folder)
            continue
        except loop.Interrupted:
            if time.monotonic() < end:
                raise
            ended = False
        finally:
            loop.forget_programs()
        break
    return tested(folder, entry.score) | {"ended": ended}


def _beginning_anew(end: float, epochs: int) -> Watch:
    """Raises `Slow` only where a shorter training fits until `end`, of `time.monotonic`, with more epochs than are
    done."""
    watch = pace.within(end - time.monotonic(), epochs)

    def told(epoch: int, measures: dict[str, float]) -> None:
        try:
            watch(epoch, measures)
        except Slow as slow:
            if min(slow.fitting(end - time.monotonic(), 1), epochs - 1) > epoch:
                raise

    return told


def tested(folder: Path, score: Score) -> dict[str, Any]:
    """What the network of a training measures on the test part."""
    found = load(folder)
    assert isinstance(found, Found)
    measured = found.evaluate()
    measures = {name: float(value) for name, value in measured.measures.items()}
    confusion = None if measured.confusion is None else measured.confusion.tolist()
    error = error_of(measures, found, score)
    told = {"confusion": confusion, "classes": list(found.classes), "parameters": parameters_of(found)}
    return {"measures": measures, "error": error} | told


def parameters_of(found: Found) -> int:
    """How many the network has."""
    return sum(leaf.size for leaf in jax.tree.leaves(found.weights))


def error_of(measures: dict[str, float], found: Found, score: Score) -> float:
    """The standard error of a test score, over examples; 0 where it is not known."""
    if score.name == "accuracy":
        return share_error(measures["accuracy"], found.task.steps("test", 1) or test_size(found))
    if score.name != "rmse":
        return 0.0
    return rmse_error(residuals(found))


def rmse_error(errors: np.ndarray) -> float:
    """Of the root of the mean of squares, by the delta method; errors [N]."""
    squares = errors**2
    return float(squares.std(ddof=1) / np.sqrt(len(squares)) / 2 / max(np.sqrt(squares.mean()), 1e-12))


def test_size(found: Found) -> int:
    """How many examples the test part has."""
    return len(datasets.load(found.config.data).test_y)


def residuals(found: Found) -> np.ndarray:
    """Predictions less targets [N] of the test part of a table."""
    table = datasets.load(found.config.data)
    rows: Tree = {column.name: values for column, values in zip(table.columns, table.test, strict=True)}
    known = ~np.isnan(table.test_y)
    return np.asarray(found.predict(rows))[known] - table.test_y[known]


def learned(entry: Entry, config: Config, seconds: float = math.inf) -> dict[str, Any]:
    """The same of a model of scikit-learn, without a confusion; no measures where it did not end."""
    task: Any = binding.bind(datasets.load(config.data), whole(config), "retrain", find.resolve("space", config.space))[
        0
    ]
    try:
        with pace.ended_after(seconds):
            outputs, seen = learners.outputs_of(entry.name, task, "test"), task.parts["test"]
    except TimeUp:
        return {"ended": False}
    measures = learners.measured(outputs, task, "test")
    if entry.measure == "accuracy":
        error = share_error(measures["accuracy"], len(seen.y))
    else:
        known = slice(None) if seen.counted is None else seen.counted > 0
        error = rmse_error(task.std * (outputs[:, 0] - seen.y)[known])
    return {"measures": measures, "error": error, "confusion": None, "classes": [], "ended": True}


def exported(folder: Path, out: Path) -> list[str]:
    """Write the network of a training for others, and give the names of the files."""
    if not out.exists():
        exporting.export(load(folder), out)  # type: ignore[arg-type]  # it is a training
    return sorted(path.name for path in out.iterdir())
