"""Differentiable neural architecture search in JAX.

config = dnas.config.load("experiments/small_digits.py")
run = dnas.search.run(config)
network = dnas.nets.network.build(run.genotype, classes=10, cells=3, channels=4, image_channels=1)
trained = dnas.retrain.run(config, run.genotype)
"""

import importlib
import time
from typing import Any

__version__ = "0.1.0"
STARTED = time.time()  # before any other source of ours is read; see programs.py

ROOMS = (
    *("config", "data", "errors", "find", "interop", "loop", "methods", "nets"),
    *("programs", "records", "report", "retrain", "search", "spaces", "types"),
)


def __getattr__(name: str) -> Any:
    """Import rooms when they are first used: `dnas.search`, `dnas.nets.network`, ..."""
    if name in ROOMS:
        return importlib.import_module(f"dnas.{name}")
    raise AttributeError(f"module 'dnas' has no attribute '{name}'")
