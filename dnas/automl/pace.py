"""How long trainings take here, measured on a short one; how many epochs fit into a time; and an end to what takes
longer than it may, as on a machine that others begin to use."""

import math
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from dnas import find, retrain
from dnas.architectures.genotype import Genotype
from dnas.automl.recipes.protocol import Recipe
from dnas.config import Config
from dnas.errors import UserError
from dnas.evaluators import cross_validation
from dnas.evaluators.cross_validation import Watch
from dnas.kernels import native

EPOCHS = 2  # that are measured: the first compiles
CAUTION = 1.5  # another network may compile that much longer, and others may use the machine
TRACED = 0.3  # share of compiling that is left where a program is known
COMPILING = 0.5  # share of the time of a first epoch that compiling is taken to be where there is no second one
MEASURED_PART = 0.1  # of the time that is left, after which one epoch is enough to measure


class TimeUp(Exception):
    """A piece of work took longer than it may."""


class Slow(Exception):
    """A training would take longer than it may. seconds: of one of its epochs. before: that passed before the first."""

    def __init__(self, seconds: float, before: float):
        super().__init__(f"an epoch takes {seconds:.1f} s")
        self.seconds, self.before = seconds, before

    def fitting(self, seconds: float, folds: int) -> int:
        """How many epochs of the same training on each of so many folds fit into so many seconds, perhaps none."""
        return max(0, int((seconds / CAUTION - self.before) / max(self.seconds * folds, 1e-9)))


def within(seconds: float, epochs: int) -> Watch:
    """What a training of so many epochs, over all folds, tells of each. It raises `Slow` as soon as they are not going
    to end within so many seconds."""
    began, stamps = time.monotonic(), list[float]()

    def watch(epoch: int, _: Any) -> None:
        stamps.append(time.monotonic() - began)
        last, first, others = stamps[-1], stamps[0], len(stamps) - 1
        one = (last - first) / others if others else 0.0
        if last + (epochs - epoch) * one > seconds:
            one = one or (1 - COMPILING) * first
            raise Slow(one, max(first - one, 0.0))

    return watch


@contextmanager
def ended_after(seconds: float) -> Iterator[None]:
    """Raise `TimeUp` in what happens inside, when so many seconds have passed and it comes back to Python; in the main
    thread of a system that has timers."""
    if (
        math.isinf(seconds)
        or threading.current_thread() is not threading.main_thread()
        or not hasattr(signal, "SIGALRM")
    ):
        yield
        return

    def up(*_: Any) -> None:
        raise TimeUp

    before = signal.signal(signal.SIGALRM, up)
    signal.setitimer(signal.ITIMER_REAL, max(seconds, 1e-3))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@dataclass(frozen=True)
class Pace:
    """Of the validation of a network: seconds of an epoch, of all seeds on one fold; before: seconds that it takes
    beside its epochs, compiling most of them. work: multiply-adds of `EPOCHS` epochs. first: seconds until the first
    epoch had ended."""

    seconds: float
    before: float
    work: int
    first: float = 0.0

    def training(self, recipe: Recipe, epochs: int) -> float:
        """Seconds of the validation of a network."""
        return self.before + epochs * self.seconds * recipe.folds

    def epochs(self, recipe: Recipe, seconds: float, ratio: float = 1.0) -> int:
        """That fit into seconds, at most those of the recipe, of a network that computes so many times as much."""
        one = self.seconds * ratio * recipe.folds
        return min(recipe.config.retrain.epochs, max(0, int((seconds - self.before) / max(one, 1e-9))))


def measured(recipe: Recipe, genotype: Genotype, left: float) -> dict[str, Any]:
    """The pace of a network, ready for JSON. left: seconds; where the first epoch takes much of them it is the only."""
    native.available()  # kernels are compiled once for a machine, before
    config = replace(recipe.config, seeds=recipe.seeds)
    plan = replace(config.retrain, epochs=EPOCHS, weights=replace(config.retrain.weights, warmup_epochs=0))
    config = replace(config, retrain=plan)
    try:
        began, stamps = time.monotonic(), list[float]()

        def watch(*_: Any) -> None:
            stamps.append(time.monotonic() - began)
            if len(stamps) < EPOCHS and stamps[0] > MEASURED_PART * left:
                raise TimeUp

        cross_validation.validated(config, genotype, 1, watch)
        seconds = stamps[-1] - stamps[0]
    except TimeUp:
        seconds = (1 - COMPILING) * stamps[0]
    compiling = max(stamps[0] - seconds, 0.0) * CAUTION * (1 + TRACED * (recipe.folds - 1))
    work = work_of(config, genotype, EPOCHS)
    return {"seconds": seconds, "before": compiling, "work": work, "first": stamps[0]}


def work_of(config: Config, genotype: Genotype, epochs: int) -> int:
    """Multiply-adds of a training of so many epochs, and of validating it."""
    held = cross_validation.parts_of(config, 1)[0]
    plan = replace(config, seeds=1, retrain=replace(held.plan, epochs=epochs))
    return retrain.multiply_adds(plan, find.resolve("space", config.space), genotype, held.task)


def check(pace: Pace, left: float) -> None:
    """Refuse a time in which not even one network can be trained for an epoch. Errors: `UserError`."""
    if pace.first > left:
        raise UserError(
            f"No time left: the least that can be done takes {pace.first / 60:.1f} minutes here, and "
            f"{max(left, 0) / 60:.1f} are left: give more --minutes, or fewer examples (limit=...)."
        )
