"""Studies of tests, whose trials train nothing: run as a program, and imported by its workers."""

import os
import sys
import time
from pathlib import Path

import numpy as np

from dnas.architectures.choices import choices, decode
from dnas.config import AugmentConfig, Config, RetrainConfig, SearchConfig
from dnas.spaces import tabular
from dnas.tasks.task import Score
from dnas.tune import trials
from dnas.tune.axes import axes_of
from dnas.tune.plan import Plan

PLAIN = AugmentConfig(pad=0, flip=False)
CONFIG = Config(
    space="tabular:layers=1",
    data="wine",
    method="gdas",
    search=SearchConfig(epochs=1, batch_size=16, cells=1, channels=2, augment=PLAIN),
    retrain=RetrainConfig(epochs=9, batch_size=16, channels=2, cells=1, auxiliary=0.0, drop_path=0.0, augment=PLAIN),
)
SPACE = tabular.space(layers=1)
CELL = decode(np.zeros(len(choices(SPACE)[0]), np.int32), SPACE)
OVER = ["retrain.weights.learning_rate=1e-3..1:log", "retrain.channels=2..9", "retrain.optimiser=[sgd,adamw]"]


def plan(over=OVER, searcher="tpe", pruner="none", more=True):
    axes = axes_of(over, CONFIG)
    cell = None if any("architecture" in axis.path for axis in axes) else CELL
    return Plan(CONFIG, axes, searcher, pruner, cell, Score("accuracy" if more else "loss", more))


def worth(values):
    """Best at a learning rate of 0.1 with many channels."""
    return 1 - 0.2 * abs(np.log10(values["retrain.weights.learning_rate"]) + 1) + values["retrain.channels"] / 90


def fake(plan, values, folder, watch):
    """A trial as `trials.evaluated` does one, at once."""
    score = worth(values)
    for epoch in range(1, 10):
        if watch is not None:
            watch(epoch, score * epoch / 9)
    return trials.Found(score, plan.proposed(values), 7)


def slow(plan, values, folder, watch):
    """One that takes a while, and writes down that it has begun and ended."""
    log = folder.parents[1] / "log"
    with log.open("a") as file:
        file.write(f"{os.getpid()} begins {values['retrain.channels']}\n")
    time.sleep(float(os.environ["TRIAL_SECONDS"]))
    return fake(plan, values, folder, watch)


if __name__ in ("__main__", "__mp_main__"):
    trials.evaluated = slow

if __name__ == "__main__":
    from dnas import tune

    folder, number, workers = sys.argv[1:4]
    url = sys.argv[4] if len(sys.argv) > 4 else ""
    tune.run(plan(), Path(folder), trials=int(number), workers=int(workers), url=url, name="shared" if url else "")
